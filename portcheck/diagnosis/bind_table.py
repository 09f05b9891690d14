"""Builds the bind table: the rules' prediction from the socket table beside the kernel's answer to a bind.

Where they disagree, the kernel is right and the row says so.  On Unix TCP is bound with SO_REUSEADDR, and UDP not at
all: a plain bind can make a server fail that starts at that moment.  What neither that bind nor the rules can tell
stays `unknown`, unless the question allows plain binds (`Question.may_bind_plainly`).
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
    from portcheck.profiles import Question, Server
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
    endpoint: Endpoint, sockets: Sequence[Socket], scene: Scene, question: Question, probe: Prober | None
) -> tuple[Row, ...]:
    """A row for every way to bind.  `sockets` are those on this port; `probe` is None for `--no-probe`."""
    reuseaddr = sets_reuseaddr(question.server, endpoint.protocol, TRAITS[scene.platform])
    rows = tuple(
        _row(bind, endpoint, sockets, scene, probe, reuseaddr=reuseaddr)
        for bind in ways_to_bind(endpoint, scene, question.server)
    )
    # Windows has nothing but plain binds: they are made already.
    if probe is None or not question.may_bind_plainly or TRAITS[scene.platform].has_exclusive_binds:
        return rows
    return _tried_plainly(rows, endpoint, scene, question, probe)


def explained(endpoint: Endpoint, sockets: Sequence[Socket], scene: Scene, server: Server) -> bool:
    """Whether these sockets alone block every way to bind, so that no further states need to be read."""
    return bool(sockets) and all(
        _expect(bind, endpoint, sockets, scene).with_reuseaddr.outcome == "in-use"
        for bind in ways_to_bind(endpoint, scene, server)
    )


def unexplained(rows: Sequence[Row]) -> bool:
    """Whether the kernel refused a bind for a reason that cannot be seen."""
    return any(
        (row.outcome in ("in-use", "denied") and row.error and not row.blocked_by) or refused_by_nobody_seen(row)
        for row in rows
    )


def telling(answers: Sequence[tuple[BindRequest, Probe]], scene: Scene) -> Iterator[tuple[BindRequest, Probe]]:
    """Of what the kernel has answered for one port, what has to be asked for the next one.

    A wildcard meets every socket that an address of its family would meet: where that was answered as the wildcard
    was, it is again.  (A family keeps one bind of its own: systemd's SocketBindDeny= refuses by family and port.)
    """
    for bind, answer in answers:
        if not any(other == answer and _meets_all_of(wider, bind, scene) for wider, other in answers):
            yield bind, answer


def _meets_all_of(wider: BindRequest, bind: BindRequest, scene: Scene) -> bool:
    """Whether no socket can be in the way of a bind that is not in the way of this wider one.

    With a VRF the devices of two binds may have tables of their own.
    """
    if not TRAITS[scene.platform].wildcards_meet_addresses or not is_wildcard(wider.address) or wider == bind:
        return False
    alike = wider._replace(address=bind.address, v6only=bind.v6only, device=bind.device) == bind
    within = wider.v6only is not True or (bind.v6only is True and bind.address != ANY6)
    return alike and within and (wider.device == bind.device or scene.network.vrfs == {})


def _tried_plainly(
    rows: tuple[Row, ...], endpoint: Endpoint, scene: Scene, question: Question, probe: Prober
) -> tuple[Row, ...]:
    """The rows with what the kernel says to a plain bind, where neither the rules nor SO_REUSEADDR could tell.

    Who looks for a port to take will not take one of which a bind is refused: then no other is tried there.
    """
    tried = list(rows)
    reuseaddr = sets_reuseaddr(question.server, endpoint.protocol, TRAITS[scene.platform])
    for place, row in enumerate(rows):
        if question.to_take and any(map(_is_in_the_way, tried)):
            break
        if row.without_reuseaddr == "unknown" and not row.shadows:
            kernel = probe(request(row.bind, endpoint.protocol, endpoint.port, scene.uid, reuseaddr=False))
            tried[place] = _with_plain(row, kernel, reuseaddr=reuseaddr)
    return tuple(tried)


def _with_plain(row: Row, kernel: Probe, *, reuseaddr: bool) -> Row:
    """Where it went through, a server with SO_REUSEADDR would meet nobody either."""
    with_ = "free" if kernel.outcome == "free" else row.with_reuseaddr
    row = row._replace(with_reuseaddr=with_, without_reuseaddr=kernel.outcome, method="probe")
    if reuseaddr:
        return row._replace(outcome=with_)
    met = row.conflicts if kernel.outcome == "in-use" else ()
    return row._replace(outcome=kernel.outcome, error=kernel.error, blocked_by=met)


def _is_in_the_way(row: Row) -> bool:
    return row.outcome in ("in-use", "denied") or bool(row.shadows) or refused_by_nobody_seen(row)


def refused_by_nobody_seen(row: Row) -> bool:
    """Whether the kernel refuses one of the two servers, and no socket explains it: so somebody is there."""
    return "in-use" in (row.with_reuseaddr, row.without_reuseaddr) and not (row.conflicts or row.shadows)


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
        # There is no harmless bind: a plain one may meet a server that starts, SO_REUSEADDR would steal its datagrams.
        outcomes = _by_rules(expected)
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
    refusal = _refusal(bind, endpoint, scene)
    if bind.family not in (*scene.families, *scene.refused_families):  # then no socket can be in the way either
        return Expected(Prediction("unsupported"), Prediction("unsupported"), refusal)
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
    return Expected(with_, without, refusal)


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
    """A refusal that is no conflict; the table may still prove one.

    So it is with a privileged port that a process holds, and with a family that a sandbox refuses to us alone.
    """

    def settle(prediction: Prediction) -> Outcome:
        could_conflict = refusal.outcome in ("denied", "unknown", "unsupported")
        return "in-use" if could_conflict and prediction.outcome == "in-use" else refusal.outcome

    return Outcomes(settle(with_), settle(without), refusal.error, probed)


def _ask_tcp(asked: BindRequest, expected: Expected, probe: Prober) -> Outcomes:
    """Always with SO_REUSEADDR, which disturbs no server that sets it too; what one without it meets the rules tell.

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
    disagreement = "in-use" if with_.outcome == "in-use" else None
    return Outcomes("free", without.outcome, probed=True, disagreement=disagreement)


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
    ways = dict.fromkeys(way for host in endpoint.hosts for way in _ways(host, scene, server))
    if endpoint.family is None:
        return tuple(ways)
    if any(host.kind in ("every", "wildcard") for host in endpoint.hosts):
        ways |= dict.fromkeys(WILDCARDS)  # a server that usually binds in the other family can be told to
    asked = [way for way in ways if way.family == endpoint.family]
    # With -6 one that takes IPv4 too is no question, unless its address was named
    return tuple(way for way in asked if way.v6only is not False) or tuple(asked)


def _ways(host: Host, scene: Scene, server: Server) -> Iterator[Bind]:
    if host.kind == "addresses":
        for address in host.addresses:
            yield from _named(address, scene, server)
        return
    if host.kind != "interface":
        usual = wildcard_binds(server, scene.families, scene.localhost)
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
