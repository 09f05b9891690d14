"""Names of services, interfaces and hosts, from the system's own databases."""

from __future__ import annotations

import socket

from portcheck.addresses import Address, parse_address
from portcheck.namedtuple import TYPE_CHECKING
from portcheck.observe.linux import procfs
from portcheck.observe.system import PLATFORM

if TYPE_CHECKING:
    from portcheck.model import Protocol


class SystemNames:
    """The `Names` of target.py, as this host knows them."""

    def service(self, name: str, protocol: Protocol) -> int | None:
        """/etc/services through getservbyname(3)."""
        try:
            return socket.getservbyname(name, protocol)
        except OSError:
            return None

    def interfaces(self) -> tuple[str, ...]:
        """if_nameindex(3): works without addresses and without privilege.

        Windows knows two names of each: that one, and the one that people and the other tables use ("Ethernet").
        """
        if PLATFORM == "windows":
            import psutil

            return tuple(psutil.net_if_addrs())
        try:
            return tuple(name for _, name in socket.if_nameindex())
        except OSError:  # netlink is refused: two lines of headings, then `  eth0: 1296 12 ...`
            lines = (procfs.read("net/dev") or b"").decode("utf-8", "replace").splitlines()[2:]
            return tuple(line.partition(":")[0].strip() for line in lines)

    def resolve(self, host: str) -> tuple[Address, ...]:
        """getaddrinfo(3), in its order (RFC 6724: which of localhost's addresses a client tries first)."""
        try:
            # bytes: text would be encoded by the idna codec, whose import takes as long as a whole look
            found = socket.getaddrinfo(host.encode("ascii") if host.isascii() else host, None, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            return ()
        addresses = (parse_address(str(sockaddr[0])) for *_, sockaddr in found)
        return tuple(dict.fromkeys(address for address in addresses if address))
