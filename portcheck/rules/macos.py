"""When macOS refuses a bind because of one other socket: XNU's steps, on values.

Source: in_pcbbind and in_pcblookup_local (bsd/netinet/in_pcb.c) and in6_pcbbind (bsd/netinet6/in6_pcb.c) of
apple-oss-distributions/xnu; not run on a real macOS.  XNU judges only the closest match among several sockets, so the
rule for one pair can be too strict where another socket is closer, but not too lax.
"""

from __future__ import annotations

from portcheck.addresses import ANY4, ANY6, is_wildcard
from portcheck.namedtuple import TYPE_CHECKING
from portcheck.rules.dual_stack import is_connected, met
from portcheck.rules.three_valued import all_of, any_of, negate

if TYPE_CHECKING:
    from portcheck.model import BindRequest, Socket


def conflict(new: BindRequest, old: Socket) -> bool | None:
    """Whether `old` refuses `new` with EADDRINUSE; None where that depends on what cannot be read."""
    return any_of(*(_refused(new, old, asked, held) for asked, held in _met(new, old)))


def shadows(new: BindRequest, old: Socket) -> bool:
    """Whether they would share clients, where macOS binds both: the more specific address gets its own."""
    return bool(_met(new, old)) and not is_connected(old)


def _met(new: BindRequest, old: Socket) -> list[tuple[str, str]]:
    return met(new, old, usually_dual=True)


def _refused(new: BindRequest, old: Socket, asked: str, held: str) -> bool | None:
    """One address that NEW asks for against one that OLD holds on the same stack."""
    if new.address == ANY6 and held == ANY4 and old.family == "ipv4":
        return False  # in6_pcbbind lets a dual-stack wildcard in beside an IPv4 one
    unsure = held == ANY4 and old.local_address == ANY6 and old.v6only is None
    return all_of(
        None if unsure else True,
        any_of(_taken(new, old, asked, held), _protected(new, old, asked, held)),
    )


def _taken(new: BindRequest, old: Socket, asked: str, held: str) -> bool | None:
    """Either option narrows what is in the way to an unconnected socket on the very address."""
    if (new.reuseaddr or new.reuseport) and (asked != held or is_connected(old)):
        return False
    return negate(all_of(new.reuseport, old.reuseport))


def _protected(new: BindRequest, old: Socket, asked: str, held: str) -> bool | None:
    """Another user's port is protected from everyone but root where either address is specific, despite any option."""
    if is_wildcard(asked) and is_wildcard(held):
        return False
    ipv4_side_of_dual_stack = new.address == ANY6 and asked == ANY4
    return all_of(_foreign(new, old), negate(old.reuseport) if ipv4_side_of_dual_stack else True)


def _foreign(new: BindRequest, old: Socket) -> bool | None:
    if new.uid == 0:
        return False
    return None if new.uid is None or old.uid is None else new.uid != old.uid
