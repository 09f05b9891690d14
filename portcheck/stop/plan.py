"""Plans how a port is freed.  Pure: stop.execute carries a plan out, stop.outcome says what came of it.

A plan never signals a process that would be started again: a service, a container or a supervised program is stopped
by what manages it, a server by its main process.  A client that is only connected to the port is never part of a plan.
"""

from __future__ import annotations

from portcheck.identify.describe import briefly
from portcheck.identify.holders import groups
from portcheck.namedtuple import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from portcheck.identify.holders import Group
    from portcheck.model import Advice, Diagnosis, Owner, Process
    from portcheck.remedies.fill import Order


class Asker(NamedTuple):
    """The process that wants to stop something."""

    uid: int | None  # None where there are no user ids
    own_pids: frozenset[int]  # portcheck itself and its ancestors
    own_cgroup: str | None = None
    supervisors: Mapping[int, Process] = {}  # those that the holders name, as they are at this moment


class Step(NamedTuple):
    """One program that holds the port, and how it is stopped: by its manager's command, else by signals."""

    members: tuple[Owner, ...]  # every process that holds its sockets
    inodes: frozenset[int]  # of those sockets
    roots: tuple[Owner, ...]  # the processes that are stopped; the others end with them
    command: tuple[str, ...] | None = None  # as people are shown it
    signalled: tuple[Process, ...] = ()  # first; members that outlive these are signalled next
    order: Order | None = None  # the same command as it is run


class Plan(NamedTuple):
    """The steps that free a port; `refusal` says why there are none, `advice` what can be done instead."""

    steps: tuple[Step, ...] = ()
    refusal: str | None = None
    advice: tuple[Advice, ...] = ()


class _RefusedError(Exception):
    """The reason why a holder is not stopped."""


def plan(finding: Diagnosis, asker: Asker, *, everything: bool = False, pid: int | None = None) -> Plan:
    """How to free the port; refuses with a reason rather than stop something that was not meant.

    `everything` allows several unrelated holders, `pid` picks the one that this process belongs to: who names it wants
    it ended, even if nobody has confirmed what it is.
    """
    if finding.verdict == "free":  # a socket that is in nobody's way may be shown too
        return Plan()
    holders = groups(finding)
    if pid is not None:
        holders = tuple(group for group in holders if any(owner.pid == pid for owner in group.members))
        if not holders:
            return _refused(f"PID {pid} does not hold port {finding.port}", finding)
    if not holders:
        return _refused(_nobody_to_stop(finding), finding)
    try:
        steps = _merged(step for group in holders for step in _steps(group, finding, asker, insists=pid is not None))
    except _RefusedError as refusal:
        return _refused(str(refusal), finding)
    return Plan(steps) if everything or len(_programs(steps)) == 1 else _ambiguous(steps, finding, asker)


def _refused(reason: str, finding: Diagnosis) -> Plan:
    """What the diagnosis advises still applies, except to run this very command."""
    other = tuple(advice for advice in finding.advice if (advice.command or ())[:1] != ("portcheck",))
    return Plan(refusal=reason, advice=other)


def _ambiguous(steps: Sequence[Step], finding: Diagnosis, asker: Asker) -> Plan:
    from portcheck.remedies.catalogue import ONE_OF_SEVERAL
    from portcheck.remedies.fill import fill, owner_fields

    roots = [step.roots[0] for step in steps]
    names = " and ".join(briefly(root.process) for root in roots)
    choices = (fill(ONE_OF_SEVERAL, owner_fields(root, finding, asker.uid), root, asker.uid) for root in roots)
    reason = f"{names} have nothing to do with each other; --all stops them all"
    return Plan(refusal=reason, advice=tuple(choice for choice in choices if choice))


def _nobody_to_stop(finding: Diagnosis) -> str:
    if finding.verdict == "unavailable":
        return "nobody can hold an address that is not there"
    if finding.cause == "kernel":
        return "the kernel itself holds it, not a process"
    if finding.cause in ("connection", "closing"):
        return "no server holds it, only one end of a connection, and clients are left alone"
    return "no process that holds it can be seen from here"


def _steps(group: Group, finding: Diagnosis, asker: Asker, *, insists: bool) -> Iterator[Step]:
    """One for each manager's command, and one for all that are ended by signals.  Raises _RefusedError."""
    roots = group.roots()
    inodes = frozenset(inode for index in group.sockets if (inode := finding.sockets[index].inode))
    commands = {root: _command(root, finding, asker, insists=insists) for root in roots}
    for root, command in commands.items():
        if command:
            shown, order = command
            yield Step(group.members, inodes, (root,), shown, order=order)
    rest = tuple(root for root in roots if commands[root] is None)
    if rest:
        yield Step(group.members, inodes, rest, signalled=tuple(dict.fromkeys(_first(root, asker) for root in rest)))


def _command(root: Owner, finding: Diagnosis, asker: Asker, *, insists: bool) -> tuple[tuple[str, ...], Order] | None:
    """The command by which its manager stops it, as shown and as run; None where a signal does.

    Raises _RefusedError.
    """
    # Here, because a port that is free needs none of them.
    from portcheck.remedies.fill import fill, order, owner_fields
    from portcheck.remedies.kinds import kind_of

    kind = kind_of(root, asker.uid)
    name = briefly(root.process)
    if not kind.apart and _runs_portcheck(root, asker):
        raise _RefusedError(f"{name} is portcheck itself, or what it runs in")
    if kind.stopped_by == "signal" or (insists and root.pid and root.process.confirmed is False):
        _must_be_signallable(root, asker)
        return None
    remedy = kind.stop or kind.remedies[0]
    advice = fill(remedy, owner_fields(root, finding, asker.uid), root, asker.uid)
    if kind.stopped_by != "manager" or advice is None or advice.command is None:
        raise _RefusedError(advice.text if advice else f"what {name} has it for is not known")
    if advice.command[:1] == ("sudo",) and asker.uid:
        raise _RefusedError(f"only root can stop {name}")
    return advice.command, order(remedy, root, finding, asker.uid)


def _runs_portcheck(root: Owner, asker: Asker) -> bool:
    """Whether it is an ancestor of portcheck, or the service that portcheck itself runs in."""
    together = asker.own_cgroup is not None and root.process.cgroup == asker.own_cgroup
    return root.pid in asker.own_pids or (together and root.process.service is not None)


def _must_be_signallable(root: Owner, asker: Asker) -> None:
    process = root.process
    name = briefly(process)
    if root.pid == 1:
        raise _RefusedError(f"{name} is the first process: this whole system or container ends with it")
    if asker.uid and process.uid != asker.uid:
        raise _RefusedError(f"only {process.user or f'uid {process.uid}'} and root can stop {name}")
    if process.supervisor and process.supervisor_pid in asker.own_pids:
        raise _RefusedError(f"{process.supervisor}, which starts {name} again, runs portcheck too")


def _first(root: Owner, asker: Asker) -> Process:
    """The process that is signalled first: what would start it again, else itself.

    A manager of which nobody has confirmed that it is one has perhaps others' programs.
    """
    watched = root.process.supervisor and root.process.confirmed is not False
    supervisor = asker.supervisors.get(root.process.supervisor_pid or 0) if watched else None
    # an ancestor is older; a younger process has merely been given its PID since
    return supervisor if supervisor and _age(supervisor) <= _age(root.process) else root.process


def _age(process: Process) -> float:
    """When it started, on the same clock for all."""
    return process.start_ticks if process.start_ticks is not None else process.started_at or 0.0


def _merged(steps: Iterable[Step]) -> tuple[Step, ...]:
    """With one step for each command: the proxies of a container are stopped together."""
    merged: dict[object, Step] = {}
    for step in steps:
        key = step.command or step.signalled
        if key in merged:
            same = merged[key]
            merged[key] = same._replace(members=same.members + step.members, inodes=same.inodes | step.inodes)
        else:
            merged[key] = step
    return tuple(merged.values())


def _programs(steps: Sequence[Step]) -> set[object]:
    """What the steps stop, each program once: a main process with its children, or the workers of one starter."""
    members = {owner.pid: owner.process for step in steps for owner in step.members}
    return {step.command or _family(step.roots[0].process, members) for step in steps}


def _family(process: Process, members: Mapping[int | None, Process]) -> object:
    for _ in members:  # no more often: on Windows a parent's PID may be another process's by now, and lead back
        process = members.get(process.parent_pid, process)
    # alike and started by one program: each has bound the port for itself, with SO_REUSEPORT
    return (process.supervisor_pid, process.command) if process.supervisor_pid else process.pid
