"""Generic netlink: parts of the kernel that are asked by the name of their family (linux/genetlink.h)."""

from __future__ import annotations

from struct import Struct

from portcheck.namedtuple import TYPE_CHECKING
from portcheck.observe.linux.netlink import attribute, attributes, number

if TYPE_CHECKING:
    from portcheck.observe.linux.netlink import Netlink

HEADER = Struct("=BBxx")  # genlmsghdr: command, version
_CONTROLLER = 0x10  # GENL_ID_CTRL
_CTRL_CMD_GETFAMILY = 3
_CTRL_ATTR_FAMILY_ID, _CTRL_ATTR_FAMILY_NAME = 1, 2


def family(link: Netlink, name: bytes) -> int:
    """The number of a family, as the controller tells it.  Raises OSError: ENOENT where the kernel has none."""
    wanted = attribute(_CTRL_ATTR_FAMILY_NAME, name + b"\0")
    return link.request(_CONTROLLER, HEADER.pack(_CTRL_CMD_GETFAMILY, 1) + wanted, read_family)


def read_family(message: bytes) -> int:
    """The number in the controller's answer.  Raises KeyError."""
    return number(dict(attributes(message, HEADER.size))[_CTRL_ATTR_FAMILY_ID])
