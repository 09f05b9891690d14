"""Preflight for people: a line for each declared port, then each problem and what to do about it, then a summary.

compose.yaml:4  web  8000            free
compose.yaml:7  db   127.0.0.1:5432  in-use  postgres (PID 812)

compose.yaml:7 db: Port 5432 is in use: postgres (PID 812, postgres, since 09:00) listens on 127.0.0.1.
  → end it in its terminal with Ctrl-C, or from here
      portcheck stop 5432

2 declared ports: 1 free, 1 in-use.
"""

from __future__ import annotations

from portcheck.namedtuple import TYPE_CHECKING, NamedTuple
from portcheck.render.escape import visible
from portcheck.render.owners import holders, unowned
from portcheck.render.plain import advice_lines
from portcheck.render.rows import aligned, apart
from portcheck.render.words import NAME_WIDTH, listed, noted, shortened, unseen

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from portcheck.model import Cause, Diagnosis
    from portcheck.preflight.declarations import Declaration, Unresolved
    from portcheck.preflight.judge import Finding, PreflightReport, Status

WORDS: Mapping[Status, str] = {
    "running": "already running",
    "fallback": "free as {instead}",
    "declared-twice": "declared twice",
    "not-asked": "not asked",
    "too-few": "too few",
}
REASONS: Mapping[Cause | None, str] = {
    "privileged": "needs privilege",
    "policy": "refused by a security policy",
    "reserved": "reserved by the system",
    "address": "no address of this host",
    "family": "no IPv6 here",
}
WIDEST = (40, 20, 24, 20)  # a longer cell moves its own row only
SHOWN = 3


class Line(NamedTuple):
    """One declared port; the fields are the columns."""

    place: str
    service: str
    port: str
    status: str
    detail: str = ""


def text(report: PreflightReport) -> Iterator[str]:
    """Everything, for pipes and logs."""
    blocks = [
        aligned([*map(_line, report.findings), *map(_line_of_disabled, report.disabled)], WIDEST),
        *map(_paragraph, not_said_twice(report.findings)),
        _unseen(report),
        [summary(report)],
    ]
    yield from apart(blocks, "")


def not_said_twice(findings: Iterable[Finding]) -> Iterator[Finding]:
    """Without those that their rival's paragraph explains already."""
    explained = set()
    for finding in findings:
        if finding.status != "declared-twice" or finding.rival not in explained:
            explained.add(finding.declaration)
            yield finding


def _line(finding: Finding) -> Line:
    declaration = finding.declaration
    more = "; ".join(filter(None, (detail(finding), origin(declaration))))
    return Line(at(declaration), service(declaration), port(declaration), status(finding), more)


def origin(declaration: Declaration) -> str:
    """Where a number comes from that no file holds: `from $PORT`"""
    return f"from {_listed(f'${name}' for name in declaration.variables)}" if declaration.variables else ""


def _line_of_disabled(declaration: Declaration) -> Line:
    reason = reason_of_disabled(declaration)
    return Line(at(declaration), service(declaration), port(declaration), "not checked", reason)


def reason_of_disabled(declaration: Declaration) -> str:
    """`profile debug is off`"""
    off = f"profile {_listed(declaration.compose_profiles)} is off"
    return off if declaration.containers else "its scale is 0"


def _listed(names: Iterable[str]) -> str:
    return listed([shortened(name, NAME_WIDTH) for name in names], SHOWN)


def at(place: Declaration | Unresolved) -> str:
    """`compose.yaml:7`"""
    return f"{visible(place.file)}:{place.line}"


def service(place: Declaration | Unresolved) -> str:
    """Its name, or `-`."""
    return shortened(place.service, NAME_WIDTH) if place.service else "-"


def port(declaration: Declaration) -> str:
    """As the command line takes it: `8000`, `127.0.0.1:53/udp`, `8000-8005`."""
    return visible(declaration.target(_ports(declaration)))


def _ports(declaration: Declaration) -> str:
    first, fallback = declaration.port, declaration.fallback
    if len(fallback) > 1 and fallback == tuple(range(first + 1, first + 1 + len(fallback))):
        return f"{first}-{fallback[-1]}"
    return listed([str(port) for port in (first, *fallback)], SHOWN).replace(", ", ",")


def status(finding: Finding) -> str:
    """The status of a declaration, in a word or two."""
    instead = finding.instead.port if finding.instead else None
    return WORDS.get(finding.status, finding.status).format(instead=instead)


def detail(finding: Finding) -> str:
    """Why, or who."""
    diagnosis, instead = finding.diagnosis, finding.instead
    if finding.status == "running":
        return f"on {instead.port}: {who(instead)}" if instead else who(diagnosis)
    if finding.status == "declared-twice":
        return f"also by {_rival(finding)}"
    if finding.status == "too-few":
        return f"{finding.declaration.containers} containers"
    if finding.status == "fallback":
        return f"{diagnosis.port} is {diagnosis.verdict}: {_why(diagnosis)}"
    return _why(diagnosis)


def _why(diagnosis: Diagnosis) -> str:
    if diagnosis.verdict == "in-use":
        return who(diagnosis)
    return "" if diagnosis.verdict == "free" else REASONS.get(diagnosis.cause, "")


def who(diagnosis: Diagnosis) -> str:
    """`container shop-web-1`, `node (PID 812)`, `3 TIME-WAIT sockets (55 s left)`"""
    containers: dict[str, None] = {}
    others = []
    for owner in diagnosis.owners:
        container = owner.process.container
        if container and container.name:
            containers[f"container {shortened(container.name, NAME_WIDTH)}"] = None
        else:
            others.append(owner)
    owned = {index for owner in diagnosis.owners for index in owner.sockets}
    rest = unowned(socket for index, socket in enumerate(diagnosis.sockets) if index not in owned)
    return ", ".join(filter(None, (*containers, holders(others), rest))) or "a process that cannot be seen"


def _rival(finding: Finding) -> str:
    """`api (line 9)`, `api (Procfile:2)`"""
    rival = finding.rival
    if rival is None:
        return ""
    return f"{service(rival)} ({f'line {rival.line}' if rival.file == finding.declaration.file else at(rival)})"


def sentences(finding: Finding) -> Iterator[str]:
    """What keeps the declared server from starting; nothing for one that could start or is running."""
    if finding.fine:
        return
    if finding.rival:
        yield f"{rivalry(finding)}."
    if finding.status == "too-few":
        yield f"{shortage(finding)}."
        return
    if finding.diagnosis.verdict != "free" and finding.status != "declared-twice":
        yield visible(finding.diagnosis.message)
    if finding.declaration.fallback:
        yield f"{none_is_free(finding)}."


def rivalry(finding: Finding) -> str:
    """Who else wants the port, without a full stop."""
    return (
        f"{_rival(finding)} declares port {port(finding.rival)} too: whichever starts second fails"
        if finding.rival
        else ""
    )


def none_is_free(finding: Finding) -> str:
    """Of several that would do; without a full stop."""
    return f"None of {port(finding.declaration)} is free"


def remarks(finding: Finding) -> Iterator[str]:
    """Further remarks that are worth a line."""
    for note in finding.notes:
        if note.code != "declared" or not finding.fine:
            yield noted(note)


def _paragraph(finding: Finding) -> Iterator[str]:
    problems, notes = [*sentences(finding)], [*remarks(finding)]
    first, *more = problems or notes or [""]
    if first:
        yield f"{place(finding.declaration)}: {first}"
    yield from (f"  {line}" for line in (*more, *(notes if problems else ())))
    for each in finding.advice:
        yield from advice_lines(each)


def place(of: Declaration | Unresolved) -> str:
    """`compose.yaml:7 db`"""
    return f"{at(of)} {service(of)}" if of.service else at(of)


def _unseen(report: PreflightReport) -> Iterator[str]:
    for spot in report.unresolved:
        yield f"not seen: {place(spot)}: {visible(spot.message)}"
    spots = (spot for finding in report.findings for spot in finding.diagnosis.blind_spots)
    yield from unseen(spots)


def shortage(finding: Finding) -> str:
    """Of containers that take a port each, without a full stop."""
    containers, ports = finding.declaration.containers, port(finding.declaration)
    return f"{containers} containers take a port each, and of {ports} too few will do"


def summary(report: PreflightReport) -> str:
    """`4 declared ports: 2 free, 1 already running, 1 in-use; 1 entry could not be resolved.`"""
    unjudged = sum(spot.code == "not-judged" for spot in report.unresolved)
    left = len(report.unresolved) - unjudged
    left_open = (f"{entries(left)} could not be resolved",) if left else ()
    aside = (f"{unjudged} not judged",) if unjudged else ()
    return "; ".join([counted(report), *left_open, *aside]) + "."


def counted(report: PreflightReport) -> str:
    """`4 declared ports: 2 free, 1 already running, 1 in-use`"""
    counts: dict[str, int] = {}
    for finding in report.findings:
        word = "free" if finding.status == "fallback" else WORDS.get(finding.status, finding.status)
        counts[word] = counts.get(word, 0) + 1
    number = len(report.findings)
    if not number:
        return "no port is declared for certain"
    several = ", ".join(f"{count} {word}" for word, count in counts.items())
    return f"{number} declared {'port' if number == 1 else 'ports'}: {several}"


def entries(count: int) -> str:
    """`1 entry`, `2 entries`"""
    return f"{count} {'entry' if count == 1 else 'entries'}"
