"""portcheck stop TARGET: free the port safely, and say truly whether it is free now."""

from __future__ import annotations

import sys

from portcheck import exit_codes
from portcheck.errors import PortcheckError
from portcheck.namedtuple import TYPE_CHECKING
from portcheck.observe.names import SystemNames
from portcheck.render import stream
from portcheck.render.progress import Progress
from portcheck.render.stop import another_intention, conclusion, intention
from portcheck.stop.outcome import newcomers, not_done, report, unconfirmed, untouched
from portcheck.stop.plan import Plan, plan
from portcheck.stop.watch import Watch
from portcheck.target import Endpoint, parse_targets

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import TextIO

    from portcheck.model import Diagnosis, Protocol
    from portcheck.render.layout import Canvas
    from portcheck.requests import StopRequest
    from portcheck.stop.outcome import Report


def run(request: StopRequest) -> int:
    """Stops, prints, and returns the exit code of the contract: 0 only where every port is free now."""
    reports = [_stop(endpoint, request) for endpoint in _endpoints(request)]
    if request.json:
        from portcheck.render.json_documents import dumps, stop_document

        stream.write([dumps(stop_document(reports))])
    return exit_codes.of_stop(stopped.outcome for stopped in reports)


def _endpoints(request: StopRequest) -> tuple[Endpoint, ...]:
    """What the targets name; without any, whatever the process of --pid holds.  Raises PortcheckError."""
    if not request.targets and request.pid:
        return _held_by(request.pid, request)
    protocol: Protocol = "udp" if request.udp else "tcp"
    return parse_targets(request.targets, SystemNames(), protocol=protocol, hosts=request.hosts, family=request.family)


def _held_by(pid: int, request: StopRequest) -> tuple[Endpoint, ...]:
    from portcheck.listing import Filter, list_sockets

    listing = list_sockets(Filter())
    held = dict.fromkeys((each.protocol, each.local_port) for each in listing if pid in (each.pids or ()))
    if not held and listing.blind_spots:
        spot = listing.blind_spots[0]
        raise PortcheckError(f"it cannot be told whether PID {pid} holds a port: {spot.message}", spot.remedy)
    if not held and not request.json:
        stream.say([f"PID {pid} holds no port: there is nothing to stop."], sys.stdout, request.color)
    return tuple(Endpoint(str(port), protocol, port, family=request.family) for protocol, port in held)


def _stop(endpoint: Endpoint, request: StopRequest) -> Report:
    stopped = _freed(endpoint, request)
    if not request.json:
        _tell_conclusion(stopped, request)
    return stopped


# What is drawn for a person no script has to import.


def _tell_conclusion(stopped: Report, request: StopRequest) -> None:
    def drawn(canvas: Canvas) -> Iterable[str]:
        from portcheck.render import terminal_stop

        return terminal_stop.conclusion(stopped, canvas)

    stream.say(conclusion(stopped), sys.stdout, request.color, drawn)


def _tell_intention(before: Diagnosis, intended: Plan, request: StopRequest) -> None:
    def drawn(canvas: Canvas) -> Iterable[str]:
        from portcheck.render import terminal_stop

        return terminal_stop.intention(before, intended, canvas, force=request.force)

    stream.say(intention(before, intended, force=request.force), _aside(request), request.color, drawn)


def _tell_another_intention(stopped: Report, intended: Plan, request: StopRequest) -> None:
    def drawn(canvas: Canvas) -> Iterable[str]:
        from portcheck.render import terminal_stop

        return terminal_stop.another_intention(stopped, intended, canvas, force=request.force)

    stream.say(another_intention(stopped, intended, force=request.force), _aside(request), request.color, drawn)


def _freed(endpoint: Endpoint, request: StopRequest) -> Report:
    watch = Watch(endpoint)
    before = watch.diagnosis
    if before.verdict == "free":
        _hint(request)
        return untouched(before, Plan())
    intended = _planned(before, request)
    if not intended.steps:
        return untouched(before, intended)
    _tell_intention(before, intended, request)
    withheld = _without_consent(before, intended, request)
    if withheld:
        return withheld
    stopped = _carried_out(before, intended, watch, request)
    while again := _agreed_again(stopped, request):
        first, stopped = stopped, _carried_out(watch.diagnosis, again, watch, request)
        stopped = stopped._replace(before=before, plan=Plan(first.plan.steps + again.steps))
    return stopped


def _hint(request: StopRequest) -> None:
    """On stderr, where nothing holds the port: perhaps its number is a process's."""
    from portcheck.commands.mistakes import pid_hint

    hint = pid_hint(request.targets, "stop")
    if hint and not request.json:
        stream.complain(hint, color=request.color, mark="doubtful")


def _planned(finding: Diagnosis, request: StopRequest) -> Plan:
    from portcheck.stop.census import complete
    from portcheck.stop.execute import asker

    asking = asker(finding)
    intended = plan(finding, asking, everything=request.all, pid=request.pid)
    return complete(intended, finding, asking.own_pids)


def _carried_out(before: Diagnosis, intended: Plan, watch: Watch, request: StopRequest) -> Report:
    from portcheck.observe.system import own_uid
    from portcheck.stop.execute import carry_out, settle

    with Progress(f"stopping what holds port {before.port}", request.color):
        done = carry_out(intended, watch, timeout=request.timeout, force=request.force)
    with Progress(f"watching whether port {before.port} stays free", request.color):
        done = settle(done, intended, watch, request.settle)
    return report(before, intended, done, own_uid())


def _agreed_again(stopped: Report, request: StopRequest) -> Plan | None:
    """A plan for whoever holds the port now, though nobody had named him: --yes was no yes to that, a person's is."""
    after = stopped.after
    if request.yes or request.pid or not after or not newcomers(stopped.plan, after):
        return None
    again = _planned(after, request)
    if not again.steps:
        return None
    _tell_another_intention(stopped, again, request)
    return again if _agrees() else None


def _without_consent(before: Diagnosis, intended: Plan, request: StopRequest) -> Report | None:
    """The report of a plan that is not carried out; None where it is."""
    if request.dry_run:
        return not_done("planned", before, intended)
    if request.yes:
        return None
    if not (stream.is_terminal(sys.stdin) and stream.is_terminal(sys.stderr)):
        return unconfirmed(before, intended)
    return None if _agrees() else not_done("declined", before, intended)


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


def _aside(request: StopRequest) -> TextIO | None:
    """Where the plan is told: a document stands alone on stdout."""
    return sys.stderr if request.json else sys.stdout
