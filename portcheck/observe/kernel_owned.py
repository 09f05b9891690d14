"""Ports that the kernel itself holds, by positive evidence only: a tunnel device, or a kernel service's own list.

A socket without a process is not evidence: root in a PID namespace sees listeners whose processes it cannot see.
"""

from __future__ import annotations

from portcheck.observe import rtnetlink, wireguard
from portcheck.value import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from portcheck.model import Protocol
    from portcheck.observe.rtnetlink import Link

# The kinds of tunnel that keep their UDP port (network order) in a setting: IFLA_VXLAN_PORT and its like.
_TUNNEL_PORTS = {"vxlan": 15, "geneve": 5, "bareudp": 1}
_TITLES = {"vxlan": "VXLAN", "geneve": "GENEVE", "bareudp": "bareudp"}
_NFSD_PORTS = "/proc/fs/nfsd/portlist"


def kernel_owned() -> dict[tuple[Protocol, int], str]:
    """(protocol, port) → what in the kernel holds it: "VXLAN interface vx0".

    To be asked only for a socket without a process: a process may hold the same port on another address.
    """
    owned: dict[tuple[Protocol, int], str] = {}
    for protocol, port, owner in (*_tunnels(), *_nfsd()):
        owned.setdefault((protocol, port), owner)
    return owned


def _tunnels() -> Iterator[tuple[Protocol, int, str]]:
    try:
        links = rtnetlink.links()
    except OSError:
        return
    for link in links:
        port = tunnel_port(link)
        if port:
            yield "udp", port, f"{_TITLES.get(link.kind, link.kind)} interface {link.name}"


def tunnel_port(link: Link) -> int | None:
    """The local UDP port of a tunnel device; None where it has none, or does not say."""
    if link.kind == "wireguard":
        return wireguard.listen_port(link.name)
    port = link.settings.get(_TUNNEL_PORTS.get(link.kind, 0))
    return int.from_bytes(port, "big") if port else None


def _nfsd() -> Iterator[tuple[Protocol, int, str]]:
    """The NFS server's own list: lines such as `tcp 2049`, `udp 2049`, `rdma 20049`."""
    try:
        with open(_NFSD_PORTS, "rb") as lines:  # noqa: PTH123
            for line in lines:
                transport, _, port = line.decode("ascii", "replace").strip().partition(" ")
                if transport in ("tcp", "udp") and port.isdecimal():
                    yield ("tcp" if transport == "tcp" else "udp"), int(port), "NFS server (nfsd)"
    except OSError:
        return
