"""What of this network namespace decides about sockets besides themselves: VRFs (l3mdev), ip_nonlocal_bind."""

from __future__ import annotations

import os

from portcheck import lean_socket as socket
from portcheck.model import Network
from portcheck.namedtuple import TYPE_CHECKING
from portcheck.observe.linux import procfs, rtnetlink, sock_diag

if TYPE_CHECKING:
    from collections.abc import Mapping

    from portcheck.model import Family, Protocol

_FAMILIES: tuple[Family, ...] = ("ipv4", "ipv6")
_PROTOCOLS: tuple[Protocol, ...] = ("tcp", "udp")
_MODULES = "/sys/module"
_IFNAMSIZ = 16


def network() -> Network:
    """As it is at this moment; what cannot be read stays unknown."""
    vrfs = _vrfs()
    return Network(
        sock_diag.release(),
        vrfs,
        _own_device() if vrfs else None,
        _l3mdev_accept() if vrfs != {} else {},
        tuple(family for family in _FAMILIES if nonlocal_bind(family)),
    )


def nonlocal_bind(family: Family) -> bool:
    """Whether sockets may have addresses that this host does not have."""
    return procfs.read(f"sys/net/{family}/ip_nonlocal_bind") == b"1\n"


def _vrfs() -> Mapping[str, str] | None:
    """To list the devices takes 20 us for each: a host whose kernel has no VRFs at all, as most, is not asked."""
    if os.path.isdir(_MODULES) and not os.path.isdir(f"{_MODULES}/vrf"):
        return {}
    try:
        return rtnetlink.vrfs()
    except OSError:
        return None


def _l3mdev_accept() -> dict[Protocol, bool]:
    """The settings that can be read."""
    values = {protocol: procfs.read(f"sys/net/ipv4/{protocol}_l3mdev_accept") for protocol in _PROTOCOLS}
    return {protocol: value.strip() != b"0" for protocol, value in values.items() if value}


def _own_device() -> str | None:
    """`ip vrf exec` binds every socket to the VRF, by a BPF program of the cgroup."""
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            with socket.socket(family, socket.SOCK_DGRAM) as ours:
                device = ours.getsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, _IFNAMSIZ)
        except OSError:
            continue
        return os.fsdecode(device.rstrip(b"\0")) or None
    return None
