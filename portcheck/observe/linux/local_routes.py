"""Which addresses count as this host's though no interface lists them, and what the interfaces are called."""

from __future__ import annotations

from errno import EHOSTUNREACH, EINVAL, ENETUNREACH

from portcheck import lean_socket as socket
from portcheck.addresses import is_wildcard, unmapped
from portcheck.namedtuple import TYPE_CHECKING
from portcheck.observe.linux import procfs, rtnetlink
from portcheck.observe.linux.network import nonlocal_bind

if TYPE_CHECKING:
    from portcheck.model import Family, Scene

# How a route lookup says that no route leads to an address, or only one that refuses (unreachable, blackhole).
_NO_ROUTE = (ENETUNREACH, EHOSTUNREACH, EINVAL)


def admits(family: Family, address: str, zone: str | None) -> bool | None:
    """The kernel's other reasons to admit an address (inet_addr_valid_or_nonlocal, __inet6_bind)."""
    return nonlocal_bind(family) or _is_own(family, address, zone)


def unowned(scene: Scene) -> tuple[str, ...]:
    """Addresses at which sockets wait for clients, though nothing of this host has them."""
    if not scene.addresses:  # they are not told here
        return ()
    here = {local.address for local in scene.addresses}
    held = {
        (unmapped(sock.local_address), sock.interface)
        for table in scene.tables.values()
        for sock in table.sockets
        if sock.remote_port is None and not is_wildcard(sock.local_address)
    }
    return tuple(
        address
        for address, device in sorted(held, key=str)
        if address not in here and _is_own("ipv6" if ":" in address else "ipv4", address, device) is False
    )


def _is_own(family: Family, address: str, zone: str | None) -> bool | None:
    """Whether this host has an address that no interface lists: a multicast one, or by a route."""
    if family == "ipv6":  # a local IPv6 route (AnyIP) alone does not admit one
        within_a_link = address[3:4] in ("1", "2")  # ff01::, ff02::1 ...: EINVAL without a scope
        return address.startswith("ff") and (zone is not None or not within_a_link)
    first = int(address.partition(".")[0])
    return 224 <= first < 240 or address == "255.255.255.255" or _has_local_route(address)


def _has_local_route(address: str) -> bool | None:
    try:
        return rtnetlink.route_type(address) in (rtnetlink.ROUTE_LOCAL, rtnetlink.ROUTE_BROADCAST)
    except OSError as refusal:
        return False if refusal.errno in _NO_ROUTE else None


def delivers_here(address: str) -> bool:
    """Whether the route to an IPv4 address ends on this host; of IPv6 the interfaces have told all."""
    if ":" in address:
        return False
    try:
        return rtnetlink.route_type(address) == rtnetlink.ROUTE_LOCAL
    except OSError:  # no route at all, or a sandbox that does not tell
        return address.startswith("127.")


def interface_names() -> tuple[str, ...]:
    """if_nameindex(3); where netlink is refused, /proc/net/dev: two lines of headings, then `  eth0: 1296 12 ...`."""
    try:
        return tuple(name for _, name in socket.if_nameindex())
    except OSError:
        lines = (procfs.read("net/dev") or b"").decode("utf-8", "replace").split("\n")[2:-1]
        return tuple(line.partition(":")[0].strip() for line in lines)
