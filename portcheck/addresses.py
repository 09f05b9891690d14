"""IP addresses as text: one canonical spelling each, so that comparing addresses is comparing strings.

The `ipaddress` module would cost a third of a whole run at start-up; `inet_pton` is the C library's own reading.
These two are pure text functions: nothing here touches the network.
"""

from __future__ import annotations

from portcheck.lean_socket import AF_INET, AF_INET6, inet_ntop, inet_pton
from portcheck.namedtuple import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from portcheck.model import Family

ANY4 = "0.0.0.0"
ANY6 = "::"
MAPPED = "::ffff:"


class Address(NamedTuple):
    """A numeric address in canonical spelling; `zone` is the scope of a link-local one (`eth0`), else null."""

    family: Family
    text: str
    zone: str | None = None

    def __str__(self) -> str:
        return f"{self.text}%{self.zone}" if self.zone else self.text


def parse_address(text: str) -> Address | None:
    """Reads `127.0.0.1`, `::1` or `fe80::1%eth0`; None where the text is no numeric address."""
    host, _, zone = text.partition("%")
    try:
        if ":" in host:
            return Address("ipv6", inet_ntop(AF_INET6, inet_pton(AF_INET6, host)), zone or None)
        return None if zone else Address("ipv4", inet_ntop(AF_INET, inet_pton(AF_INET, host)))
    except (OSError, UnicodeEncodeError, ValueError):
        return None


def family_of(text: str) -> Family:
    """The family of a canonical address (an IPv4-mapped one is an IPv6 socket's address)."""
    return "ipv6" if ":" in text else "ipv4"


def unmapped(text: str) -> str:
    """`::ffff:127.0.0.1` → `127.0.0.1`; every other address stays as it is."""
    return text[len(MAPPED) :] if text.startswith(MAPPED) and "." in text else text


def is_mapped(text: str) -> bool:
    """True of an IPv4 address as an IPv6 socket has it: `::ffff:127.0.0.1`."""
    return text.startswith(MAPPED) and "." in text


def is_wildcard(text: str) -> bool:
    """True of 0.0.0.0, :: and ::ffff:0.0.0.0."""
    return text in (ANY4, ANY6, MAPPED + ANY4)


def is_multicast6(text: str) -> bool:
    """ff00::/8."""
    return text.startswith("ff") and ":" in text


def is_link_local(text: str) -> bool:
    """fe80::/10: binding one takes a scope, and the scope binds the socket to that device."""
    return text[:3] in ("fe8", "fe9", "fea", "feb")
