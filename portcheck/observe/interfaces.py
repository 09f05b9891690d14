"""Whether an address can belong to a socket of this host, and whether a client of this host would reach one by it."""

from __future__ import annotations

from portcheck.addresses import is_mapped, is_wildcard, parse_address, unmapped
from portcheck.namedtuple import TYPE_CHECKING
from portcheck.observe.system import BACK_END

if TYPE_CHECKING:
    from portcheck.addresses import Address
    from portcheck.model import Family, LocalAddress


def local_addresses() -> tuple[LocalAddress, ...]:
    """Every address of every interface, loopback included, in the kernel's order.  Raises OSError if none is told."""
    return BACK_END.addresses()


def addresses_told() -> tuple[LocalAddress, ...]:
    """The same; () where none is told."""
    try:
        return local_addresses()
    except OSError:
        return ()


def is_local(address: str) -> bool | None:
    """Whether a socket here can have this address (`fe80::1%eth0` too); None where that cannot be told.

    True also of what no interface lists: 127.0.0.0/8, AnyIP routes, broadcast, multicast, and of everything
    where ip_nonlocal_bind is set.  A tentative address is local, though it cannot be bound yet.
    """
    parsed = parse_address(address)
    if parsed is None:
        return False
    text = unmapped(parsed.text)
    try:
        own_addresses = local_addresses()
    except OSError:
        return None
    if is_wildcard(parsed.text) or any(
        own.address == text and parsed.zone in (None, own.interface) for own in own_addresses
    ):
        return True
    family: Family = "ipv4" if is_mapped(parsed.text) else parsed.family
    return BACK_END.admits(family, text, parsed.zone)


def is_delivered_here(address: Address) -> bool:
    """Whether a client of this host that connects to the address reaches a socket of this host."""
    text = unmapped(address.text)
    if is_wildcard(text) or any(own.address == text for own in addresses_told()):
        return True
    return BACK_END.delivers_here(text)
