"""What makes portcheck quick, counted: modules imported, dumps, walks, system calls.  Never times."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from support.namespaces import Host
from support.needs import need
from support.portcheck_command import PORTCHECK
from support.processes import NOBODY, SYSTEM_PYTHON

from portcheck.observe.linux import descriptors, netlink
from portcheck.target import parse_targets

FDS = 200


def imported(*args: str) -> set[str]:
    """The modules that the installed command imports for a command line."""
    code = (
        "import sys\nfrom portcheck.__main__ import run\nsys.stdout = open('/dev/null', 'w')\nrun(sys.argv[1:])\n"
        "sys.stdout = sys.__stdout__\nprint('\\n'.join(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code, *args], capture_output=True, text=True, check=True, timeout=60)
    return set(done.stdout.split())


HEAVY = {
    "typing",
    "dataclasses",
    "inspect",
    "psutil",
    "rich",
    "typer",
    "subprocess",
    "ipaddress",
    "datetime",
    "logging",
}
# Not for long, but every check would feel them.
FELT = {
    "socket",
    "enum",
    "selectors",
    "functools",
    "collections",
}
OTHERS = {"portable", "windows", "macos"}
OURS_AT_MOST = 56


def free_port() -> str:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


@pytest.mark.parametrize(
    ("args", "allowed", "more_of_ours"),
    # without a bind there is a blind spot to be told, in words that a free port does not need
    [((), set(), 0), (("--json",), {"enum", "functools", "collections"}, 1), (("--no-probe",), set(), 4)],
    ids=["text", "json", "no-probe"],
)
def test_a_check_imports_little(args: tuple[str, ...], allowed: set[str], more_of_ours: int) -> None:
    modules = imported(free_port(), *args)
    assert not ((HEAVY | FELT) - allowed) & modules
    assert ("json" in modules) is ("--json" in args)
    ours = {name for name in modules if name.startswith("portcheck")}
    assert len(ours) <= OURS_AT_MOST + more_of_ours, sorted(ours)
    assert not {name for name in ours if "identify" in name and name != "portcheck.identify"} - {
        "portcheck.identify.describe",
        "portcheck.identify.names",
    }


@pytest.mark.parametrize(
    "line",
    [
        "{port} --host=127.0.0.1 -qv --as node",
        "pick {port}",
        "list {port}",
        "list --user=nobody --pids",
        "stop {port} --dry-run",
        "wait {port} --free --timeout=0",
        "{port} --json --plain",
        "wait --timeout soon",
        "run {port}",
        "--version",
    ],
)
def test_no_command_imports_what_is_heavy(line: str) -> None:
    """Nor does a mistake."""
    assert not HEAVY & imported(*line.format(port=free_port()).split())


def test_where_nothing_is_to_be_stopped_nothing_is_imported_for_it() -> None:
    modules = imported("stop", free_port(), "--dry-run")
    assert "portcheck.stop.plan" in modules
    assert not {"signal", "portcheck.stop.execute"} & modules
    assert not {name for name in modules if name.startswith("portcheck.remedies")}


@pytest.mark.parametrize("line", ["{port} --jsn", "run {port} -- true"])
def test_only_help_imports_typer(line: str) -> None:
    modules = imported(*line.format(port=free_port()).split())
    assert not {"typer", "rich", "psutil", "subprocess", "dataclasses", "typing"} & modules


def test_a_holder_is_seen_without_any_other_systems_back_end() -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        modules = imported(str(server.getsockname()[1]))
    assert "portcheck.observe.linux.descriptors" in modules
    others = {name for name in modules if name.startswith("portcheck.observe.") and name.split(".")[2] in OTHERS}
    assert not others | (modules & {"psutil"})


def test_import_portcheck_imports_nothing_heavy() -> None:
    code = "import sys, portcheck; print('\\n'.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert not {"psutil", "rich", "typer", "socket", "json"} & set(done.stdout.split())


class Counts:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.dumps = self.walks = 0
        real_dump, real_walk = netlink.Netlink.dump, descriptors.holders

        def dump(*args: object, **more: object) -> object:
            self.dumps += 1
            return real_dump(*args, **more)  # type: ignore[arg-type]

        def walk(*args: object) -> object:
            self.walks += 1
            return real_walk(*args)  # type: ignore[arg-type]

        monkeypatch.setattr(netlink.Netlink, "dump", dump)
        monkeypatch.setattr(descriptors, "holders", walk)


def questions(text: str) -> int:
    from portcheck.diagnosis.pipeline import checks
    from portcheck.observe.names import SystemNames
    from portcheck.profiles import TABLES_ALONE

    return len(list(checks(parse_targets([text], SystemNames()), TABLES_ALONE)))


@pytest.mark.parametrize("text", ["{0}", "{0}-{1}"])
def test_one_look_for_all_ports(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As many dumps and walks for a thousand ports as for one."""
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        counts = Counts(monkeypatch)
        assert questions(text.format(port, min(port + 999, 65535))) >= 1
    assert counts.walks == 1
    # addresses; TCP listeners, bound-only, everything, UDP, each for both families, and MPTCP beside TCP
    assert counts.dumps <= 24


def test_an_idle_port_takes_no_walk(monkeypatch: pytest.MonkeyPatch) -> None:
    port = int(free_port())
    counts = Counts(monkeypatch)
    assert questions(str(port)) == 1
    assert counts.walks == 0


def test_system_calls_grow_by_one_for_each_descriptor(host: Host, tmp_path: Path) -> None:
    need("strace")
    code = (
        "import os,socket,sys; s=socket.create_server(('127.0.0.1',8000));"
        f"kept=[os.open('/dev/null',0) for _ in range({FDS})]; print('ready',flush=True); sys.stdin.read()"
    )
    host.start([sys.executable, "-c", code], ready=b"ready")
    before = calls(host, tmp_path / "before")
    for _ in range(10):
        host.start([sys.executable, "-c", code.replace("8000", "0")], ready=b"ready")
    after = calls(host, tmp_path / "after")
    per_descriptor = (after - before) / (10 * FDS)
    assert 0.9 < per_descriptor < 1.2


def calls(host: Host, trace: Path) -> int:
    """How many system calls a whole `portcheck 8000` takes; the least of three, for other processes come and go."""
    counts = []
    for _ in range(3):
        host.run(["strace", "-f", "-qq", "-o", str(trace), str(PORTCHECK), "8000", "--no-probe"], check=False)
        counts.append(sum(1 for line in trace.read_text(errors="replace").splitlines() if re.search(r"\w+\(", line)))
    return min(counts)


def test_looking_connects_to_nobody_and_never_listens(host: Host, tmp_path: Path) -> None:
    need("strace")
    host.hold("0.0.0.0", 8000)
    trace = tmp_path / "trace"
    watched = ["strace", "-f", "-qq", "-e", "trace=network,kill,tgkill,pidfd_send_signal", "-o", str(trace)]
    for args in (["8000"], ["8001"], ["--udp", "8000"], ["list"], ["pick", "8000", "8001"]):
        host.run([*watched, str(PORTCHECK), *args], check=False)
        made = trace.read_text(errors="replace")
        # the rules settle UDP, and a list asks nothing
        assert ("sin_port=htons(8" in made) is (args in (["8000"], ["8001"], ["pick", "8000", "8001"])), args
        assert not re.search(r"\blisten\(|\bkill\(|SO_REUSEPORT", made), args
        # the C library asks its name service cache before /etc/hosts: no other connect is ours
        assert not [line for line in made.splitlines() if "connect(" in line and "nscd" not in line], args
        if "--udp" in args:
            assert "SO_REUSEADDR" not in made


def test_no_probe_binds_nothing(host: Host, tmp_path: Path) -> None:
    need("strace")
    trace = tmp_path / "trace"
    host.run(["strace", "-f", "-qq", "-e", "trace=bind", "-o", str(trace), str(PORTCHECK), "8000", "--no-probe"])
    assert "AF_INET" not in trace.read_text(errors="replace")


def test_nothing_is_left_behind(host: Host) -> None:
    def counted() -> list[str]:
        return host.run(["ss", "-Htuna"]).stdout.splitlines()

    before = counted()
    for _ in range(3):
        host.portcheck("8000", "53/udp")
    assert counted() == before
    assert os.environ.get("PORTCHECK_TRACEBACK") is None


def test_a_range_takes_two_binds_for_each_further_port(host: Host, tmp_path: Path) -> None:
    """The wildcard of each family, however many addresses the host has: none could be refused where these are not."""
    need("strace")
    host.ip(*(f"address add 192.0.2.{last}/24 dev eth0" for last in range(10, 30)))
    trace = tmp_path / "trace"
    host.run(["strace", "-f", "-qq", "-e", "trace=bind", "-o", str(trace), str(PORTCHECK), "8000-8100"])
    asked = re.findall(r"sin6?_port=htons\((\d+)\)", trace.read_text(errors="replace"))
    assert (asked.count("8000") > 20, {asked.count(str(port)) for port in range(8001, 8101)}) == (True, {2})


def test_all_ports_are_never_in_memory_together(host: Host, for_everyone: list[str]) -> None:
    """As JSON 7,000 more are 12 MB more."""
    measured = (
        "import resource, subprocess, sys\nsubprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL)\n"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )

    def kibibytes(*asked: str) -> int:
        argv = [SYSTEM_PYTHON, "-c", measured, *for_everyone, *asked, "--no-probe"]
        return int(host.run(argv, uid=NOBODY).stdout)

    assert kibibytes("1-65535") <= 60 * 1024
    assert kibibytes("1-8192", "--json") - kibibytes("1-1024", "--json") <= 5 * 1024
