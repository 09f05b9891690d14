"""One look at this host: everything that the ports of a question need, each table read once, /proc walked once."""

from __future__ import annotations

import os
import time

from portcheck.model import OUTSIDE, BlindSpot, PortPolicy, PortRange, Scene
from portcheck.namedtuple import TYPE_CHECKING
from portcheck.observe import interfaces, probe, sockets, system
from portcheck.observe.linux.packet_filter import redirected

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from portcheck.model import LocalAddress, Protocol, Socket, SocketTable
    from portcheck.observe.sockets import Depth
    from portcheck.target import Endpoint

    Enough = Callable[[Scene], bool]
    Tables = dict[Protocol, SocketTable]


def look(endpoints: Sequence[Endpoint], *, may_bind: bool, enough: Enough, verbose: bool = False) -> Scene:
    """Sees what concerns these endpoints.

    On Linux what listens is read first; every other state only where `enough` says that it does not yet explain the
    answer (a busy server has 50,000 connections that nobody needs to see); other systems tell all at once.  `may_bind`
    False asks the kernel for nothing but its tables.  `verbose` also looks into other network namespaces.
    """
    asked = {
        # TCP questions look at UDP too, never the other way round
        protocol: ranges_of(endpoint.port for endpoint in endpoints if protocol in ("udp", endpoint.protocol))
        for protocol in _protocols(endpoints)
    }
    scene = _host(endpoints)
    if scene.platform == "linux":
        scene = scene._replace(tables=_tables(asked, "listeners", may_bind=may_bind))
        if "tcp" in asked and not enough(scene):  # UDP was whole already
            connections = _tables({"tcp": asked["tcp"]}, "everything", may_bind=may_bind)
            scene = scene._replace(tables={**scene.tables, **connections})
        scene = _past_sockets(scene, asked, verbose=verbose)
    else:
        scene = scene._replace(tables=_tables(asked, "everything", may_bind=may_bind))
        if not may_bind:
            from portcheck.observe.second_look import without_binds

            scene = without_binds(scene)
    return _with_holders(scene)


def _host(endpoints: Sequence[Endpoint]) -> Scene:
    """What is the same for every port: addresses, families, policy."""
    now = time.time()
    addresses, unseen = _addresses()
    return Scene(
        platform=system.PLATFORM,
        uid=_uid(),
        tables={},
        processes={},
        hidden={},
        addresses=addresses,
        families=("ipv4", "ipv6") if probe.has_ipv6() else ("ipv4",),
        policy=system.policy(),
        absent=tuple(_absent(endpoints, addresses)),
        blind_spots=unseen,
        now=now,
    )


def _addresses() -> tuple[tuple[LocalAddress, ...], tuple[BlindSpot, ...]]:
    try:
        return interfaces.local_addresses(), ()
    except OSError as refusal:
        said = f"the addresses of this host's interfaces are not told here: {refusal.strerror or refusal}"
        return (), (BlindSpot("addresses-not-seen", said, OUTSIDE),)


def _tables(asked: Mapping[Protocol, tuple[PortRange, ...] | None], depth: Depth, *, may_bind: bool) -> Tables:
    return {
        protocol: sockets.look(protocol, ports, depth=depth, may_bind=may_bind) for protocol, ports in asked.items()
    }


def _past_sockets(scene: Scene, asked: Mapping[Protocol, tuple[PortRange, ...]], *, verbose: bool) -> Scene:
    """What sockets do not show: packet-filter rules, and for `verbose` other network namespaces."""
    scene = scene._replace(redirected=redirected(asked))
    if not verbose:
        return scene
    from portcheck.observe.linux.namespaces import listeners_elsewhere

    return scene._replace(elsewhere=listeners_elsewhere(asked))


def _with_holders(scene: Scene) -> Scene:
    """On an idle host there is nobody to look for, and nothing to import for it."""
    if not scene.elsewhere and not any(table.sockets for table in scene.tables.values()):
        return scene
    from portcheck.observe.holders import with_holders

    return with_holders(scene)


def _protocols(endpoints: Iterable[Endpoint]) -> list[Protocol]:
    """Those asked for; with TCP also UDP, whose holder of the same number is worth a note."""
    found = {endpoint.protocol for endpoint in endpoints}
    return ["tcp", "udp"] if "tcp" in found else ["udp"]


def _absent(endpoints: Iterable[Endpoint], addresses: Iterable[LocalAddress]) -> set[str]:
    """Named addresses that this host does not have (the routing table knows of more than the interfaces show)."""
    here = {local.address for local in addresses} | {"0.0.0.0", "::"}
    named = {address for endpoint in endpoints for host in endpoint.hosts for address in host.addresses}
    return {
        str(address) for address in named if address.text not in here and interfaces.is_local(str(address)) is False
    }


def survey(protocols: Iterable[Protocol], ports: tuple[PortRange, ...] | None, depth: Depth) -> Scene:
    """Every socket of these ports (None: all) with its holders, for listing; nothing is asked about binds."""
    scene = Scene(
        platform=system.PLATFORM,
        uid=_uid(),
        tables=_tables(dict.fromkeys(protocols, ports), depth, may_bind=False),
        processes={},
        hidden={},
        addresses=(),
        families=(),
        policy=PortPolicy(),
        now=time.time(),
    )
    return _with_holders(scene)


def listening_or_bound(endpoints: Iterable[Endpoint]) -> list[Socket]:
    """What listens or is bound on the ports of these endpoints, without its holders.

    For whoever looks many times: one short dump for each protocol, which leaves out everybody's connections.
    """
    ports: dict[Protocol, list[int]] = {}
    for endpoint in endpoints:
        ports.setdefault(endpoint.protocol, []).append(endpoint.port)
    asked = {protocol: ranges_of(numbers) for protocol, numbers in ports.items()}
    tables = _tables(asked, "listeners", may_bind=False)
    return [socket for table in tables.values() for socket in table.sockets]


def fingerprint(sockets: Iterable[Socket]) -> frozenset[object]:
    """What stays the same while the same sockets hold the ports, however many clients queue up at them."""
    return frozenset((socket.inode, socket.local_address, socket.state) for socket in sockets)


def _uid() -> int | None:
    return os.getuid() if hasattr(os, "getuid") else None


def ranges_of(ports: Iterable[int]) -> tuple[PortRange, ...]:
    """The ports as ranges without gaps: the kernel filters a thousand ports as quickly as one."""
    ranges: list[PortRange] = []
    for port in sorted(set(ports)):
        if ranges and ranges[-1].last == port - 1:
            ranges[-1] = PortRange(ranges[-1].first, port)
        else:
            ranges.append(PortRange(port, port))
    return tuple(ranges)
