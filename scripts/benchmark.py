"""What scripts/bench runs: loads in private namespaces, whole processes timed in turn, medians and ratios.

Every case has a network and PID namespace of its own, so that neither the machine's sockets nor its processes
count, and everything ends with it.  Traffic goes to loopback only.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import resource
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import artefacts

PORT = 8000
CONNECTERS = 10  # processes that the connections are spread over
BIN = Path(sys.executable).parent
PORTCHECK = str(BIN / "portcheck")
PASS = (sys.executable, "-c", "pass")
EMPTY_TYPER = (
    sys.executable,
    "-c",
    "import typer; app = typer.Typer()\n@app.command()\ndef main(x: bool = False) -> None: ...\napp()",
)
PSUTIL = (sys.executable, "-c", "import psutil; psutil.net_connections('tcp')")
WHO_OWNS = {
    "portcheck": (PORTCHECK, str(PORT)),
    "ss": ("ss", "-ltnp", f"sport = :{PORT}"),
    "lsof": ("lsof", "-nP", f"-iTCP:{PORT}", "-sTCP:LISTEN"),
    "netstat": ("netstat", "-tlnp"),
    "fuser": ("fuser", f"{PORT}/tcp"),
    "psutil": PSUTIL,
}


class Load(NamedTuple):
    """What a busy host is made of."""

    processes: int = 0
    fds: int = 0
    listeners: int = 0
    connections: int = 0


class Goal(NamedTuple):
    """`tool` may take at most `limit` times as long as `against`."""

    tool: str
    against: str
    limit: float


def owner_goals(ss: float) -> tuple[Goal, ...]:
    return (
        Goal("portcheck", "ss", ss),
        Goal("portcheck", "lsof", 0.4),
        Goal("portcheck", "psutil", 0.7),
    )


START = {
    "pass": PASS,
    "80": (PORTCHECK, "80"),
    "80 --host": (PORTCHECK, "80", "--host=127.0.0.1"),
    "--json 80": (PORTCHECK, "--json", "80"),
    "range": (PORTCHECK, "9000-9999", "--no-probe"),
    "all ports": (PORTCHECK, "1-65535"),
    "pick": (PORTCHECK, "pick", "--lease=0", "8001", "8002", "8003"),
    "list": (PORTCHECK, "list"),
    "stop --dry-run": (PORTCHECK, "stop", "80", "--dry-run"),
    "wait --free": (PORTCHECK, "wait", "80", "--free"),
    "run -- true": (PORTCHECK, "run", "8001", "--", "true"),
    "usage error": (PORTCHECK, "80", "--bad"),
    "terminal": (PORTCHECK, str(PORT)),
    "empty typer": EMPTY_TYPER,
    "--help": (PORTCHECK, "--help"),
}
QUICK = ("80", "80 --host", "--json 80", "range", "pick", "list", "stop --dry-run", "wait --free")
START_GOALS = (
    *(Goal(name, "pass", 3.2) for name in QUICK),
    Goal("run -- true", "pass", 5.0),
    Goal("usage error", "pass", 3.0),
    Goal("terminal", "pass", 6.5),
    Goal("--help", "empty typer", 1.3),
    Goal("all ports", "pass", 150),
)


# As on a bare host; what was compiled is kept in the user's cache, or cannot be.
BARE = (sys.executable, "-I", "-S", str(artefacts.DIST / "portcheck.pyz"))
ONE_FILE = {
    "pass": PASS,
    "80": (*BARE, "80"),
    "stop --dry-run": (*BARE, "stop", "80", "--dry-run"),
    "wait --free": (*BARE, "wait", "80", "--free"),
    "list": (*BARE, "list"),
    "80, not kept": ("env", "HOME=", "XDG_CACHE_HOME=", *BARE, "80"),
}
KEPT = ("80", "stop --dry-run", "wait --free", "list")
ONE_FILE_GOALS = (*(Goal(name, "pass", 6.0) for name in KEPT), Goal("80, not kept", "pass", 10.5))


class Case(NamedTuple):
    """A load, the commands that are timed on it in turn, and what is wanted of them."""

    title: str
    load: Load
    commands: dict[str, Sequence[str]]
    goals: tuple[Goal, ...]
    processor: bool = False  # processor time counts, not how long it takes


# Each round leases one port more, and has to pass over those of the rounds before.
LEASES = {
    "no lease": (PORTCHECK, "pick", "--lease=0", "8001-8999"),
    "leased": (PORTCHECK, "pick", "--lease=1h", "8001-8999"),
    "block": (PORTCHECK, "pick", "--lease=1h", "-n3", "--block", "9001-9999"),
}
LEASES_GOALS = (Goal("leased", "no lease", 1.5), Goal("block", "no lease", 1.7))
# A hundred looks, after a start without them: what `watch` takes in a hundred seconds.
WATCH = {
    "ss": ("ss", "-ltnp"),
    "start": (PORTCHECK, "watch", "--for", "0"),
    "100 looks": (PORTCHECK, "watch", "--interval", "50ms", "--for", "5"),
}
BUSY = {"portcheck list": (PORTCHECK, "list"), "netstat": ("netstat", "-tlnp")}
CASES = {
    "start": Case("idle host", Load(listeners=1), START, START_GOALS),
    "one-file": Case("the one file, idle host", Load(listeners=1), ONE_FILE, ONE_FILE_GOALS),
    "processes": Case("300 processes x 20 fds", Load(300, 20, 1), WHO_OWNS, owner_goals(1.2)),
    "many-fds": Case("2,000 processes x 50 fds", Load(2000, 50, 1), WHO_OWNS, owner_goals(0.7)),
    "listeners": Case(
        "20,000 listeners",
        Load(listeners=20_000),
        {**WHO_OWNS, "portcheck list": (PORTCHECK, "list")},
        (*owner_goals(0.6), Goal("portcheck list", "netstat", 0.8)),
    ),
    "connections": Case("50,000 connections", Load(listeners=1, connections=50_000), WHO_OWNS, owner_goals(0.6)),
    "leases": Case("leased ports", Load(listeners=1), LEASES, LEASES_GOALS),
    "watch": Case("1,000 listeners", Load(listeners=1000), WATCH, (Goal("100 looks", "ss", 60),), processor=True),
    "mix": Case("the mix of these", Load(2000, 50, 20_000, 50_000), WHO_OWNS, owner_goals(0.55)),
}


def main() -> None:
    parser = argparse.ArgumentParser(description="Times portcheck and other tools, as ratios within one run.")
    parser.add_argument("cases", nargs="*", metavar="CASE", help=", ".join(CASES))
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--inside", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.inside:
        print(json.dumps(measure(CASES[options.inside], options.rounds)))
        return
    print(machine())
    artefacts.DIST.mkdir(exist_ok=True)
    artefacts.one_file(artefacts.DIST)
    for name in options.cases or CASES:
        show(CASES[name], isolated(name, options.rounds))


def machine() -> str:
    tools = [f"Python {platform.python_version()}", f"Linux {platform.release()}", f"{os.cpu_count()} processors"]
    for tool, flag in (("ss", "-V"), ("lsof", "-v"), ("netstat", "-V"), ("fuser", "-V")):
        if shutil.which(tool):
            done = subprocess.run([tool, flag], capture_output=True, text=True, check=False)
            words = (done.stdout + done.stderr).replace("revision:", "revision").split()
            number = next((word for word in words if any(map(str.isdigit, word))), "?")
            tools.append(f"{tool} {number.strip(',')}")
    tools += [f"{package} {version(package)}" for package in ("psutil", "rich", "typer")]
    return time.strftime("%Y-%m-%d: ") + ", ".join(tools)


def isolated(name: str, rounds: int) -> dict[str, Any]:
    """Runs a case in namespaces of its own, which end with it."""
    argv = [sys.executable, __file__, "--inside", name, "--rounds", str(rounds)]
    unshare = ["unshare", "--net", "--pid", "--fork", "--mount-proc", "--kill-child"]
    with tempfile.TemporaryDirectory() as cache:
        environ = {**os.environ, "XDG_CACHE_HOME": cache}
        done = subprocess.run([*unshare, *argv], env=environ, stdout=subprocess.PIPE, timeout=1800, check=True)
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def show(case: Case, result: dict[str, Any]) -> None:
    print(f"\n{case.title}  ({result['fds']} fds of {result['processes']} processes)")
    for tool, seen in result["tools"].items():
        print(f"  {tool:<15} {seen['ms']:8.1f} ms  {seen['mib']:5.0f} MiB")
    for goal in case.goals:
        if goal.tool in result["tools"] and goal.against in result["tools"]:
            ratio = result["tools"][goal.tool]["ms"] / result["tools"][goal.against]["ms"]
            met = "met" if ratio <= goal.limit else "MISSED"
            print(f"  {goal.tool} / {goal.against}: {ratio:.2f}  (goal {goal.limit}: {met})")


def measure(case: Case, rounds: int) -> dict[str, Any]:
    """Makes the load and times the commands in turn, after one round that does not count."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # the round that does not count leaves the byte code
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    Path("/proc/sys/net/ipv4/ip_local_port_range").write_text("30000 65000")
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    make(case.load)
    commands = {tool: argv for tool, argv in case.commands.items() if shutil.which(argv[0])}
    times: dict[str, list[float]] = {tool: [] for tool in commands}
    peaks = dict.fromkeys(commands, 0)
    for count in range(rounds + 1):
        for tool, argv in commands.items():
            seconds, peak = timed(argv, terminal=tool == "terminal", processor=case.processor)
            peaks[tool] = max(peaks[tool], peak)
            if count:
                times[tool].append(seconds)
    pids = [name for name in os.listdir("/proc") if name.isdecimal()]
    return {
        "processes": len(pids),
        "fds": sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in pids),
        "tools": {
            tool: {"ms": statistics.median(seconds) * 1000, "mib": peaks[tool] / 1024}
            for tool, seconds in times.items()
        },
    }


def timed(argv: Sequence[str], *, terminal: bool, processor: bool = False) -> tuple[float, int]:
    """Seconds and peak KiB of one whole process; its output is thrown away, or goes to a terminal of its own.

    With `processor` only those in which it had one.
    """
    with opened(terminal) as output:
        actions = [(os.POSIX_SPAWN_DUP2, output, 1), (os.POSIX_SPAWN_DUP2, output, 2)]
        start = time.perf_counter()
        pid = os.posix_spawnp(argv[0], argv, os.environ, file_actions=actions)
        _, _, usage = os.wait4(pid, 0)
        seconds = usage.ru_utime + usage.ru_stime if processor else time.perf_counter() - start
        return seconds, usage.ru_maxrss


@contextlib.contextmanager
def opened(terminal: bool) -> Iterator[int]:
    if not terminal:
        with open(os.devnull, "wb") as nowhere:
            yield nowhere.fileno()
        return
    master, slave = os.openpty()
    try:
        yield slave  # what is written to it fits into its buffer
    finally:
        os.close(slave)
        os.close(master)


def make(load: Load) -> None:
    """The load: the listener that is asked about first, so that a tool which stops early gains nothing else."""
    forked(lambda: listen(PORT, 1))
    each = max(load.listeners - 1, 0) // 6
    for number in range(6 if each else 0):
        forked(lambda number=number: listen(PORT + 1 + number * each, each))
    for _ in range(load.processes):
        forked(lambda: [os.open(os.devnull, os.O_RDONLY) for _ in range(load.fds)])
    for number in range(CONNECTERS if load.connections else 0):
        forked(lambda number=number: connect(number, load.connections // CONNECTERS))


def listen(first: int, count: int) -> list[socket.socket]:
    made = []
    for number in range(count):
        # 20,000 ports do not fit below the ephemeral range: each address of loopback has its own
        address = f"127.0.{(first + number) // 20_000}.1"
        server = socket.socket()
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind(("0.0.0.0" if count == 1 else address, PORT + (first + number - PORT) % 20_000))
        server.listen(8)
        made.append(server)
    return made


def connect(number: int, count: int) -> list[socket.socket]:
    """So many ends of connections inside one process, to another port than the one that is asked about."""
    server = socket.create_server((f"127.1.0.{number + 1}", 7999), backlog=64)
    made = [server]
    for _ in range(count // 2):
        client = socket.create_connection(server.getsockname())
        made += [client, server.accept()[0]]
    return made


def forked(task: Callable[[], object]) -> None:
    """A process that does this, says so, and stays, in no project's directory (whose files would be read)."""
    told, tell = os.pipe()
    if os.fork() == 0:
        os.close(told)
        os.chdir("/")
        kept = task()
        os.write(tell, b"1")
        os.close(tell)
        while kept is not None:
            signal.pause()
        os._exit(0)
    os.close(tell)
    ready = os.read(told, 1)
    os.close(told)
    if not ready:
        raise SystemExit("the load could not be made")


if __name__ == "__main__":
    main()
