"""`preflight` at a terminal: first what keeps a server from starting, then the ports that are fine, then what is open.

✗ compose.yaml:7 db: 5432 is in use by postgres (PID 812, postgres), for 3 d

  portcheck stop 5432

✓ compose.yaml:4  web  8000-8003
✓ Procfile:1      api  9000       already running: node (PID 901)

1 entry could not be resolved: compose.yaml:12 admin: ADMIN_PORT is not set and has no default

6 declared ports: 4 free, 1 already running, 1 in-use
"""

from __future__ import annotations

from portcheck.namedtuple import TYPE_CHECKING, NamedTuple
from portcheck.render.escape import visible
from portcheck.render.headline import headline, holders_of
from portcheck.render.layout import GAP, INDENT, Piece, drawn, marked, paint, wrapped
from portcheck.render.preflight import (
    at,
    counted,
    detail,
    entries,
    none_is_free,
    not_said_twice,
    origin,
    place,
    port,
    reason_of_disabled,
    remarks,
    rivalry,
    service,
    shortage,
    status,
)
from portcheck.render.rows import apart, joined
from portcheck.render.voice import SHOWN_HOLDERS, helps, up_to_a_command
from portcheck.render.words import unseen

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from portcheck.preflight.declarations import Declaration, Unresolved
    from portcheck.preflight.judge import Finding, PreflightReport
    from portcheck.render.layout import Canvas, Mark
    from portcheck.render.voice import Lines

STYLES = ("dim", "bold", "")  # of file and line, service, port


def report(found: PreflightReport, canvas: Canvas) -> Iterator[str]:
    """Everything."""
    problems = sorted((each for each in found.findings if not each.fine), key=_is_open)
    blocks = [
        *(_problem(finding, last, canvas) for finding, last in _alike(not_said_twice(problems))),
        _fine(found, canvas),
        _unresolved(found.unresolved, canvas),
        _unseen(found, canvas),
        wrapped([Piece(counted(found))], canvas.width, further=INDENT),
    ]
    return paint(apart(blocks, [Piece("")]), canvas)


def _is_open(finding: Finding) -> bool:
    """What cannot be told comes after what is known to be bad."""
    return finding.status == "unknown"


def _alike(findings: Iterable[Finding]) -> Iterator[tuple[Finding, int]]:
    """Neighbours that the same holders keep from starting as one, with the last port."""
    return joined(
        ((finding, finding.declaration.port) for finding in findings),
        lambda before, after: before[1] + 1 == after[1] and _obstacle(before[0]) == _obstacle(after[0]),
        lambda before, after: (before[0], after[1]),
    )


def _obstacle(finding: Finding) -> object:
    """Equal where one paragraph tells of both."""
    diagnosis = finding.diagnosis
    own = finding.declaration if finding.rival or finding.declaration.fallback else None
    owners = [owner.pid for owner in diagnosis.owners]
    return finding.declaration._replace(port=0), own, finding.status, diagnosis.cause, owners, finding.notes


def _problem(finding: Finding, last: int, canvas: Canvas) -> Lines:
    """Where it is declared, what is in the way, and what helps."""
    declaration, diagnosis = finding.declaration, finding.diagnosis
    named = [Piece(" "), Piece(service(declaration), "bold")] if declaration.service else []
    told = [[Piece(f"{rivalry(finding)}")]] if finding.rival else []
    if finding.status == "too-few":
        told.append([Piece(shortage(finding))])
    elif diagnosis.verdict != "free" and finding.status != "declared-twice":
        told.append([*headline(diagnosis, last, holders_of(diagnosis, canvas))])
    if declaration.fallback:
        told.append([Piece(none_is_free(finding))])
    start = [Piece(at(declaration), "dim"), *named, Piece(": ")]
    sign: Mark = "doubtful" if _is_open(finding) else "bad"
    first, *more = told or [[Piece(status(finding))]]
    yield from marked([*start, *first], canvas, sign)
    for pieces in more:
        yield from wrapped(pieces, canvas.width, start=[Piece(INDENT)], further=INDENT * 2)
    for remark in remarks(finding):
        yield from wrapped([Piece(remark, "dim")], canvas.width, start=[Piece(INDENT)], further=INDENT * 2)
    several = len(holders_of(diagnosis, canvas)) > 1
    advice = finding.advice[:SHOWN_HOLDERS] if several else up_to_a_command(finding.advice)
    if any(each.command for each in advice):
        yield [Piece("")]
    yield from helps(advice, canvas.width, INDENT)


class _Line(NamedTuple):
    """A declared port, or neighbours on one line of a file of which the same is true."""

    first: Declaration
    last: int
    mark: Piece
    text: str


def _fine(found: PreflightReport, canvas: Canvas) -> Lines:
    lines = [*map(_off, found.disabled)]
    lines = [*_joined(_line(finding, canvas) for finding in found.findings if finding.fine), *lines]
    widths = [max((len(cell) for cell in column), default=0) for column in zip(*map(_cells, lines))]
    beside = 2 + sum(widths) + len(GAP) * len(widths)
    aligned = beside <= canvas.width // 2
    for line in lines:
        start = [line.mark, Piece(" ")]
        for cell, width, style in zip(_cells(line), widths, STYLES):
            start += [Piece(cell.ljust(width) if aligned else cell, style), Piece(GAP if aligned else " ")]
        further = " " * beside if aligned else INDENT
        yield from wrapped([Piece(line.text, "dim")], canvas.width, start=start, further=further)
    for finding in found.findings:
        for remark in remarks(finding) if finding.fine else ():
            text = [Piece(f"{place(finding.declaration)}: {remark}", "dim")]
            yield from wrapped(text, canvas.width, start=[Piece(INDENT)], further=INDENT * 2)


def _cells(line: _Line) -> tuple[str, str, str]:
    ports = visible(line.first.target(f"{line.first.port}-{line.last}")) if line.last > line.first.port else ""
    return at(line.first), service(line.first), ports or port(line.first)


def _line(finding: Finding, canvas: Canvas) -> _Line:
    """What is free needs no words."""
    declaration = finding.declaration
    sign = drawn("doubtful" if finding.status == "not-asked" else "good", canvas)
    text = {"free": "", "running": f"already running: {detail(finding)}"}.get(finding.status)
    more = ": ".join(filter(None, (status(finding), detail(finding)))) if text is None else text
    return _Line(declaration, declaration.port, sign, "; ".join(filter(None, (more, origin(declaration)))))


def _off(declaration: Declaration) -> _Line:
    return _Line(declaration, declaration.port, Piece(" "), f"not checked: {reason_of_disabled(declaration)}")


def _joined(lines: Iterable[_Line]) -> Iterator[_Line]:
    return joined(
        lines,
        lambda before, after: before.last + 1 == after.first.port and _kind(before) == _kind(after),
        lambda before, after: before._replace(last=after.last),
    )


def _kind(line: _Line) -> object:
    return line.first._replace(port=0), line.text


def _unresolved(spots: Sequence[Unresolved], canvas: Canvas) -> Lines:
    """`1 entry could not be resolved: compose.yaml:12 admin: ADMIN_PORT is not set and has no default`"""
    left = [spot for spot in spots if spot.code != "not-judged"]
    aside = [spot for spot in spots if spot.code == "not-judged"]
    for some, what in ((left, "could not be resolved:"), (aside, "not judged:")):
        if some:
            yield from _left_aside(some, f"{entries(len(some))} {what}", canvas)


def _left_aside(spots: Sequence[Unresolved], count: str, canvas: Canvas) -> Lines:
    told = [f"{place(spot)}: {visible(spot.message)}" for spot in spots]
    yield from marked([Piece(f"{count} {told[0]}" if len(told) == 1 else count)], canvas, "doubtful")
    for each in told if len(told) > 1 else ():
        yield from wrapped([Piece(each, "dim")], canvas.width, start=[Piece(INDENT)], further=INDENT * 2)


def _unseen(found: PreflightReport, canvas: Canvas) -> Lines:
    for remark in unseen(spot for finding in found.findings for spot in finding.diagnosis.blind_spots):
        yield from wrapped([Piece(remark, "dim")], canvas.width, further=INDENT)
