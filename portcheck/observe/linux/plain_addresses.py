"""The addresses of this host's interfaces where netlink is refused: by netdevice(7) for IPv4, by /proc for IPv6.

The C library would be no help: it asks by netlink itself (getifaddrs(3)).
"""

from __future__ import annotations

import os
from struct import Struct

from portcheck import lean_socket as socket
from portcheck.model import LocalAddress
from portcheck.namedtuple import TYPE_CHECKING
from portcheck.observe.linux import procfs

if TYPE_CHECKING:
    from collections.abc import Iterator

_SIOCGIFCONF = 0x8912
_MOST_ENTRIES = 4096
_IFCONF = Struct("@iP")  # the buffer's length and place
_IFREQ = Struct("@16s4x4s16x")  # the interface's name; a sockaddr_in, of which the address


def addresses() -> list[LocalAddress]:
    """Every address of every interface.  Raises OSError where a sandbox refuses IPv4 sockets too."""
    return [*_ipv4(), *read_ipv6((procfs.read("net/if_inet6") or b"").decode("utf-8", "surrogateescape"))]


def _ipv4() -> Iterator[LocalAddress]:
    import array
    import fcntl

    entries = array.array("b", bytes(_IFREQ.size * _MOST_ENTRIES))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        answer = fcntl.ioctl(asked, _SIOCGIFCONF, _IFCONF.pack(len(entries), entries.buffer_info()[0]))
    length, _ = _IFCONF.unpack(answer)
    for name, packed in _IFREQ.iter_unpack(entries.tobytes()[:length]):
        label = os.fsdecode(name.rstrip(b"\0"))  # eth0, or eth0:1 of a second address that was given a name
        yield LocalAddress(socket.inet_ntop(socket.AF_INET, packed), "ipv4", label.partition(":")[0])


def read_ipv6(text: str) -> Iterator[LocalAddress]:
    """Of /proc/net/if_inet6: address, interface's index, prefix length, scope and flags in hexadecimal, its name."""
    from portcheck.observe.linux.rtnetlink import is_tentative

    entries = [fields for line in text.split("\n") if len(fields := line.split()) == 6]
    for address, _, _, _, flags, name in sorted(entries, key=lambda fields: int(fields[1], 16)):
        packed = bytes.fromhex(address)
        yield LocalAddress(socket.inet_ntop(socket.AF_INET6, packed), "ipv6", name, is_tentative(int(flags, 16)))
