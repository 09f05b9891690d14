"""A host of its own for a test: a network namespace with addresses of its own.

    with Host() as host:
        host.hold("127.0.0.1", 80)  # another process that listens in there
        host.run(["ss", "-ltn"])  # programs in it, as root or as anybody
        host.result("80")  # portcheck, asked in there
        with host.entered():  # this thread is in there: make sockets (support/real_sockets.py), call portcheck

A namespace has its own ports, so numbers can be fixed.  It is held by a descriptor alone: however a test run ends,
nothing is left behind.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from support.libc import CLONE_NEWNET, enter_network, unshare
from support.needs import need
from support.patience import PATIENCE, wait_for
from support.portcheck_command import PORTCHECK
from support.processes import HOLDER, SYSTEM_PYTHON, end
from support.real_sockets import close_all

ADDRESSES = ("192.0.2.7/24", "fd00::7/64")
OUR_NETWORK = "/proc/thread-self/ns/net"
IPV6_SETTINGS = Path("/proc/sys/net/ipv6/conf")  # absent on a kernel without IPv6
_TENTATIVE = r"(?m)^(\w+ ){4}[4-7c-f]"  # IFA_F_TENTATIVE is 0x40


@contextmanager
def _coming_home() -> Iterator[None]:
    """This thread comes back to the network namespace in which it is now."""
    home = os.open(OUR_NETWORK, os.O_RDONLY)
    try:
        yield
    finally:
        enter_network(home)
        os.close(home)


def _new_network() -> int:
    """A descriptor of a new network namespace."""
    with _coming_home():
        unshare(CLONE_NEWNET)
        return os.open(OUR_NETWORK, os.O_RDONLY)


def run_ip(*commands: str, settle: bool = True) -> None:
    """Runs `ip` commands, each as one string, in the namespace of this thread.

    Returns when every address can be bound (which even with nodad takes a moment), unless told not to `settle`.
    """
    subprocess.run(
        ["ip", "-batch", "-"], input="\n".join(commands), text=True, check=True, capture_output=True, timeout=PATIENCE
    )
    addresses = Path("/proc/thread-self/net/if_inet6")  # absent on a kernel without IPv6
    if settle and addresses.exists():
        wait_for(lambda: not re.search(_TENTATIVE, addresses.read_text()), "no tentative addresses")


class Host:
    """A network namespace with lo, and by default eth0 with 192.0.2.7 and fd00::7 (a veth; peer0 is its other end)."""

    def __init__(
        self,
        addresses: Sequence[str] = ADDRESSES,
        *,
        devices: tuple[str, str] = ("eth0", "peer0"),
        ipv6: bool = True,
        link_local: bool = True,
        duplicate_detection: bool = False,
    ) -> None:
        need("ip", "nsenter", "setpriv")
        self._programs: list[subprocess.Popen[bytes]] = []
        self._network = _new_network()
        self.path = f"/proc/{os.getpid()}/fd/{self._network}"
        self.ipv6 = ipv6 and IPV6_SETTINGS.exists()
        with self.entered():
            for scope in ("all", "default") if IPV6_SETTINGS.exists() else ():
                settings = IPV6_SETTINGS / scope
                (settings / "disable_ipv6").write_text(str(int(not ipv6)))
                (settings / "accept_dad").write_text(str(int(duplicate_detection)))
            if not link_local:
                (settings / "addr_gen_mode").write_text("1")
            device, peer = devices
            wanted = [address for address in addresses if self.ipv6 or ":" not in address]
            run_ip(
                "link set lo up",
                f"link add {device} type veth peer name {peer}",
                *(f"address add {each} dev {device} {'nodad' if ':' in each else ''}" for each in wanted),
                f"link set {device} up",
                f"link set {peer} up",
                settle=not duplicate_detection,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for program in reversed(self._programs):
            end(program)
        close_all()
        os.close(self._network)

    @contextmanager
    def entered(self) -> Iterator[None]:
        """This thread is in here: the sockets that it makes, what it asks, and the children that it forks."""
        with _coming_home():
            enter_network(self._network)
            yield

    def ip(self, *commands: str) -> None:
        """`ip` commands inside, each as one string."""
        with self.entered():
            run_ip(*commands, settle=False)

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
        """The installed command, asked inside; it is on the PATH, so that its advice calls it by its name."""
        path = f"{PORTCHECK.parent}{os.pathsep}{os.environ.get('PATH', '')}"
        env = {"PATH": path, **(options.pop("env", None) or {})}
        return self.run([str(PORTCHECK), *args], check=False, env=env, **options)

    def results(self, *args: str) -> list[dict[str, Any]]:
        """The results of a check as JSON."""
        done = self.portcheck(*args, "--json")
        assert done.returncode in (0, 1, 3), done.stderr
        found: list[dict[str, Any]] = json.loads(done.stdout)["results"]
        return found

    def result(self, *args: str) -> dict[str, Any]:
        (found,) = self.results(*args)
        return found
