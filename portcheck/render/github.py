"""Preflight as GitHub's workflow commands: an annotation at file and line for each problem.

https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands; what is escaped, and how, is the
documented toolkit's (actions/toolkit, packages/core/src/command.ts).
"""

from __future__ import annotations

from portcheck.namedtuple import TYPE_CHECKING
from portcheck.render.escape import visible
from portcheck.render.plain import advice_lines
from portcheck.render.preflight import remarks, sentences, service, status, summary
from portcheck.render.words import unseen

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Literal

    from portcheck.preflight.declarations import PreflightError, Unresolved
    from portcheck.preflight.judge import Finding, PreflightReport
    from portcheck.verification.survey import VerifyReport

    Level = Literal["error", "warning", "notice"]

# Text from strangers is printed only inside commands: on any other line the runner would obey a `::` or `##[`.


def commands(report: PreflightReport) -> Iterator[str]:
    """A command for each finding that needs attention and each unresolved entry; then a summary in our own words."""
    for finding in report.findings:
        yield from _annotation(finding)
    yield from _unresolved(report.unresolved)
    yield summary(report)


def _unresolved(spots: Iterable[Unresolved]) -> Iterator[str]:
    for spot in spots:
        message = f"{service(spot)}: {visible(spot.message)}" if spot.service else visible(spot.message)
        yield command("warning", spot.file, spot.line, "portcheck: not seen", message)


def _annotation(finding: Finding) -> Iterator[str]:
    lines = [*sentences(finding), *remarks(finding)]
    for each in finding.advice:
        lines += (line.strip() for line in advice_lines(each))
    if not lines:
        return
    level: Level = "notice" if finding.fine else "warning" if finding.status == "unknown" else "error"
    declaration = finding.declaration
    title = f"portcheck: {visible(finding.diagnosis.target)} {status(finding)}"
    yield command(level, declaration.file, declaration.line, title, "\n".join(lines))


def verify_commands(report: VerifyReport) -> Iterator[str]:
    """The same of verify: a command for what is not as declared, and with --only for whoever else can be reached."""
    from portcheck.render import verify

    for finding in report.findings:
        if finding.faults:
            declaration = finding.declaration
            level: Level = "warning" if finding.ok is None else "error"
            title = f"portcheck: {visible(finding.found.target)} {verify.WORDS[finding.status]}"
            yield command(level, declaration.file, declaration.line, title, "\n".join(verify.sentences(finding)))
    yield from _unresolved(report.unresolved)
    for spot in unseen(report.blind_spots):
        yield command("warning", report.files[0], None, "portcheck", spot)
    for socket in report.undeclared.open:
        level = "error" if report.only else "notice"
        message = f"{verify.endpoint(socket)}: {verify.by([socket], report.scene)}"
        yield command(level, report.files[0], None, "portcheck: undeclared", message)
    for socket in report.undeclared.doubtful if report.only else ():
        message = f"{verify.endpoint(socket)}: {verify.by([socket], report.scene)}"
        yield command("warning", report.files[0], None, "portcheck: perhaps undeclared", message)
    yield verify.summary(report)


def failure(error: PreflightError) -> str:
    """A file that cannot be read."""
    return command("error", error.file, error.line, "portcheck", visible(error.cause))


def command(level: Level, file: str, line: int | None, title: str, message: str) -> str:
    """`::error file=compose.yaml,line=7,title=...::...`"""
    properties = {"file": visible(file), **({"line": str(line)} if line else {}), "title": title}
    attributes = ",".join(f"{name}={_property(value)}" for name, value in properties.items())
    return f"::{level} {attributes}::{_data(message)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
