"""Names of services and hosts, as the C library looks them up on every system."""

from __future__ import annotations

from portcheck import lean_socket as socket
from portcheck.addresses import Address, parse_address
from portcheck.namedtuple import TYPE_CHECKING

if TYPE_CHECKING:
    from portcheck.model import Protocol


def service_port(name: str, protocol: Protocol) -> int | None:
    """/etc/services through getservbyname(3)."""
    try:
        return socket.getservbyname(name, protocol)
    except OSError:
        return None


def resolve(host: str) -> tuple[Address, ...]:
    """getaddrinfo(3), in its order (RFC 6724: which of localhost's addresses a client tries first)."""
    try:
        # bytes: text would be encoded by the idna codec, whose import takes as long as a whole look
        entries = socket.getaddrinfo(host.encode("ascii") if host.isascii() else host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return ()
    addresses = (parse_address(str(sockaddr[0])) for *_, sockaddr in entries)
    return tuple(dict.fromkeys(address for address in addresses if address))
