"""Preflight for people: a line for each declared port, then what each problem is and what to do, then the sum.

compose.yaml:4  web  8000            free
compose.yaml:7  db   127.0.0.1:5432  in-use  postgres (PID 812)

compose.yaml:7 db: Port 5432 is in use: postgres (PID 812, postgres, since 09:00) listens on 127.0.0.1.
  → end it in its terminal with Ctrl-C, or from here
      portcheck stop 5432

2 declared ports: 1 free, 1 in-use.
"""

from __future__ import annotations

from portcheck.model import Advice
from portcheck.preflight.judge import FINE
from portcheck.render.escape import visible
from portcheck.render.owners import holders, unowned
from portcheck.render.plain import advice_lines
from portcheck.render.words import NAME_WIDTH, listed, not_seen, shortened
from portcheck.value import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from portcheck.model import Cause, Diagnosis
    from portcheck.preflight.declare import Declaration, Unresolved
    from portcheck.preflight.judge import Finding, Report, Status

WORDS: dict[Status, str] = {"running": "already running", "declared-twice": "declared twice"}
REASONS: dict[Cause | None, str] = {
    "privileged": "needs privilege",
    "policy": "refused by a security policy",
    "reserved": "reserved by the system",
    "address": "no address of this host",
    "family": "no IPv6 here",
}
WIDEST = (40, 20, 24)  # a longer cell moves its own row only
ANOTHER_PORT = Advice("give one of them another port: whichever starts second would fail")


def text(report: Report, width: int | None) -> Iterator[str]:
    """Everything; what is longer than `width` columns is broken between words, None breaks nothing."""
    yield from _table([*map(_row, report.findings), *map(_row_of_disabled, report.disabled)])
    paragraphs = [lines for finding in report.findings if (lines := list(_paragraph(finding)))]
    unseen = [*map(left_open, report.unresolved), *_not_seen(report.findings)]
    for lines in [*paragraphs, unseen]:
        if lines:
            yield ""
        for line in lines:
            yield from _broken(line, width)
    if report.findings:
        yield ""
        yield summary(report)


def _table(rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    widths = [max((len(row[column]) for row in rows if len(row[column]) <= most), default=0) for column, most in enumerate(WIDEST)]
    told = max((len(row[3]) for row in rows if row[4]), default=0)
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, (*widths, told, 0), strict=True)]
        yield "  ".join(cells).rstrip()


def _row(finding: Finding) -> tuple[str, ...]:
    declaration = finding.declaration
    return (*_place(declaration), status(finding), _detail(finding))


def _row_of_disabled(declaration: Declaration) -> tuple[str, ...]:
    profiles = listed([shortened(name, NAME_WIDTH) for name in declaration.compose_profiles], 3)
    return (*_place(declaration), "not checked", f"only with profile {profiles}")


def _place(declaration: Declaration) -> tuple[str, str, str]:
    return at(declaration), service(declaration), visible(declaration.target(_ports(declaration)))


def at(place: Declaration | Unresolved) -> str:
    """`compose.yaml:7`"""
    return f"{visible(place.file)}:{place.line}"


def service(place: Declaration | Unresolved) -> str:
    """Its name, or `-`."""
    return shortened(place.service, NAME_WIDTH) if place.service else "-"


def _ports(declaration: Declaration) -> str:
    """`8000`, `8000-8005`, `8000 or 9000`, `8000 or 3 others`."""
    fallback = declaration.fallback
    if not fallback:
        return str(declaration.port)
    if fallback == tuple(range(declaration.port + 1, declaration.port + 1 + len(fallback))):
        return f"{declaration.port}-{fallback[-1]}"
    return f"{declaration.port} or " + (str(fallback[0]) if len(fallback) == 1 else f"{len(fallback)} others")


def status(finding: Finding) -> str:
    """What becomes of the declaration, in a word or two."""
    if finding.status == "fallback" and finding.instead:
        return f"{finding.instead.port} is free"
    return WORDS.get(finding.status, finding.status)


def _detail(finding: Finding) -> str:
    diagnosis = finding.diagnosis
    if finding.status == "free":
        return ""
    if finding.status == "running":
        here = finding.instead or diagnosis
        return who(here) if here is diagnosis else f"on {here.port}: {who(here)}"
    if finding.status == "declared-twice" and finding.rival:
        return f"also {_named(finding.rival)}"
    reason = REASONS.get(diagnosis.cause, "") if diagnosis.verdict != "in-use" else who(diagnosis)
    if finding.status == "fallback":
        return f"{diagnosis.port} is {diagnosis.verdict if diagnosis.verdict != 'free' else 'declared already'}" + (f": {reason}" if reason else "")
    return reason
