"""Which of a port's sockets a declared host is about, and whether they listen where it says.  Pure.

Addresses are compared as sockets have them: a socket on every address is more than one of 127.0.0.1 alone.
"""

from __future__ import annotations

from portcheck.addresses import ANY4, ANY6, Address, family_of, is_wildcard, unmapped
from portcheck.namedtuple import TYPE_CHECKING
from portcheck.rules.three_valued import any_of

if TYPE_CHECKING:
    from portcheck.model import Scene, Socket
    from portcheck.target import Host


def listens(socket: Socket) -> bool:
    """Whether it takes clients: a TCP listener, or a UDP socket that is not connected to a single other one."""
    if socket.protocol == "udp":
        return not socket.remote_port
    return socket.state == "LISTEN"


def is_exactly(socket: Socket, host: Host, scene: Scene) -> bool:
    """Whether its address is one that the host names."""
    if host.kind == "wildcard":
        return is_wildcard(socket.local_address) and socket.interface is None
    return any(_same(socket, address) for address in _addresses(host, scene)) or _on_device(socket, host)


def covers(host: Host, socket: Socket, scene: Scene) -> bool:
    """Whether the socket listens on nothing that the host does not include."""
    if host.kind in ("every", "wildcard") or is_exactly(socket, host, scene):
        return True
    family = family_of(unmapped(socket.local_address))
    wildcards = {address.text for address in host.addresses if is_wildcard(address.text)}
    own = ANY4 if family == "ipv4" else ANY6
    return own in wildcards and not is_wildcard(socket.local_address)


def serves(socket: Socket, host: Host, scene: Scene) -> bool | None:
    """Whether a client of the host's address reaches it; of several addresses one is enough.

    None where it does not show whether an IPv6 wildcard takes IPv4 too.
    """
    if host.kind == "every":
        return True
    if host.kind == "wildcard":
        return is_wildcard(socket.local_address)
    if _on_device(socket, host):
        return True
    return any_of(*(_reaches(socket, address) for address in _addresses(host, scene)))


def _reaches(socket: Socket, address: Address) -> bool | None:
    if _same(socket, address):
        return True
    if socket.interface is not None and socket.interface != address.zone:
        return False
    held = unmapped(socket.local_address)
    if address.family == "ipv6":
        return held == ANY6
    if held == ANY6:
        return None if socket.v6only is None else not socket.v6only
    return held == ANY4


def _same(socket: Socket, address: Address) -> bool:
    return unmapped(socket.local_address) == unmapped(address.text) and address.zone in (None, socket.interface)


def _on_device(socket: Socket, host: Host) -> bool:
    return host.kind == "interface" and socket.interface == host.text


def _addresses(host: Host, scene: Scene) -> tuple[Address, ...]:
    if host.kind != "interface":
        return host.addresses
    own = (local for local in scene.addresses if local.interface == host.text)
    return tuple(Address(local.family, local.address) for local in own)
