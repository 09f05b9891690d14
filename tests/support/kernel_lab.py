"""A laboratory for the kernel's bind rules: sockets in every state, in a network namespace that is thrown away.

Needs root.  Inside are the devices lo and v0 (a veth whose other end is here too), the addresses below, and no others.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeVar

import pytest

from portcheck.addresses import is_link_local
from portcheck.model import BindRequest, Network
from portcheck.observe.linux import sock_diag
from support.namespaces import Host, run_ip
from support.needs import missing
from support.processes import in_child
from support.real_sockets import IPPROTO_MPTCP

if TYPE_CHECKING:
    from portcheck.model import State

T = TypeVar("T")
Transport = Literal["tcp", "mptcp", "udp"]

DEVICES = (None, "lo", "v0")
SEED = int(os.environ.get("PORTCHECK_TEST_SEED", "3"))
SHARE = int(os.environ.get("PORTCHECK_TEST_SHARE", "1"))  # of the short forms only one in so many, for a slow kernel
EPHEMERAL_PORTS = Path("/proc/sys/net/ipv4/ip_local_port_range")
STATES: dict[int, State] = dict(
    enumerate(
        ("ESTABLISHED", "SYN-SENT", "SYN-RECEIVED", "FIN-WAIT-1", "FIN-WAIT-2", "TIME-WAIT", "CLOSED",
         "CLOSE-WAIT", "LAST-ACK", "LISTEN", "CLOSING"), 1,
    )
)  # fmt: skip


def mptcp_exists() -> bool:
    """Whether this kernel makes MPTCP sockets, as Go's servers do."""
    try:
        socket.socket(socket.AF_INET, socket.SOCK_STREAM, IPPROTO_MPTCP).close()
    except OSError:
        return False
    return True


def this_kernel() -> Network:
    """What the rules have to know of the kernel that they are compared with."""
    return Network(sock_diag.release())


needs_lab = pytest.mark.skipif(missing("ip") is not None, reason=str(missing("ip")))


def in_namespace(task: Callable[..., T], *arguments: object) -> T:
    """The result of `task(*arguments)`, run by a child in a network namespace of its own."""

    def prepared() -> T:
        EPHEMERAL_PORTS.write_text("60001 65535")
        run_ip("address add fd00::1/128 dev lo nodad")
        return task(*arguments)

    with Host((), devices=("v0", "v1")) as host, host.entered():
        return in_child(prepared)


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
