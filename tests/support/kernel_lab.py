"""A laboratory for the kernel's bind rules: sockets in every state, in a network namespace that is thrown away.

Needs root.  Inside are the devices lo and v0 (a veth whose other end is here too), the addresses below, and no others.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import pickle
import re
import socket
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple, NoReturn, TypeVar

import pytest

from portcheck.addresses import is_link_local
from portcheck.model import BindRequest
from support.rigs.sandbox import wait_for

if TYPE_CHECKING:
    from portcheck.model import State

T = TypeVar("T")
Transport = Literal["tcp", "mptcp", "udp"]

IPPROTO_MPTCP = 262
CLONE_NEWNET = 0x40000000
DEVICES = (None, "lo", "v0")
OTHER_USER = 65534
SEED = int(os.environ.get("PORTCHECK_TEST_SEED", "3"))
EPHEMERAL_PORTS = Path("/proc/sys/net/ipv4/ip_local_port_range")
STATES: dict[int, State] = dict(
    enumerate(
        ("ESTABLISHED", "SYN-SENT", "SYN-RECEIVED", "FIN-WAIT-1", "FIN-WAIT-2", "TIME-WAIT", "CLOSED",
         "CLOSE-WAIT", "LAST-ACK", "LISTEN", "CLOSING"), 1,
    )
)  # fmt: skip
_TENTATIVE = r"(?m)^(\w+ ){4}[4-7c-f]"  # IFA_F_TENTATIVE is 0x40
_libc = ctypes.CDLL(None, use_errno=True)


def why_not() -> str | None:
    """Why the laboratory cannot be used here, or None."""
    if not sys.platform.startswith("linux"):
        return "needs Linux"
    return "needs root" if os.geteuid() else None


def mptcp_exists() -> bool:
    """Whether this kernel makes MPTCP sockets, as Go's servers do."""
    try:
        socket.socket(socket.AF_INET, socket.SOCK_STREAM, IPPROTO_MPTCP).close()
    except OSError:
        return False
    return True


needs_lab = pytest.mark.skipif(why_not() is not None, reason=str(why_not()))


def in_namespace(task: Callable[..., T], *arguments: object) -> T:
    """The result of `task(*arguments)`, run by a child in a network namespace of its own."""
    reader, writer = os.pipe()
    pid = os.fork()
    if not pid:
        _work(writer, task, arguments)
    os.close(writer)
    with open(reader, "rb") as pipe:
        answer = pipe.read()
    os.waitpid(pid, 0)
    assert answer, "the laboratory died"
    result: T
    result, failure = pickle.loads(answer)
    assert failure is None, failure
    return result


def _work(writer: int, task: Callable[..., object], arguments: tuple[object, ...]) -> NoReturn:
    result = failure = None
    try:
        _enter_namespace()
        result = task(*arguments)
    except BaseException:
        failure = traceback.format_exc()
    with open(writer, "wb") as pipe:
        pickle.dump((result, failure), pipe)
    os._exit(0)


def _enter_namespace() -> None:
    if _libc.unshare(CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "unshare")
    Path("/proc/sys/net/ipv6/conf/default/accept_dad").write_text("0")
    run_ip(
        "link set lo up",
        "link add v0 type veth peer name v1",
        "link set v0 up",
        "link set v1 up",
        "addr add fd00::1/128 dev lo nodad",
    )
    EPHEMERAL_PORTS.write_text("60001 65535")


def run_ip(*commands: str) -> None:
    """Runs `ip` commands; returns when every address is usable, which even with nodad takes a moment."""
    subprocess.run(["ip", "-batch", "-"], input="\n".join(commands), text=True, check=True)
    wait_for(lambda: not re.search(_TENTATIVE, Path("/proc/net/if_inet6").read_text()), "tentative addresses")


@contextlib.contextmanager
def acting_as(uid: int) -> Iterator[None]:
    """A socket belongs to the user who made it."""
    if not uid:
        yield
        return
    os.seteuid(uid)
    try:
        yield
    finally:
        os.seteuid(0)


class Way(NamedTuple):
    """How a socket is bound."""

    transport: Transport
    address: str
    v6only: bool = False
    device: str | None = None
    reuseaddr: bool = False
    reuseport: bool = False
    uid: int = 0

    @property
    def family(self) -> Literal["ipv4", "ipv6"]:
        return "ipv6" if ":" in self.address else "ipv4"

    def request(self, port: int) -> BindRequest:
        return BindRequest(
            protocol="udp" if self.transport == "udp" else "tcp",
            family=self.family,
            address=self.address,
            port=port,
            v6only=self.v6only if self.family == "ipv6" else None,
            device=self.device,
            reuseaddr=self.reuseaddr,
            reuseport=self.reuseport,
            uid=self.uid,
        )

    def open(self) -> socket.socket:
        """A socket with these options, not bound yet."""
        kind = socket.SOCK_DGRAM if self.transport == "udp" else socket.SOCK_STREAM
        protocol = IPPROTO_MPTCP if self.transport == "mptcp" else 0
        made = socket.socket(socket.AF_INET6 if self.family == "ipv6" else socket.AF_INET, kind, protocol)
        if self.family == "ipv6":
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, self.v6only)
        if self.device and not is_link_local(self.address):
            made.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, self.device.encode())
        if self.reuseaddr:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if self.reuseport:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        return made

    def endpoint(self, port: int) -> tuple[str, int] | tuple[str, int, int, int]:
        """What bind() is given: a link-local address names its device itself."""
        if self.device and is_link_local(self.address):
            return self.address, port, 0, socket.if_nametoindex(self.device)
        return self.address, port

    def bind(self, port: int) -> socket.socket:
        made = self.open()
        try:
            made.bind(self.endpoint(port))
        except OSError:
            made.close()
            raise
        return made

    def listen(self, port: int) -> socket.socket:
        made = self.bind(port)
        try:
            made.listen(8)
        except OSError:
            made.close()
            raise
        return made

    def refused(self, port: int) -> str | None:
        """Does what a server does: bind, and for TCP listen.  The errno's name and where it came from, or None."""
        with acting_as(self.uid):
            made = self.open()
            step = "bind"
            try:
                made.bind(self.endpoint(port))
                step = "listen"
                if self.transport != "udp":
                    made.listen(8)
            except OSError as error:
                return f"{errno.errorcode[error.errno or 0]} from {step}"
            finally:
                made.close()
        return None
