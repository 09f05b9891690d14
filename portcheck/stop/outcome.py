"""What came of a port that was to be freed, and the one sentence that tells it.  Pure."""

from __future__ import annotations

from portcheck.identify.describe import briefly, by_pid, listed, port_named, spread, who
from portcheck.identify.holders import groups, serves
from portcheck.namedtuple import TYPE_CHECKING, NamedTuple
from portcheck.stop.plan import Plan

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from typing import Literal

    from portcheck.model import Advice, Diagnosis, Owner, Process
    from portcheck.remedies.catalogue import Remedy
    from portcheck.stop.plan import Step

    Outcome = Literal[
        "free", "already-free", "planned", "held", "respawned", "time-wait", "closing", "refused", "declined", "unknown"
    ]


class Report(NamedTuple):
    """What came of one port."""

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
    living: tuple[Process, ...] = ()  # those that were to end, have let go of the port, and still run


def is_held(plan: Plan, after: Diagnosis) -> bool:
    """Whether what was to be stopped still holds the port.

    A process that is ending lets go of its descriptors before its sockets are gone: they still show, without it.
    """
    inodes = {socket.inode for index, socket in enumerate(after.sockets) if serves(after, index)}
    return any(not inodes.isdisjoint(step.inodes) or left_of(step, after) for step in plan.steps)


def left_of(step: Step, after: Diagnosis) -> tuple[Process, ...]:
    """Which processes of a step still hold the port, without those that have it from another of them."""
    members = {(owner.pid, owner.process.born) for owner in step.members if owner.pid}
    holders = (root.process for root in _roots(after))
    return tuple(process for process in holders if (process.pid, process.born) in members)


def newcomers(plan: Plan, after: Diagnosis) -> tuple[Process, ...]:
    """Who holds the port now and was no part of the plan: nobody has agreed to stop these."""
    planned = {(owner.pid, owner.process.born) for step in plan.steps for owner in step.members}
    return tuple(root.process for root in _roots(after) if (root.pid, root.process.born) not in planned)


def untouched(before: Diagnosis, plan: Plan) -> Report:
    """On a port that nothing is done about: it is free, it frees itself, or the plan is a refusal."""
    standing = _without_holders(before) if _has_no_holders(before) else "held"
    if standing == "free":
        return Report("already-free", f"{before.sentence.line}: nothing to stop.", before)
    if standing in ("time-wait", "closing", "unknown"):
        return Report(standing, before.message, before, advice=before.advice)
    message = f"{_subject(before)} is not stopped: {plan.refusal}."
    return Report("refused", message, before, plan, advice=plan.advice)


def unconfirmed(before: Diagnosis, plan: Plan) -> Report:
    """On a plan that needs a person's consent where there is nobody to ask."""
    return untouched(before, plan._replace(refusal="there is no terminal to ask, and --yes was not given"))


def not_done(outcome: Literal["planned", "declined"], before: Diagnosis, plan: Plan) -> Report:
    """On a plan that was only to be shown (--dry-run), or that a person has declined."""
    reason = " (--dry-run)" if outcome == "planned" else ""
    return Report(outcome, f"Nothing was done{reason}.", before, plan)


def report(before: Diagnosis, plan: Plan, done: Doing, uid: int | None) -> Report:
    """On a plan that was carried out: what is true now, whatever was intended."""
    outcome = _outcome(before, done.after)
    advice = tuple(dict.fromkeys(_advice(outcome, plan, done, uid)))
    return Report(outcome, f"{_sentence(outcome, plan, done)}.", before, plan, done.after, advice)


def _outcome(before: Diagnosis, after: Diagnosis) -> Outcome:
    if _has_no_holders(after):
        return _without_holders(after)
    return "held" if _holdings(before) & _holdings(after) else "respawned"


def _has_no_holders(finding: Diagnosis) -> bool:
    return finding.verdict == "free" or not groups(finding)


def _without_holders(finding: Diagnosis) -> Outcome:
    if finding.verdict in ("free", "denied"):  # nothing is in the way of a process that may bind it
        return "free"
    if finding.verdict == "unknown":
        return "unknown"
    return finding.cause if finding.cause in ("time-wait", "closing") else "held"


def _holdings(finding: Diagnosis) -> set[object]:
    """What tells a port still held from one taken again: the sockets, and the processes that hold them."""
    serving = {index for index in range(len(finding.sockets)) if serves(finding, index)}
    inodes = {finding.sockets[index].inode for index in serving}
    processes = (owner.process for owner in finding.owners if owner.pid and not serving.isdisjoint(owner.sockets))
    return {inode for inode in inodes if inode} | {(process.pid, process.born) for process in processes}


def _sentence(outcome: Outcome, plan: Plan, done: Doing) -> str:
    """Without its full stop."""
    after = done.after
    ended = " and ".join(_ended(step, done.living) for step in plan.steps)
    if outcome == "free":
        return f"{_subject(after)} is free now: {ended}{_until_then(after)}"
    why = f" ({'; '.join(done.troubles)})" if done.troubles else ""
    if outcome == "held" and is_held(plan, after):
        return f"{_subject(after)} is still held{why}: {_who(done)}"
    port = port_named(after.protocol, after.port)
    if outcome == "respawned":
        return f"{ended}, but {_by_whom(after, port)}{why}: {_who(done)}"
    if outcome == "unknown":
        return f"{ended}{why}; {after.sentence.clause}"  # whether it is free cannot be told
    return f"{ended}, but {port} is not free{why}: {_who(done)}"


def _subject(finding: Diagnosis) -> str:
    """At the start of a sentence."""
    port = port_named(finding.protocol, finding.port)
    return port[:1].upper() + port[1:]


def _who(done: Doing) -> str:
    """`node (PID 812, ann, since 09:00) on 127.0.0.1`; where no process holds it, what else is in the way."""
    after = done.after
    holders = [
        f"{who(root.process, done.now)} on {spread(after.sockets[index] for index in sorted(root.sockets))}"
        for root in _roots(after)
    ]
    return " and ".join(holders) or after.sentence.because


def _ended(step: Step, living: Collection[Process]) -> str:
    """`apache2.service is stopped`, `node (PID 812) has ended`: never more than is true."""
    stopped = to_end(step)
    left = listed(by_pid(process) for process in stopped if process in living)
    if step.command:
        required = step.roots[0].process.required_by
        with_it = f" (with {listed(required)})" if required else ""
        return f"{_by_its_name(step)}{with_it} is stopped{f', but {left} still runs' if left else ''}"
    ended = [briefly(process) for process in stopped if process not in living]
    has_ended = [f"{listed(ended)} {'has' if len(ended) == 1 else 'have'} ended"] if ended else []
    has_let_go = [f"{left} let go of it and still runs"] if left else []
    return " and ".join(has_ended + has_let_go)


def to_end(step: Step) -> tuple[Process, ...]:
    """Whom a step is about; what holds a socket on behalf of others goes on."""
    roots = (root.process for root in step.roots if root.pid and root.process.role != "service manager")
    return tuple(dict.fromkeys((*step.signalled, *roots)))


def _by_its_name(step: Step) -> str:
    """What its manager has stopped: of a supervisor that is a unit itself only the program."""
    process = step.roots[0].process
    if process.supervisor and process.supervised in (step.command or ()):
        return f"{process.supervisor}'s {process.supervised}"
    return briefly(process)


def _until_then(after: Diagnosis) -> str:
    """What a server without SO_REUSEADDR has to wait for."""
    waits = [socket.expires_in for socket in after.sockets if socket.state == "TIME-WAIT" and socket.expires_in]
    if after.cause != "time-wait" or not waits:
        return ""
    return f"; a server that does not set SO_REUSEADDR has to wait another {max(1, round(max(waits)))} s (TIME_WAIT)"


def _by_whom(after: Diagnosis, port: str) -> str:
    """What brought it back: its unit, its container's restart policy, or the supervisor among its ancestors."""
    restarters = dict.fromkeys(by for root in _roots(after) if (by := _restarter(root.process)))
    return f"{' and '.join(restarters)} started it again" if restarters else f"{port} was taken again"


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


def _advice(outcome: Outcome, plan: Plan, done: Doing, uid: int | None) -> Iterator[Advice]:
    """What helps now."""
    if outcome in ("time-wait", "closing", "unknown"):
        yield from done.after.advice
    elif outcome in ("held", "respawned"):
        from portcheck.remedies.fill import fill_all

        for root in _roots(done.after):
            yield from fill_all(_remedies(root, outcome, plan, done, uid), root, done.after, uid)


def _remedies(root: Owner, outcome: Outcome, plan: Plan, done: Doing, uid: int | None) -> tuple[Remedy, ...]:
    from portcheck.remedies.catalogue import RESTARTED, UNENDED
    from portcheck.remedies.kinds import kind_of

    kind = kind_of(root, uid)
    if outcome == "respawned" and root.process.started_by and kind.stopped_by == "signal":
        return RESTARTED
    if any(root.process in left_of(step, done.after) for step in plan.steps if step.signalled):
        return () if done.killed else (UNENDED,)
    return kind.remedies
