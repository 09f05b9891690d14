"""A host of its own for a test: a network namespace with addresses, programs that run in it, portcheck asked there."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import distributions
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest

PORTCHECK = Path(sys.executable).with_name("portcheck")
PACKAGE = Path(__file__).parents[2] / "portcheck"
SYSTEM_PYTHON = "/usr/bin/python3"
NOBODY = 65534
PATIENCE = 30.0  # seconds for anything that takes a moment on a busy machine

# Serves what the arguments say and tells when it is ready: ADDRESS PORT [udp] [bound] [name NAME]
HOLDER = r"""
import ctypes, socket, sys
address, port, *how = sys.argv[1:]
family = socket.AF_INET6 if ":" in address else socket.AF_INET
held = socket.socket(family, socket.SOCK_DGRAM if "udp" in how else socket.SOCK_STREAM)
if family == socket.AF_INET6:
    held.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, "v6only" in how)
if "reuseaddr" in how:
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
held.bind((address, int(port)))
if "udp" not in how and "bound" not in how:
    held.listen(16)
if "name" in how:
    name = how[how.index("name") + 1].encode("utf-8", "surrogateescape").decode("unicode_escape").encode("latin-1")
    ctypes.CDLL(None).prctl(15, name, 0, 0, 0)
print("ready", flush=True)
sys.stdin.read()
"""


def need(*programs: str) -> None:
    """Skips the test, visibly, where it cannot run."""
    if not sys.platform.startswith("linux") or os.geteuid() != 0:
        pytest.skip("needs root on Linux")
    missing = [program for program in programs if shutil.which(program) is None]
    if missing:
        pytest.skip(f"needs {', '.join(missing)}")


class Host:
    """A network namespace: lo, and eth0 with 192.0.2.7 and fd00::7."""

    def __init__(self, *, ipv6: bool = True, link_local: bool = True) -> None:
        need("ip", "nsenter")
        self.name = f"portcheck-{uuid.uuid4().hex[:12]}"
        self.path = f"/run/netns/{self.name}"
        self._programs: list[subprocess.Popen[bytes]] = []
        self._ip("netns", "add", self.name)
        # without IPv6, or with addresses that can be bound at once (no duplicate address detection)
        setting, value = ("accept_dad", 0) if ipv6 else ("disable_ipv6", 1)
        for scope in ("all", "default"):
            self.run(["sysctl", "-q", "-w", f"net.ipv6.conf.{scope}.{setting}={value}"])
        if not link_local:
            self.run(["sysctl", "-q", "-w", "net.ipv6.conf.default.addr_gen_mode=1"])
        self.ip("link", "set", "lo", "up")
        self.ip("link", "add", "eth0", "type", "veth", "peer", "name", "peer0")
        self.ip("address", "add", "192.0.2.7/24", "dev", "eth0")
        if ipv6:
            self.ip("address", "add", "fd00::7/64", "dev", "eth0", "nodad")
        for link in ("eth0", "peer0"):
            self.ip("link", "set", link, "up")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for program in reversed(self._programs):
            end(program)
        self._ip("netns", "delete", self.name)

    def _ip(self, *words: str) -> None:
        subprocess.run(["ip", *words], check=True, capture_output=True, timeout=PATIENCE)

    def ip(self, *words: str) -> None:
        """`ip` inside."""
        self.run(["ip", *words])

    def argv(self, argv: Sequence[str], *, uid: int = 0) -> list[str]:
        """The command line that runs `argv` inside, as this user."""
        user = ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups"] if uid else []
        return ["nsenter", f"--net={self.path}", *user, *argv]

    def run(
        self,
        argv: Sequence[str],
        *,
        uid: int = 0,
        check: bool = True,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Runs a command inside to its end, both outputs as text."""
        done = subprocess.run(
            self.argv(argv, uid=uid), capture_output=True, timeout=PATIENCE * 2, check=False, stdin=subprocess.DEVNULL,
            env=None if env is None else {**os.environ, **env}, cwd=cwd,
        )  # fmt: skip
        out, err = os.fsdecode(done.stdout), os.fsdecode(done.stderr)
        assert not check or done.returncode == 0, f"{argv}: status {done.returncode}\n{out}{err}"
        return subprocess.CompletedProcess(argv, done.returncode, out, err)

    def start(
        self, argv: Sequence[str], *, uid: int = 0, ready: bytes = b"", **options: Any
    ) -> subprocess.Popen[bytes]:
        """Starts a program inside and, with `ready`, waits for that line; it ends with the host at the latest."""
        program = subprocess.Popen(
            self.argv(argv, uid=uid), stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True, **options
        )
        self._programs.append(program)
        if ready:
            assert program.stdout is not None
            line = program.stdout.readline()
            assert ready in line, f"{argv} did not get ready: {line!r}"
        return program

    def hold(self, address: str, port: int, *how: str, uid: int = 0) -> subprocess.Popen[bytes]:
        """A process that holds a port: listening, or as `how` says (udp, bound, v6only, reuseaddr, name NAME)."""
        argv = [SYSTEM_PYTHON, "-c", HOLDER, address, str(port), *how]
        return self.start(argv, uid=uid, ready=b"ready")

    def portcheck(self, *args: str, **options: Any) -> subprocess.CompletedProcess[str]:
        """The installed command, asked inside."""
        return self.run([str(PORTCHECK), *args], check=False, **options)

    def results(self, *args: str) -> list[dict[str, Any]]:
        """The results of a check as JSON."""
        done = self.portcheck(*args, "--json")
        assert done.returncode in (0, 1, 3), done.stderr
        found: list[dict[str, Any]] = json.loads(done.stdout)["results"]
        return found

    def result(self, *args: str) -> dict[str, Any]:
        (found,) = self.results(*args)
        return found


def end(program: subprocess.Popen[bytes]) -> None:
    """Ends a program of ours and everything in its session."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        if program.poll() is None or _group_lives(program.pid):
            try:
                os.killpg(program.pid, signal.SIGCONT)
                os.killpg(program.pid, number)
            except ProcessLookupError:
                break
        try:
            program.wait(3)
        except subprocess.TimeoutExpired:
            continue
    for pipe in (program.stdin, program.stdout, program.stderr):
        if pipe:
            pipe.close()


def _group_lives(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def requirements_for_everyone(directory: Path) -> None:
    """What portcheck's command line imports, beside a package that is for everyone."""
    names, seen = ["typer"], set[str]()
    while names:
        name = re.split(r"[^\w.-]", names.pop())[0]
        if name in seen or not (found := next(iter(distributions(name=name)), None)):
            continue
        seen.add(name)
        names += [line for line in found.requires or () if "extra" not in line]
        for file in found.files or ():
            if ".." not in file.parts and file.suffix in (".py", ".so"):
                (directory / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(str(found.locate_file(file)), directory / file)
    loads = subprocess.run([SYSTEM_PYTHON, "-c", "import typer"], env={"PYTHONPATH": str(directory)}, check=False)
    if loads.returncode:
        pytest.skip(f"{SYSTEM_PYTHON} is another version than the Python of these tests")


@contextmanager
def package_for_everyone(directory: Path, *, typer: bool = False) -> Iterator[list[str]]:
    """A command line that runs this portcheck for users who cannot read this checkout or its environment.

    Without `typer` it takes plain `check`, `pick` and `list` lines only.
    """
    if not Path(SYSTEM_PYTHON).exists():
        pytest.skip(f"needs {SYSTEM_PYTHON}")
    new_enough = subprocess.run([SYSTEM_PYTHON, "-c", "import sys; sys.exit(sys.version_info < (3, 11))"], check=False)
    if new_enough.returncode:
        pytest.skip(f"needs {SYSTEM_PYTHON} 3.11 or later")
    shutil.copytree(PACKAGE, directory / "portcheck", ignore=shutil.ignore_patterns("__pycache__"))
    if typer:
        requirements_for_everyone(directory)
    for path in (directory, *directory.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    yield ["env", f"PYTHONPATH={directory}", "PYTHONDONTWRITEBYTECODE=1", SYSTEM_PYTHON, "-m", "portcheck"]
