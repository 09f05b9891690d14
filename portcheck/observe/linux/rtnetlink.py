"""Addresses, routes and links as the Linux kernel lists them by rtnetlink(7).  All here may raise OSError."""

from __future__ import annotations

from struct import Struct

from portcheck import lean_socket as socket
from portcheck.model import LocalAddress
from portcheck.namedtuple import TYPE_CHECKING, NamedTuple
from portcheck.observe.linux.netlink import NETLINK_ROUTE, Netlink, attribute, attributes, number

if TYPE_CHECKING:
    from collections.abc import Mapping

_RTM_GETLINK = 18
_IFINFOMSG = Struct("=BxHiII")  # family, device type, index, flags, change mask
_IFLA_IFNAME, _IFLA_MASTER, _IFLA_LINKINFO = 3, 10, 18
_IFLA_INFO_KIND, _IFLA_INFO_DATA, _IFLA_INFO_SLAVE_KIND = 1, 2, 4
_VRF = b"vrf"

_RTM_GETADDR = 22
_IFADDRMSG = Struct("=BBBBI")  # family, prefix length, flags, scope, interface's index
_IFA_ADDRESS, _IFA_LOCAL, _IFA_FLAGS = 1, 2, 8
_IFA_F_OPTIMISTIC, _IFA_F_TENTATIVE = 0x04, 0x40  # an address that failed the detection stays tentative

_RTM_GETROUTE = 26
# family, destination and source length, tos, table, protocol, scope, type, flags
_RTMSG = Struct("=BBBBBBBBI")
_RTA_DST = 1
ROUTE_LOCAL, ROUTE_BROADCAST = 2, 3


class Link(NamedTuple):
    """A virtual device: its kind as `ip link` names it (vxlan), and its settings by attribute type."""

    name: str
    kind: str
    settings: Mapping[int, bytes]


def links() -> list[Link]:
    """The devices that have a kind: not the physical ones, nor loopback."""
    with Netlink(NETLINK_ROUTE) as link:
        request = _IFINFOMSG.pack(socket.AF_UNSPEC, 0, 0, 0, 0)
        return [device for device in link.dump(_RTM_GETLINK, request, read_link) if device]


def read_link(message: bytes) -> Link | None:
    """The virtual device of an RTM_NEWLINK message; None for any other device."""
    values = dict(attributes(message, _IFINFOMSG.size))
    info = dict(attributes(values.get(_IFLA_LINKINFO, b"")))
    if _IFLA_INFO_KIND not in info:
        return None
    return Link(
        _text(values.get(_IFLA_IFNAME, b"")),
        _text(info[_IFLA_INFO_KIND]),
        dict(attributes(info.get(_IFLA_INFO_DATA, b""))),
    )


def vrfs() -> dict[str, str]:
    """Every VRF, and every device that belongs to one: its name → the VRF's (a VRF is its own)."""
    with Netlink(NETLINK_ROUTE) as link:
        request = _IFINFOMSG.pack(socket.AF_UNSPEC, 0, 0, 0, 0)
        members = [member for member in link.dump(_RTM_GETLINK, request, read_vrf_member) if member]
    return {name: _interface_name(vrf) for name, vrf in members}


def read_vrf_member(message: bytes) -> tuple[str, int] | None:
    """(its name, the index of its VRF) of an RTM_NEWLINK message; None for a device outside of every VRF."""
    values = dict(attributes(message, _IFINFOMSG.size))
    info = dict(attributes(values.get(_IFLA_LINKINFO, b"")))
    name = _text(values.get(_IFLA_IFNAME, b""))
    if info.get(_IFLA_INFO_KIND, b"").rstrip(b"\0") == _VRF:
        return name, _IFINFOMSG.unpack_from(message)[2]
    if info.get(_IFLA_INFO_SLAVE_KIND, b"").rstrip(b"\0") == _VRF:
        return name, number(values[_IFLA_MASTER])
    return None


def addresses() -> list[LocalAddress]:
    """Every address of every interface, loopback included, in the kernel's order."""
    with Netlink(NETLINK_ROUTE) as link:
        request = _IFADDRMSG.pack(socket.AF_UNSPEC, 0, 0, 0, 0)
        return [address for address in link.dump(_RTM_GETADDR, request, read_address) if address]


def read_address(message: bytes) -> LocalAddress | None:
    """The IP address of an RTM_NEWADDR message; None for one of another family."""
    family, _, flags, _, index = _IFADDRMSG.unpack_from(message)
    values = dict(attributes(message, _IFADDRMSG.size))
    # On a point-to-point link IFA_ADDRESS is the other end's.
    packed = values.get(_IFA_LOCAL) or values.get(_IFA_ADDRESS)
    if family not in (socket.AF_INET, socket.AF_INET6) or packed is None:
        return None
    if _IFA_FLAGS in values:  # all 32; the message itself has room for eight
        flags = number(values[_IFA_FLAGS])
    return LocalAddress(
        socket.inet_ntop(family, packed),
        "ipv4" if family == socket.AF_INET else "ipv6",
        _interface_name(index),
        tentative=flags & (_IFA_F_TENTATIVE | _IFA_F_OPTIMISTIC) == _IFA_F_TENTATIVE,
    )


def route_type(address: str) -> int:
    """The type of the route to an IPv4 address (RTN_*); OSError is also the answer that there is none."""
    request = _RTMSG.pack(socket.AF_INET, 32, 0, 0, 0, 0, 0, 0, 0)
    with Netlink(NETLINK_ROUTE) as link:
        destination = attribute(_RTA_DST, socket.inet_pton(socket.AF_INET, address))
        return link.request(_RTM_GETROUTE, request + destination, read_route_type)


def read_route_type(message: bytes) -> int:
    """The type of an RTM_NEWROUTE message."""
    kind: int = _RTMSG.unpack_from(message)[7]
    return kind


def _interface_name(index: int) -> str:
    try:
        return socket.if_indextoname(index)
    except OSError:  # removed in the meantime
        return f"#{index}"


def _text(value: bytes) -> str:
    return value.rstrip(b"\0").decode("utf-8", "surrogateescape")
