"""What stopping a port's holder takes, and what came of it.  Pure: portcheck.act carries it out.

A plan never signals what would come back: a service, a container or a supervised program is stopped by what manages
it, a prefork server by its main process.  A client that is merely connected to the port is never part of a plan.
"""

from __future__ import annotations

from portcheck.advise import kind_of, managed_stop
from portcheck.identify.describe import who
from portcheck.message import leader
from portcheck.value import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from typing import Literal

    from portcheck.model import Diagnosis, Owner, Process

    Outcome = Literal["free", "held", "respawned", "time-wait", "refused", "declined", "planned", "already-free"]


class Asker(NamedTuple):
    """Who wants to stop something: the user id (None where there are none), and the asker's own processes."""

    uid: int | None
    own_pids: frozenset[int]  # portcheck itself and its ancestors
    now: float


class Step(NamedTuple):
    """One holder, and how it is stopped: by a manager's command, else by a signal to its main process."""

    owner: Owner
    text: str
    command: tuple[str, ...] | None = None


class Plan(NamedTuple):
    """The steps that free a port; `refusal` says why there are none."""

    steps: tuple[Step, ...] = ()
    refusal: str | None = None

    @property
    def pids(self) -> frozenset[int]:
        return frozenset(step.owner.pid for step in self.steps if step.owner.pid)


def holders(finding: Diagnosis) -> tuple[Owner, ...]:
    """Whom a plan is about: of each socket that listens or is bound the process that the others come from."""
    serving = [index for index, socket in enumerate(finding.sockets) if serves(finding, index)]
    found = (leader(finding.owners, index) for index in serving)
    return tuple(dict.fromkeys(owner for owner in found if owner is not None))


def serves(finding: Diagnosis, index: int) -> bool:
    """Whether a socket holds the port by itself, and is not just one end of a connection."""
    socket = finding.sockets[index]
    return socket.state in ("LISTEN", "BOUND") or (socket.protocol == "udp" and socket.remote_port is None)


def plan(finding: Diagnosis, asker: Asker, *, everything: bool = False, pid: int | None = None) -> Plan:
    """How to free the port; refuses with a reason rather than stop something that was not meant.

    `everything` allows several unrelated holders, `pid` picks one of them.
    """
    owners = holders(finding)
    if pid is not None:
        owners = tuple(owner for owner in owners if pid in _group(owner, finding))
        if not owners:
            return Plan(refusal=f"PID {pid} does not hold port {finding.port}")
    if not owners:
        return Plan(refusal=_nothing_to_stop(finding))
    for owner in owners:
        refusal = _refusal(owner, asker)
        if refusal:
            return Plan(refusal=refusal)
    steps = tuple({_key(step): step for step in (_step(owner, asker) for owner in owners)}.values())
    if len(steps) > 1 and not everything:
        names = "; ".join(who(step.owner.process, asker.now) for step in steps)
        return Plan(refusal=f"{len(steps)} holders that have nothing to do with each other: {names};"
                    " name one with --pid, or say --all")  # fmt: skip
    return Plan(steps)


def _group(owner: Owner, finding: Diagnosis) -> set[int]:
    """The leader and those that hold the same sockets."""
    return {other.pid for other in finding.owners if other.pid and set(other.sockets) & set(owner.sockets)}


def _key(step: Step) -> object:
    return step.command or step.owner.pid


def _step(owner: Owner, asker: Asker) -> Step:
    named = who(owner.process, asker.now)
    command = managed_stop(owner, asker.uid)
    if command:
        return Step(owner, f"{named}: {' '.join(command)}", command)
    return Step(owner, f"{named}: SIGTERM to PID {owner.pid}")


def _nothing_to_stop(finding: Diagnosis) -> str:
    if finding.cause == "time-wait":
        return "no process holds it, only TIME_WAIT entries, which leave by themselves"
    if finding.cause == "connection":
        return "no server holds it, only a connection of a client, which is not stopped for that"
    return "no process that holds it can be seen"


def _refusal(owner: Owner, asker: Asker) -> str | None:
    """Why this holder is not stopped; None where it may be."""
    process = owner.process
    named = who(process, asker.now)
    kind = kind_of(owner, asker.uid)
    managed = managed_stop(owner, asker.uid) is not None
    if kind in ("hidden", "hidden-by-namespace") and not managed:
        return f"its holder cannot be seen from here ({named}){'; try with sudo' if asker.uid else ''}"
    if owner.pid in asker.own_pids:
        return f"{named} is portcheck itself, or runs it"
    if not managed and (process.role == "service manager" or owner.pid == 1):
        return f"{named} is the service manager; what it holds the port for is not known"
    if not managed and process.role == "proxy":
        return f"{named} only passes a container's port on, and the container is not known: stop that"
    if asker.uid and process.uid != asker.uid:
        return f"{named} belongs to {process.user or process.uid}: it takes sudo"
    return None


def outcome(before: Collection[int], after: Diagnosis) -> Outcome:
    """What became of the port: `before` are the PIDs that the plan was about."""
    held = {owner.pid for owner in after.owners if any(serves(after, index) for index in owner.sockets)}
    if held:
        return "held" if held & set(before) else "respawned"
    if after.verdict == "free":
        return "free"
    return "time-wait" if after.cause in ("time-wait", "closing") else "held"


def verdict(result: Outcome, done: Plan, after: Diagnosis, now: float) -> str:
    """One true sentence on how it ended."""
    stopped = ", ".join(who(step.owner.process, now) for step in done.steps)
    subject = f"Port {after.port}"
    if result == "free":
        return f"{subject} is free now: {stopped} has ended."
    if result == "time-wait":
        return f"{subject}: {stopped} has ended, and {_lower(after.message)}"
    if result == "respawned":
        return f"{subject} was taken again at once: {_again(holders(after), now)}."
    return f"{subject} is still held: {_lower(after.message)}"


def _again(owners: Iterable[Owner], now: float) -> str:
    said = []
    for owner in owners:
        by = _restarter(owner.process)
        said.append(f"{who(owner.process, now)}" + (f", started again by {by}" if by else ""))
    return "; ".join(said)


def _restarter(process: Process) -> str | None:
    """Who brought it back: unit, restart policy, or the supervisor found by ancestry."""
    if process.service:
        return process.service
    if process.container and process.container.restart_policy:
        return f"the restart policy {process.container.restart_policy} of its container"
    if process.supervisor or process.started_by:
        pid = f" (PID {process.supervisor_pid})" if process.supervisor_pid else ""
        return f"{process.supervisor or process.started_by}{pid}"
    return None


def _lower(message: str) -> str:
    return message[0].lower() + message[1:]
