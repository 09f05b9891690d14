"""What takes connections past every socket: redirections by the packet filter and by IPVS, sk_lookup programs.

A server that listens there is not reached, or not by all of its clients, though the port is free.  On a host without
any of that this costs a question to the kernel; the rules are read (`filter/`) only where there are some.
"""

from __future__ import annotations

import errno
import os

from portcheck.model import AS_ROOT, OUTSIDE, BlindSpot
from portcheck.namedtuple import TYPE_CHECKING
from portcheck.observe.linux import procfs
from portcheck.observe.linux.netlink import Netlink, attributes

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from portcheck.model import LocalAddress, Protocol, Redirection, Scene
    from portcheck.observe.back_end import Ranges

    Table = tuple[int, bytes]
    Redirections = Mapping[tuple[Protocol, int], tuple[Redirection, ...]]

NETLINK_NETFILTER = 12
_GET_TABLE = 10 << 8 | 1  # NFNL_SUBSYS_NFTABLES, NFT_MSG_GETTABLE (linux/netfilter/nf_tables.h)
_HEADER_SIZE = 4  # of an nfgenmsg: family, version, resource
_TABLE_NAME, _TABLE_FLAGS, _DORMANT = 1, 2, 1
# How the kernel says that it has no nf_tables, or no netfilter at all.
_ABSENT = (errno.EPROTONOSUPPORT, errno.EINVAL, errno.EOPNOTSUPP)
_LEGACY = ("net/ip_tables_names", "net/ip6_tables_names")
_SENDING = {b"nat", b"mangle"}
_MOST_BYTES = 1 << 24  # of IPVS' list, with 70 for each server

# Whose addresses these are, publishes ports or balances load by the packet filter.
_ALWAYS = ("kube-ipvs", "flannel", "cilium_host", "vxlan.calico", "weave", "kube-bridge", "nodelocaldns")
# These do while a container is attached to them.
_WHILE_ATTACHED = ("docker", "br-", "podman", "cni", "lxdbr", "incusbr", "nerdctl")
_KUBELET = ("/sys/fs/cgroup/kubepods.slice", "/sys/fs/cgroup/kubepods")


def with_redirections(scene: Scene, asked: Ranges) -> Scene:
    """The scene with what takes connections past its sockets."""
    spots: list[BlindSpot] = []
    redirected = {key: list(each) for key, each in _by_rules(scene, asked, spots).items()}
    for key, redirection in _by_ipvs(scene, asked, spots):
        redirected.setdefault(key, []).append(redirection)
    return scene._replace(
        redirected={key: tuple(each) for key, each in redirected.items()},
        socket_lookups=_lookup_programs(),
        blind_spots=(*scene.blind_spots, *spots),
    )


def _lookup_programs() -> tuple[str, ...]:
    """Told to root alone; for others nothing shows whether there may be any."""
    if os.geteuid() != 0:
        return ()
    from portcheck.observe.linux import sk_lookup

    return sk_lookup.programs()


def _by_rules(scene: Scene, asked: Ranges, spots: list[BlindSpot]) -> Redirections:
    if os.geteuid() != 0:
        spots += _unreadable(scene, "told to root alone", AS_ROOT)
        return {}
    legacy = [name for name in _LEGACY if set((procfs.read(name) or b"").split()) & _SENDING]
    try:
        with Netlink(NETLINK_NETFILTER) as link:
            tables = [
                table for table, flags in link.dump(_GET_TABLE, bytes(_HEADER_SIZE), read_table) if not flags & _DORMANT
            ]
            return _followed(link, tables, legacy, scene, asked, spots)
    except OSError as refusal:
        if refusal.errno not in _ABSENT:
            spots += _unreadable(scene, f"refused here: {refusal.strerror or refusal}", OUTSIDE)
    return _followed(None, [], legacy, scene, asked, spots)


def read_table(message: bytes) -> tuple[Table, int]:
    """((family, name), flags) of a table of nf_tables."""
    found = dict(attributes(message, _HEADER_SIZE))
    return (message[0], found[_TABLE_NAME]), int.from_bytes(found.get(_TABLE_FLAGS, b""), "big")


def _followed(
    link: Netlink | None,
    tables: Sequence[Table],
    legacy: Sequence[str],
    scene: Scene,
    asked: Ranges,
    spots: list[BlindSpot],
) -> Redirections:
    """Where the rules of these tables lead; that there are any is known."""
    if not tables and not legacy:
        return {}
    from portcheck.observe.linux.filter import redirections

    try:
        entries = redirections.entries(link, tables, legacy)
        return redirections.redirections(entries, asked, scene.addresses)
    except OSError as error:
        message = f"the rules of the packet filter could not be followed to the end: {error.strerror or error}"
        spots.append(BlindSpot("redirections-not-seen", message))
        return {}


def _by_ipvs(scene: Scene, asked: Ranges, spots: list[BlindSpot]) -> Iterator[tuple[tuple[Protocol, int], Redirection]]:
    listing = procfs.read("net/ip_vs", _MOST_BYTES)
    if not listing:
        return
    from portcheck.observe.linux.filter import ipvs

    text = listing.decode("ascii", "replace")
    yield from ipvs.services(text, asked, {local.address for local in scene.addresses})
    if ipvs.takes_marked_packets(text):
        message = "IPVS takes connections that the packet filter has marked: for which ports is not looked at"
        spots.append(BlindSpot("redirections-not-seen", message))


def _unreadable(scene: Scene, why: str, remedy: str) -> Iterator[BlindSpot]:
    """Only where somebody is there who redirects ports: else every desktop would have this gap."""
    by = _redirector(scene.addresses)
    if by:
        message = f"{by}, and the rules by which the packet filter redirects ports are {why}"
        yield BlindSpot("redirections-not-seen", message, remedy)


def _redirector(addresses: Iterable[LocalAddress]) -> str | None:
    """What shows that ports are redirected here, as the beginning of a sentence."""
    names = dict.fromkeys(local.interface for local in addresses)
    always = next((name for name in names if name.startswith(_ALWAYS)), None)
    if always:
        return f"{always} is a container network's"
    candidates = {name for name in names if name.startswith(_WHILE_ATTACHED)}
    in_use = sorted(candidates & _bridges_in_use()) if candidates else []
    if in_use:
        return f"containers are attached to {in_use[0]}"
    return "a kubelet runs here" if any(map(os.path.isdir, _KUBELET)) else None


def _bridges_in_use() -> set[str]:
    """The bridges to which something is attached."""
    from portcheck.observe.linux import rtnetlink

    try:
        links = rtnetlink.links()
    except OSError:
        return set()
    attached = {link.bridge for link in links}
    return {link.name for link in links if link.number in attached}
