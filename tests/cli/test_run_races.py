"""Two `portcheck run`s at the same moment, for the same candidates, again and again."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable

from support.namespaces import Host

ROUNDS = 200

# Every round forks two runs from a process that has imported everything and read the command line, and lets them go at
# the same moment: closer than two that start their own Python.  Each server says on fd 50 what it has, and stays until
# fd 51 is closed.
DRIVER = r"""
import json, os, select, sys
from portcheck.__main__ import run
from portcheck.cli.parse import parse
from portcheck.commands import execute
rounds, options, server = int(sys.argv[1]), json.loads(sys.argv[2]), json.loads(sys.argv[3])
run(["run", "7999", "--", "true"])
request = parse(["run", "8000", "8001", *options, "--", *server])
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
        said = os.read(told, 99) if select.select([told], [], [], 0.05)[0] else b""
        ports += said
        if not said:
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


BOTH_SERVE: list[list[object]] = [["8000", "8001"], [0, 0]]
# Two servers that bind with SO_REUSEADDR and call listen() at the same moment may both be refused: the kernel lets each
# announce itself before either is checked (inet_csk_listen_start; 4 of 1,500 races here).  Then no stranger holds the
# port, and nothing is tried again.
BOTH_REFUSED: list[list[object]] = [[], [1, 1]]


def race(host: Host, rounds: int, options: list[str], server: str) -> list[list[list[object]]]:
    """What became of each round: the ports that were served, and the exit codes of the two runs."""
    command = ["/usr/bin/python3", "-S", "-E", "-c", server]
    driver = host.start([sys.executable, "-c", DRIVER, str(rounds), json.dumps(options), json.dumps(command)])
    out, _ = driver.communicate(timeout=300)
    results: list[list[list[object]]] = json.loads(out)
    assert len(results) == rounds
    return results


NO_LEASE = ["--lease", "0"]


def test_two_runs_that_lease_their_ports_never_collide(host: Host, report: Callable[[str], None]) -> None:
    results = race(host, ROUNDS // 4, [], BINDS)
    assert [result for result in results if result != BOTH_SERVE] == []
    report(f"run: {len(results)} races of two for two ports, no collision")


def test_two_runs_that_hand_over_their_socket_never_collide(host: Host, report: Callable[[str], None]) -> None:
    results = race(host, ROUNDS, ["--listen", *NO_LEASE], TAKES)
    assert [result for result in results if result != BOTH_SERVE] == []
    report(f"run --listen: {len(results)} races of two for two ports, no collision")


def test_two_runs_that_try_again_both_find_a_port(host: Host, report: Callable[[str], None]) -> None:
    results = race(host, ROUNDS, ["--retries", "1", *NO_LEASE], BINDS)
    refused = results.count(BOTH_REFUSED)
    assert [result for result in results if result not in (BOTH_SERVE, BOTH_REFUSED)] == []
    assert refused < ROUNDS / 10
    report(f"run --retries: {len(results)} races of two for two ports, no collision, {refused} times both refused")


def test_without_either_they_do_collide(host: Host) -> None:
    """The control: the race is real."""
    assert any(codes != [0, 0] for _, codes in race(host, 20, NO_LEASE, BINDS))
