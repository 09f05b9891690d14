"""portcheck wait TARGET...: until it listens, or until it is free."""

from __future__ import annotations

import sys
from contextlib import ExitStack

from portcheck import exit_codes
from portcheck.namedtuple import TYPE_CHECKING
from portcheck.observe.names import SystemNames
from portcheck.profiles import question_for
from portcheck.render import stream
from portcheck.render.escape import visible
from portcheck.render.progress import progress
from portcheck.target import parse_targets
from portcheck.waiting.condition import place
from portcheck.waiting.loop import Plan, unmet
from portcheck.waiting.poll import wait_for

if TYPE_CHECKING:
    from collections.abc import Sequence

    from portcheck.model import Advice
    from portcheck.requests import WaitRequest
    from portcheck.waiting.loop import Standing, Waited


def run(request: WaitRequest) -> int:
    """Waits, prints how it ended, and returns the exit code of the contract."""
    with ExitStack() as clock:
        waited = wait(request, _Status(request, clock))
    if request.json:
        from portcheck.render.json_documents import dumps, wait_document

        stream.write([dumps(wait_document("free" if request.free else "listening", waited))])
    elif not request.quiet:
        _print(waited, request)
    return exit_codes.of_wait(waited.outcome)


def wait(request: WaitRequest, tell: _Status) -> Waited:
    """Waits as a request asks for.  Raises UsageError before anything is looked at."""
    endpoints = parse_targets(
        request.targets, SystemNames(), protocol="udp" if request.udp else "tcp", hosts=request.hosts
    )
    return wait_for(
        endpoints,
        Plan(request.free, request.connect, request.timeout, request.stable, request.any, request.fail_fast),
        question_for(request.profile, reuseaddr=request.reuseaddr, probe=request.probe),
        tell=tell,
    )


class _Status:
    """Says on stderr what is in the way whenever that changes, and shows a clock on a terminal."""

    def __init__(self, request: WaitRequest, clock: ExitStack) -> None:
        self._request = request
        self._clock = clock
        self._said: object = None

    def __call__(self, standings: Sequence[Standing]) -> None:
        missing = unmet(standings)
        state = [(standing.endpoint, _in_the_way(standing)) for standing in missing]
        if self._request.quiet or state == self._said:
            return
        self._clock.close()
        if self._request.free:
            stream.write((f"waiting: {visible(standing.message)}" for standing in missing), sys.stderr)
        what = place(missing[0].endpoint) if missing else "it to last"
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        self._clock.enter_context(progress(f"waiting for {visible(what)}{more}"))
        self._said = state


def _in_the_way(standing: Standing) -> object:
    """What changes where another line is worth saying: not the seconds that are left."""
    found = standing.diagnosis
    return found and (found.verdict, found.cause, [owner.pid for owner in found.owners])


def _said(advice: Advice) -> str:
    """In one line, with its command."""
    from portcheck.render.words import quoted

    return f"{advice.text}: {quoted(advice.command)}" if advice.command else advice.text


def _print(waited: Waited, request: WaitRequest) -> None:
    if waited.outcome == "met":
        stream.write(f"{visible(standing.message)}." for standing in waited.standings if standing.met)
        return
    why = "waiting cannot help" if waited.outcome == "hopeless" else f"not within {request.timeout:g} s"
    for standing in unmet(waited.standings):
        advice = standing.diagnosis.advice if standing.diagnosis else ()
        stream.complain(f"{why}: {standing.message}", _said(advice[0]) if advice and request.free else None)
