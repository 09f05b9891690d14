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
from portcheck.render.wait import clock, complaints, obstacles, successes
from portcheck.target import parse_targets
from portcheck.waiting.loop import Plan, obstacle, unmet
from portcheck.waiting.poll import wait_for
from portcheck.waiting.readiness import Readiness, parse_statuses

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from typing import TextIO

    from portcheck.render.layout import Canvas
    from portcheck.requests import Color, WaitRequest
    from portcheck.waiting.loop import Standing, Waited


def run(request: WaitRequest) -> int:
    """Waits, prints how it ended, and returns the exit code of the contract; a command that is run has its own."""
    plan = Plan(
        request.free, request.connect, request.timeout, request.stable, request.any, request.fail_fast, request.interval
    )
    if request.run_anyway and not request.command:
        raise UsageError("--run-anyway needs a command; for example: portcheck wait 5432 --run-anyway -- npm start")
    status = _Status(request, plan)
    try:
        waited = wait(request, plan, status)
    finally:
        status.stop_clock()
    if request.json:
        from portcheck.render.json_documents import dumps, wait_document

        stream.write([dumps(wait_document("free" if request.free else "listening", waited))])
    elif not request.quiet:
        # What a command prints is the command's alone
        out = sys.stderr if request.command else sys.stdout
        _print(waited, plan, request.color, out, named=status.has_told)
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
    endpoints = parse_targets(
        request.targets,
        names,
        protocol="udp" if request.udp else "tcp",
        hosts=request.hosts,
        family=request.family,
    )
    question = question_for(request.profile, reuseaddr=request.reuseaddr, probe=request.probe)
    return wait_for(endpoints, plan, question, readiness, tell=tell)


class _Status:
    """Says on stderr what is in the way whenever that changes, and shows a clock on a terminal."""

    def __init__(self, request: WaitRequest, plan: Plan) -> None:
        self._request = request
        self._plan = plan
        self._clock: Progress | None = None
        self._before: object = None

    @property
    def has_told(self) -> bool:
        """Whether it was said what is in the way."""
        return self._before is not None

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
        self._tell(missing)
        self._clock = Progress(clock(missing), self._request.color)
        self._clock.start()
        self._before = state

    def _tell(self, missing: Sequence[Standing]) -> None:
        """Scripts hear of what is in the way of a server, people also of what is waited for."""

        def drawn(canvas: Canvas) -> Iterator[str]:
            from portcheck.render import terminal_wait

            if not self.has_told:
                yield from terminal_wait.announcement(missing, self._plan, canvas)
            if self._plan.free:
                yield from terminal_wait.obstacles(missing, canvas)

        stream.say(obstacles(missing) if self._plan.free else (), sys.stderr, self._request.color, drawn)


def _print(waited: Waited, plan: Plan, color: Color, out: TextIO, *, named: bool) -> None:
    def drawn(canvas: Canvas) -> Iterable[str]:
        from portcheck.render import terminal_wait

        if waited.outcome == "met":
            return terminal_wait.successes(waited, canvas)
        return terminal_wait.complaints(waited, plan, canvas, named=named)

    if waited.outcome == "met":
        stream.say(successes(waited), out, color, drawn)
    else:
        stream.complain_in(complaints(waited, plan), color, drawn)
