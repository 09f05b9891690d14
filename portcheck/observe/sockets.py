"""The sockets of this host by the best way of seeing that works here, and what it cannot see."""

from __future__ import annotations

from portcheck.model import BlindSpot, SocketTable
from portcheck.observe import procfs
from portcheck.observe.platform import PLATFORM
from portcheck.value import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Literal

    from portcheck.model import PortRange, Protocol, Socket

    Depth = Literal["listeners", "everything"]


def look(protocol: Protocol, ports: Sequence[PortRange] | None, *, depth: Depth, may_bind: bool) -> SocketTable:
    """The sockets of a protocol whose local port is in `ports` (None: all of them).

    Depth "listeners" leaves out TCP connections: enough where a listener explains everything.  UDP is whole.
    With `may_bind` a socket of our own may be bound (loopback, port 0) to see whether bound-only ones show.
    """
    if PLATFORM == "linux":
        try:
            return _by_netlink(protocol, ports, depth, may_bind=may_bind)
        except OSError as refusal:
            refused = BlindSpot(
                "netlink-refused",
                f"the kernel's own socket list (sock_diag) is refused here: {refusal.strerror or refusal}",
                "run portcheck outside of the sandbox or container",
            )
            table = _by_psutil(protocol, ports, depth)
            return table._replace(blind_spots=(refused, *table.blind_spots))
    return _by_psutil(protocol, ports, depth)


def _by_psutil(protocol: Protocol, ports: Sequence[PortRange] | None, depth: Depth) -> SocketTable:
    from portcheck.observe import psutil_tables

    return psutil_tables.table(protocol, ports, depth)


def _by_netlink(protocol: Protocol, ports: Sequence[PortRange] | None, depth: Depth, *, may_bind: bool) -> SocketTable:
    from portcheck.observe import sock_diag

    if protocol == "udp":
        return SocketTable("udp", tuple(sock_diag.dump("udp", ports)), "everything")
    # First what is bound, then what listens: a server that starts in between is seen twice and not missed.
    bound = sock_diag.dump("tcp", ports, sock_diag.BOUND_ONLY)
    states = sock_diag.LISTEN if depth == "listeners" else sock_diag.EVERY_STATE
    others = sock_diag.dump("tcp", ports, states)
    sockets = _with_multipath(_without_twins(bound, others), ports, states)
    if bound or sock_diag.sees_bound_only(may_bind=may_bind):
        return SocketTable("tcp", sockets, depth)
    blind = BlindSpot(
        "bound-not-visible",
        "this kernel does not list TCP sockets that are bound without listening (Linux 6.8 and later does)",
    )
    return SocketTable("tcp", sockets, depth, sees_bound_only=False, blind_spots=(blind,))


def _without_twins(bound: list[Socket], others: list[Socket]) -> list[Socket]:
    later = {other.inode for other in others}
    return [*(socket for socket in bound if socket.inode not in later), *others]


def _with_multipath(sockets: list[Socket], ports: Sequence[PortRange] | None, states: int) -> tuple[Socket, ...]:
    from portcheck.observe import sock_diag

    # A kernel without MPTCP would look for a module to load if it was asked.
    if not any(socket.inode for socket in sockets) or procfs.read("sys/net/mptcp/enabled") is None:
        return tuple(sockets)
    multipath = sock_diag.mptcp_inodes(ports, states)
    return tuple(s._replace(mptcp=True) if s.inode in multipath else s for s in sockets)
