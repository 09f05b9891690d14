"""A socket as the stacks see it: one address on IPv4, one on IPv6, or (dual-stack) a wildcard on each."""

from __future__ import annotations

from portcheck.addresses import ANY4, ANY6, is_wildcard, unmapped
from portcheck.namedtuple import TYPE_CHECKING

if TYPE_CHECKING:
    from portcheck.model import BindRequest, Socket


def bound_addresses(address: str, *, dual_stack: bool) -> tuple[str, ...]:
    """The addresses that a bind takes, an IPv4 one in its own spelling: a dual-stack `::` takes two."""
    if address == ANY6 and dual_stack:
        return (ANY6, ANY4)
    return (unmapped(address),)


def pairs(asked: tuple[str, ...], held: tuple[str, ...]) -> list[tuple[str, str]]:
    """The addresses that meet on one stack: equal ones, and a wildcard with any."""
    return [(a, b) for a in asked for b in held if _meet(a, b)]


def met(new: BindRequest, old: Socket, *, usually_dual: bool) -> list[tuple[str, str]]:
    """The addresses at which the two meet, each as (asked, held); none where their ports differ.

    `usually_dual`: whether a `::` is dual-stack of which it is not known (on macOS it is, on Windows not).
    """
    if not same_port(new, old):
        return []
    dual = (False, None) if usually_dual else (False,)
    return pairs(
        bound_addresses(new.address, dual_stack=new.v6only in dual),
        bound_addresses(old.local_address, dual_stack=old.v6only in dual),
    )


def same_port(new: BindRequest, old: Socket) -> bool:
    """Whether the two use the same port number of the same protocol."""
    return new.protocol == old.protocol and new.port == old.local_port


def is_connected(old: Socket) -> bool:
    """Whether it takes packets from one peer only."""
    if old.protocol == "udp":
        return old.remote_address is not None
    return old.state not in (None, "LISTEN", "BOUND", "CLOSED")


def _meet(a: str, b: str) -> bool:
    same_stack = (":" in a) == (":" in b)
    return same_stack and (a == b or is_wildcard(a) or is_wildcard(b))
