"""IPVS, the kernel's load balancer, by its list /proc/net/ip_vs: it takes connections before any socket does."""

from __future__ import annotations

from portcheck.lean_socket import AF_INET, AF_INET6, inet_ntop, inet_pton
from portcheck.model import Redirection
from portcheck.namedtuple import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from portcheck.model import Origin, PortRange, Protocol

_ORIGINS: tuple[Origin, ...] = ("outside", "here")


def services(
    text: str, wanted: Mapping[Protocol, Collection[PortRange]], addresses: Collection[str]
) -> Iterator[tuple[tuple[Protocol, int], Redirection]]:
    """((protocol, port), where to) of the services on these addresses, in the kernel's list:

    TCP  C0000207:1F90 rr
      -> 0A010203:0050      Masq    1      0          0
    """
    keys: list[tuple[Protocol, int]] = []
    address = ""
    for words in filter(None, map(str.split, text.split("\n"))):
        if words[0] in ("TCP", "UDP") and len(words) > 1:
            protocol: Protocol = "tcp" if words[0] == "TCP" else "udp"
            address, port = _place(words[1])
            ports = wanted.get(protocol, ())
            is_ours = address in addresses and any(port in each for each in ports)
            keys = [(protocol, port)] if is_ours else []
        elif words[0] == "->" and keys and words[3:4] != ["0"] and words[1] != "RemoteAddress:Port":
            target, at = _place(words[1])
            for origin in _ORIGINS:
                yield keys[0], Redirection("IPVS", origin, (address,), target, str(at))
        elif words[0] != "->":
            keys = []  # FWM: by a mark of the packet filter


def takes_marked_packets(text: str) -> bool:
    """Whether there is a service for packets that the packet filter has marked, on whichever port."""
    return any(line.startswith("FWM") for line in text.split("\n"))


def _place(text: str) -> tuple[str, int]:
    """`C0000207:1F90` or `[2001:0db8:...]:1F90`; ("", 0) where it is neither."""
    address, _, port = text.rpartition(":")
    try:
        if address.startswith("["):
            return inet_ntop(AF_INET6, inet_pton(AF_INET6, address[1:-1])), int(port, 16)
        return inet_ntop(AF_INET, bytes.fromhex(address)), int(port, 16)
    except (ValueError, OSError):
        return "", 0
