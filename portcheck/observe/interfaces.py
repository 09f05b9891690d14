"""This host's own addresses, and whether an address can belong to a socket here."""

from __future__ import annotations

from errno import EHOSTUNREACH, EINVAL, ENETUNREACH
from socket import AF_INET, AF_INET6

from portcheck.addresses import is_link_local, is_mapped, is_wildcard, parse_address, unmapped
from portcheck.errors import PortcheckError
from portcheck.model import LocalAddress
from portcheck.namedtuple import TYPE_CHECKING
from portcheck.observe.linux import procfs
from portcheck.observe.system import PLATFORM

if TYPE_CHECKING:
    from collections.abc import Iterator

    from portcheck.addresses import Address
    from portcheck.model import Family

# How a route lookup says that no route leads to an address, or only one that refuses (unreachable, blackhole).
_NO_ROUTE = (ENETUNREACH, EHOSTUNREACH, EINVAL)


def local_addresses() -> tuple[LocalAddress, ...]:
    """Every address of every interface, loopback included, in the kernel's order.  Raises OSError if none is told."""
    if PLATFORM == "linux":
        from portcheck.observe.linux import rtnetlink

        try:
            return tuple(rtnetlink.addresses())
        except OSError:
            pass  # refused by a sandbox: psutil asks the C library, which may have another way
    return tuple(_addresses_by_psutil())


def _addresses_by_psutil() -> Iterator[LocalAddress]:
    try:
        import psutil
    except ModuleNotFoundError:
        raise PortcheckError(
            "the addresses of this host's interfaces are not told here, and psutil is not installed",
            "pip install psutil, or run portcheck outside of the sandbox or container",
        ) from None

    for interface, entries in psutil.net_if_addrs().items():
        for entry in entries:
            address = parse_address(entry.address) if entry.family in (AF_INET, AF_INET6) else None
            if address and not _lacks_scope(address):
                yield LocalAddress(address.text, address.family, interface)


def _lacks_scope(address: Address) -> bool:
    """Of a link-local address psutil leaves out the scope on Windows, without which it cannot be bound."""
    return PLATFORM == "windows" and is_link_local(address.text) and address.zone is None


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
    if PLATFORM == "linux":
        return _binds_without_interface(family, text, parsed.zone)
    return None if text.startswith("127.") or (PLATFORM == "windows" and is_link_local(text)) else False


def _binds_without_interface(family: Family, address: str, zone: str | None) -> bool | None:
    """The kernel's other reasons to admit an address (inet_addr_valid_or_nonlocal, __inet6_bind)."""
    if _nonlocal_bind(family):
        return True
    if family == "ipv6":  # a local IPv6 route (AnyIP) alone does not admit one
        within_a_link = address[3:4] in ("1", "2")  # ff01::, ff02::1 ...: EINVAL without a scope
        return address.startswith("ff") and (zone is not None or not within_a_link)
    first = int(address.partition(".")[0])
    return 224 <= first < 240 or address == "255.255.255.255" or _has_local_route(address)


def _nonlocal_bind(family: Family) -> bool:
    return procfs.read(f"sys/net/{family}/ip_nonlocal_bind") == b"1\n"


def _has_local_route(address: str) -> bool | None:
    from portcheck.observe.linux import rtnetlink

    try:
        return rtnetlink.route_type(address) in (rtnetlink.ROUTE_LOCAL, rtnetlink.ROUTE_BROADCAST)
    except OSError as refusal:
        return False if refusal.errno in _NO_ROUTE else None
