"""The kernel is the judge: one bind, closed at once, never listening.

Measured over 200,000 starts of a server per cell: a bind with SO_REUSEADDR and without listen() made no server fail
that sets SO_REUSEADDR too; a plain bind in a tight loop made 29% of them fail, and with listen() 32%.  So a TCP
probe sets SO_REUSEADDR unless the question is about a server without it, or the port is about to be taken; a UDP probe
never does (it would steal datagrams), and is made for such a question alone; SO_REUSEPORT is never set (the kernel
remembers it for the port, and lets others in afterwards).
"""

from __future__ import annotations

import errno
import os

from portcheck import lean_socket as socket
from portcheck.model import Probe
from portcheck.namedtuple import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Literal

    from portcheck.model import BindRequest, Family, Outcome, Protocol

    Refusal = Literal["kernel", "sandbox"]

SO_EXCLUSIVEADDRUSE = ~socket.SO_REUSEADDR  # as winsock2.h defines it; Python has the name on Windows only
OUTCOMES: dict[int, Outcome] = {
    errno.EADDRINUSE: "in-use",
    errno.EACCES: "denied",
    errno.EPERM: "denied",  # a cgroup's BPF program says no with this one
    errno.EADDRNOTAVAIL: "not-available",
    errno.ENODEV: "not-available",  # the scope or device is gone
    errno.EINVAL: "not-available",  # a link-local address without scope
    errno.EAFNOSUPPORT: "unsupported",
    errno.EPROTONOSUPPORT: "unsupported",
}
WSAEAFNOSUPPORT = 10047
WINSOCK_OUTCOMES: dict[int, Outcome] = {
    10048: "in-use",
    10013: "denied",
    10049: "not-available",
    WSAEAFNOSUPPORT: "unsupported",
    10043: "unsupported",
}
WINSOCK_NAMES = {
    10048: "WSAEADDRINUSE",
    10013: "WSAEACCES",
    10049: "WSAEADDRNOTAVAIL",
    WSAEAFNOSUPPORT: "WSAEAFNOSUPPORT",
    10043: "WSAEPROTONOSUPPORT",
}


def try_bind(request: BindRequest) -> Probe:
    """Binds as asked and closes at once.  Every refusal is an answer; what is no refusal is `unknown` by name."""
    family = socket.AF_INET if request.family == "ipv4" else socket.AF_INET6
    kind = socket.SOCK_STREAM if request.protocol == "tcp" else socket.SOCK_DGRAM
    try:
        with socket.socket(family, kind) as probe:
            if request.v6only is not None:
                probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, request.v6only)
            if request.reuseaddr:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if request.exclusive:
                probe.setsockopt(socket.SOL_SOCKET, SO_EXCLUSIVEADDRUSE, 1)
            probe.bind(_sockaddr(request))
    except OSError as error:
        return refusal(error)
    return Probe("free")


def refusal(error: OSError) -> Probe:
    """The errno (or winerror) of a failed bind, kept by name and told apart."""
    winerror = getattr(error, "winerror", None)
    if winerror is not None:
        name = WINSOCK_NAMES.get(winerror, f"WinError {winerror}")
        return Probe(WINSOCK_OUTCOMES.get(winerror, "unknown"), name)
    number = error.errno or 0
    return Probe(OUTCOMES.get(number, "unknown"), errno.errorcode.get(number, f"errno {number}"))


def _sockaddr(request: BindRequest) -> tuple[str, int] | tuple[str, int, int, int]:
    if request.family == "ipv4":
        return request.address, request.port
    return request.address, request.port, 0, _scope(request.device)


def _scope(device: str | None) -> int:
    """An interface's index, which is what Windows writes as a scope itself: fe80::1%12."""
    if device is None:
        return 0
    try:
        return int(device) if device.isdecimal() else socket.if_nametoindex(device)
    except OSError:  # which has no errno here
        raise OSError(errno.ENODEV, "no such interface") from None


def family_refusal(family: Family) -> Refusal | None:
    """Why no socket of this family can be made; None where one can (nothing is bound).

    A sandbox may say the same as a kernel without the family (systemd's RestrictAddressFamilies=: EAFNOSUPPORT); but
    Linux has these files if, and only if, it has the family (not so with ipv6.disable=1).
    """
    number, sign = FAMILIES[family]
    try:
        socket.socket(number, socket.SOCK_STREAM).close()
    except OSError as refusal:
        if refusal.errno in (errno.EPERM, errno.EACCES):
            return "sandbox"
        if refusal.errno in (errno.EAFNOSUPPORT, WSAEAFNOSUPPORT):
            return "sandbox" if os.path.exists(sign) else "kernel"
    return None


FAMILIES = {"ipv4": (socket.AF_INET, "/proc/net/tcp"), "ipv6": (socket.AF_INET6, "/proc/net/if_inet6")}


def kernels_choice(protocol: Protocol) -> int:
    """The port that the kernel gives to who asks for port 0: free at this moment, and not kept."""
    kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
    family = socket.AF_INET if family_refusal("ipv6") else socket.AF_INET6
    with socket.socket(family, kind) as asked:
        asked.bind(("", 0))
        return int(asked.getsockname()[1])
