"""portcheck stop TARGET: free the port safely, and say truly whether it is free now."""

from __future__ import annotations

import os
import sys

from portcheck import exit_codes
from portcheck.diagnosis.pipeline import checks
from portcheck.namedtuple import TYPE_CHECKING
from portcheck.observe.names import SystemNames
from portcheck.render import stream
from portcheck.render.stop import conclusion, intention, wrapped
from portcheck.stop.outcome import Report, report, untouched
from portcheck.stop.plan import plan
from portcheck.target import parse_targets

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import TextIO

    from portcheck.model import Diagnosis, Protocol
    from portcheck.requests import StopRequest
    from portcheck.stop.outcome import Doing
    from portcheck.stop.plan import Plan
    from portcheck.target import Endpoint


def run(request: StopRequest) -> int:
    """Stops, prints, and returns the exit code of the contract: 0 only where every port is free now."""
    protocol: Protocol = "udp" if request.udp else "tcp"
    endpoints = parse_targets(request.targets, SystemNames(), protocol=protocol, hosts=request.hosts)
    reports = [_stop(endpoint, request) for endpoint in endpoints]
    if request.json:
        from portcheck.render.json_documents import dumps, stop_document

        stream.write([dumps(stop_document(reports))])
    return exit_codes.of_stop(ending.outcome for ending in reports)


def _stop(endpoint: Endpoint, request: StopRequest) -> Report:
    from portcheck.stop.execute import asker

    before = _look(endpoint)
    asking = asker(before)
    intended = plan(before, asking, everything=request.all, pid=request.pid)
    if not intended.steps:
        found = untouched(before, intended)
    elif not (refused := _without_consent(before, intended, request)):
        found = report(before, intended, _carried_out(endpoint, before, intended, request), asking.uid)
    else:
        found = refused
    if not request.json:
        _say(conclusion(found))
    return found


def _without_consent(before: Diagnosis, intended: Plan, request: StopRequest) -> Report | None:
    """Why it ends before anything was done; None where it goes on."""
    _say(intention(before, intended, force=request.force), sys.stderr if request.json else sys.stdout)
    if request.dry_run:
        return Report("planned", "Nothing was done (--dry-run).", before, intended)
    if request.yes:
        return None
    if not (stream.is_terminal(sys.stdin) and stream.is_terminal(sys.stderr)):
        intended = intended._replace(refusal="there is no terminal to ask, and --yes was not given")
        return untouched(before, intended)
    return None if _agrees() else Report("declined", "Nothing was done.", before, intended)


def _agrees() -> bool:
    """A person's yes; the prompt's line is ended however the answer ends."""
    sys.stderr.write("Stop it? [y/N] ")
    sys.stderr.flush()
    answer = ""
    try:
        answer = sys.stdin.readline()
    finally:
        if not answer.endswith("\n"):
            sys.stderr.write("\n")
    return answer.strip().lower() in ("y", "yes")


def _carried_out(endpoint: Endpoint, before: Diagnosis, intended: Plan, request: StopRequest) -> Doing:
    from portcheck.render.progress import progress
    from portcheck.stop.execute import carry_out, settle

    def look() -> Diagnosis:
        return _look(endpoint)

    with progress(f"stopping what holds port {endpoint.port}"):
        done = carry_out(intended, before, look, timeout=request.timeout, force=request.force)
    with progress(f"watching whether port {endpoint.port} stays free"):
        return settle(done, look, request.settle)


def _say(lines: Iterable[str], to: TextIO | None = None) -> None:
    to = to or sys.stdout
    stream.write(wrapped(lines, stream.width(to, os.environ)) if stream.is_terminal(to) else lines, to)


def _look(endpoint: Endpoint) -> Diagnosis:
    return next(checks([endpoint]))
