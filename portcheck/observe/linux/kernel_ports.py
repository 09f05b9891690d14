"""Ports that the kernel itself holds, on positive evidence: a tunnel device, or a kernel service's own list.

A socket without a process is no evidence: root in a PID namespace sees listeners whose process it cannot see.
"""

from __future__ import annotations

from portcheck.addresses import unmapped
from portcheck.namedtuple import TYPE_CHECKING
from portcheck.observe.linux import mptcp, procfs, rtnetlink, wireguard

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from portcheck.model import Protocol, Socket
    from portcheck.observe.linux.rtnetlink import Link

# What the kinds of tunnels are called, and the setting with their UDP port (IFLA_VXLAN_PORT and its like).
_TUNNELS = {"vxlan": ("VXLAN", 15), "geneve": ("GENEVE", 5), "bareudp": ("bareudp", 1)}


def kernel_owned() -> dict[tuple[Protocol, int], str]:
    """(protocol, port) → what in the kernel holds it: "VXLAN interface vx0".

    To be asked only for a socket without a process: a process may hold the same port on another address.
    """
    owned: dict[tuple[Protocol, int], str] = {}
    for protocol, port, owner in (*_tunnels(), *_nfsd()):
        owned.setdefault((protocol, port), owner)
    return owned


def mptcp_owned(orphans: Collection[Socket]) -> dict[tuple[Protocol, int], str]:
    """The same of MPTCP's endpoints, which listen on one address each.

    `orphans` are listeners without a process: where one of them on that port is no endpoint, nobody knows whose it is.
    """
    by_place = {(endpoint.address, endpoint.port): endpoint for endpoint in mptcp.endpoints()}
    owned: dict[tuple[Protocol, int], str] = {}
    for port in {orphan.local_port for orphan in orphans}:
        places = [(unmapped(orphan.local_address), port) for orphan in orphans if orphan.local_port == port]
        if all(place in by_place for place in places):
            numbers = sorted({by_place[place].number for place in places})
            owned["tcp", port] = f"MPTCP endpoint with id {' and '.join(map(str, numbers))} (ip mptcp endpoint)"
    return owned


def _tunnels() -> Iterator[tuple[Protocol, int, str]]:
    try:
        links = rtnetlink.links()
    except OSError:
        return
    for link in links:
        title, port = tunnel(link)
        if port:
            yield "udp", port, f"{title} interface {link.name}"


def tunnel(link: Link) -> tuple[str, int | None]:
    """(what it is called, its local UDP port) of a device; no port where it has none, or does not say."""
    if link.kind == "wireguard":
        return "WireGuard", wireguard.listen_port(link.name)
    title, setting = _TUNNELS.get(link.kind, ("", None))
    port = None if setting is None else link.settings.get(setting)
    return title, int.from_bytes(port, "big") if port else None


def _nfsd() -> Iterator[tuple[Protocol, int, str]]:
    """The NFS server's own list: lines such as `tcp 2049`, `udp 2049`, `rdma 20049`."""
    for line in (procfs.read("fs/nfsd/portlist") or b"").split(b"\n"):
        transport, _, port = line.partition(b" ")
        if transport in (b"tcp", b"udp") and port.isdigit():
            yield ("tcp" if transport == b"tcp" else "udp"), int(port), "NFS server (nfsd)"
