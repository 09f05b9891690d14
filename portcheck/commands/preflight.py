"""portcheck preflight [FILE...]: every port that a project's files declare, in one go."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from portcheck import exit_codes
from portcheck.errors import UsageError
from portcheck.namedtuple import TYPE_CHECKING
from portcheck.preflight import PreflightError, read
from portcheck.preflight.check import Looker
from portcheck.preflight.judge import PreflightReport, Project, asked, judge
from portcheck.render import stream

if TYPE_CHECKING:
    from collections.abc import Iterable

    from portcheck.preflight import Reading
    from portcheck.requests import PreflightRequest

SEARCHED = (
    "what is read: compose.yaml, .env, Procfile, devcontainer.json, portcheck.toml, [tool.portcheck] in pyproject.toml"
)


def run(request: PreflightRequest) -> int:
    """Reads, checks, prints, and returns the exit code of the contract."""
    try:
        report = preflight(request)
    except PreflightError as error:
        stream.write(_failure(error, request))
        raise
    if not request.quiet:
        stream.write(_lines(report, request))
    statuses = [finding.status for finding in report.findings]
    return exit_codes.of_preflight(statuses, complete=report.complete, strict=request.strict)


def preflight(request: PreflightRequest) -> PreflightReport:
    """What a request asks for.  Raises UsageError where there is nothing to check, PreflightError for a bad file."""
    from portcheck.render.progress import progress

    directory = Path(request.directory)
    if not directory.is_dir():
        raise UsageError(f"{request.directory}: no such directory")
    with progress("reading what the project declares"):
        reading = read(request.files, directory=directory, docker=request.docker)
    declarations = asked(reading.declarations)
    disabled = tuple(each for each in reading.declarations if not each.enabled)
    if not declarations and not reading.unresolved:
        raise _nothing(reading, directory)
    with progress("checking the declared ports"):
        findings = judge(declarations, Looker(declarations, probe=request.probe), _project(request, reading))
    return PreflightReport(reading.files, findings, disabled, reading.unresolved)


def _project(request: PreflightRequest, reading: Reading) -> Project:
    """How what the project runs already is known: by its directories, and by what Compose calls it."""
    named = [Path(file) for file in request.files]
    places = [path if path.is_dir() else _above(path) for path in named] or [Path(request.directory)]
    # Everything runs somewhere below these, and much of a user's below the other.
    too_wide = {os.path.realpath("/"), os.path.realpath(Path.home())}
    directories = dict.fromkeys(os.path.realpath(place) for place in places)
    return Project(
        tuple(directory for directory in directories if directory not in too_wide),
        frozenset(each.compose_project for each in reading.declarations if each.compose_project),
    )


def _above(path: Path) -> Path:
    """The directory of the project that a file belongs to."""
    folder = path.absolute().parent
    return folder.parent if folder.name == ".devcontainer" else folder


def _nothing(reading: Reading, directory: Path) -> UsageError:
    if reading.declarations:
        profiles = ",".join(dict.fromkeys(name for each in reading.declarations for name in each.compose_profiles))
        return UsageError(
            "nothing to check: only services of Compose profiles that are off declare ports",
            f"switch them on: COMPOSE_PROFILES={profiles} portcheck preflight",
        )
    if reading.files:
        return UsageError(f"nothing to check: no port is declared in {', '.join(reading.files)}", SEARCHED)
    return UsageError(f"nothing to check: no file in {directory.absolute()} declares ports", SEARCHED)


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
    from portcheck.render.preflight import text

    return text(report, stream.width(sys.stdout, os.environ) if stream.is_terminal(sys.stdout) else None)


def _failure(error: PreflightError, request: PreflightRequest) -> list[str]:
    """What a reader of annotations or reports gets besides the line on stderr."""
    if request.format == "github":
        from portcheck.render import github

        return [github.failure(error)]
    if request.format == "junit":
        from portcheck.render import junit

        return junit.failure(error)
    return []
