"""What the host allows apart from its sockets: privileged ports, the ephemeral range, reserved ports."""

from __future__ import annotations

import os

from portcheck.model import PortPolicy, PortRange

SYSCTL = "/proc/sys/net/ipv4/"
CAP_NET_BIND_SERVICE = 10
NS_GET_USERNS = 0xB701  # ioctl_nsfs(2): a descriptor of the user namespace that owns this one


def linux_policy() -> PortPolicy:
    """The policy of this network namespace, for this process."""
    start = _read(SYSCTL + "ip_unprivileged_port_start")
    ephemeral = _read(SYSCTL + "ip_local_port_range").split()
    return PortPolicy(
        # Before Linux 4.11 there is no such file, and the limit is 1024.
        unprivileged_from=int(start) if start else 1024,
        privileged=_may_bind_privileged(),
        ephemeral=PortRange(int(ephemeral[0]), int(ephemeral[1])) if len(ephemeral) == 2 else None,
        reserved=parse_ranges(_read(SYSCTL + "ip_local_reserved_ports")),
    )


def parse_ranges(text: str) -> tuple[PortRange, ...]:
    """The kernel's list form, `8080,9148-9150` → ranges."""
    ranges = []
    for part in text.strip().split(","):
        first, _, last = part.partition("-")
        if first:
            ranges.append(PortRange(int(first), int(last or first)))
    return tuple(ranges)


def _may_bind_privileged() -> bool | None:
    """CAP_NET_BIND_SERVICE in the user namespace that owns this network namespace; None where unreadable.

    A capability counts only there: root of a container without a network namespace of its own has it and is refused.
    """
    for line in _read("/proc/self/status").split("\n"):
        if line.startswith("CapEff:"):
            capable = int(line.split()[1], 16) >> CAP_NET_BIND_SERVICE & 1
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
