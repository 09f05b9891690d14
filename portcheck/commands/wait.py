"""portcheck wait TARGET...: until it listens, or until it is free."""

from __future__ import annotations

import sys

from portcheck import exit_codes
from portcheck.namedtuple import TYPE_CHECKING
from portcheck.observe.names import SystemNames
from portcheck.profiles import question_for
from portcheck.render import stream
from portcheck.render.progress import Progress
from portcheck.render.wait import announcement, clock, complaints, obstacles, successes
from portcheck.target import parse_targets
from portcheck.waiting.loop import Plan, obstacle, unmet
from portcheck.waiting.poll import wait_for

if TYPE_CHECKING:
    from collections.abc import Sequence

    from portcheck.requests import Color, WaitRequest
    from portcheck.waiting.loop import Standing, Waited


def run(request: WaitRequest) -> int:
    """Waits, prints how it ended, and returns the exit code of the contract."""
    plan = Plan(request.free, request.connect, request.timeout, request.stable, request.any, request.fail_fast)
    status = _Status(request)
    try:
        waited = wait(request, plan, status)
    finally:
        status.stop_clock()
    if request.json:
        from portcheck.render.json_documents import dumps, wait_document

        stream.write([dumps(wait_document("free" if request.free else "listening", waited))])
    elif not request.quiet:
        _print(waited, plan, request.color)
    return exit_codes.of_wait(waited.outcome)


def wait(request: WaitRequest, plan: Plan, tell: _Status) -> Waited:
    """Waits as a request asks for.  Raises UsageError before anything is looked at."""
    endpoints = parse_targets(
        request.targets,
        SystemNames(),
        protocol="udp" if request.udp else "tcp",
        hosts=request.hosts,
        family=request.family,
    )
    question = question_for(request.profile, reuseaddr=request.reuseaddr, probe=request.probe)
    return wait_for(endpoints, plan, question, tell=tell)


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


def _print(waited: Waited, plan: Plan, color: Color) -> None:
    if waited.outcome == "met":
        for line in successes(waited):
            stream.say([line], sys.stdout, color, "good")
        return
    for cause, remedy in complaints(waited, plan):
        stream.complain(cause, remedy)
