"""Observation → diagnosis: verdict, cause, who, and what could not be seen.  Pure."""

from __future__ import annotations

from portcheck.addresses import is_wildcard
from portcheck.diagnosis.bind_table import refused_by_nobody_seen
from portcheck.diagnosis.blind_spots import blind_spots
from portcheck.diagnosis.notes import fallback, notes
from portcheck.diagnosis.relevant import bound_by_someone, given_up, named_addresses, relevant, tried
from portcheck.diagnosis.sentence import sentence
from portcheck.model import Answer, Diagnosis, LocalAddress, Owner, Process, Sentence
from portcheck.namedtuple import TYPE_CHECKING
from portcheck.rules.reachability import answering

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from portcheck.model import Cause, Outcome, PortPolicy, Row, Scene, Socket, State, Verdict
    from portcheck.profiles import Server
    from portcheck.target import Endpoint

SHOWN_AT_MOST = 1000
UNSAID = Sentence("", "", "")  # until everything is known that the sentence is about
WORST_FIRST: tuple[Verdict, ...] = ("in-use", "denied", "unavailable", "unknown", "free")
VERDICTS: dict[Outcome, Verdict] = {
    "in-use": "in-use",
    "denied": "denied",
    "not-available": "unavailable",
    "unsupported": "unavailable",
    "unknown": "unknown",
    "free": "free",
}
# The best explanation first: what a person can act on outranks what goes away by itself.
CAUSES: tuple[Cause, ...] = ("listener", "bound", "kernel", "udp-socket", "connection", "closing", "time-wait")
PASSING: tuple[State, ...] = ("FIN-WAIT-1", "FIN-WAIT-2", "CLOSING", "LAST-ACK")


def diagnose(
    endpoint: Endpoint, rows: tuple[Row, ...], on_port: Sequence[Socket], scene: Scene, server: Server
) -> Diagnosis:
    """The whole answer for one port but the advice.  `rows` refer to `on_port`, the port's sockets in the table."""
    asked = tried(endpoint, rows, on_port, scene, server)
    shown = _shown(endpoint, relevant(endpoint, rows), on_port, scene, server)
    sockets = tuple(on_port[index] for index in shown)
    table = scene.tables[endpoint.protocol]
    verdict = _verdict(asked, on_port, scene)
    finding = Diagnosis(
        target=endpoint.target,
        protocol=endpoint.protocol,
        port=endpoint.port,
        host=endpoint.host,
        verdict=verdict,
        cause=_cause(verdict, asked, on_port, endpoint, scene),
        sentence=UNSAID,
        complete=True,
        binds=_renumbered(rows, shown),
        sockets=sockets,
        connections=_counted(on_port, shown) if table.depth == "everything" else None,
        owners=_owners(sockets, scene),
        notes=(*notes(endpoint, rows, scene), *fallback(asked, given_up(asked, rows, on_port, server))),
        answers=_answers(endpoint, sockets, scene),
    )
    unseen = blind_spots(finding, asked, on_port, scene)
    finding = finding._replace(blind_spots=unseen, complete=not unseen)
    chosen = tried(endpoint, finding.binds, sockets, scene, server)
    return finding._replace(sentence=sentence(finding, chosen, scene, server))


def _verdict(rows: Sequence[Row], on_port: Sequence[Socket], scene: Scene) -> Verdict:
    if not rows:  # an interface without addresses, or addresses that cannot be seen
        return "unknown" if any(spot.code == "addresses-not-seen" for spot in scene.blind_spots) else "unavailable"
    verdicts = {VERDICTS[row.outcome] for row in rows}
    if any(row.shadows or bound_by_someone(row, on_port) or refused_by_nobody_seen(row) for row in rows):
        verdicts.add("in-use")
    return next((verdict for verdict in WORST_FIRST if verdict in verdicts), "unknown")


def cause_of(socket: Socket, scene: Scene) -> Cause:
    """What kind of obstacle this socket is."""
    if not socket.pids and (socket.protocol, socket.local_port) in scene.kernel_owned:
        return "kernel"
    if socket.protocol == "udp":
        return "udp-socket"
    if socket.state == "LISTEN":
        return "listener"
    if socket.state == "BOUND":
        return "bound"
    if socket.state == "TIME-WAIT":
        return "time-wait"
    return "closing" if socket.state in PASSING and not (socket.inode or socket.pids) else "connection"


def _cause(
    verdict: Verdict, rows: Sequence[Row], on_port: Sequence[Socket], endpoint: Endpoint, scene: Scene
) -> Cause | None:
    if verdict == "denied":
        return _forbidden_by(endpoint, scene.policy)
    if verdict == "unavailable":
        if not rows or any(row.outcome != "unsupported" for row in rows):
            return "address"
        return "policy" if any(row.bind.family in scene.refused_families for row in rows) else "family"
    blocking = {index for row in rows for index in (*row.blocked_by, *row.shadows)}
    if not blocking:  # free or unknown, yet a server with other options would be refused
        blocking = {index for row in rows if row.without_reuseaddr != "free" for index in row.conflicts}
        if verdict == "in-use":  # by who has bound it, or by nobody seen
            blocking = {index for index in blocking if on_port[index].state == "BOUND"}
    causes = {cause_of(on_port[index], scene) for index in blocking}
    return next((cause for cause in CAUSES if cause in causes), None)


def _forbidden_by(endpoint: Endpoint, policy: PortPolicy) -> Cause | None:
    """None where Windows refuses it, and its excluded port ranges cannot be read."""
    protocol, port = endpoint.protocol, endpoint.port
    if any(port in exclusion.ports for exclusion in policy.excluded if exclusion.protocol == protocol):
        return "reserved"
    if policy.exclusions.get(protocol) is False:
        return None
    return "privileged" if port < policy.unprivileged_from and policy.privileged is not True else "policy"


def _shown(
    endpoint: Endpoint, rows: Sequence[Row], on_port: Sequence[Socket], scene: Scene, server: Server
) -> list[int]:
    """The sockets that explain the answer: those that listen or are bound, and others only where these do not suffice.

    Where an address, an interface or a server was named, sockets on other addresses do not matter.
    """
    concern = {index for row in rows for index in (*row.conflicts, *row.shadows)}
    everywhere = server.binds is None and any(host.kind in ("every", "wildcard") for host in endpoint.hosts)
    shown = {index for index, socket in enumerate(on_port) if _holds(socket) and (everywhere or index in concern)}
    for row in rows:
        if shown.isdisjoint(row.conflicts):
            shown.update(row.conflicts)

    def rank(index: int) -> tuple[int, str, str, int]:
        """The best explanation first, then in an order that is the same at every look."""
        socket = on_port[index]
        return CAUSES.index(cause_of(socket, scene)), socket.family, socket.local_address, index

    return sorted(shown, key=rank)[:SHOWN_AT_MOST]


def _holds(socket: Socket) -> bool:
    return socket.state in ("LISTEN", "BOUND") or (socket.protocol == "udp" and socket.remote_port is None)


def _counted(on_port: Sequence[Socket], shown: Sequence[int]) -> dict[str, int]:
    """How many more sockets of this port exist, by state."""
    hidden = set(range(len(on_port))).difference(shown)
    counts: dict[str, int] = {}
    for index in hidden:
        state = on_port[index].state or "CONNECTED"
        counts[state] = counts.get(state, 0) + 1
    return counts


def _renumbered(rows: Iterable[Row], shown: Sequence[int]) -> tuple[Row, ...]:
    """The rows with indexes into the sockets that are shown."""
    place = {index: position for position, index in enumerate(shown)}

    def renumber(indexes: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(place[index] for index in indexes if index in place)

    return tuple(
        row._replace(
            blocked_by=renumber(row.blocked_by),
            shadows=renumber(row.shadows),
            conflicts=renumber(row.conflicts),
        )
        for row in rows
    )


def _owners(sockets: Sequence[Socket], scene: Scene) -> tuple[Owner, ...]:
    """Every process that holds one of the sockets, and what is known of the holders that cannot be seen."""
    held: dict[int, list[int]] = {}
    hidden: dict[Process, list[int]] = {}
    for index, socket in enumerate(sockets):
        for pid in socket.pids or ():
            held.setdefault(pid, []).append(index)
        if socket.pids is None and socket.inode != 0:
            unseen = scene.hidden.get(socket.inode or 0) or Process(0, uid=socket.uid, user=socket.user)
            hidden.setdefault(unseen, []).append(index)
    visible = [
        Owner(pid, scene.processes.get(pid) or Process(pid), tuple(indexes)) for pid, indexes in sorted(held.items())
    ]
    return (*visible, *(Owner(None, process, tuple(indexes)) for process, indexes in hidden.items()))


def _answers(endpoint: Endpoint, sockets: Sequence[Socket], scene: Scene) -> tuple[Answer, ...]:
    """Whom a client on this host reaches at each of its addresses, and at `localhost` in the resolver's order."""
    named = named_addresses(endpoint)
    places = [
        LocalAddress(address.text, address.family, address.zone or _interface_of(address.text, scene) or "")
        for address in named
        if not is_wildcard(address.text) and str(address) not in scene.absent
    ]
    reached = {
        str(local): _answer(local, endpoint, sockets, scene) for local in (places if named else _nearest_last(scene))
    }
    tried = [reached[address] for address in scene.localhost if address in reached]
    if not sockets:
        tried = [Answer("localhost")]  # no need to look up its addresses where nothing answers
    if tried and not named:
        first = next((answer for answer in tried if answer.sockets), tried[0])
        reached["localhost"] = first._replace(address="localhost")
    return tuple(reached.values())


def _interface_of(address: str, scene: Scene) -> str | None:
    """The one that has it, on our side of a VRF where it is on both."""
    return next((local.interface for local in reversed(_nearest_last(scene)) if local.address == address), None)


def _nearest_last(scene: Scene) -> Sequence[LocalAddress]:
    """Two VRFs may have the same address: ours is the one that counts, and is the last to be put down."""
    network = scene.network
    if not network.vrfs:
        return scene.addresses
    return sorted(scene.addresses, key=lambda local: network.vrf(local.interface) == network.vrf(network.device))


def _answer(local: LocalAddress, endpoint: Endpoint, sockets: Sequence[Socket], scene: Scene) -> Answer:
    answered_by = answering(
        local.address,
        local.family,
        local.interface or None,
        endpoint.protocol,
        endpoint.port,
        sockets,
        scene.platform,
        scene.network,
    )
    holders = [sockets[index].pids for index in answered_by]
    if not answered_by:
        return Answer(str(local))
    from portcheck.diagnosis import v6only

    doubtful = local.family == "ipv4" and v6only.hidden((sockets[index] for index in answered_by), scene.platform)
    if doubtful or any(pids is None for pids in holders):
        return Answer(str(local), answered_by, None)
    return Answer(str(local), answered_by, tuple(sorted({pid for pids in holders for pid in pids or ()})))
