"""Which sockets a client of this host reaches at one local address.

Linux: inet_lookup_listener for TCP, udp4_lib_lookup2 for UDP, each with its compute_score; measured in
`tests/system/test_answers_kernel.py`.  Windows and macOS: the most specific address wins (Microsoft's "Using
SO_REUSEADDR and SO_EXCLUSIVEADDRUSE"; XNU's in_pcblookup_hash, which also prefers an IPv4 socket to a dual-stack one).
"""

from __future__ import annotations

from portcheck.addresses import ANY4, ANY6, is_link_local, unmapped
from portcheck.model import Network
from portcheck.namedtuple import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from portcheck.model import Family, Protocol, Socket
    from portcheck.vocabulary import Platform

    # Whether the address is exact, then what counts among equals.
    Rank = tuple[bool, int]


OUTSIDE_OF_VRFS = Network()
FIRST_THAT_PREFERS_DEVICES = (5, 15)


def answering(
    address: str,
    family: Family,
    interface: str | None,
    protocol: Protocol,
    port: int,
    sockets: Sequence[Socket],
    platform: Platform,
    network: Network = OUTSIDE_OF_VRFS,
) -> tuple[int, ...]:
    """The indexes of the sockets that may get a client of this host which connects to `address` (without scope).

    `interface` is the one that has the address: the kernel takes local packets as coming from there.  Where it is in a
    VRF the client is too, since nobody else has a way there.  An empty
    answer is nobody.  Several are a SO_REUSEPORT group, whose members take turns, or sockets of which the order of
    their binds decides, which cannot be seen from outside: SO_REUSEPORT ends the search for a better one on Linux,
    and of equal UDP sockets with SO_REUSEADDR the one bound last gets everything.
    """
    ranks = {
        index: rank
        for index, old in enumerate(sockets)
        if (old.protocol, old.local_port) == (protocol, port)
        and _receives(old)
        and (platform != "linux" or _hears(old, interface, address, network))
        and (rank := _rank(old, address, family, platform, network))
    }
    best = max(ranks.values(), default=None)
    early = _may_come_first(ranks, sockets, family) if platform == "linux" and protocol == "udp" else ()
    return tuple(index for index, rank in ranks.items() if rank == best or index in early)


def _hears(old: Socket, interface: str | None, address: str, network: Network) -> bool:
    """Whether its device lets a socket have such a client (inet_bound_dev_eq); link-local clients know no VRFs."""
    vrf = network.vrf(interface)
    if old.interface == interface:
        return True
    if not vrf or is_link_local(address):
        return old.interface is None
    if old.interface is None:
        return network.l3mdev_accept.get(old.protocol) is not False
    return old.interface == vrf


def _receives(old: Socket) -> bool:
    return old.remote_address is None if old.protocol == "udp" else old.state == "LISTEN"


def _rank(old: Socket, address: str, family: Family, platform: Platform, network: Network) -> Rank | None:
    """How well a socket fits; None if it cannot get the client at all.

    To UDP on Linux a device is worth more than the family.  Before 5.15 it was worth nothing (5.10.46 was measured; a
    stable release may have it earlier, which its name does not tell): of equal ones the one bound last gets the client.
    On TCP all that stand beside each other have SO_REUSEPORT: the first of them gets the client, and IPv4 sockets come
    before dual-stack ones.
    """
    exact = _fit(old, address, family, platform)
    if exact is None:
        return None
    prefers_devices = platform == "linux" and old.protocol == "udp" and network.release >= FIRST_THAT_PREFERS_DEVICES
    on_device = prefers_devices and old.interface is not None
    return exact, 2 * on_device + (old.family == family)


def _may_come_first(ranks: dict[int, Rank], sockets: Sequence[Socket], family: Family) -> set[int]:
    """UDP sockets that may be found before a better one and end the search, having (or maybe having) SO_REUSEPORT.

    Dual-stack ones with it are found last, so only where none of the address's own family is better.
    """
    exact = any(rank[0] for rank in ranks.values())
    own = max((rank for index, rank in ranks.items() if sockets[index].family == family), default=(False, -1))
    return {
        index
        for index, rank in ranks.items()
        if sockets[index].reuseport is not False
        and rank[0] == exact
        and (sockets[index].family == family or rank > own)
    }


def takes(old: Socket, family: Family, platform: Platform) -> bool:
    """Whether a socket gets clients of this family at all."""
    held = unmapped(old.local_address)
    if held == ANY6 and family == "ipv4":
        return _fit(old, ANY4, family, platform) is not None
    return (":" in held) == (family == "ipv6")


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
