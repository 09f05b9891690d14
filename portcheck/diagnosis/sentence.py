"""The first line: one sentence that a tired person understands.  Pure."""

from __future__ import annotations

from portcheck.diagnosis.bind_table import beyond, refused_by_nobody_seen
from portcheck.diagnosis.relevant import given_up
from portcheck.identify.describe import NAMED_AT_MOST, listed, port_named, spread
from portcheck.model import Sentence
from portcheck.namedtuple import TYPE_CHECKING
from portcheck.traits import TRAITS

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from portcheck.model import Diagnosis, Family, Owner, Row, Scene, Socket
    from portcheck.profiles import Server


def sentence(finding: Diagnosis, rows: Sequence[Row], scene: Scene, server: Server) -> Sentence:
    """The sentence for a finding; `rows` are those that count, with indexes into the finding's sockets."""
    # the calls that we know are for TCP, and name no host
    call = None if finding.host or finding.protocol == "udp" else server.call
    subject = _subject(finding, call)
    if finding.verdict == "unknown":
        return _unknown(subject, finding)
    if finding.verdict == "free" and (lost := given_up(tuple(rows), finding.binds, finding.sockets, server)):
        return _content(subject, finding, rows, lost, scene)
    if finding.verdict == "in-use":
        return _in_use(subject, finding, rows, scene, server.refused)
    sentences = {"free": _free, "denied": _denied, "unavailable": _unavailable}
    return sentences[finding.verdict](subject, finding, rows, scene)


def _subject(finding: Diagnosis, call: str | None) -> Sentence:
    """A sentence with nothing but its subject: the server's call where it is known, else the port."""
    if call:
        return Sentence(call.format(port=finding.port), "would", "", proper=True)
    return Sentence(port_named(finding.protocol, finding.port), "is", "")


def _free(subject: Sentence, finding: Diagnosis, rows: Sequence[Row], scene: Scene) -> Sentence:
    where = _reach([row for row in rows if row.outcome == "free"], finding, scene)
    answer = "succeed" if subject.proper else f"free on {where}"
    if finding.cause is None:
        open_without = any(row.without_reuseaddr == "unknown" for row in rows) and not subject.proper
        return subject._replace(answer=f"{answer} for a server that sets SO_REUSEADDR" if open_without else answer)
    left = {
        "time-wait": f"TIME_WAIT entries{_for_seconds(finding.sockets)}",
        "closing": "connections that are still closing",
        "connection": _connections(finding),
    }.get(finding.cause, "other sockets")
    would = "would" if any(row.without_reuseaddr == "in-use" for row in rows) else "may"
    but = f"for a server that sets SO_REUSEADDR; without it {left} {would} refuse the bind"
    return subject._replace(answer=f"{answer} {but}")


def _connections(finding: Diagnosis) -> str:
    """`a connection of python3 (PID 812) to itself`, `open connections of curl (PID 5)`: a client's, or a server's."""
    to_itself = all(map(_is_of_itself, finding.sockets))
    visible = [owner.process for owner in finding.owners if owner.pid]
    if not visible:
        return "a connection to itself" if to_itself else "connections of an earlier server"
    from portcheck.identify.describe import briefly

    whose = listed(dict.fromkeys(map(briefly, visible)))
    return f"a connection of {whose} to itself" if to_itself else f"open connections of {whose}"


def _is_of_itself(socket: Socket) -> bool:
    """A client that was given the very port as its own which it connects to: TCP's simultaneous open, with itself."""
    return (socket.local_address, socket.local_port) == (socket.remote_address, socket.remote_port)


def _content(subject: Sentence, finding: Diagnosis, rows: Sequence[Row], lost: Sequence[Row], scene: Scene) -> Sentence:
    """`Apache's Listen 80 would succeed on 0.0.0.0 alone: node (PID 812) listens on ::1`"""
    answer = "succeed on" if subject.proper else "free on"
    blockers = _blockers(lost, finding)
    reason = _holders(blockers, finding, scene) if blockers else f"the kernel refuses {_refused(lost, finding, scene)}"
    return subject._replace(answer=f"{answer} {listed(_ways(rows))} alone", reason=reason)


def _cannot(subject: Sentence, where: Collection[str], reason: str) -> Sentence:
    """`port 80 cannot be bound on 0.0.0.0: ...`, `Node's listen(80) would fail on ::: ...`"""
    on = f" on {listed(where)}" if where else ""
    if subject.proper:
        return subject._replace(answer=f"fail{on}", reason=reason)
    return subject._replace(verb="cannot", answer=f"be bound{on}", reason=reason)


def _denied(subject: Sentence, finding: Diagnosis, rows: Sequence[Row], scene: Scene) -> Sentence:
    refused = [row for row in rows if row.outcome == "denied"]
    error = next((row.error for row in refused if row.error), "EACCES")
    free = [row for row in rows if row.outcome == "free"]
    where = dict.fromkeys(row.bind.address for row in refused) if free and not subject.proper else ()
    unseen = any(spot.code in ("netlink-refused", "sockets-not-visible") for spot in finding.blind_spots)
    rest = unused = f"only {listed(_ways(free))} can be" if free else ""
    if not free:
        rest = "no socket in the way shows" if unseen else "no socket is in the way"
        unused = "whether anything is using it does not show" if unseen else "nothing is using it"
    told = _cannot(subject, where, _policy(finding, scene, error))._replace(consequences=(rest,))
    if finding.cause != "privileged" or subject.proper:
        return told
    on = f" on {listed(where)}" if where else ""
    return told._replace(short=f"needs root{on} (ports below {scene.policy.unprivileged_from} do); {unused}")


def _policy(finding: Diagnosis, scene: Scene, error: str) -> str:
    """What forbids it, as far as that is known."""
    if finding.cause == "privileged":
        return f"ports below {scene.policy.unprivileged_from} need privilege ({error})"
    excluded = [exclusion.ports for exclusion in scene.policy.excluded if exclusion.protocol == finding.protocol]
    ports = next((ports for ports in excluded if finding.port in ports), None)
    if ports:
        kept = f"port {ports.first}" if ports.first == ports.last else f"ports {ports.first}-{ports.last}"
        return f"Windows keeps {kept} to itself ({error}, an excluded port range)"
    return f"{TRAITS[scene.platform].refuses_by} refuses it ({error})"


def _unavailable(subject: Sentence, finding: Diagnosis, rows: Sequence[Row], scene: Scene) -> Sentence:
    return _cannot(subject, dict.fromkeys(row.bind.address for row in rows), _why_unavailable(finding, rows, scene))


def _why_unavailable(finding: Diagnosis, rows: Sequence[Row], scene: Scene) -> str:
    if not rows:
        return f"{finding.host} has no address"
    if finding.cause == "family":
        return f"this host has no {family_names(row.bind.family for row in rows)}"
    refusal = refused_family(scene)
    if finding.cause == "policy" and refusal:
        return refusal
    tentative = {str(local) for local in scene.addresses if local.tentative}
    if any(row.bind.address in tentative for row in rows):
        return "the kernel is still finding out whether another host has that address, or one has (IPv6 DAD)"
    if any(beyond(row.bind, scene) for row in rows):
        return _beyond(rows, scene)
    held = [finding.sockets[index] for index in sorted({index for row in rows for index in row.conflicts})]
    though = f", though {_holders(held, finding, scene)}" if held else ""
    return f"no interface of this host has that address{though}"


def _beyond(rows: Sequence[Row], scene: Scene) -> str:
    """Which VRF it is that an address belongs to, or that we are in."""
    vrf = next(filter(None, (scene.network.vrf(row.bind.interface) for row in rows)), None)
    if vrf is None:
        return f"portcheck runs in the VRF {scene.network.device}, and that address is outside of it"
    return f"that address is in the VRF {vrf}, and only a socket bound to {vrf} can have it"


def family_names(families: Iterable[Family]) -> str:
    """`IPv6`, `IPv4 and no IPv6`: to be said after `no`."""
    return " and no ".join(sorted({"IPv4" if family == "ipv4" else "IPv6" for family in families}))


def refused_family(scene: Scene) -> str | None:
    """That a sandbox refuses a family which the kernel has; None where it does not."""
    return next((spot.message for spot in scene.blind_spots if spot.code == "family-refused"), None)


def _unknown(subject: Sentence, finding: Diagnosis) -> Sentence:
    reason = next((spot.message for spot in finding.blind_spots), "it could not be looked at")
    return untold(f"{subject.subject} {'would succeed' if subject.proper else 'is free'}", reason)


def untold(claim: str, reason: str) -> Sentence:
    """`whether port 80 is free cannot be told: ...`"""
    return Sentence(f"whether {claim}", "cannot", "be told", reason)


def _in_use(subject: Sentence, finding: Diagnosis, rows: Sequence[Row], scene: Scene, refused: str) -> Sentence:
    """`refused`: what a server does that is known, and does not get the port."""
    taken = [
        row
        for row in rows
        if row.outcome == "in-use" or row.shadows or _bound_only(row, finding) or refused_by_nobody_seen(row)
    ]
    beside = [row for row in taken if row.shadows and row.outcome != "in-use" and not _bound_only(row, finding)]
    only = "at best" if any(row.outcome == "unknown" for row in beside) else "only"
    blockers = _blockers(taken, finding)
    if not blockers:
        reason = (
            f"the kernel refuses {_refused(taken, finding, scene)}, but no socket that holds it can be seen from here"
        )
    else:
        reason = _holders(blockers, finding, scene) + _shared(finding)
    consequences = []
    if blockers and _partly(rows, taken) and not subject.proper:
        consequences.append(_rest(rows, taken))
    if any(row.error == "EACCES" for row in taken) and finding.port < scene.policy.unprivileged_from:
        consequences.append(f"besides, ports below {scene.policy.unprivileged_from} need privilege")
    if beside and not subject.proper:
        consequences.append(f"{listed(_ways(beside))} can {only} be bound beside it, sharing its clients")
    subject = subject._replace(reason=reason, consequences=tuple(consequences))
    if not subject.proper:
        return subject._replace(answer="in use")
    would = refused if len(beside) < len(taken) else f"{only} start beside another server"
    return subject._replace(answer=would)


def _refused(rows: Sequence[Row], finding: Diagnosis, scene: Scene) -> str:
    """A wildcard for both families is refused where either is, so it is named only where it stands alone."""
    if all(row.outcome != "in-use" for row in rows):
        return f"{listed(_ways(rows))} to a server without SO_REUSEADDR"
    alone = [row for row in rows if row.bind.v6only is not False]
    return _reach(alone, finding, scene) if alone else listed(_ways(rows))


def _ways(rows: Sequence[Row]) -> list[str]:
    """Their addresses; `:: for both families` unless `::` is already among them."""
    names = list(dict.fromkeys(row.bind.address for row in rows if row.bind.v6only is not False))
    dual = any(row.bind.v6only is False for row in rows) and "::" not in names
    return [*names, ":: for both families"] if dual else names


def _rest(rows: Sequence[Row], taken: Sequence[Row]) -> str:
    """Some addresses are taken and some are free: what is left, and what that means for a wildcard."""
    free = [row for row in rows if row.outcome == "free" and row not in taken]
    refused = _refused_wildcards([row for row in taken if row.outcome == "in-use" or not row.shadows], free)
    left = _left_free(free, rows)
    return f"{left}, but a server that binds {refused} would fail" if refused else left


def _left_free(free: Sequence[Row], rows: Sequence[Row]) -> str:
    """`every IPv6 address is free`, `the other addresses are free`, `::1 is free`"""
    if not any(_is_wildcard(row) for row in rows):
        names = list(dict.fromkeys(row.bind.address for row in free))
        return f"{listed(names)} {'is' if len(names) == 1 else 'are'} free"
    wildcards = {row.bind.family for row in free if _is_wildcard(row)}
    concrete = {row.bind.family for row in free if not _is_wildcard(row)}
    if len(wildcards) == 1 and concrete <= wildcards:
        return f"every {'IPv4' if wildcards == {'ipv4'} else 'IPv6'} address is free"
    return "the other addresses are free"


def _refused_wildcards(taken: Sequence[Row], free: Sequence[Row]) -> str:
    """Which of 0.0.0.0 and :: would fail, where `every IPv4 address` does not say so already."""
    ways = {(row.bind.family, row.bind.v6only) for row in taken if _is_wildcard(row)}
    whole = {row.bind.family for row in free if not _is_wildcard(row)}
    names = ["0.0.0.0"] if ("ipv4", None) in ways and "ipv4" in whole else []
    if ("ipv6", True) in ways and "ipv6" in whole:
        names.append("::")
    elif ("ipv6", False) in ways:
        names.append(":: for both families")
    return " or ".join(names)


def _holders(blockers: Sequence[Socket], finding: Diagnosis, scene: Scene) -> str:
    """`httpd (PID 66226, root, since 09:00) listens on every IPv4 and IPv6 address, node (PID 812) on ::1`"""
    clauses = []
    for owner, sockets in _by_owner(blockers, finding):
        if owner is None and _let_go(sockets[0]):
            clauses.append(_left_behind(sockets, finding))
            continue
        others = _others(owner, sockets, finding)
        clauses.append(f"{_named(owner, others, finding, scene)} {does(sockets, several=others > 0)}")
    more = len(clauses) - NAMED_AT_MOST
    together = "; ".join(clauses[:NAMED_AT_MOST])
    return f"{together}; and {more} more" if more > 0 else together


def _shared(finding: Diagnosis) -> str:
    """The kernel gives each socket as many of the clients: `; they share its clients (SO_REUSEPORT), 1 to 3`."""
    from portcheck.identify.holders import sharers

    shares = [str(len(group.sockets)) for group in sharers(finding)]
    return f"; they share its clients (SO_REUSEPORT), {' to '.join(shares)}" if shares else ""


def _let_go(socket: Socket) -> bool:
    return socket.state not in ("LISTEN", "BOUND", None) and not socket.pids and not socket.inode


def _left_behind(sockets: Sequence[Socket], finding: Diagnosis) -> str:
    """What the kernel still has of connections that their process has closed."""
    first = sockets[0]
    if first.state == "TIME-WAIT":
        wait = _for_seconds(sockets)
        # Only where the kernel refuses SO_REUSEADDR too is it certain that whoever left them had not set it.
        proven = any(row.method == "probe" and row.with_reuseaddr == "in-use" for row in finding.binds)
        unset = "whoever left them had not set SO_REUSEADDR" if proven else "they refuse a server without SO_REUSEADDR"
        return f"closed connections stay in TIME_WAIT{wait}, and {unset}"
    peer = f"{first.remote_address}:{first.remote_port}"
    return f"a connection with {peer} is still closing ({first.state}), without a process"


def _by_owner(blockers: Sequence[Socket], finding: Diagnosis) -> list[tuple[Owner | None, list[Socket]]]:
    """The blocking sockets by the process that leads each of them; a container's proxies are one."""
    from portcheck.identify.holders import leader

    groups: dict[object, tuple[Owner | None, list[Socket]]] = {}
    for socket in blockers:
        owner = leader(finding.owners, finding.sockets.index(socket))
        published = owner.process.container if owner and owner.process.role == "proxy" else None
        groups.setdefault(published or owner, (owner, []))[1].append(socket)
    return list(groups.values())


def _others(owner: Owner | None, sockets: Sequence[Socket], finding: Diagnosis) -> int:
    """How many processes hold one of the sockets besides this one."""
    if owner is None or owner.pid is None:
        return 0
    held = {finding.sockets.index(socket) for socket in sockets}
    return sum(not held.isdisjoint(other.sockets) for other in finding.owners) - 1


def _named(owner: Owner | None, others: int, finding: Diagnosis, scene: Scene) -> str:
    if owner is None:
        kernel = scene.kernel_owned.get((finding.protocol, finding.port))
        return f"the kernel's {kernel}" if kernel else "a socket without a process"
    from portcheck.identify.describe import who

    named = who(owner.process, scene.now)
    if not others:
        return named
    return f"{named} and {others} more {'process' if others == 1 else 'processes'}"


def does(sockets: Sequence[Socket], *, several: bool) -> str:
    """What the sockets do there: listens on ..., has bound ... without listening, is connected from ..."""
    first = sockets[0]
    places = spread(sockets)
    has = "have" if several else "has"
    if first.protocol == "udp":
        return f"{has} bound {places}"
    if first.state == "LISTEN":
        return f"{'listen' if several else 'listens'} on {places}"
    if first.state == "BOUND":
        return f"{has} bound {places} without listening"
    if _is_of_itself(first):
        return f"{'are' if several else 'is'} connected to itself on {first.local_address}"
    return f"{has} a connection from it to {first.remote_address}:{first.remote_port}"


def _for_seconds(sockets: Iterable[Socket]) -> str:
    waits = [socket.expires_in for socket in sockets if socket.state == "TIME-WAIT" and socket.expires_in]
    return f" for another {max(1, round(max(waits)))} s" if waits else ""


def _reach(rows: Sequence[Row], finding: Diagnosis, scene: Scene) -> str:
    """The addresses of some rows in words."""
    wildcards = {row.bind.family for row in rows if _is_wildcard(row)}
    if wildcards == {"ipv4", "ipv6"}:
        return "every IPv4 and IPv6 address"
    if wildcards == {"ipv6"}:
        return "every IPv6 address"
    if wildcards == {"ipv4"}:
        has_ipv6 = "ipv6" in scene.families or refused_family(scene)
        return "every IPv4 address" if has_ipv6 else "every address (IPv4 only: this host has no IPv6)"
    return listed(dict.fromkeys(row.bind.address for row in rows)) or str(finding.host)


def _blockers(rows: Iterable[Row], finding: Diagnosis) -> list[Socket]:
    indexes = {index for row in rows for index in (*row.blocked_by, *row.shadows)}
    indexes |= {index for row in rows for index in row.conflicts if finding.sockets[index].state == "BOUND"}
    return [finding.sockets[index] for index in sorted(indexes)]


def _bound_only(row: Row, finding: Diagnosis) -> bool:
    return any(finding.sockets[index].state == "BOUND" for index in row.conflicts)


def _partly(rows: Sequence[Row], taken: Sequence[Row]) -> bool:
    return len(taken) < len(rows) and any(row.outcome == "free" for row in rows if row not in taken)


def _is_wildcard(row: Row) -> bool:
    return row.bind.interface is None and row.bind.address in ("0.0.0.0", "::")


def speaks_of_ports(diagnosis: Diagnosis) -> bool:
    """Whether its sentence can speak of several ports: "Port 80 is free ...", "UDP port 53 cannot be bound ..."."""
    return diagnosis.verdict in ("free", "denied") and not diagnosis.sentence.proper


def together(first: Diagnosis, last: int) -> Diagnosis:
    """The answer for a range of ports, given that for its first: "Ports 8000-8999 are free ..."."""
    if first.port == last:
        return first
    ports = port_named(first.protocol, first.port, last)
    verb = "are" if first.sentence.verb == "is" else first.sentence.verb
    return first._replace(sentence=first.sentence._replace(subject=ports, verb=verb))
