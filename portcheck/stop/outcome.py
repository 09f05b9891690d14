"""What became of a port that was to be stopped, and the one true sentence about it.  Pure."""

from __future__ import annotations

from portcheck.identify.describe import briefly, port_named, spread, who
from portcheck.identify.holders import groups, serves
from portcheck.namedtuple import TYPE_CHECKING, NamedTuple
from portcheck.remedies.catalogue import RESTARTED, UNENDED
from portcheck.remedies.fill import fill_all
from portcheck.remedies.kinds import kind_of
from portcheck.stop.plan import Plan

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Literal

    from portcheck.model import Advice, Diagnosis, Owner, Process
    from portcheck.remedies.catalogue import Remedy
    from portcheck.stop.plan import Step

    Outcome = Literal[
        "free", "already-free", "planned", "held", "respawned", "time-wait", "closing", "refused", "declined", "unknown"
    ]


class Report(NamedTuple):
    """How it went with one port."""

    outcome: Outcome
    message: str
    before: Diagnosis
    plan: Plan = Plan()
    after: Diagnosis | None = None
    advice: tuple[Advice, ...] = ()


class Doing(NamedTuple):
    """How a plan was carried out."""

    after: Diagnosis
    now: float = 0.0  # seconds since the epoch
    troubles: tuple[str, ...] = ()  # what went wrong on the way
    killed: bool = False  # SIGKILL was sent where SIGTERM did not help


def is_held(plan: Plan, after: Diagnosis) -> bool:
    """Whether what was to be stopped still holds the port.

    A process that is just ending has let go of its descriptors before its sockets are gone: they show without it.
    """
    inodes = {socket.inode for index, socket in enumerate(after.sockets) if serves(after, index)}
    return any(not inodes.isdisjoint(step.inodes) or left_of(step, after) for step in plan.steps)


def left_of(step: Step, after: Diagnosis) -> tuple[Process, ...]:
    """Who of a step still holds the port, without those who have that from another one."""
    members = {(owner.pid, owner.process.start_ticks) for owner in step.members if owner.pid}
    roots = (root.process for root in _roots(after))
    return tuple(process for process in roots if (process.pid, process.start_ticks) in members)


def untouched(before: Diagnosis, plan: Plan) -> Report:
    """Of a port that nothing is done about: it is free, it frees itself, or the plan is a refusal."""
    found = _without_holders(before) if _has_no_holders(before) else "held"
    if found == "free":
        return Report("already-free", f"{before.sentence.line}: nothing to stop.", before)
    if found in ("time-wait", "closing", "unknown"):
        return Report(found, before.message, before, advice=before.advice)
    message = f"{_subject(before)} is not stopped: {plan.refusal}."
    return Report("refused", message, before, plan, advice=plan.advice)


def report(before: Diagnosis, plan: Plan, done: Doing, uid: int | None) -> Report:
    """Of a plan that was carried out: what is true now, whatever was meant."""
    found = _outcome(before, done.after)
    advice = tuple(dict.fromkeys(_advice(found, plan, done, uid)))
    return Report(found, f"{_sentence(found, plan, done)}.", before, plan, done.after, advice)


def _outcome(before: Diagnosis, after: Diagnosis) -> Outcome:
    if _has_no_holders(after):
        return _without_holders(after)
    return "held" if _holdings(before) & _holdings(after) else "respawned"


def _has_no_holders(finding: Diagnosis) -> bool:
    return finding.verdict == "free" or not groups(finding)


def _without_holders(finding: Diagnosis) -> Outcome:
    if finding.verdict in ("free", "denied"):  # nobody is in the way of whoever may bind it
        return "free"
    if finding.verdict == "unknown":
        return "unknown"
    return finding.cause if finding.cause in ("time-wait", "closing") else "held"


def _holdings(finding: Diagnosis) -> set[object]:
    """What tells holding on from taking again: the sockets, and the processes that hold them."""
    serving = {index for index in range(len(finding.sockets)) if serves(finding, index)}
    inodes = {finding.sockets[index].inode for index in serving}
    processes = (owner.process for owner in finding.owners if owner.pid and not serving.isdisjoint(owner.sockets))
    return {inode for inode in inodes if inode} | {(process.pid, process.start_ticks) for process in processes}


def _sentence(found: Outcome, plan: Plan, done: Doing) -> str:
    """Without its full stop."""
    after = done.after
    ended = " and ".join(map(_ended, plan.steps))
    if found == "free":
        return f"{_subject(after)} is free now: {ended}{_until_then(after)}"
    why = f" ({'; '.join(done.troubles)})" if done.troubles else ""
    if found == "held" and is_held(plan, after):
        return f"{_subject(after)} is still held{why}: {_who(done)}"
    port = port_named(after.protocol, after.port)
    if found == "respawned":
        return f"{ended}, but {_by_whom(after, port)}{why}: {_who(done)}"
    if found == "unknown":
        return f"{ended}{why}; {after.sentence.clause}"  # whether it is free cannot be told
    return f"{ended}, but {port} is not free{why}: {_who(done)}"


def _subject(finding: Diagnosis) -> str:
    """At the start of a sentence."""
    port = port_named(finding.protocol, finding.port)
    return port[:1].upper() + port[1:]


def _who(done: Doing) -> str:
    """`node (PID 812, ann, since 09:00) on 127.0.0.1`; what else is in the way where nobody holds it."""
    after = done.after
    held = [
        f"{who(root.process, done.now)} on {spread(after.sockets[index] for index in sorted(root.sockets))}"
        for root in _roots(after)
    ]
    return " and ".join(held) or after.sentence.reason


def _ended(step: Step) -> str:
    if step.command:
        return f"{briefly(step.roots[0].process)} is stopped"
    names = list(map(briefly, dict.fromkeys((*step.signalled, *(root.process for root in step.roots)))))
    return f"{' and '.join(names)} {'has' if len(names) == 1 else 'have'} ended"


def _until_then(after: Diagnosis) -> str:
    """What a server without SO_REUSEADDR has to wait for."""
    waits = [socket.expires_in for socket in after.sockets if socket.state == "TIME-WAIT" and socket.expires_in]
    if after.cause != "time-wait" or not waits:
        return ""
    return f"; a server that does not set SO_REUSEADDR has to wait another {max(1, round(max(waits)))} s (TIME_WAIT)"


def _by_whom(after: Diagnosis, port: str) -> str:
    """What brought it back: its unit, its container's restart policy, or the supervisor found by ancestry."""
    found = dict.fromkeys(by for root in _roots(after) if (by := _restarter(root.process)))
    return f"{' and '.join(found)} started it again" if found else f"{port} was taken again"


def _restarter(process: Process) -> str | None:
    if process.container and process.container.restart_policy:
        return f"its container's restart policy ({process.container.restart_policy})"
    by = process.supervisor or process.started_by
    if process.service and not process.supervisor:
        return f"{process.service_manager or 'its manager'} ({process.service})"
    return f"{by} (PID {process.supervisor_pid})" if by else None


def _roots(finding: Diagnosis) -> Iterator[Owner]:
    for group in groups(finding):
        yield from group.roots()


def _advice(found: Outcome, plan: Plan, done: Doing, uid: int | None) -> Iterator[Advice]:
    """What really helps now."""
    if found in ("time-wait", "closing", "unknown"):
        yield from done.after.advice
    elif found in ("held", "respawned"):
        for root in _roots(done.after):
            yield from fill_all(_remedies(root, found, plan, done, uid), root, done.after, uid)


def _remedies(root: Owner, found: Outcome, plan: Plan, done: Doing, uid: int | None) -> tuple[Remedy, ...]:
    kind = kind_of(root, uid)
    if found == "respawned" and root.process.started_by and kind.stopped_by == "signal":
        return RESTARTED
    if any(root.process in left_of(step, done.after) for step in plan.steps if step.signalled):
        return () if done.killed else (UNENDED,)
    return kind.remedies
