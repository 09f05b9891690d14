"""portcheck preflight [FILE...]: every port that a project's files declare, in one go."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from portcheck import exit_codes
from portcheck.errors import UsageError
from portcheck.namedtuple import TYPE_CHECKING
from portcheck.preflight import PreflightError, read
from portcheck.preflight.check import check
from portcheck.preflight.project import project_of
from portcheck.render import stream

if TYPE_CHECKING:
    from collections.abc import Iterable

    from portcheck.preflight import Reading
    from portcheck.preflight.judge import PreflightReport, Project
    from portcheck.requests import Format, PreflightRequest, VerifyRequest


def run(request: PreflightRequest) -> int:
    """Reads, checks, prints, and returns the exit code of the contract."""
    try:
        report = preflight(request)
    except PreflightError as error:
        stream.write(failure(error, request.format))
        raise
    if not request.quiet:
        stream.write(_lines(report, request))
    statuses = [finding.status for finding in report.findings]
    complete = not report.unresolved if request.static else report.complete
    return exit_codes.of_preflight(statuses, complete=complete, strict=request.strict)


def preflight(request: PreflightRequest) -> PreflightReport:
    """What a request asks for.  Raises UsageError where there is nothing to check, PreflightError for a bad file."""
    from portcheck.render.progress import Progress

    reading, project, directory = declared(request, docker=request.docker and not request.static)
    with Progress("checking the declared ports", request.color):
        return check(reading, project, directory, probe=request.probe, static=request.static)


def declared(request: PreflightRequest | VerifyRequest, *, docker: bool) -> tuple[Reading, Project, Path]:
    """What the files of a request declare, whose project it is, and where that lies.

    Raises UsageError where there is no such directory, PreflightError for a bad file.
    """
    from portcheck.render.progress import Progress

    directory = Path(request.directory)
    if not directory.is_dir():
        raise UsageError(f"{request.directory}: no such directory")
    with Progress("reading what the project declares", request.color):
        reading = read(request.files, directory=directory, docker=docker, allow_outside=request.allow_outside)
    return reading, project_of(request.files, directory, reading.declarations), directory


def _lines(report: PreflightReport, request: PreflightRequest) -> Iterable[str]:
    if request.format == "json":
        from portcheck.render.json_documents import dumps, preflight_document

        return [dumps(preflight_document(report))]
    if request.format == "github":
        from portcheck.render.github import commands

        return commands(report)
    if request.format == "junit":
        from portcheck.render.junit import document

        return document(report)
    if stream.is_drawn(sys.stdout, request.color):
        from portcheck.render import terminal_preflight

        return terminal_preflight.report(report, stream.canvas(sys.stdout, os.environ, request.color))
    from portcheck.render.preflight import text

    return text(report)


def failure(error: PreflightError, wanted: Format) -> list[str]:
    """What a reader of annotations or reports gets besides the line on stderr."""
    if wanted == "github":
        from portcheck.render import github

        return [github.failure(error)]
    if wanted == "junit":
        from portcheck.render import junit

        return junit.failure(error)
    return []
