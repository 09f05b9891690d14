"""Looks at this host once, and holds what is declared against it.  Nothing is bound: the tables tell who listens."""

from __future__ import annotations

from portcheck.diagnosis.pipeline import among_all
from portcheck.namedtuple import TYPE_CHECKING, NamedTuple
from portcheck.preflight.check import nothing
from portcheck.preflight.declarations import left_open
from portcheck.preflight.hosts import Hosts
from portcheck.preflight.judge import asked
from portcheck.target import Endpoint
from portcheck.verification.judge import HIDING, Asked, Look, judge
from portcheck.verification.undeclared import Undeclared, undeclared

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from portcheck.model import BlindSpot, Diagnosis, Scene
    from portcheck.preflight.declarations import Declaration, Reading, Unresolved
    from portcheck.preflight.judge import Project
    from portcheck.target import Host
    from portcheck.verification.judge import Finding


class VerifyReport(NamedTuple):
    """The whole answer; `only` says that nobody else may listen."""

    files: tuple[str, ...]
    findings: tuple[Finding, ...]
    undeclared: Undeclared
    scene: Scene
    only: bool = False
    disabled: tuple[Declaration, ...] = ()  # of Compose services whose profiles are off
    unresolved: tuple[Unresolved, ...] = ()
    blind_spots: tuple[BlindSpot, ...] = ()  # that may hide a listener

    @property
    def complete(self) -> bool:
        """False where something that could change the answer could not be seen."""
        doubts = self.blind_spots or self.undeclared.doubtful
        certain = all(fault.certain for finding in self.findings for fault in finding.faults)
        return certain and not doubts and not left_open(self.unresolved)

    def answers(self, *, strict: bool) -> list[bool | None]:
        """Each thing that had to be so: True, False, or None where that could not be told."""
        answers = [finding.ok for finding in self.findings]
        if self.only:
            answers += [False] * bool(self.undeclared.open)
            answers += [None] * bool(self.undeclared.doubtful or self.blind_spots)
        is_open = left_open(self.unresolved) and (strict or not answers)
        return [*answers, *([None] if is_open else [])]


def verify(reading: Reading, project: Project, directory: Path, *, only: bool) -> VerifyReport:
    """Whether all that is declared runs as it is declared.  Raises UsageError where nothing is declared."""
    declarations = asked(reading.declarations)
    if not declarations and not left_open(reading.unresolved) and not reading.allowed:
        raise nothing(reading, directory, "verify")
    disabled = tuple(each for each in reading.declarations if not each.enabled)
    groups = [[*group] for group in (declarations, disabled, reading.allowed)]
    scene, (required, optional, allowed) = _looked_at(groups)
    look = Look(scene, project, required, _flat(optional), _flat(allowed))
    spots = [spot for table in scene.tables.values() for spot in table.blind_spots if spot.code in HIDING]
    return VerifyReport(
        reading.files,
        judge(look),
        undeclared(look),
        scene,
        only,
        disabled,
        reading.unresolved,
        tuple(dict.fromkeys(spots)),
    )


def _flat(groups: Iterable[Iterable[Asked]]) -> list[Asked]:
    return [each for group in groups for each in group]


def _looked_at(groups: Sequence[Sequence[Declaration]]) -> tuple[Scene, list[list[list[Asked]]]]:
    """One look for all groups of declarations, and what it says of each port of each of them."""
    hosts = Hosts()
    wanted = [
        [[hosts.endpoint(each, port) for port in (each.port, *each.fallback)] for each in group] for group in groups
    ]
    endpoints = [one for group in wanted for ports in group for one in ports if isinstance(one, Endpoint)]
    scene, diagnoses = among_all(endpoints)
    answers = iter(diagnoses)

    def answered(declaration: Declaration, one: Endpoint | Diagnosis) -> Asked:
        if isinstance(one, Endpoint):
            return Asked(declaration, next(answers), _host(one))
        return Asked(declaration, one, None)

    return scene, [
        [[answered(declaration, one) for one in ports] for declaration, ports in zip(group, each)]
        for group, each in zip(groups, wanted)
    ]


def _host(endpoint: Endpoint) -> Host:
    (host,) = endpoint.hosts
    return host
