"""The addresses of this host's interfaces where a sandbox refuses rtnetlink: netdevice(7), and /proc/net/if_inet6."""

from __future__ import annotations

import errno
from array import array
from struct import Struct

from portcheck import lean_socket as socket
from portcheck.model import LocalAddress
from portcheck.namedtuple import TYPE_CHECKING
from portcheck.observe.linux import procfs
from portcheck.observe.linux.rtnetlink import is_tentative

if TYPE_CHECKING:
    from collections.abc import Iterator

_SIOCGIFCONF = 0x8912
_IFCONF = Struct("iP")  # how many bytes, and where
# ifreq: a name, and a union of which the largest member is an ifmap; in it here a sockaddr_in: family, port, address.
_IFREQ_SIZE = 16 + Struct("LLHBBB0L").size
_IFREQ = Struct("=16sHH4s")
_MOST_BYTES = 1 << 20


def addresses() -> tuple[LocalAddress, ...]:
    """Every address of every interface, loopback included.  Raises OSError."""
    return (*_ipv4(), *_ipv6())


def _ipv4() -> Iterator[LocalAddress]:
    import fcntl  # which Unix alone has

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        needed, _ = _IFCONF.unpack(fcntl.ioctl(asked.fileno(), _SIOCGIFCONF, _IFCONF.pack(0, 0)))
        # What comes in between has room, too.
        buffer = array("B", bytes(min(2 * needed, _MOST_BYTES)))
        place, size = buffer.buffer_info()
        filled, _ = _IFCONF.unpack(fcntl.ioctl(asked.fileno(), _SIOCGIFCONF, _IFCONF.pack(size, place)))
    for offset in range(0, filled - _IFREQ_SIZE + 1, _IFREQ_SIZE):
        label, _, _, packed = _IFREQ.unpack_from(buffer, offset)
        # Addresses may have labels of their own: eth0:1.
        interface, _, _ = label.rstrip(b"\0").decode("utf-8", "surrogateescape").partition(":")
        yield LocalAddress(socket.inet_ntop(socket.AF_INET, packed), "ipv4", interface)


def _ipv6() -> Iterator[LocalAddress]:
    for line in (procfs.read("thread-self/net/if_inet6") or b"").split(b"\n"):
        if line:
            try:
                yield read_line(line)
            except ValueError:
                raise OSError(errno.EBADMSG, "/proc/net/if_inet6 cannot be understood") from None


def read_line(line: bytes) -> LocalAddress:
    """Address, interface's index, prefix length, scope, flags (all in hexadecimal), and interface; or ValueError."""
    packed, _, _, _, flags, interface = line.decode("utf-8", "surrogateescape").split()
    address = socket.inet_ntop(socket.AF_INET6, bytes.fromhex(packed))
    return LocalAddress(address, "ipv6", interface, tentative=is_tentative(int(flags, 16)))
