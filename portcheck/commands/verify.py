"""portcheck verify [FILE...]: what files declare, held against what runs; or a declaration of what runs now."""

from __future__ import annotations

import os
import sys

from portcheck import exit_codes
from portcheck.commands.preflight import declared, failure
from portcheck.errors import UsageError
from portcheck.namedtuple import TYPE_CHECKING
from portcheck.preflight import PreflightError
from portcheck.render import stream
from portcheck.verification.survey import verify

if TYPE_CHECKING:
    from collections.abc import Iterable

    from portcheck.requests import VerifyRequest
    from portcheck.verification.survey import VerifyReport


def run(request: VerifyRequest) -> int:
    """Reads, looks, prints, and returns the exit code of the contract."""
    if request.write:
        from portcheck.commands.declare import declare

        return declare(request)
    if request.force:
        raise UsageError("--force belongs to --write: verify itself changes nothing")
    try:
        report = verified(request)
    except PreflightError as error:
        stream.write(failure(error, request.format))
        raise
    if not request.quiet:
        stream.write(_lines(report, request))
    return exit_codes.of_verify(report.answers(strict=request.strict))


def verified(request: VerifyRequest) -> VerifyReport:
    """What a request asks for.  Raises UsageError where nothing is declared, PreflightError for a bad file."""
    from portcheck.render.progress import Progress

    reading, project, directory = declared(request, docker=request.docker)
    with Progress("looking at what listens", request.color):
        return verify(reading, project, directory, only=request.only)


def _lines(report: VerifyReport, request: VerifyRequest) -> Iterable[str]:
    if request.format == "json":
        from portcheck.render.json_documents import dumps, verify_document

        return [dumps(verify_document(report))]
    if request.format == "github":
        from portcheck.render.github import verify_commands

        return verify_commands(report)
    if request.format == "junit":
        from portcheck.render.junit import verify_lines

        return verify_lines(report)
    from portcheck.render.verify import drawn, text

    if not stream.is_terminal(sys.stdout):
        return text(report)
    return drawn(report, stream.canvas(sys.stdout, os.environ, request.color))
