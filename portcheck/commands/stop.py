"""portcheck stop TARGET: free the port safely, and say truly whether it is free now."""

from __future__ import annotations

import os
import sys
import time

from portcheck.errors import PortcheckError
from portcheck.model import Diagnosis
from portcheck.observe.names import SystemNames
from portcheck.pipeline import checks
from portcheck.render import stream
from portcheck.render.escape import visible
from portcheck.stopping import Asker, Plan, outcome, plan, verdict
from portcheck.target import parse_targets
from portcheck.value import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from portcheck.request import StopRequest
    from portcheck.stopping import Outcome
    from portcheck.target import Endpoint

DONE, NOT_FREE = 0, 1
SUCCESSES = ("free", "already-free", "planned")


class Report(NamedTuple):
    """How it went with one port."""

    outcome: Outcome
    message: str
    plan: Plan
    before: Diagnosis
    after: Diagnosis | None = None


def run(request: StopRequest) -> int:
    """Stops, prints, and returns 0 only where every port is free now."""
    names = SystemNames()
    endpoints = parse_targets(request.targets, names, protocol="udp" if request.udp else "tcp", hosts=request.hosts)
    reports = [_stop(endpoint, request) for endpoint in endpoints]
    if request.json:
        from portcheck.render.document import dumps, stop_document

        stream.write([dumps(stop_document(reports))])
    return DONE if all(report.outcome in SUCCESSES for report in reports) else NOT_FREE


def _stop(endpoint: Endpoint, request: StopRequest) -> Report:
    report = _attempt(endpoint, request)
    if not request.json:
        stream.write([visible(report.message), *_advice(report)])
    return report


def _attempt(endpoint: Endpoint, request: StopRequest) -> Report:
    from portcheck.act.stop import ancestors

    before = _look(endpoint)
    if before.verdict == "free":
        return Report("already-free", f"{before.message.rstrip('.')}: nothing to stop.", Plan(), before)
    asker = Asker(os.getuid() if hasattr(os, "getuid") else None, ancestors(), time.time())
    intended = plan(before, asker, everything=request.all, pid=request.pid)
    if intended.refusal:
        return Report("refused", f"Port {endpoint.port} is not stopped: {intended.refusal}.", intended, before)
    _tell(before, intended, request)
    if request.dry_run:
        return Report("planned", "Nothing was done (--dry-run).", intended, before)
    if not request.yes and not _agreed():
        return Report("declined", "Nothing was done.", intended, before)
    return _carried_out(endpoint, request, before, intended)


def _carried_out(endpoint: Endpoint, request: StopRequest, before: Diagnosis, intended: Plan) -> Report:
    from portcheck.act.stop import carry_out, settle
    from portcheck.render.progress import progress

    with progress(f"stopping what holds port {endpoint.port}"):
        try:
            after = carry_out(intended, lambda: _look(endpoint), timeout=request.timeout, force=request.force)
        except PortcheckError as error:
            return Report("held", f"{error.cause}.", intended, before, _look(endpoint))
        if outcome(intended.pids, after) in ("free", "time-wait"):
            after = settle(lambda: _look(endpoint), request.settle)
    result = outcome(intended.pids, after)
    return Report(result, verdict(result, intended, after, time.time()), intended, before, after)


def _look(endpoint: Endpoint) -> Diagnosis:
    return next(checks([endpoint]))


def _tell(before: Diagnosis, intended: Plan, request: StopRequest) -> None:
    """What holds the port and what will be done, before anything is done."""
    lines = [before.message, *(f"  plan: {step.text}" for step in intended.steps)]
    stream.write([visible(line) for line in lines], sys.stderr if request.json else sys.stdout)


def _agreed() -> bool:
    """A person's yes; without a terminal there is nobody to ask, and --yes is needed."""
    if not (stream.is_terminal(sys.stdin) and stream.is_terminal(sys.stderr)):
        stream.complain("there is no terminal to ask", "add --yes to stop it without asking")
        return False
    sys.stderr.write("Stop it? [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _advice(report: Report) -> list[str]:
    """After a failure: what really frees the port."""
    if report.after is None or report.outcome in SUCCESSES:
        return []
    from portcheck.render import plain

    return [line for advice in report.after.advice for line in plain.advice_lines(advice)]
