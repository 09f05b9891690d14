"""What stopping a port's holder takes.  Pure: portcheck.act carries a plan out, portcheck.stopped says what came of it.

A plan never signals what would come back: a service, a container or a supervised program is stopped by what manages
it, a server by its main process.  A client that is merely connected to the port is never part of a plan.
"""

from __future__ import annotations

from portcheck.filling import fill, owner_fields
from portcheck.holders import groups
from portcheck.identify.describe import who
from portcheck.kinds import MANAGED, SIGNALLED, kind_of
from portcheck.model import Process
from portcheck.remedies import BY_KIND, ONE_OF_SEVERAL, STOP_CONTAINER
from portcheck.value import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from portcheck.holders import Group
    from portcheck.model import Advice, Diagnosis, Owner


class Asker(NamedTuple):
    """Who wants to stop something."""

    uid: int | None  # None where there are no user ids
    own_pids: frozenset[int]  # portcheck itself and its ancestors
    now: float  # seconds since the epoch
    own_cgroup: str | None = None
    supervisors: Mapping[int, Process] = {}  # those that the holders name, as they are at this moment


class Step(NamedTuple):
    """One program that holds the port, and how it is stopped: by its manager's command, else by signals."""

    members: tuple[Owner, ...]  # everybody who holds its sockets
    roots: tuple[Owner, ...]  # those that are stopped: the others end with them
    command: tuple[str, ...] | None = None
    signalled: tuple[Process, ...] = ()  # at first; members that outlive them come after


class Plan(NamedTuple):
    """The steps that free a port; `refusal` says why there are none, `advice` what can be done instead."""

    steps: tuple[Step, ...] = ()
    refusal: str | None = None
    advice: tuple[Advice, ...] = ()


class _RefusedError(Exception):
    """Something in the way of a plan."""


def plan(finding: Diagnosis, asker: Asker, *, everything: bool = False, pid: int | None = None) -> Plan:
    """How to free the port; refuses with a reason rather than stop something that was not meant.

    `everything` allows several unrelated holders, `pid` picks the one that this process belongs to.
    """
    found = groups(finding)
    if pid is not None:
        found = tuple(group for group in found if any(owner.pid == pid for owner in group.members))
        if not found:
            return _refused(f"PID {pid} does not hold port {finding.port}", finding)
    if not found:
        return _refused(_nobody_to_stop(finding), finding)
    try:
        steps = tuple(_merged(step for group in found for step in _steps(group, finding, asker)))
    except _RefusedError as refusal:
        return _refused(str(refusal), finding)
    if len(_programs(steps)) > 1 and not everything:
        names = " and ".join(who(step.roots[0].process, asker.now) for step in steps)
        choices = (fill(ONE_OF_SEVERAL, owner_fields(step.roots[0], finding, asker.uid), step.roots[0], asker.uid) for step in steps)
        return Plan(
            refusal=f"{names} have nothing to do with each other; --all stops them all",
            advice=tuple(choice for choice in choices if choice),
        )
    return Plan(steps)


def _refused(reason: str, finding: Diagnosis) -> Plan:
    """What the diagnosis advises stays true, except to ask for this very stop."""
    useful = (advice for advice in finding.advice if (advice.command or ())[:2] != ("portcheck", "stop"))
    return Plan(refusal=reason, advice=tuple(useful))


def _nobody_to_stop(finding: Diagnosis) -> str:
    if finding.verdict == "unavailable":
        return "nobody can hold it: this address cannot be had here"
    if finding.cause == "kernel":
        return "the kernel itself holds it, not a process"
    if finding.cause in ("connection", "closing"):
        return "no server holds it, only one end of a connection, and clients are left alone"
    return "no process that holds it can be seen from here"


def _steps(group: Group, finding: Diagnosis, asker: Asker) -> Iterable[Step]:
    """One for each manager's command, and one for all processes that are ended by signals."""
    roots = group.roots()
    commands = {root: _command(root, finding, asker) for root in roots}
    for root, command in commands.items():
        if command:
            yield Step(group.members, (root,), command)
    plain = tuple(root for root in roots if commands[root] is None)
    if plain:
        yield Step(group.members, plain, signalled=tuple(dict.fromkeys(_first(root, asker) for root in plain)))


def _command(root: Owner, finding: Diagnosis, asker: Asker) -> tuple[str, ...] | None:
    """By what its manager stops it; None where a signal does.  Raises _RefusedError."""
    kind = kind_of(root, asker.uid)
    remedy = STOP_CONTAINER if kind == "compose" else BY_KIND[kind][0]  # works without compose's files and plugin
    advice = fill(remedy, owner_fields(root, finding, asker.uid), root, asker.uid)
    named = who(root.process, asker.now)
    if "socket-unit" not in kind and _runs_portcheck(root, asker):
        raise _RefusedError(f"{named} is portcheck itself, or what it runs in")
    if kind in SIGNALLED:
        _may_be_signalled(root, asker)
        return None
    if kind not in MANAGED or advice is None or advice.command is None:
        raise _RefusedError(f"{named}: {advice.text}" if advice else f"what {named} holds it for is not known")
    if advice.command[0] == "sudo" and advice.command[1] != "-iu":
        raise _RefusedError(f"{named} can only be stopped by root")
    return advice.command


def _runs_portcheck(root: Owner, asker: Asker) -> bool:
    """An ancestor, or the service or container in which portcheck runs itself."""
    together = asker.own_cgroup is not None and root.process.cgroup == asker.own_cgroup
    return root.pid in asker.own_pids or (together and root.process.service is not None)


def _may_be_signalled(root: Owner, asker: Asker) -> None:
    process = root.process
    named = who(process, asker.now)
    if root.pid == 1:
        raise _RefusedError(f"{named} is PID 1, with which this whole system or container ends")
    if asker.uid and process.uid != asker.uid:
        raise _RefusedError(f"{named} can only be stopped by {process.user or process.uid} or root")
    if process.supervisor and process.supervisor_pid in (*asker.own_pids, 1):
        raise _RefusedError(f"{process.supervisor}, which starts {named} again, runs portcheck too")


def _first(root: Owner, asker: Asker) -> Process:
    """Who is signalled first: what would start it again, else the process itself."""
    process = root.process
    if not process.supervisor or not process.supervisor_pid:
        return process
    supervisor = asker.supervisors.get(process.supervisor_pid)
    # an ancestor is older than its descendants; a younger process has only got its PID
    if supervisor is None or (supervisor.started_at or 0) > (process.started_at or 0):
        return process
    return supervisor


def _merged(steps: Iterable[Step]) -> Iterable[Step]:
    """A container's two proxies are stopped by one command."""
    by_command: dict[object, Step] = {}
    for step in steps:
        key = step.command or step.signalled
        known = by_command.get(key)
        by_command[key] = step if known is None else known._replace(members=(*known.members, *step.members))
    return by_command.values()


def _programs(steps: Iterable[Step]) -> set[object]:
    """What the steps have in common: a command, a starter, a main process that holds another of the sockets."""
    pids = {owner.pid for step in steps for owner in step.members}
    return {step.command or _family(step.roots[0].process, pids) for step in steps}


def _family(process: Process, pids: set[int | None]) -> object:
    if process.parent_pid in pids:
        return process.parent_pid
    return process.supervisor_pid or process.pid
