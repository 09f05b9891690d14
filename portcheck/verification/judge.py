"""Declarations and a scene → findings: whether each port is listened on by whom, and where, it is declared.  Pure."""

from __future__ import annotations

from portcheck.identify.describe import port_named, spread, who
from portcheck.namedtuple import TYPE_CHECKING, NamedTuple
from portcheck.rules.three_valued import all_of, any_of
from portcheck.verification.by_whom import holders, is_held_by, leading, who_of
from portcheck.verification.places import covers, is_exactly, listens, serves

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from typing import Literal

    from portcheck.model import Diagnosis, Protocol, Scene, Socket
    from portcheck.preflight.declarations import Declaration
    from portcheck.preflight.judge import Project
    from portcheck.target import Host
    from portcheck.verification.by_whom import Who

    # By protocol and port: what is declared of it, and on which hosts.
    Declared = dict[tuple[Protocol, int], list["Asked"]]
    Ports = dict[tuple[Protocol, int], list[Host]]
    Status = Literal["as-declared", "not-running", "not-listening", "differs", "unknown"]
    FaultCode = Literal[
        "not-listening",  # nobody listens on the port
        "elsewhere",  # somebody does, and not where it says
        "also-on",  # somebody listens on an address that no file declares
        "held-by",  # somebody else listens
        "owner-not-seen",  # who listens cannot be told
        "not-established",  # whether anybody listens cannot be told
    ]

# The scripts of a package.json are run by hand, each in place of another one; an editor forwards while it is open.
BY_HAND = ("package", "devcontainer")
# Gaps that may hide a listener.
HIDING = ("sockets-not-visible", "processes-hidden")


class Asked(NamedTuple):
    """One port of a declaration, which may have others to fall back to."""

    declaration: Declaration
    found: Diagnosis  # what a check says of it
    host: Host | None  # None: its name leads nowhere here


class Fault(NamedTuple):
    """What is not as it is declared; not `certain` where that could not be told."""

    code: FaultCode
    message: str
    certain: bool = True


class Finding(NamedTuple):
    """What is true of one declaration; `found` is about the port that was listened on, or the first."""

    declaration: Declaration
    found: Diagnosis
    sockets: tuple[Socket, ...] = ()  # those that it is about
    faults: tuple[Fault, ...] = ()

    @property
    def ok(self) -> bool | None:
        """Whether all is as declared; None where that could not be told."""
        if any(fault.certain for fault in self.faults):
            return False
        return None if self.faults else True

    @property
    def status(self) -> Status:
        """The same in a word; an optional server that does not run is as declared too."""
        if self.ok is None:
            return "unknown"
        if self.ok:
            return "as-declared" if self.sockets else "not-running"
        return "not-listening" if self.faults[0].code == "not-listening" else "differs"


class Look:
    """What a judgement rests on: what was seen, and what is declared of each port.

    `asked` has for each declaration its port, then those to fall back to.  `optional` are of services that are switched
    off and may run all the same; on those of `allowed` somebody may listen.
    """

    def __init__(
        self,
        scene: Scene,
        project: Project,
        asked: Sequence[Sequence[Asked]],
        optional: Iterable[Asked] = (),
        allowed: Iterable[Asked] = (),
    ) -> None:
        self.scene = scene
        self.project = project
        self.asked = asked
        self.optional = _by_place(optional)
        self.allowed = _by_place(allowed)
        self._listening: dict[tuple[Protocol, int], list[Socket]] = {}
        for table in scene.tables.values():
            for socket in filter(listens, table.sockets):
                self._listening.setdefault((socket.protocol, socket.local_port), []).append(socket)

    def listening(self, protocol: Protocol, port: int) -> list[Socket]:
        """Who listens on a port."""
        return self._listening.get((protocol, port), [])


def _by_place(asked: Iterable[Asked]) -> Declared:
    places: Declared = {}
    for each in asked:
        places.setdefault((each.found.protocol, each.found.port), []).append(each)
    return places


def judge(look: Look) -> tuple[Finding, ...]:
    """A finding for each declaration, in order."""
    hosts = _hosts_of_ports(look.asked)
    findings = [_best(_judged(each, look, hosts) for each in ports) for ports in look.asked]
    return tuple(_with_strays(findings, look, hosts))


def is_declared(socket: Socket, declared: Declared, look: Look) -> bool | None:
    """Whether one of these is about the socket, and it is as that says; None where that cannot be told."""
    return any_of(
        *(
            all_of(
                bool(each.host and covers(each.host, socket, look.scene)),
                is_held_by(who_of(each.declaration, look.project), socket, look.scene),
            )
            for each in declared.get((socket.protocol, socket.local_port), ())
        )
    )


def _hosts_of_ports(asked: Iterable[Iterable[Asked]]) -> Ports:
    hosts: Ports = {}
    for ports in asked:
        for each in ports:
            declared = hosts.setdefault((each.found.protocol, each.found.port), [])
            if each.host:
                declared.append(each.host)
    return hosts


def _best(findings: Iterable[Finding]) -> Finding:
    """The first that is as declared; else what somebody listens on, else the port that is declared first."""
    every = list(findings)
    settled = (finding for finding in every if finding.ok and finding.sockets)
    listened_on = (finding for finding in every if finding.sockets)
    return next(settled, None) or next(listened_on, every[0])


def _judged(asked: Asked, look: Look, hosts: Ports) -> Finding:
    declaration, found, host = asked
    if host is None:
        unresolved = Fault("not-established", found.blind_spots[0].message, certain=False)
        return Finding(declaration, found, (), (unresolved,))
    listening = look.listening(found.protocol, found.port)
    serving = [(socket, serves(socket, host, look.scene)) for socket in listening]
    if not any(answer is not False for _, answer in serving):
        may_rest = declaration.expected.optional or declaration.kind in BY_HAND
        faults = () if may_rest else tuple(_silence(asked, listening, look))
        return Finding(declaration, found, (), faults)
    own = [
        socket
        for socket in listening
        if covers(host, socket, look.scene) and not _is_anothers(socket, host, hosts[found.protocol, found.port], look)
    ]
    sockets = tuple(own or [socket for socket, answer in serving if answer is not False])
    faults = (*_strangers(sockets, who_of(declaration, look.project), look.scene), *_doubts(serving, host))
    return Finding(declaration, found, sockets, faults)


def _is_anothers(socket: Socket, host: Host, declared: Iterable[Host], look: Look) -> bool:
    """Whether another declaration of the port names exactly the socket's address, and this one does not."""
    return not is_exactly(socket, host, look.scene) and any(is_exactly(socket, each, look.scene) for each in declared)


def _silence(asked: Asked, listening: Sequence[Socket], look: Look) -> Iterator[Fault]:
    """Nobody listens where it says, as far as that can be told."""
    declaration, found, _ = asked
    named = port_named(found.protocol, found.port)
    where = f" of {declaration.host}" if declaration.host else ""
    for spot in found.blind_spots:
        if spot.code in HIDING:
            yield Fault(
                "not-established", f"Whether anybody listens on {named} is not known: {spot.message}", certain=False
            )
            return
    if any(note.code == "redirected" for note in found.notes):
        sent = next(note.message for note in found.notes if note.code == "redirected")
        yield Fault("not-established", f"Nobody listens on {named}{where} here; {sent}", certain=False)
        return
    if listening:
        yield Fault("elsewhere", f"{_who_listens(listening, look.scene)}, and nobody on {declaration.host}")
        return
    bound = [each for each in found.sockets if each.state == "BOUND"]
    waiting = f": {_named(bound[0], look.scene)} has bound it without listening" if bound else ""
    yield Fault("not-listening", f"Nobody listens on {named}{where}{waiting}")


def _doubts(serving: Sequence[tuple[Socket, bool | None]], host: Host) -> Iterator[Fault]:
    if not any(answer for _, answer in serving):
        message = f"Whether the IPv6 wildcard takes clients of {host.text} does not show"
        yield Fault("not-established", message, certain=False)


def _strangers(sockets: Iterable[Socket], wanted: Who, scene: Scene) -> Iterator[Fault]:
    """Those of the sockets that somebody else holds, or nobody knows who."""
    others: dict[bool | None, list[Socket]] = {}
    for socket in sockets:
        others.setdefault(is_held_by(wanted, socket, scene), []).append(socket)
    if held := others.get(False):
        yield Fault("held-by", f"{_who_listens(held, scene)}; declared is {wanted.words()}")
    if hidden := others.get(None):
        why = _why_not_told(hidden, scene)
        message = f"{_who_listens(hidden, scene)}; whether that is {wanted.words()} is not known: {why}"
        yield Fault("owner-not-seen", message, certain=False)


def _why_not_told(sockets: Sequence[Socket], scene: Scene) -> str:
    for socket in sockets:
        for process in holders(socket, scene).processes:
            if process.unanswered:
                return process.unanswered
            if not process.pid:
                return "the process that holds it cannot be seen from here"
    return "no process that holds it is known"


def _with_strays(findings: Sequence[Finding], look: Look, hosts: Ports) -> Iterator[Finding]:
    """With those that listen on a declared port at an address that no declaration of it includes.

    Each is told once: with the declaration whose server it is, or else with the first of the port.
    """
    strays: dict[int, list[Socket]] = {}
    by_port: dict[tuple[Protocol, int], list[int]] = {}
    for number, finding in enumerate(findings):
        by_port.setdefault((finding.found.protocol, finding.found.port), []).append(number)
    for (protocol, port), numbers in by_port.items():
        for socket in look.listening(protocol, port):
            included = any(covers(host, socket, look.scene) for host in hosts[protocol, port])
            may_be = is_declared(socket, look.optional, look) or is_declared(socket, look.allowed, look)
            if not included and not may_be:
                strays.setdefault(_whose(socket, numbers, findings, look), []).append(socket)
    for number, finding in enumerate(findings):
        more = [_stray(strays[number], finding, look.scene)] if number in strays and _host_is_known(finding) else []
        faults = [fault for fault in finding.faults if fault.code != "elsewhere" or not more]
        yield finding._replace(faults=(*faults, *more))


def _host_is_known(finding: Finding) -> bool:
    """Whether it could be told which addresses the declaration means."""
    return not any(spot.code == "host-not-resolved" for spot in finding.found.blind_spots)


def _whose(socket: Socket, numbers: Sequence[int], findings: Sequence[Finding], look: Look) -> int:
    def is_its(number: int) -> bool:
        return bool(is_held_by(who_of(findings[number].declaration, look.project), socket, look.scene))

    return next((number for number in numbers if socket in findings[number].sockets or is_its(number)), numbers[0])


def _stray(sockets: Sequence[Socket], finding: Finding, scene: Scene) -> Fault:
    is_its_own = all(socket in finding.sockets for socket in sockets)
    declared = f"; declared is {finding.declaration.host} alone" if is_its_own else ", which no file declares"
    return Fault("also-on", f"{_who_listens(sockets, scene)}{declared}")


def _who_listens(sockets: Sequence[Socket], scene: Scene) -> str:
    """`nginx (PID 7, root, since 09:00) listens on every IPv4 address`"""
    return f"{_named(sockets[0], scene)} listens on {spread(sockets)}"


def _named(socket: Socket, scene: Scene) -> str:
    processes = holders(socket, scene).processes
    kernels = scene.kernel_owned.get((socket.protocol, socket.local_port))
    if not processes:
        return f"the kernel's {kernels}" if kernels else "a socket without a process"
    first, more = leading(processes), len(processes) - 1
    return who(first, scene.now) + (f" and {more} more {'process' if more == 1 else 'processes'}" if more else "")
