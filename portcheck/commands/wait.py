"""portcheck wait TARGET... [-- CMD]: until it listens or a URL is ready, or until it is free; then CMD takes over."""

from __future__ import annotations

import sys

from portcheck import exit_codes
from portcheck.errors import UsageError
from portcheck.namedtuple import TYPE_CHECKING
from portcheck.observe.names import NamesToCome, SystemNames
from portcheck.profiles import question_for
from portcheck.render import stream
from portcheck.render.progress import Progress
from portcheck.render.wait import announcement, clock, complaints, obstacles, successes
from portcheck.target import parse_targets
from portcheck.waiting.loop import Plan, obstacle, unmet
from portcheck.waiting.poll import wait_for
from portcheck.waiting.readiness import Readiness, parse_statuses

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TextIO

    from portcheck.requests import Color, WaitRequest
    from portcheck.waiting.loop import Standing, Waited


def run(request: WaitRequest) -> int:
    """Waits, prints how it ended, and returns the exit code of the contract; a command that is run has its own."""
    plan = Plan(
        request.free, request.connect, request.timeout, request.stable, request.any, request.fail_fast, request.interval
    )
    if request.run_anyway and not request.command:
        raise UsageError("--run-anyway needs a command; for example: portcheck wait 5432 --run-anyway -- npm start")
    status = _Status(request)
    try:
        waited = wait(request, plan, status)
    finally:
        status.stop_clock()
    if request.json:
        from portcheck.render.json_documents import dumps, wait_document

        stream.write([dumps(wait_document("free" if request.free else "listening", waited))])
    elif not request.quiet:
        # What a command prints is the command's alone
        _print(waited, plan, request.color, sys.stderr if request.command else sys.stdout)
    if request.command and (waited.outcome == "met" or (waited.outcome == "timeout" and request.run_anyway)):
        from portcheck.run.attempt import become

        return become(request.command)
    return exit_codes.of_wait(waited.outcome)


def wait(request: WaitRequest, plan: Plan, tell: _Status) -> Waited:
    """Waits as a request asks for.  Raises UsageError before anything is looked at."""
    readiness = Readiness(
        parse_statuses(() if request.status is None else (request.status,)),
        insecure=request.insecure,
        follow=request.follow,
        per_try=request.per_try,
    )
    names = NamesToCome() if request.wait_for_dns else SystemNames()
    endpoints = parse_targets(request.targets, names, protocol="udp" if request.udp else "tcp", hosts=request.hosts)
    question = question_for(request.profile, reuseaddr=request.reuseaddr, probe=request.probe)
    return wait_for(endpoints, plan, question, readiness, tell=tell)


class _Status:
    """Says on stderr what is in the way whenever that changes, and shows a clock on a terminal."""

    def __init__(self, request: WaitRequest) -> None:
        self._request = request
        self._clock: Progress | None = None
        self._before: object = None

    def stop_clock(self) -> None:
        """Takes the clock off the terminal."""
        if self._clock:
            self._clock.end()

    def __call__(self, standings: Sequence[Standing]) -> None:
        missing = unmet(standings)
        state = [(standing.endpoint, obstacle(standing)) for standing in missing]
        if self._request.quiet or state == self._before:
            return
        self.stop_clock()
        if self._request.free:
            stream.say(obstacles(missing), sys.stderr, self._request.color)
        elif stream.is_terminal(sys.stderr):
            stream.say([announcement(missing, self._request.timeout)], sys.stderr, self._request.color)
        self._clock = Progress(clock(missing))
        self._clock.start()
        self._before = state


def _print(waited: Waited, plan: Plan, color: Color, out: TextIO) -> None:
    if waited.outcome == "met":
        for line in successes(waited):
            stream.say([line], out, color, "good")
        return
    for cause, remedy in complaints(waited, plan):
        stream.complain(cause, remedy)
