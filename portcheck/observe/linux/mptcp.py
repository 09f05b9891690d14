"""Ports on which the kernel itself listens for further paths of MPTCP connections (linux/mptcp_pm.h)."""

from __future__ import annotations

from portcheck import lean_socket as socket
from portcheck.namedtuple import TYPE_CHECKING, NamedTuple
from portcheck.observe.linux.genetlink import HEADER, family
from portcheck.observe.linux.netlink import NETLINK_GENERIC, Netlink, attributes, number

if TYPE_CHECKING:
    from collections.abc import Mapping

_GET_ADDR = 3
_ATTR_ADDR = 1
_ID, _ADDR4, _ADDR6, _PORT = 2, 3, 4, 5


class MptcpEndpoint(NamedTuple):
    """As `ip mptcp endpoint` has it; those without a port do not listen."""

    address: str
    port: int
    number: int


def endpoints() -> list[MptcpEndpoint]:
    """Those of this network namespace that have a port; none where the kernel has no MPTCP, or does not say."""
    try:
        with Netlink(NETLINK_GENERIC) as link:
            asked = family(link, b"mptcp_pm")
            read = link.dump(asked, HEADER.pack(_GET_ADDR, 1), read_endpoint)
    except OSError:
        return []
    return [endpoint for endpoint in read if endpoint]


def read_endpoint(message: bytes) -> MptcpEndpoint | None:
    """The endpoint in one message; None for one without a port."""
    values: Mapping[int, bytes] = dict(attributes(dict(attributes(message, HEADER.size))[_ATTR_ADDR]))
    port = number(values.get(_PORT, b""))
    if not port:
        return None
    kind = socket.AF_INET6 if _ADDR6 in values else socket.AF_INET
    address = socket.inet_ntop(kind, values[_ADDR6 if _ADDR6 in values else _ADDR4])
    return MptcpEndpoint(address, port, number(values.get(_ID, b"")))
