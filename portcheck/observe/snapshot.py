"""Looks at this host once for all ports of a question: each table is read once, and /proc walked once."""

from __future__ import annotations

import time

from portcheck.model import OUTSIDE, BlindSpot, PortPolicy, PortRange, Scene
from portcheck.namedtuple import TYPE_CHECKING
from portcheck.observe import probe
from portcheck.observe.system import BACK_END, own_uid
from portcheck.traits import PLATFORM

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from portcheck.model import Family, LocalAddress, Protocol, Socket, SocketTable
    from portcheck.observe.back_end import Depth
    from portcheck.observe.probe import Refusal
    from portcheck.target import Endpoint

    Enough = Callable[[Scene], bool]
    Tables = dict[Protocol, SocketTable]
    Asked = Mapping[Protocol, tuple[PortRange, ...] | None]

FAMILIES: tuple[Family, ...] = ("ipv4", "ipv6")
NAMES = {"ipv4": "IPv4", "ipv6": "IPv6"}


def look(
    endpoints: Sequence[Endpoint],
    *,
    may_bind: bool,
    enough: Enough,
    verbose: bool = False,
    with_localhost: bool = False,
    every_port: bool = False,
) -> Scene:
    """Everything that concerns these endpoints.

    Where listeners are told apart they are read first, and every other state only if `enough` says that they do not
    explain the answer yet: a busy server has 50,000 connections that nobody needs to see.  `may_bind` False asks the
    kernel for nothing but its tables.  `verbose` also looks into other network namespaces.
    `with_localhost` looks that name up even where nothing holds a port.  `every_port` adds what listens on all others.
    """
    asked = {
        # TCP questions look at UDP too, never the other way round
        protocol: ranges_of(endpoint.port for endpoint in endpoints if protocol in ("udp", endpoint.protocol))
        for protocol in _protocols(endpoints)
    }
    scene = _host(endpoints)
    if with_localhost:
        from portcheck.observe.databases import localhost

        scene = scene._replace(localhost=localhost())
    depth: Depth = "listeners" if BACK_END.listeners_come_first else "everything"
    ports: Asked = {"tcp": None, "udp": None} if every_port else asked
    scene = scene._replace(tables=_tables(ports, depth, may_bind=may_bind))
    if depth == "listeners" and "tcp" in asked and not enough(scene):  # UDP was whole already
        everything = BACK_END.with_connections(scene.tables["tcp"], asked["tcp"])
        scene = scene._replace(tables={**scene.tables, "tcp": everything})
    if not may_bind:
        scene = BACK_END.before_rules(scene)
    return _with_holders(BACK_END.past_sockets(scene, asked, verbose=verbose))


def _host(endpoints: Sequence[Endpoint]) -> Scene:
    """What is the same for every port: addresses, families, policy."""
    now = time.time()
    addresses, unseen = _addresses()
    refusals = {family: probe.family_refusal(family) for family in FAMILIES}
    return Scene(
        platform=PLATFORM,
        uid=own_uid(),
        confined=BACK_END.confined(),
        tables={},
        processes={},
        hidden={},
        addresses=addresses,
        families=tuple(family for family, refusal in refusals.items() if refusal is None),
        refused_families=tuple(family for family, refusal in refusals.items() if refusal == "sandbox"),
        policy=BACK_END.policy(),
        absent=tuple(_absent(endpoints, addresses)),
        network=BACK_END.network(),
        blind_spots=(*unseen, *_forbidden(refusals)),
        now=now,
    )


def _forbidden(refusals: Mapping[Family, Refusal | None]) -> Iterator[BlindSpot]:
    """What a sandbox refuses to us it may let the server have, or not."""
    names = [NAMES[family] for family, refusal in refusals.items() if refusal == "sandbox"]
    if names:
        yield BlindSpot(
            "family-refused", f"a sandbox lets this process make no {' and no '.join(names)} socket", OUTSIDE
        )


def _addresses() -> tuple[tuple[LocalAddress, ...], tuple[BlindSpot, ...]]:
    try:
        return BACK_END.addresses(), ()
    except OSError as refusal:
        message = f"the addresses of this host's interfaces are not told here: {refusal.strerror or refusal}"
        return (), (BlindSpot("addresses-not-seen", message, OUTSIDE),)


def _tables(asked: Asked, depth: Depth, *, may_bind: bool) -> Tables:
    return {
        protocol: BACK_END.sockets(protocol, ports, depth=depth, may_bind=may_bind) for protocol, ports in asked.items()
    }


def _with_holders(scene: Scene) -> Scene:
    """On an idle host there is nobody to look for, and nothing to import."""
    if not scene.elsewhere and not any(table.sockets for table in scene.tables.values()):
        return scene
    from portcheck.observe.holders import with_holders

    return with_holders(scene)


def _protocols(endpoints: Iterable[Endpoint]) -> list[Protocol]:
    """Those asked for; with TCP also UDP, whose holder of the same number is worth a note."""
    return ["tcp", "udp"] if any(endpoint.protocol == "tcp" for endpoint in endpoints) else ["udp"]


def _absent(endpoints: Iterable[Endpoint], addresses: Iterable[LocalAddress]) -> set[str]:
    """Named addresses that this host does not have (the routing table knows of more than the interfaces show)."""
    here = {local.address for local in addresses} | {"0.0.0.0", "::"}
    named = {address for endpoint in endpoints for host in endpoint.hosts for address in host.addresses}
    elsewhere = [address for address in named if address.text not in here]
    if not elsewhere:
        return set()
    from portcheck.observe.interfaces import is_local

    return {str(address) for address in elsewhere if is_local(str(address)) is False}


def survey(protocols: Iterable[Protocol], ports: tuple[PortRange, ...] | None, depth: Depth) -> Scene:
    """Every socket of these ports (None: all) with its holders, for listing; nothing is asked about binds."""
    return _with_holders(_tables_alone(protocols, ports, depth))


def _tables_alone(protocols: Iterable[Protocol], ports: tuple[PortRange, ...] | None, depth: Depth) -> Scene:
    return Scene(
        platform=PLATFORM,
        uid=own_uid(),
        confined=BACK_END.confined(),
        tables=_tables(dict.fromkeys(protocols, ports), depth, may_bind=False),
        processes={},
        hidden={},
        addresses=(),
        families=(),
        policy=PortPolicy(),
        now=time.time(),
    )


def glance(protocols: Iterable[Protocol], ports: tuple[PortRange, ...] | None) -> Scene:
    """What listens or is bound on these ports (None: all) without its holders, for whoever looks many times."""
    return _tables_alone(protocols, ports, "listeners")


def listeners_with_pids() -> list[Socket]:
    """What listens or is bound on any port, with the PIDs of its holders and nothing else about them."""
    scene = BACK_END.with_pids(_tables_alone(("tcp", "udp"), None, "listeners"))
    return [socket for table in scene.tables.values() for socket in table.sockets]


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


def ranges_of(ports: Iterable[int]) -> tuple[PortRange, ...]:
    """The ports as ranges without gaps: the kernel filters a thousand ports as quickly as one."""
    ranges: list[PortRange] = []
    for port in sorted(set(ports)):
        if ranges and ranges[-1].last == port - 1:
            ranges[-1] = PortRange(ranges[-1].first, port)
        else:
            ranges.append(PortRange(port, port))
    return tuple(ranges)
