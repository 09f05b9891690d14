"""What the host allows apart from its sockets: privileged and reserved ports, the ephemeral range, VRFs (l3mdev)."""

from __future__ import annotations

import os

from portcheck import lean_socket as socket
from portcheck.model import Network, PortPolicy, PortRange
from portcheck.namedtuple import TYPE_CHECKING
from portcheck.observe.linux import procfs, rtnetlink, sock_diag
from portcheck.text import number

if TYPE_CHECKING:
    from collections.abc import Mapping

    from portcheck.model import Family, Protocol

SYSCTL = "/proc/sys/net/ipv4/"
CAP_NET_BIND_SERVICE = 10
NS_GET_USERNS = 0xB701  # ioctl_nsfs(2): a descriptor of the user namespace that owns this one
_FAMILIES: tuple[Family, ...] = ("ipv4", "ipv6")
_PROTOCOLS: tuple[Protocol, ...] = ("tcp", "udp")
_MODULES = "/sys/module"
_IFNAMSIZ = 16


def linux_policy() -> PortPolicy:
    """The policy of this network namespace, for this process."""
    start = number(_read(SYSCTL + "ip_unprivileged_port_start").strip())
    return PortPolicy(
        # Before Linux 4.11 there is no such file, and the limit is 1024.
        unprivileged_from=1024 if start is None else start,
        privileged=_may_bind_privileged(),
        ephemeral=next(iter(parse_ranges("-".join(_read(SYSCTL + "ip_local_port_range").split()))), None),
        reserved=parse_ranges(_read(SYSCTL + "ip_local_reserved_ports")),
    )


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


def parse_ranges(text: str) -> tuple[PortRange, ...]:
    """The kernel's list form, `8080,9148-9150` → ranges; a kernel of another kind may write something else."""
    ranges = []
    for part in text.strip().split(","):
        first, _, last = part.partition("-")
        low, high = number(first), number(last or first)
        if low is not None and high is not None:
            ranges.append(PortRange(low, high))
    return tuple(ranges)


def _may_bind_privileged() -> bool | None:
    """CAP_NET_BIND_SERVICE in the user namespace that owns this network namespace; None where unreadable.

    A capability counts only there: root of a container without a network namespace of its own has it and is refused.
    """
    for line in _read("/proc/self/status").split("\n"):
        if line.startswith("CapEff:"):
            capable = int(line[len("CapEff:") :], 16) >> CAP_NET_BIND_SERVICE & 1
            return bool(capable) and _owns_network_namespace()
    return None


def _owns_network_namespace() -> bool:
    import fcntl

    try:
        here = os.stat("/proc/self/ns/user")
        net = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return True  # a kernel without namespaces
    try:
        owner = fcntl.ioctl(net, NS_GET_USERNS)
    except PermissionError:
        return False  # it belongs to a user namespace above ours
    except OSError:
        return True
    finally:
        os.close(net)
    try:
        there = os.fstat(owner)
    finally:
        os.close(owner)
    return (here.st_dev, here.st_ino) == (there.st_dev, there.st_ino)


def _read(path: str) -> str:
    """A small file's text, or nothing where there is no such file or no access."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""
