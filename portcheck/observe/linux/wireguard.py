"""The UDP port of a WireGuard interface, by generic netlink (linux/wireguard.h, linux/genetlink.h)."""

from __future__ import annotations

from struct import Struct

from portcheck.observe.linux.netlink import NETLINK_GENERIC, Netlink, attribute, attributes, number

_HEADER = Struct("=BBxx")  # genlmsghdr: command, version
_CONTROLLER = 0x10  # GENL_ID_CTRL
_CTRL_CMD_GETFAMILY = 3
_CTRL_ATTR_FAMILY_ID, _CTRL_ATTR_FAMILY_NAME = 1, 2
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
    name = attribute(_CTRL_ATTR_FAMILY_NAME, b"wireguard\0")
    family = link.request(_CONTROLLER, _HEADER.pack(_CTRL_CMD_GETFAMILY, 1) + name, read_family)
    wanted = attribute(_WGDEVICE_A_IFNAME, interface.encode("utf-8", "surrogateescape") + b"\0")
    request = _HEADER.pack(_WG_CMD_GET_DEVICE, 1) + wanted
    # A device with many peers answers in several messages: the first has the port.
    devices = link.dump(family, request, read_listen_port)
    return next((port for port in devices if port is not None), None)


def read_family(message: bytes) -> int:
    """The number of a family of generic netlink, as the controller tells it.  Raises KeyError."""
    return number(dict(attributes(message, _HEADER.size))[_CTRL_ATTR_FAMILY_ID])


def read_listen_port(message: bytes) -> int | None:
    """The port in one message about a device; None where it says nothing of it."""
    port = dict(attributes(message, _HEADER.size)).get(_WGDEVICE_A_LISTEN_PORT)
    return None if port is None else number(port)
