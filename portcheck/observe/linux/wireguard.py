"""The UDP port of a WireGuard interface, by generic netlink (linux/wireguard.h)."""

from __future__ import annotations

from portcheck.observe.linux.genetlink import HEADER, family
from portcheck.observe.linux.netlink import NETLINK_GENERIC, Netlink, attribute, attributes, number

_WG_CMD_GET_DEVICE = 0
_WGDEVICE_A_IFNAME, _WGDEVICE_A_LISTEN_PORT = 2, 6


def listen_port(interface: str) -> int | None:
    """The port it listens on; None where the kernel does not say (it takes CAP_NET_ADMIN to ask)."""
    try:
        with Netlink(NETLINK_GENERIC) as link:
            return ask(link, interface)
    except OSError:
        return None


def ask(link: Netlink, interface: str) -> int | None:
    """Raises OSError: EPERM without CAP_NET_ADMIN, ENOENT where the kernel has no WireGuard."""
    asked = family(link, b"wireguard")
    wanted = attribute(_WGDEVICE_A_IFNAME, interface.encode("utf-8", "surrogateescape") + b"\0")
    request = HEADER.pack(_WG_CMD_GET_DEVICE, 1) + wanted
    # A device with many peers answers in several messages: the first has the port.
    devices = link.dump(asked, request, read_listen_port)
    return next((port for port in devices if port is not None), None)


def read_listen_port(message: bytes) -> int | None:
    """The port in one message about a device; None where it says nothing of it."""
    port = dict(attributes(message, HEADER.size)).get(_WGDEVICE_A_LISTEN_PORT)
    return None if port is None else number(port)
