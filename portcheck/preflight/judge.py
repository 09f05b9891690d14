"""Declarations and diagnoses → findings: which of the declared servers could be started now.  Pure."""

from __future__ import annotations

from itertools import chain
from pathlib import PurePath

from portcheck import exit_codes
from portcheck.addresses import ANY4, ANY6
from portcheck.model import Advice, Note
from portcheck.namedtuple import TYPE_CHECKING, NamedTuple
from portcheck.preflight.declarations import left_open

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from typing import Literal

    from portcheck.model import Diagnosis, Family, Owner, Process, Protocol, Row
    from portcheck.preflight.declarations import Declaration, Unresolved

    # A verdict, or what else becomes of a declared port.
    Status = Literal[
        "free", "running", "fallback", "declared-twice", "too-few", "in-use", "denied", "unavailable", "unknown",
        "not-asked",
    ]  # fmt: skip
    # The diagnosis of a declaration's port, then of each of its fallbacks, as they are asked for.
    Look = Callable[[Declaration], Iterator[Diagnosis]]
    Place = tuple[Protocol, int, Family, str]

ANYWHERE, SOMEWHERE = "*", ""  # in a Place: a wildcard, and whoever is on any address of the family
ANOTHER_PORT = Advice("give one of the two another port")
MORE_PORTS = Advice("publish a range with a port for each, or leave the port to the engine, or start one of them")


class Project(NamedTuple):
    """How a running process is recognised as the project's own."""

    directories: tuple[str, ...] = ()  # absolute, without links
    compose_projects: frozenset[str] = frozenset()


class Finding(NamedTuple):
    """What is true of one declaration.

    `running`: the project itself holds the port.  `fallback`: another one that will do as well is free.
    `declared-twice`: `rival` declares it too, whether either runs or not.  `too-few`: several containers of one service
    take a port each, and it has fewer that will do.  `not-asked`: nothing in the files is against it, and this machine
    was not asked.  The rest are verdicts.
    """

    declaration: Declaration
    status: Status
    diagnosis: Diagnosis  # of the declared port
    instead: Diagnosis | None = None  # of the fallback that is free, or on which the project runs
    rival: Declaration | None = None
    notes: tuple[Note, ...] = ()
    advice: tuple[Advice, ...] = ()  # what to do so that the declared server can be started

    @property
    def fine(self) -> bool:
        """Whether nothing is in the way of the declared server, as far as was asked, or it runs already."""
        return self.status in exit_codes.STARTABLE


class PreflightReport(NamedTuple):
    """The whole answer: what was read, what is true of it, what was not checked and what could not be resolved."""

    files: tuple[str, ...]
    findings: tuple[Finding, ...]
    disabled: tuple[Declaration, ...] = ()  # of Compose services whose profiles are off
    unresolved: tuple[Unresolved, ...] = ()

    @property
    def complete(self) -> bool:
        """False where something that could change the answer could not be seen."""
        return not left_open(self.unresolved) and all(finding.diagnosis.complete for finding in self.findings)


def asked(declarations: Iterable[Declaration]) -> tuple[Declaration, ...]:
    """Those that are checked: of services that are switched on, each once."""
    return tuple(dict.fromkeys(each for each in declarations if each.enabled))


def judge(declarations: Sequence[Declaration], look: Look, project: Project) -> tuple[Finding, ...]:
    """A finding for each declaration, in order."""
    looks = [look(each) for each in declarations]
    firsts = [next(diagnoses) for diagnoses in looks]
    claims = Claims()
    for declaration, first in zip(declarations, firsts):
        if not declaration.fallback:  # which of several ports this one takes is still open
            claims.add(declaration, first)
    return tuple(
        _advised(_finding(declaration, first, others, claims, project))
        for declaration, first, others in zip(declarations, firsts, looks)
    )


class Claims:
    """Who declares which port where; each question takes the same time, however many there are."""

    def __init__(self) -> None:
        self._at: dict[Place, list[Declaration]] = {}

    def add(self, declaration: Declaration, diagnosis: Diagnosis) -> None:
        """Notes that a declaration is about the port and the addresses of this diagnosis."""
        places = _places(diagnosis)
        for place in (*places, *{(*place[:3], SOMEWHERE) for place in places}):
            self._at.setdefault(place, []).append(declaration)

    def rival(self, declaration: Declaration, diagnosis: Diagnosis) -> Declaration | None:
        """The first other service that declares this port on an address in common."""
        for place in _places(diagnosis):
            near = (SOMEWHERE,) if place[3] == ANYWHERE else (ANYWHERE, place[3])
            for address in near:
                for other in self._at.get((*place[:3], address), ()):
                    if _compete(declaration, other):
                        return other
        return None


def _places(diagnosis: Diagnosis) -> list[Place]:
    """The addresses that a server would be given, a wildcard standing for all of its family."""
    places: dict[Place, None] = {}
    for row in diagnosis.binds:
        bind = row.bind
        wildcard = bind.address in (ANY4, ANY6)
        families: list[Family] = ["ipv6", "ipv4"] if wildcard and bind.v6only is False else [bind.family]
        for family in families:
            places[diagnosis.protocol, diagnosis.port, family, ANYWHERE if wildcard else bind.address] = None
    return list(places)


def _compete(one: Declaration, other: Declaration) -> bool:
    """Whether these are two servers.

    The same name in two files (compose.yaml and compose.prod.yaml, Procfile) is one server, declared twice; what a
    devcontainer forwards is another server's port as an editor sees it.  Scripts of a package.json are run by hand, in
    place of each other and of what Compose would run; so are Procfile and Procfile.dev.
    """
    if one == other or not one.service or not other.service:
        return False
    if not {one.kind, other.kind}.isdisjoint(("devcontainer", "package")):
        return False
    if one.kind == other.kind == "procfile" and one.file != other.file:
        return False
    if one.service != other.service:
        return True
    if one.kind != "compose" or other.kind != "compose":
        return False
    # two `ports` entries of one service, for two ports of its container; or services of different projects
    return one.file == other.file or one.compose_project != other.compose_project


def _finding(
    declaration: Declaration, first: Diagnosis, others: Iterator[Diagnosis], claims: Claims, project: Project
) -> Finding:
    """The first port that will do: no other service declares it, and it is free or already the project's own."""
    notes = (
        *((Note("declared", declaration.note),) if declaration.note else ()),
        *_in_its_containers_place(declaration, first, project),
    )
    finding = Finding(declaration, first.verdict, first, notes=notes)
    left = declaration.containers
    if left > 1 + len(declaration.fallback):
        return finding._replace(status="too-few")
    for diagnosis in chain((first,), others):
        if claims.rival(declaration, diagnosis):
            continue
        is_own_already = bool(own_holders(declaration, diagnosis, project))
        if is_own_already or diagnosis.verdict == "free":
            if not is_own_already:
                claims.add(declaration, diagnosis)
            finding = (
                _settled(finding, diagnosis, running=is_own_already) if left == declaration.containers else finding
            )
            left -= 1
            if not left:
                return finding
        if diagnosis.verdict == "unknown":
            finding = finding._replace(status="unknown")
    if left < declaration.containers:
        return finding._replace(status="too-few", instead=None)
    rival = claims.rival(declaration, first)
    by_itself_fine = first.verdict in ("free", "unknown") or own_holders(declaration, first, project)
    return finding._replace(status="declared-twice" if rival and by_itself_fine else finding.status, rival=rival)


def _advised(finding: Finding) -> Finding:
    """With what to do: two that want the same port need two, and who holds a port now has to make way."""
    if finding.fine:
        return finding
    if finding.status == "too-few":
        return finding._replace(advice=(MORE_PORTS,))
    twice = (ANOTHER_PORT,) if finding.rival else ()
    holders = () if finding.status == "declared-twice" else finding.diagnosis.advice
    return finding._replace(advice=(*twice, *holders))


def _settled(finding: Finding, diagnosis: Diagnosis, *, running: bool) -> Finding:
    instead = None if diagnosis is finding.diagnosis else diagnosis
    return finding._replace(status="running" if running else "fallback" if instead else "free", instead=instead)


def own_holders(declaration: Declaration, diagnosis: Diagnosis, project: Project) -> tuple[Owner, ...]:
    """Holders of the port that belong to the project; () where anything else is in the way of a bind, seen or not."""
    if diagnosis.verdict != "in-use":
        return ()
    own = tuple(owner for owner in diagnosis.owners if is_own(owner.process, declaration, project))
    held = {index for owner in own for index in owner.sockets}
    for row in diagnosis.binds:
        blockers = _blockers(row, diagnosis)
        if not blockers <= held or (row.outcome == "in-use" and not blockers):
            return ()
    return own


def _blockers(row: Row, diagnosis: Diagnosis) -> set[int]:
    """What refuses this bind or would share its clients; what is merely bound will listen soon."""
    bound = (index for index in row.conflicts if diagnosis.sockets[index].state == "BOUND")
    return {*row.shadows, *bound, *(row.blocked_by if row.outcome == "in-use" else ())}


def is_own(process: Process, declaration: Declaration, project: Project) -> bool:
    """By a container's Compose labels, else by the directory that the process was started in."""
    container = process.container
    if container is None and declaration.kind == "compose":
        return False  # its container could not start beside it
    if container is None:
        return _is_started_here(process, project)
    if declaration.kind == "compose":
        labels = (container.compose_project, container.compose_service)
        return labels == (declaration.compose_project, declaration.service)
    return container.compose_project in project.compose_projects


def _is_started_here(process: Process, project: Project) -> bool:
    """By the directory that it was started in."""
    places = [PurePath(place) for place in (process.cwd, process.project_dir) if place]
    return any(place.is_relative_to(directory) for place in places for directory in project.directories)


def _in_its_containers_place(declaration: Declaration, diagnosis: Diagnosis, project: Project) -> Iterator[Note]:
    processes = [owner.process for owner in diagnosis.owners if not owner.process.container]
    is_taken = declaration.kind == "compose" and diagnosis.verdict == "in-use"
    if is_taken and any(_is_started_here(process, project) for process in processes):
        message = "a process of the project has the port, not the service's container, which could not start beside it"
        yield Note("not-its-container", message)
