"""Preflight as GitHub's workflow commands: an annotation at file and line for each problem.

https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands; what is escaped, and how, is the
documented toolkit's (actions/toolkit, packages/core/src/command.ts).
"""

from __future__ import annotations

from portcheck.namedtuple import TYPE_CHECKING
from portcheck.render.escape import visible
from portcheck.render.plain import advice_lines
from portcheck.render.preflight import remarks, sentences, service, status, summary

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Literal

    from portcheck.preflight.declarations import PreflightError
    from portcheck.preflight.judge import Finding, PreflightReport

    Level = Literal["error", "warning", "notice"]

# Text from strangers is printed only inside commands: on any other line the runner would obey a `::` or `##[`.


def commands(report: PreflightReport) -> Iterator[str]:
    """A command for each finding that needs attention and each unresolved entry; then a summary in our own words."""
    for finding in report.findings:
        yield from _annotation(finding)
    for spot in report.unresolved:
        message = f"{service(spot)}: {visible(spot.message)}" if spot.service else visible(spot.message)
        yield command("warning", spot.file, spot.line, "portcheck: not seen", message)
    yield summary(report)


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
