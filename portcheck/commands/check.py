"""portcheck TARGET...: can a server listen here; if not, who, why, and what now."""

from __future__ import annotations

import os
import sys

from portcheck.diagnosis.pipeline import checks, summaries
from portcheck.namedtuple import TYPE_CHECKING
from portcheck.observe.names import SystemNames
from portcheck.profiles import server_for
from portcheck.render import plain, stream
from portcheck.target import parse_targets

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from portcheck.model import Diagnosis
    from portcheck.requests import CheckRequest

FREE, NOT_FREE, UNKNOWN = 0, 1, 3


def run(request: CheckRequest) -> int:
    """Checks, prints, and returns the exit code of the contract."""
    diagnoses = tuple(diagnose(request))
    if not request.quiet:
        _print(diagnoses, request)
    return exit_code(diagnoses)


def diagnose(request: CheckRequest) -> Iterator[Diagnosis]:
    """The diagnoses that a request asks for.  Raises UsageError before anything is looked at.

    JSON has one for every port, and `-v` a bind table; else neighbours that are free and alike are one.
    """
    endpoints = parse_targets(
        request.targets, SystemNames(), protocol="udp" if request.udp else "tcp", hosts=request.hosts
    )
    server = server_for(request.profile, reuseaddr=request.reuseaddr)
    if request.verbose or request.face == "json":
        return checks(endpoints, server=server, probe=request.probe, verbose=request.verbose)
    return summaries(endpoints, server=server, probe=request.probe)


def exit_code(diagnoses: Iterable[Diagnosis]) -> int:
    """1 where a target is known not to be free, 3 where one could not be told, 0 where all are free."""
    verdicts = {diagnosis.verdict for diagnosis in diagnoses}
    if verdicts & {"in-use", "denied", "unavailable"}:
        return NOT_FREE
    return UNKNOWN if "unknown" in verdicts else FREE


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
                colour=stream.wants_colour(sys.stdout, os.environ, allowed=request.color),
            )
        )
