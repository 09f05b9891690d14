"""The sockets of this host by the best way of seeing that works here, and what it cannot see."""

from __future__ import annotations

from portcheck.model import OUTSIDE, BlindSpot, PortRange, SocketTable
from portcheck.namedtuple import TYPE_CHECKING
from portcheck.observe.linux import procfs
from portcheck.observe.system import PLATFORM

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Literal

    from portcheck.model import Protocol, Socket

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
                OUTSIDE,
            )
            table = _by_psutil(protocol, ports, depth)
            return table._replace(blind_spots=(refused, *table.blind_spots))
    return _by_psutil(protocol, ports, depth)


def _by_psutil(protocol: Protocol, ports: Sequence[PortRange] | None, depth: Depth) -> SocketTable:
    from portcheck.observe.portable import sockets

    return sockets.table(protocol, ports, depth)


def _by_netlink(protocol: Protocol, ports: Sequence[PortRange] | None, depth: Depth, *, may_bind: bool) -> SocketTable:
    from portcheck.observe.linux import sock_diag

    if protocol == "udp":
        return SocketTable("udp", tuple(sock_diag.dump("udp", ports)), "everything")
    # First what is bound, then what listens: a server that starts in between is seen twice and not missed.
    bound = sock_diag.dump("tcp", ports, sock_diag.BOUND_ONLY)
    states = sock_diag.LISTEN if depth == "listeners" else sock_diag.EVERY_STATE
    others = sock_diag.dump("tcp", ports, states)
    sockets = tuple(_without_twins(bound, others))
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


def multipath(table: SocketTable) -> frozenset[int] | None:
    """The inodes of a Linux table's multipath sockets; None where they are not told.

    To be asked for only once the table is settled: to list them the kernel goes through every token that it could have
    given to one (1.5 ms, however few there are).
    """
    ports = [socket.local_port for socket in table.sockets if socket.inode]
    # A kernel without MPTCP would look for a module to load if it was asked.
    if table.protocol != "tcp" or not ports or procfs.read("sys/net/mptcp/enabled") is None:
        return None
    from portcheck.observe.linux import sock_diag

    states = sock_diag.LISTEN if table.depth == "listeners" else sock_diag.EVERY_STATE
    try:
        return sock_diag.mptcp_inodes([PortRange(min(ports), max(ports))], states)
    except OSError:
        return None
