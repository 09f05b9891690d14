"""portcheck TARGET...: can a server listen here; if not, who, why, and what now."""

from __future__ import annotations

import os
import sys

from portcheck import exit_codes
from portcheck.diagnosis.pipeline import Stretch, checks, stretches
from portcheck.diagnosis.sentence import together
from portcheck.namedtuple import TYPE_CHECKING
from portcheck.observe.names import SystemNames
from portcheck.profiles import question_for
from portcheck.render import plain, stream
from portcheck.target import parse_targets

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from portcheck.model import Verdict
    from portcheck.profiles import Question
    from portcheck.requests import CheckRequest
    from portcheck.target import Endpoint


def run(request: CheckRequest) -> int:
    """Checks, prints as it goes, and returns the exit code of the contract."""
    endpoints, question = asked(request)
    verdicts: set[Verdict] = set()
    answers = _noted(_answers(endpoints, question, request), verdicts)
    if request.face == "json" and not request.quiet:
        from portcheck.render.json_documents import check_chunks

        stream.write(check_chunks(diagnosis for diagnosis, _ in answers), end="")
    else:
        stream.write(() if request.quiet else _lines(answers, request, several=len(endpoints) > 1))
    for _ in answers:  # nobody reads on, or nobody wants to: the verdicts count all the same
        continue
    return exit_codes.of_verdicts(verdicts)


def asked(request: CheckRequest) -> tuple[tuple[Endpoint, ...], Question]:
    """What a request asks.  Raises UsageError before anything is looked at."""
    endpoints = parse_targets(
        request.targets,
        SystemNames(),
        protocol="udp" if request.udp else "tcp",
        hosts=request.hosts,
        family=request.family,
    )
    question = question_for(request.profile, reuseaddr=request.reuseaddr, probe=request.probe, verbose=request.verbose)
    return endpoints, question


def _answers(endpoints: Sequence[Endpoint], question: Question, request: CheckRequest) -> Iterator[Stretch]:
    """JSON has an answer for every port, and `-v` a bind table; else neighbours that are alike share one."""
    if request.verbose or request.face == "json":
        return (Stretch(diagnosis, diagnosis.port) for diagnosis in checks(endpoints, question))
    return stretches(endpoints, question)


def _noted(answers: Iterable[Stretch], verdicts: set[Verdict]) -> Iterator[Stretch]:
    for answer in answers:
        verdicts.add(answer.first.verdict)
        yield answer


def _lines(answers: Iterator[Stretch], request: CheckRequest, *, several: bool) -> Iterable[str]:
    lines = _faced(answers, request, several=several)
    if not several or not stream.is_terminal(sys.stderr):  # one port is told before threading is imported
        return lines
    from portcheck.render.progress import with_progress

    return with_progress(lines, "looking at the ports", request.color)


def _faced(answers: Iterator[Stretch], request: CheckRequest, *, several: bool) -> Iterable[str]:
    if request.face == "plain" or not stream.is_drawn(sys.stdout, request.color):
        return (line for first, last in answers for line in plain.check(together(first, last), verbose=request.verbose))
    from portcheck.render import terminal

    canvas = stream.canvas(sys.stdout, os.environ, request.color)
    if several and not request.verbose:
        return terminal.overview(answers, canvas, request.targets, again=_again(request))
    return terminal.checks(answers, canvas, verbose=request.verbose)


def _again(request: CheckRequest) -> tuple[str, ...]:
    """The command line that asks the same of the same ports."""
    options = (
        *(f"--host={host}" for host in request.hosts),
        *(["--udp"] if request.udp else ()),
        *([f"-{request.family[-1]}"] if request.family else ()),
    )
    return ("portcheck", *request.targets, *options)
