"""Builds the bind table: the rules' prediction from the socket table beside the kernel's answer to a bind.

Where they disagree, the kernel is right and the row says so.
"""

from __future__ import annotations

from portcheck.addresses import ANY6, is_link_local, is_mapped, is_multicast6, is_wildcard
from portcheck.model import Bind, BindRequest, Prediction, Probe, Row
from portcheck.namedtuple import TYPE_CHECKING, NamedTuple
from portcheck.profiles import WILDCARDS, sets_reuseaddr, wildcard_binds
from portcheck.rules import predict
from portcheck.traits import TRAITS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from portcheck.addresses import Address
    from portcheck.model import LocalAddress, Outcome, PortPolicy, Protocol, Scene, Socket
    from portcheck.profiles import Server
    from portcheck.target import Endpoint, Host

    Prober = Callable[[BindRequest], Probe]


class Expected(NamedTuple):
    """What the rules say of one way to bind, for a server with SO_REUSEADDR and one without."""

    with_reuseaddr: Prediction
    without_reuseaddr: Prediction
    refusal: Probe | None = None  # what the host refuses whatever its sockets are


class Outcomes(NamedTuple):
    """The outcomes for both servers, once the kernel has been asked as far as necessary."""

    with_reuseaddr: Outcome
    without_reuseaddr: Outcome
    error: str | None = None
    probed: bool = False
    disagreement: str | None = None


def examine(
    endpoint: Endpoint, sockets: Sequence[Socket], scene: Scene, server: Server, probe: Prober | None
) -> tuple[Row, ...]:
    """A row for every way to bind.  `sockets` are those on this port; `probe` is None for `--no-probe`."""
    reuseaddr = sets_reuseaddr(server, endpoint.protocol, TRAITS[scene.platform])
    return tuple(
        _row(bind, endpoint, sockets, scene, probe, reuseaddr=reuseaddr)
        for bind in ways_to_bind(endpoint, scene, server)
    )


def explained(endpoint: Endpoint, sockets: Sequence[Socket], scene: Scene, server: Server) -> bool:
    """Whether these sockets alone block every way to bind, so that no further states need to be read."""
    return bool(sockets) and all(
        _expect(bind, endpoint, sockets, scene).with_reuseaddr.outcome == "in-use"
        for bind in ways_to_bind(endpoint, scene, server)
    )


def unexplained(rows: Sequence[Row]) -> bool:
    """Whether the kernel refused a bind for a reason that cannot be seen."""
    return any(row.outcome in ("in-use", "denied") and row.error and not row.blocked_by for row in rows)


def _row(
    bind: Bind,
    endpoint: Endpoint,
    sockets: Sequence[Socket],
    scene: Scene,
    probe: Prober | None,
    *,
    reuseaddr: bool,
) -> Row:
    expected = _expect(bind, endpoint, sockets, scene)
    asked = request(bind, endpoint.protocol, endpoint.port, scene.uid, reuseaddr=False)
    if probe is None:
        outcomes = _by_rules(expected)
    elif TRAITS[scene.platform].has_exclusive_binds:
        outcomes = _ask_windows(asked, expected, probe, crowded=_has_connections(sockets))
    elif asked.protocol == "udp":
        outcomes = _ask_udp(asked, expected, probe)
    else:
        outcomes = _ask_tcp(asked, expected, probe)
    outcome = outcomes.with_reuseaddr if reuseaddr else outcomes.without_reuseaddr
    prediction = expected.with_reuseaddr if reuseaddr else expected.without_reuseaddr
    return Row(
        bind,
        outcome,
        outcomes.with_reuseaddr,
        outcomes.without_reuseaddr,
        _error(outcome, outcomes, scene),
        "probe" if outcomes.probed else "rules",
        (prediction.blocked_by or prediction.undecided or prediction.shadows) if outcome == "in-use" else (),
        prediction.shadows if outcome in ("free", "unknown") else (),
        _all(expected.without_reuseaddr),
        outcomes.disagreement,
    )


def _error(outcome: Outcome, outcomes: Outcomes, scene: Scene) -> str | None:
    """The errno for the server asked about; what the other one would get is no error of this row."""
    if outcome == "free":
        return None
    return outcomes.error or (_errno("EADDRINUSE", scene) if outcome == "in-use" else None)


def _errno(name: str, scene: Scene) -> str:
    """Winsock's name of it on Windows."""
    return TRAITS[scene.platform].errno_prefix + name


def _all(prediction: Prediction) -> tuple[int, ...]:
    return tuple(sorted({*prediction.blocked_by, *prediction.undecided, *prediction.shadows}))


def _expect(bind: Bind, endpoint: Endpoint, sockets: Sequence[Socket], scene: Scene) -> Expected:
    table = scene.tables[endpoint.protocol]
    with_, without = (
        predict(
            _as_bound(request(bind, endpoint.protocol, endpoint.port, scene.uid, reuseaddr=reuseaddr), scene),
            sockets,
            scene.platform,
            sees_bound_only=table.sees_bound_only,
            network=scene.network,
        )
        for reuseaddr in (True, False)
    )
    return Expected(with_, without, _refusal(bind, endpoint, scene))


def _as_bound(asked: BindRequest, scene: Scene) -> BindRequest:
    """With the device that every socket of ours has anyway (`ip vrf exec`); a scope outranks it."""
    return asked if asked.device else asked._replace(device=scene.network.device)


def _refusal(bind: Bind, endpoint: Endpoint, scene: Scene) -> Probe | None:
    if bind.family not in scene.families:
        return Probe("unsupported", _errno("EAFNOSUPPORT", scene))
    if bind.address in scene.absent or _tentative(bind, scene) or beyond(bind, scene):
        return Probe("not-available", _errno("EADDRNOTAVAIL", scene))
    if not TRAITS[scene.platform].multicast_streams_bind and endpoint.protocol == "tcp" and is_multicast6(bind.address):
        return Probe("not-available", "EINVAL")  # __inet6_bind: none on a stream socket
    policy = scene.policy
    exempt = policy.wildcards_exempt and is_wildcard(bind.address)
    if endpoint.port < policy.unprivileged_from and not policy.privileged and not exempt:
        return Probe("unknown") if policy.privileged is None else Probe("denied", "EACCES")
    return _excluded(bind, endpoint, policy)


def beyond(bind: Bind, scene: Scene) -> bool:
    """Whether the address is on the other side of a VRF: only a socket that is bound to that VRF can have it."""
    network = scene.network
    if not network.vrfs or bind.interface is None or "%" in bind.address or bind.family in network.nonlocal_bind:
        return False
    own = network.vrf(network.device)
    return all(network.vrf(local.interface) != own for local in scene.addresses if local.address == bind.address)


def _excluded(bind: Bind, endpoint: Endpoint, policy: PortPolicy) -> Probe | None:
    """Windows' own ranges; where they cannot be read, only a bind can tell."""
    kind = endpoint.protocol, bind.family
    if any(
        endpoint.port in exclusion.ports and kind == (exclusion.protocol, exclusion.family)
        for exclusion in policy.excluded
    ):
        return Probe("denied", "WSAEACCES")
    return Probe("unknown") if policy.exclusions.get(endpoint.protocol) is False else None


def _tentative(bind: Bind, scene: Scene) -> bool:
    return bind.interface is not None and any(
        local.tentative and str(local) == bind.address for local in scene.addresses
    )


def _by_rules(expected: Expected) -> Outcomes:
    with_, without = expected.with_reuseaddr, expected.without_reuseaddr
    if expected.refusal is not None:
        return _refused(expected.refusal, with_, without, probed=False)
    return Outcomes(with_.outcome, without.outcome)


def _refused(refusal: Probe, with_: Prediction, without: Prediction, *, probed: bool) -> Outcomes:
    """A refusal that is no conflict; the table may still prove one (a privileged port that a process holds)."""

    def settle(prediction: Prediction) -> Outcome:
        could_conflict = refusal.outcome in ("denied", "unknown")
        return "in-use" if could_conflict and prediction.outcome == "in-use" else refusal.outcome

    return Outcomes(settle(with_), settle(without), refusal.error, probed)


def _ask_tcp(asked: BindRequest, expected: Expected, probe: Prober) -> Outcomes:
    """Always with SO_REUSEADDR, which disturbs no server that sets it too; without it only where the rules cannot tell.

    A bind beside another owner (macOS) is not tried: while it lasts, it would take that owner's new clients.
    """
    with_, without = expected.with_reuseaddr, expected.without_reuseaddr
    if with_.shadows and with_.outcome != "in-use":
        return _by_rules(expected)
    kernel = probe(asked._replace(reuseaddr=True))
    if kernel.outcome == "in-use":
        disagreement = "free" if with_.outcome == "free" else None
        return Outcomes("in-use", "in-use", kernel.error, probed=True, disagreement=disagreement)
    if kernel.outcome != "free":
        return _refused(kernel, with_, without, probed=True)
    plain = probe(asked) if without.outcome == "unknown" else Probe(without.outcome)
    disagreement = "in-use" if with_.outcome == "in-use" else None
    return Outcomes("free", plain.outcome, plain.error, probed=True, disagreement=disagreement)


def _ask_udp(asked: BindRequest, expected: Expected, probe: Prober) -> Outcomes:
    """A plain bind, and only where the rules cannot tell; never SO_REUSEADDR, which would steal datagrams."""
    if expected.refusal is not None or expected.without_reuseaddr.outcome != "unknown":
        return _by_rules(expected)
    kernel = probe(asked)
    with_ = expected.with_reuseaddr.outcome
    return Outcomes("free" if kernel.outcome == "free" else with_, kernel.outcome, kernel.error, probed=True)


def _has_connections(sockets: Sequence[Socket]) -> bool:
    from portcheck.rules.dual_stack import is_connected

    return any(map(is_connected, sockets))


def _ask_windows(asked: BindRequest, expected: Expected, probe: Prober, *, crowded: bool) -> Outcomes:
    """A plain bind, as servers do it there; where no socket shows, one with SO_EXCLUSIVEADDRUSE finds unlisted ones.

    10013 is a conflict where a socket shows (an exclusive owner, or another user's socket), else a policy.  Never
    with SO_REUSEADDR, which takes the port from its owner, nor for UDP beside a socket, which would lose datagrams.
    `crowded`: there are connections, which can be enough to block an exclusive bind.
    """
    with_, without = expected.with_reuseaddr, expected.without_reuseaddr
    met = _all(without)
    if asked.protocol == "udp" and met:
        return _by_rules(expected)
    kernel = probe(asked)
    if kernel.outcome == "in-use" or (kernel.outcome == "denied" and met):
        return Outcomes(with_.outcome, "in-use", kernel.error, probed=True)
    if kernel.outcome != "free":
        return _refused(kernel, with_, without, probed=True)
    if met or crowded or asked.protocol == "udp":
        disagreement = "in-use" if without.outcome == "in-use" else None
        return Outcomes(with_.outcome, "free", probed=True, disagreement=disagreement)
    alone = probe(asked._replace(exclusive=True))
    if alone.outcome == "free":
        return Outcomes("free", "free", probed=True)
    held = alone.outcome in ("in-use", "denied")
    return Outcomes("unknown", "in-use" if held else "unknown", alone.error, probed=True)


def ways_to_bind(endpoint: Endpoint, scene: Scene, server: Server) -> tuple[Bind, ...]:
    """Every way to bind that the question is about, wildcards first, each once."""
    ways = (way for host in endpoint.hosts for way in _ways(host, scene, server))
    return tuple(dict.fromkeys(ways))


def _ways(host: Host, scene: Scene, server: Server) -> Iterator[Bind]:
    if host.kind == "addresses":
        for address in host.addresses:
            yield from _named(address, scene, server)
        return
    if host.kind != "interface":
        usual = wildcard_binds(server, scene.families)
        yield from usual or WILDCARDS
        if host.kind == "wildcard" or usual:
            return
    for local in scene.addresses:
        if host.kind == "every" or local.interface == host.text:
            yield _concrete(local)


def _concrete(local: LocalAddress) -> Bind:
    # binding a concrete IPv6 address sets IPV6_V6ONLY by itself
    return Bind(str(local), local.family, True if local.family == "ipv6" else None, local.interface)


def _named(address: Address, scene: Scene, server: Server) -> Iterator[Bind]:
    """An address that the user named: `::` both ways, a link-local one on each interface that has it."""
    if address.text == ANY6:
        usual = [way for way in server.binds or () if way.address == ANY6]
        yield from usual or WILDCARDS[1:]
        return
    here = [local for local in scene.addresses if local.address == address.text]
    if address.zone:
        yield Bind(str(address), address.family, v6only=True, interface=address.zone)
    elif is_link_local(address.text) and here:
        yield from map(_concrete, here)
    else:
        v6only = None if address.family == "ipv4" else not is_mapped(address.text)
        yield Bind(address.text, address.family, v6only, here[0].interface if here else None)


def request(bind: Bind, protocol: Protocol, port: int, uid: int | None, *, reuseaddr: bool) -> BindRequest:
    """The bind as the kernel gets it."""
    address, _, zone = bind.address.partition("%")
    return BindRequest(protocol, bind.family, address, port, bind.v6only, zone or None, reuseaddr, uid=uid)
