"""Two `portcheck run`s at the same moment, for the same candidates, again and again."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator

import pytest
from hosts import Host

ROUNDS = 200

# Every round forks two runs from a process that has imported everything and read the command line, and lets them go at
# the same moment: closer than two that start their own Python.  Each server says on fd 50 what it has, and stays until
# fd 51 is closed.
DRIVER = r"""
import json, os, select, sys
from portcheck import cli
from portcheck.__main__ import run
from portcheck.commands import execute
rounds, options, server = int(sys.argv[1]), json.loads(sys.argv[2]), json.loads(sys.argv[3])
run(["run", "7999", "--", "true"])
request = cli.parse(["run", "8000", "8001", *options, "--", *server])
results = []
for _ in range(rounds):
    start, go = os.pipe()
    stay, leave = os.pipe()
    told, tell = os.pipe()
    os.dup2(tell, 50)
    os.dup2(stay, 51)
    racers = []
    for _ in range(2):
        if (pid := os.fork()) == 0:
            os.close(go)
            os.close(leave)
            os.close(told)
            os.read(start, 1)
            os.dup2(os.open("/dev/null", os.O_WRONLY), 2)
            os._exit(execute(request))
        racers.append(pid)
    for end in (start, stay, tell, 50, 51):
        os.close(end)
    os.close(go)
    ports, codes = b"", {}
    while ports.count(b"\n") < 2 and not codes:
        if select.select([told], [], [], 0.05)[0]:
            ports += os.read(told, 99)
        else:
            codes = dict(found for pid in racers if (found := os.waitpid(pid, os.WNOHANG))[0])
    os.close(leave)
    codes.update(os.waitpid(pid, 0) for pid in racers if pid not in codes)
    codes = [os.waitstatus_to_exitcode(status) for status in codes.values()]
    os.close(told)
    results.append([sorted(ports.decode().split()), codes])
print(json.dumps(results))
"""
SERVER = r"""
import os, socket
held = {}
os.write(50, b"%d\n" % held.getsockname()[1])
os.read(51, 1)
"""
BINDS = SERVER.format("socket.create_server(('127.0.0.1', int(os.environ['PORT'])))")
TAKES = SERVER.format("socket.socket(fileno=3)")


@pytest.fixture
def host() -> Iterator[Host]:
    with Host() as made:
        yield made


@pytest.mark.parametrize(
    ("options", "server"), [(["--listen"], TAKES), (["--retries", "1"], BINDS)], ids=["--listen", "--retries"]
)
def test_two_runs_never_collide(host: Host, options: list[str], server: str, report: Callable[[str], None]) -> None:
    command = ["/usr/bin/python3", "-S", "-E", "-c", server]
    driver = host.start([sys.executable, "-c", DRIVER, str(ROUNDS), json.dumps(options), json.dumps(command)])
    out, _ = driver.communicate(timeout=300)
    results = json.loads(out)
    assert len(results) == ROUNDS
    assert [result for result in results if result != [["8000", "8001"], [0, 0]]] == []
    report(f"run {options[0]}: {len(results)} races of two for two ports, no collision")


def test_without_either_they_do_collide(host: Host) -> None:
    """The control: the race is real."""
    command = ["/usr/bin/python3", "-S", "-E", "-c", BINDS]
    driver = host.start([sys.executable, "-c", DRIVER, "20", "[]", json.dumps(command)])
    out, _ = driver.communicate(timeout=120)
    assert any(codes != [0, 0] for _, codes in json.loads(out))
