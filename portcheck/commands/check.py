"""portcheck TARGET...: can a server listen here; if not, who, why, and what now."""

from __future__ import annotations

import os
import sys

from portcheck import exit_codes
from portcheck.diagnosis.pipeline import checks, summaries
from portcheck.namedtuple import TYPE_CHECKING
from portcheck.observe.names import SystemNames
from portcheck.profiles import question_for
from portcheck.render import plain, stream
from portcheck.target import parse_targets

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from portcheck.model import Diagnosis
    from portcheck.requests import CheckRequest


def run(request: CheckRequest) -> int:
    """Checks, prints, and returns the exit code of the contract."""
    diagnoses = tuple(diagnose(request))
    if not request.quiet:
        _print(diagnoses, request)
    return exit_codes.of_verdicts(diagnosis.verdict for diagnosis in diagnoses)


def diagnose(request: CheckRequest) -> Iterator[Diagnosis]:
    """The diagnoses that a request asks for.  Raises UsageError before anything is looked at.

    JSON has one for every port, and `-v` a bind table; else neighbours that are free and alike are one.
    """
    endpoints = parse_targets(
        request.targets,
        SystemNames(),
        protocol="udp" if request.udp else "tcp",
        hosts=request.hosts,
        family=request.family,
    )
    question = question_for(request.profile, reuseaddr=request.reuseaddr, probe=request.probe, verbose=request.verbose)
    one_for_each = request.verbose or request.face == "json"
    return checks(endpoints, question) if one_for_each else summaries(endpoints, question)


def _print(diagnoses: Sequence[Diagnosis], request: CheckRequest) -> None:
    if request.face == "json":
        from portcheck.render.json_documents import check_document, dumps

        stream.write([dumps(check_document(diagnoses))])
    elif request.face == "plain" or not stream.can_be_drawn_on(sys.stdout):
        for diagnosis in diagnoses:
            stream.write(plain.check(diagnosis, verbose=request.verbose))
    else:
        from portcheck.render import terminal

        stream.write(
            terminal.checks(
                diagnoses,
                verbose=request.verbose,
                width=stream.width(sys.stdout, os.environ),
                colour=stream.wants_colour(sys.stdout, os.environ, request.color),
            )
        )
