"""What goes wrong on one host: a clear error for that host, nothing left behind on it, the others unharmed."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator

import pytest

from .conftest import PYTHON_3_8, Play, Played, task, wait_for
from .fleet import Fleet, Host

HURT = ("old", "bare", "full", "readonly")
# Of Ansible itself, where it may not use pipelining.
ANSIBLES_OWN = {"/root/.ansible", "/root/.ansible/tmp"}


def played_on_all(play: Play, fleet: Fleet, *, pipelining: bool) -> Played:
    before = {name: fleet.hosts[name].files() for name in HURT}
    tasks = [task("check", targets=["8080"], fail=False), task("preflight", "declared", ports={"web": 81})]
    hosts = ",".join(("web-1", "gone", *HURT))
    played = play(tasks, hosts, pipelining=pipelining, ignore_unreachable=True)
    for name in HURT:
        assert fleet.hosts[name].files() - before[name] - ANSIBLES_OWN == set(), name
    return played


@pytest.fixture(scope="module")
def pipelined(play: Play, fleet: Fleet) -> Played:
    return played_on_all(play, fleet, pipelining=True)


@pytest.fixture(scope="module")
def by_file(play: Play, fleet: Fleet) -> Played:
    return played_on_all(play, fleet, pipelining=False)


@pytest.fixture(params=["pipelined", "by_file"])
def either(request: pytest.FixtureRequest) -> Played:
    played: Played = request.getfixturevalue(request.param)
    return played


def test_the_others_are_unharmed(either: Played) -> None:
    assert either("web-1")["verdict"] == "in-use"
    assert either("web-1", "declared")["results"][0]["status"] == "free"


def test_a_host_that_cannot_be_reached(either: Played) -> None:
    outcome, result = either.results["gone", "ask"]
    assert outcome == "unreachable"
    assert "No route to host" in result["msg"]


def test_a_python_that_is_too_old(either: Played) -> None:
    if PYTHON_3_8 is None:
        pytest.skip("this machine has no Python 3.8")
    message = either.failure("old")
    assert message.startswith("portcheck needs Python 3.9 or later on the host, and ")
    assert "is Python 3.8: name another one in ansible_python_interpreter" in message


def test_no_python_at_all(either: Played) -> None:
    message = either.failure("bare")
    assert message.startswith("there is no Python that runs on the host (")
    assert "\n" not in message


def test_a_full_disk_is_in_nobodys_way_where_nothing_is_written(pipelined: Played) -> None:
    assert pipelined("full")["verdict"] == "free"
    assert "No usable temporary directory" in pipelined.failure("full", "declared")


def test_a_full_disk(by_file: Played) -> None:
    assert by_file.failure("full").startswith("no space is left for temporary files on the host")


def test_a_home_that_cannot_be_written(pipelined: Played, by_file: Played) -> None:
    assert pipelined("readonly")["verdict"] == "free"
    assert pipelined("readonly", "declared")["results"][0]["status"] == "free"
    assert by_file.failure("readonly").startswith("there is no place for temporary files on the host")


def commands(host: Host) -> Iterator[tuple[int, str]]:
    """Every process of a host, by its number there."""
    for line in host.run("ps", "-eo", "pid=,args=").splitlines():
        pid, _, command = line.strip().partition(" ")
        yield int(pid), command


def asking(host: Host) -> list[int]:
    return [pid for pid, command in commands(host) if "/proc/self/fd/" in command]


@pytest.mark.parametrize("pipelining", [True, False], ids=["pipelining", "files"])
def test_a_connection_that_is_killed(play: Play, fleet: Fleet, *, pipelining: bool) -> None:
    """Both ends of a connection are gone in the middle of a question, which would have gone on for minutes."""
    host = fleet.hosts["db-1"]
    before = host.files()
    result: list[Played] = []
    tasks = [task("wait", targets=["9999"], timeout=600)]
    player = threading.Thread(
        target=lambda: result.append(play(tasks, "db-1,web-1", pipelining=pipelining, ignore_unreachable=True))
    )
    tasks.append(task("check", "and then", targets=["9999"]))
    tasks[0]["when"] = "inventory_hostname == 'db-1'"
    player.start()
    wait_for(lambda: asking(host), "portcheck waits on the host")
    sessions = [pid for pid, command in commands(host) if command.startswith("sshd: root")]
    for pid in sessions:
        host.run("sh", "-c", f"kill -{signal.SIGKILL.value} {pid}", check=False)
    player.join(100)
    outcome, _ = result[0].results["db-1", "ask"]
    assert outcome == "unreachable"
    assert result[0]("web-1", "and then")["verdict"] == "free"
    wait_for(lambda: not asking(host), "portcheck has ended on the host")
    left = wait_for(lambda: [host.files() - before - ANSIBLES_OWN], "the files")[0]
    if pipelining:
        assert left == set()
    else:  # what Ansible itself has sent there, and could not remove any more
        assert all("/.ansible/tmp/ansible-tmp-" in file for file in left)
    assert os.path.exists(f"/proc/{host.init}")
