"""Which sockets a client of this host reaches at one local address.

Linux: compute_score, for TCP over LISTEN sockets (inet_lookup_listener) and for UDP over unconnected ones
(udp4_lib_lookup2); measured in `tests/system/test_answers_kernel.py`.  Windows and macOS: the most specific address wins
(Microsoft's table; XNU's in_pcblookup_hash, which also prefers an IPv4 socket to a dual-stack one).
"""

from __future__ import annotations

from portcheck.addresses import ANY4, ANY6, unmapped
from portcheck.value import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from portcheck.model import Family, Platform, Protocol, Socket

    # Compared from left to right: an exact address, then what the platform weighs.
    Rank = tuple[bool, int, bool]


def answering(
    address: str,
    family: Family,
    interface: str | None,
    protocol: Protocol,
    port: int,
    sockets: Sequence[Socket],
    platform: Platform,
) -> tuple[int, ...]:
    """The indexes of the sockets that may get a client which connects from this host to `address` (without scope).

    None: nobody answers.  Several: a SO_REUSEPORT group, whose members take turns; or UDP sockets that share by
    SO_REUSEADDR, of which the one bound last gets everything, which cannot be seen from outside.
    """
    arrival = "lo" if family == "ipv4" else interface  # a local IPv6 packet counts as from the address' own interface
    ranks = {
        index: rank
        for index, old in enumerate(sockets)
        if (old.protocol, old.local_port) == (protocol, port) and _receives(old)
        and (rank := _rank(old, address, family, arrival, platform)) is not None
    }  # fmt: skip
    best = max(ranks.values(), default=None)
    return tuple(index for index, rank in ranks.items() if rank == best)


def _receives(old: Socket) -> bool:
    return old.remote_address is None if old.protocol == "udp" else old.state == "LISTEN"


def _rank(
    old: Socket, address: str, family: Family, arrival: str | None, platform: Platform
) -> Rank | None:
    """How well a socket fits; None if it cannot get the client at all."""
    if platform == "linux" and old.interface not in (None, arrival):
        return None
    exact = _fit(old, address, family, platform)
    if exact is None:
        return None
    own_family = old.family == family
    weight = int(old.interface is not None) * (4 if old.protocol == "udp" else 1) + own_family
    return exact, weight, own_family


def _fit(old: Socket, address: str, family: Family, platform: Platform) -> bool | None:
    """True for the exact address, False for a wildcard that includes it, None for neither."""
    if family == "ipv6":
        held = old.local_address
        return True if held == address else False if held == ANY6 else None
    if old.local_address == ANY6:
        # Where a dual-stack socket has a row for each stack (Windows), an unknown v6only is IPv6 alone.
        return None if old.v6only or (old.v6only is None and platform == "windows") else False
    held = unmapped(old.local_address)
    return True if held == address else False if held == ANY4 else None
