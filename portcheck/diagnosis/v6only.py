"""Whether an IPv6 wildcard socket takes IPv4 too, where the socket table does not show it: what the binds tell.  Pure.

On Linux a dual-stack `::` refuses every bind of an IPv4 address, and one that is IPv6 only refuses none.
"""

from __future__ import annotations

from portcheck.addresses import ANY6, unmapped
from portcheck.namedtuple import TYPE_CHECKING
from portcheck.traits import TRAITS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from portcheck.model import Platform, Row, Socket


def hidden(sockets: Iterable[Socket], platform: Platform) -> bool:
    """Whether it does not show of one of these sockets, and binds would tell."""
    return TRAITS[platform].binds_tell_v6only and any(map(does_not_show, sockets))


def does_not_show(socket: Socket) -> bool:
    """Of this one."""
    return socket.local_address == ANY6 and socket.v6only is None and _waits(socket)


def _waits(socket: Socket) -> bool:
    return socket.remote_port is None and socket.state in ("LISTEN", None)


def told_by_binds(sockets: Sequence[Socket], rows: Iterable[Row]) -> tuple[Socket, ...]:
    """The sockets with what the binds of `rows` tell of them; what these do not settle stays unknown."""
    v6only = _settled(sockets, [row for row in rows if row.method == "probe" and "." in unmapped(row.bind.address)])
    if v6only is None:
        return tuple(sockets)
    return tuple(socket._replace(v6only=v6only) if does_not_show(socket) else socket for socket in sockets)


def _settled(sockets: Sequence[Socket], ipv4: Sequence[Row]) -> bool | None:
    """One IPv4 bind that goes through proves it of them all; refusals prove it of one that alone explains each."""
    if any("free" in (row.with_reuseaddr, row.without_reuseaddr) for row in ipv4):
        return True
    doubtful = {index for index, socket in enumerate(sockets) if does_not_show(socket)}
    if ipv4 and len(doubtful) == 1 and all(row.outcome == "in-use" and set(row.blocked_by) == doubtful for row in ipv4):
        return False
    return None
