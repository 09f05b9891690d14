"""Nothing is promised twice: what one portcheck has handed out no other one hands out as long as its lease lasts."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from support.namespaces import Host
from support.patience import PATIENCE
from support.portcheck_command import PORTCHECK
from support.processes import NOBODY, SYSTEM_PYTHON

import portcheck
from portcheck.leases import book, places
from portcheck.leases.book import MANY, Book, Lease

SERVER = (
    "import os, socket, time; s = socket.create_server(('127.0.0.1', int(os.environ['PORT']))); "
    "print('up', flush=True); time.sleep(600)"
)
SERVE = (SYSTEM_PYTHON, "-c", SERVER)
SLEEP = (SYSTEM_PYTHON, "-c", "print('up', flush=True); import time; time.sleep(600)")  # never listens
DAY = 86_400


@pytest.fixture
def place(host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A directory of leases of this test's own, in the network of its own."""
    monkeypatch.setattr(places, "HOSTS_OWN", str(tmp_path / "portcheck"))
    with host.entered():
        yield tmp_path / "portcheck"


def at_once(host: Host, lines: Sequence[Sequence[str]]) -> list[str]:
    """What each of the command lines prints; all of them are started before any is waited for."""
    started = [
        subprocess.Popen(host.argv(line), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        for line in lines
    ]
    return [program.communicate(timeout=10 * PATIENCE)[0].strip() for program in started]


def test_fifty_at_once_are_given_fifty_ports(host: Host) -> None:
    ports = at_once(host, [[str(PORTCHECK), "pick", "8000-8099"]] * 50)
    assert sorted(ports) == [str(port) for port in range(8000, 8050)]


def test_ten_runs_at_once_get_ten_ports(host: Host) -> None:
    line = [str(PORTCHECK), "run", "4100-4129", "--wait-ready", "--print-port", "--", *SERVE]
    ports = at_once(host, [line] * 10)
    try:
        assert sorted(ports) == [str(port) for port in range(4100, 4110)]
    finally:
        for pid in host.portcheck("list", "--pids").stdout.split():
            os.kill(int(pid), signal.SIGKILL)


def test_it_is_said_who_has_it_and_what_to_do(host: Host) -> None:
    assert host.portcheck("pick", "8000").stdout == "8000\n"
    again = host.portcheck("pick", "8000", "--json")
    assert again.returncode == 1
    assert "8000: handed out by another portcheck (PID" in again.stderr
    assert "--lease 0" in again.stderr
    (candidate,) = json.loads(again.stdout)["candidates"]
    assert (candidate["verdict"], [note["code"] for note in candidate["notes"]]) == ("free", ["leased"])
    assert host.portcheck("pick", "8000", "--lease", "0").stdout == "8000\n"


def test_a_lease_is_told_and_ends(host: Host) -> None:
    document = json.loads(host.portcheck("pick", "8000", "--json", "--lease", "1h").stdout)
    assert document["leased_until"].endswith("Z")
    assert json.loads(host.portcheck("pick", "8001", "--json", "--lease", "0").stdout)["leased_until"] is None
    assert host.portcheck("pick", "8001", "--lease", "1ms").stdout == "8001\n"
    assert host.portcheck("pick", "8001").stdout == "8001\n"


def test_looking_neither_leases_nor_heeds(host: Host) -> None:
    host.portcheck("pick", "8000")
    assert host.result("8000")["verdict"] == "free"
    assert host.portcheck("pick", "8001").stdout == "8001\n"


def test_a_stable_port_stays_with_its_name(host: Host, tmp_path: Path) -> None:
    worktree = tmp_path / "shop"
    (worktree / "web" / "src").mkdir(parents=True)
    (worktree / ".git").write_text("gitdir: elsewhere\n")
    by_folder = [host.portcheck("pick", "--stable", "8000-8999", cwd=worktree / part) for part in ("", "web/src")]
    assert len({done.stdout for done in by_folder}) == 1
    assert by_folder[0].stderr == f"stable for {worktree}; --stable=NAME takes another name\n"
    by_name = host.portcheck("pick", "--stable", str(worktree), "8000-8999", cwd=tmp_path)
    assert (by_name.stdout, by_name.stderr) == (by_folder[0].stdout, "")
    elsewhere = host.portcheck("pick", "8000-8999", "--stable", cwd=tmp_path)
    assert elsewhere.stdout != by_name.stdout


def test_users_do_not_share_a_port(host: Host, for_everyone: list[str]) -> None:
    assert host.portcheck("pick", "8000-8001").stdout == "8000\n"
    assert host.run([*for_everyone, "pick", "8000-8001"], uid=NOBODY).stdout == "8001\n"
    assert host.run([*for_everyone, "pick", "8000-8002"], uid=NOBODY).stdout == "8002\n"


def test_a_run_keeps_its_port_until_its_command_has_ended(host: Host) -> None:
    """Also one that has taken longer to listen than its lease lasts: `npm install` comes first."""
    argv = [str(PORTCHECK), "run", "--lease", "1ms", "8000", "--", *SLEEP]
    runner = host.start(argv, ready=b"up")
    assert host.portcheck("pick", "8000-8001").stdout == "8001\n"
    assert host.portcheck("run", "8000", "--", "true").returncode == 125
    runner.send_signal(signal.SIGINT)
    runner.wait(PATIENCE)
    assert host.portcheck("run", "8000", "--", "true").returncode == 0
    assert host.portcheck("pick", "8000").stdout == "8000\n"


def test_a_reservation_leaves_it_to_whom_it_was_handed_out(place: Path) -> None:
    assert portcheck.pick("8000-8002") == 8000
    with portcheck.reserve("8000-8002") as held:
        assert held.port == 8001
    with pytest.raises(portcheck.NoFreePort, match="8000"):
        portcheck.reserve(8000)
    with portcheck.reserve(8000, lease=0) as taken:  # as the error advises
        assert taken.port == 8000
    with portcheck.reserve("8001-8002") as again:  # what was reserved is free with its end
        assert again.port == 8001


def test_neighbours_and_both_protocols(host: Host) -> None:
    host.hold("0.0.0.0", 8002)
    host.hold("0.0.0.0", 8004, "udp")
    assert host.portcheck("pick", "-n", "3", "--block", "8000-8010").stdout == "8003\n8004\n8005\n"
    assert host.portcheck("pick", "-n", "2", "--block", "8000-8010").stdout == "8000\n8001\n"
    assert host.portcheck("pick", "--both", "8004", "8009").stdout == "8009\n"
    failed = host.portcheck("pick", "-n", "3", "--block", "8000-8003")
    assert (failed.returncode, failed.stdout) == (1, "")
    assert "no 3 neighbours of 4 candidates are free" in failed.stderr


def test_lease_0_is_advised_only_where_it_helps(host: Host) -> None:
    for port in ("8000", "8002"):
        assert host.portcheck("pick", port).stdout == f"{port}\n"
    host.hold("0.0.0.0", 8001)
    for too_few in (("-n", "3", "8000", "8002"), ("-n", "2", "8000", "8001"), ("-n", "2", "--block", "8000-8002")):
        assert "--lease 0" not in host.portcheck("pick", *too_few).stderr
    for enough in (("-n", "2", "8000-8002"), ("-n", "2", "--block", "8001-8003")):
        assert "--lease 0" in host.portcheck("pick", *enough).stderr


@pytest.mark.parametrize(("one", "other"), [("--block", "--any"), ("--stable", "--random")])
def test_what_cannot_be_had_together_is_refused(host: Host, one: str, other: str) -> None:
    """The kernel gives no neighbours; and what is taken at random is the same for nobody."""
    refused = host.portcheck("pick", "8000-8010", one, other)
    assert (refused.returncode, refused.stderr) == (2, f"portcheck: {one} and {other} exclude each other\n")


def test_any_target_is_a_candidate(host: Host) -> None:
    host.hold("127.0.0.1", 8000)
    host.hold("0.0.0.0", 8000, "udp")
    assert host.portcheck("pick", "127.0.0.1:8000", "8000/udp", "192.0.2.7:8000").stdout == "8000\n"
    assert host.portcheck("pick", "http://localhost:8000/x", "[::1]:8001").stdout == "8001\n"


@pytest.mark.parametrize("protocol", ["--tcp", "--udp", "--both"])
def test_the_kernel_may_have_no_port_to_give(host: Host, protocol: str) -> None:
    host.run(["sysctl", "-q", "-w", "net.ipv4.ip_local_port_range=40000 40000"])
    host.hold("::", 40000)
    host.hold("::", 40000, "udp")
    done = host.portcheck("pick", "--any", protocol)
    assert (done.returncode, done.stdout) == (1, "")
    assert "the kernel hands out no port" in done.stderr
    assert "EADDRINUSE" in done.stderr


# What the file of a lease may be, and what is in it.


def lease_file(place: Path, port: int) -> Path:
    """The file of a lease that this process has taken."""
    assert Book().claim("tcp", port) is None
    (found,) = place.glob(f"*-tcp-{port}-*")
    return found


@pytest.mark.parametrize("text", ["", "x", "nan 1", "inf 1", "1e999 1 x", "9" * 200, "1 2 3", "\0" * 50, "\udcff"])
def test_what_is_no_lease_is_none(place: Path, text: str) -> None:
    lease_file(place, 8000).write_text(text, errors="surrogateescape")
    assert Book().claim("tcp", 8000) is None


def test_a_lease_of_the_far_future_is_of_another_clock(place: Path) -> None:
    lease_file(place, 8000).write_text(f"{time.time() + DAY} 1\n")
    assert Book().claim("tcp", 8000) is None


def test_what_stands_in_the_place_of_a_lease_stays_as_it_is(place: Path, tmp_path: Path) -> None:
    """A link to a file of one's own, a second name of it, a FIFO: no lease is kept, and that is said."""
    precious = tmp_path / "precious"
    precious.write_text("precious")
    for port, kind in enumerate(("link", "name", "fifo"), 8000):
        file = lease_file(place, port)
        file.unlink()
        if kind == "link":
            file.symlink_to(precious)
        elif kind == "name":
            file.hardlink_to(precious)
        else:
            os.mkfifo(file)
        choice = portcheck.choose(port)
        assert (choice.ports, [note.code for note in choice.notes]) == ((port,), ["not-leased"])
        assert choice.leased_until is None
    assert precious.read_text() == "precious"


def test_a_directory_of_somebody_elses_is_not_used(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place.mkdir()
    os.chown(place, NOBODY, NOBODY)
    monkeypatch.setattr(places, "_candidates", lambda: iter([(str(place), 0o700)]))
    assert [note.code for note in portcheck.choose(8000).notes] == ["not-leased"]
    assert [*place.iterdir()] == []


def test_in_a_directory_that_is_everybodys(place: Path) -> None:
    """A stranger's lease counts for what the stranger could bind; one in the name of another for nothing."""
    place.mkdir()
    place.chmod(0o1777)
    for port in (80, 8000):
        theirs = lease_file(place, port)
        until = theirs.read_text()
        theirs.unlink()
        named = theirs.with_name(theirs.name.rpartition("-")[0] + f"-{NOBODY}")
        named.write_text(until)
        assert Book().claim("tcp", port) is None  # root's file, in nobody's name
        theirs.unlink()
        os.chown(named, NOBODY, NOBODY)
    assert Book().claim("tcp", 80) is None
    assert isinstance(Book().claim("tcp", 8000), Lease)


def test_old_leases_are_tidied_away(place: Path) -> None:
    for port in range(20_000, 20_000 + MANY + 10):
        assert Book(0.001).claim("tcp", port) is None
    assert len([*place.iterdir()]) <= MANY


def test_what_is_tidied_away_is_what_was_looked_at(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two tidy up at once: the second one's file is gone, and the name is that of a lease that counts."""
    counts = lease_file(place, 8000).read_text()
    for port in range(20_000, 20_000 + MANY - 1):
        assert Book(0.001).claim("tcp", port) is None
    old = place / next(place.glob("*-tcp-20000-*")).name
    real = book._lock

    def lock(file: int, kind: Any = "exclusive") -> bool:
        if old.exists() and os.path.samestat(os.fstat(file), old.stat()):
            old.unlink()
            old.write_text(counts)
        return real(file, kind)

    monkeypatch.setattr(book, "_lock", lock)
    assert Book(0.001).claim("tcp", 30_000) is None
    assert old.read_text() == counts


def test_nothing_is_written_where_nothing_can_be(host: Host) -> None:
    """A read-only machine picks as before, and says that another portcheck may pick the same."""
    own = "/tmp/portcheck-0"
    read_only = f'mkdir -p {own}; mount -t tmpfs -o ro none /run; mount -t tmpfs -o ro,mode=700 none {own}; exec "$@"'
    done = host.run(["unshare", "--mount", "sh", "-c", read_only, "sh", str(PORTCHECK), "pick", "8000"])
    assert (done.returncode, done.stdout) == (0, "8000\n")
    assert done.stderr == "note: another portcheck may hand it out too: leases cannot be kept here\n"


def test_a_process_of_its_own_gets_another_port_each_time(place: Path) -> None:
    assert [portcheck.pick("8000-8009") for _ in range(3)] == [8000, 8001, 8002]
    assert portcheck.pick("8000-8009", lease=0) == 8000


def test_one_of_several_ports_without_a_lease_is_said(place: Path) -> None:
    """Also where the last of them has one."""
    file = lease_file(place, 8000)
    file.unlink()
    os.mkfifo(file)
    choice = portcheck.choose("8000-8001", count=2)
    assert (choice.ports, [note.code for note in choice.notes]) == ((8000, 8001), ["not-leased"])
