"""Carries a plan out: managers' commands and signals; then waits until the port is let go, and stays free."""

from __future__ import annotations

import os
import signal
import time

from portcheck.errors import PortcheckError
from portcheck.identify.holders import groups
from portcheck.identify.interpreters import script
from portcheck.namedtuple import TYPE_CHECKING
from portcheck.observe.system import own_uid, process_now
from portcheck.stop.outcome import Doing, is_held, left_of, to_end
from portcheck.stop.plan import Asker, ended_by
from portcheck.stop.terminate import end, is_alive

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from portcheck.model import Diagnosis, Process
    from portcheck.remedies.fill import Order
    from portcheck.stop.plan import Plan, Step
    from portcheck.stop.watch import Watch

FIRST_PAUSE, LONGEST_PAUSE = 0.02, 0.25  # seconds between two looks
PATIENCE_WITH_PROCESSES = 10.0
PATIENCE_WITH_MANAGERS = 100.0  # systemd waits 90 seconds before it kills, docker 10
AFTER_LETTING_GO = 1.0  # seconds in which a process that has let go of its port usually has ended
UNTIL_IT_IS_KNOWN = 0.5  # seconds: docker starts a container's proxy before it says that the container runs
AFTER_KILL = 5.0  # seconds that the kernel may take to take a killed process apart
SIGKILL: int = getattr(signal, "SIGKILL", signal.SIGTERM)  # Windows ends a process at once by SIGTERM


def asker(finding: Diagnosis) -> Asker:
    """This process as the one that wants to stop the holders of a port."""
    own = process_now(os.getpid())
    named = {owner.process.supervisor_pid for owner in finding.owners if owner.process.supervisor}
    supervisors = {pid: _named(process) for pid in named if pid and (process := process_now(pid))}
    return Asker(own_uid(), _self_and_ancestors(), own.cgroup if own else None, supervisors)


def _named(process: Process) -> Process:
    """As a person knows it: `node nodemon`."""
    return process._replace(script=script(process))


def _self_and_ancestors() -> frozenset[int]:
    """portcheck itself and every process above it: stopping one of these would stop the stopping."""
    pids: set[int] = set()
    pid: int | None = os.getpid()
    while pid and pid not in pids:
        pids.add(pid)
        process = process_now(pid)
        pid = process.parent_pid if process else None
    return frozenset(pids)


def carry_out(plan: Plan, watch: Watch, *, timeout: float | None, force: bool) -> Doing:
    """Stops every holder of the plan, and waits until they have let go or `timeout` seconds are over.

    None waits as long as managers and processes usually need.  What has not let go then is killed only with `force`.
    """
    troubles = _run([step.order for step in plan.steps if step.order], timeout)
    if troubles:
        watch.look()
    else:
        troubles = _end(plan, watch, PATIENCE_WITH_PROCESSES if timeout is None else timeout)
    killed = force and any(step.signalled for step in plan.steps) and is_held(plan, watch.diagnosis)
    if killed:
        troubles += _end(plan, watch, AFTER_KILL, kill=True)
    return Doing(watch.diagnosis, time.time(), troubles, killed)


def settle(done: Doing, plan: Plan, watch: Watch, seconds: float) -> Doing:
    """Watches a port that is let go for a while: managers back off before they start again what has ended."""
    deadline = time.monotonic() + seconds
    was_let_go = not groups(watch.diagnosis)
    while not groups(watch.diagnosis) and (left := deadline - time.monotonic()) > 0:
        time.sleep(min(LONGEST_PAUSE, left))
        watch.glance()
    if seconds and not groups(watch.diagnosis):
        watch.look()  # what the table of sockets does not show: TIME_WAIT, what the kernel would say to a bind
    elif was_let_go and groups(watch.diagnosis):
        time.sleep(UNTIL_IT_IS_KNOWN)
        watch.look()
    return done._replace(after=watch.diagnosis, living=_living(plan, watch))


def _living(plan: Plan, watch: Watch) -> tuple[Process, ...]:
    """Who was to end and, where the port is free, still has not: finishing its requests, or staying for good."""
    living = [process for step in plan.steps for process in to_end(step)]
    deadline, pause = time.monotonic() + AFTER_LETTING_GO, FIRST_PAUSE
    while living := [process for process in living if is_alive(process)]:
        left = deadline - time.monotonic()
        if left <= 0 or groups(watch.diagnosis):
            break
        time.sleep(min(pause, left))
        pause *= 2
    return tuple(living)


def _run(orders: Iterable[Order], timeout: float | None) -> tuple[str, ...]:
    """Managers' commands one after the other; what went wrong."""
    return tuple(trouble for order in orders if (trouble := _command(order, timeout)))


def _command(order: Order, timeout: float | None) -> str | None:
    """With the hands of the manager's own user, and without a terminal at which something could ask for a password."""
    from portcheck.observe.subprocesses import NoAnswerError, Patience, TooSlowError, ask, reason

    text = " ".join(order.argv)
    patience = PATIENCE_WITH_MANAGERS if timeout is None else timeout
    try:
        answer = ask(order.argv, Patience(patience), order.hands)
    except TooSlowError:
        return f"'{text}' was not done after {patience:g} s"
    except NoAnswerError as error:
        return f"'{text}' {error}"
    if answer.ok:
        return None
    words = answer.err.strip() or answer.out.strip()
    return f"'{text}' failed with status {answer.status}" + (f": {reason(words).rstrip('.')}" if words else "")


def _end(plan: Plan, watch: Watch, patience: float, *, kill: bool = False) -> tuple[str, ...]:
    """Signals, and looks ever less often, until the plan's holders have let go; what went wrong."""
    endings = [_Ending(step, kill=kill) for step in plan.steps if step.signalled]
    deadline, pause = time.monotonic() + patience, FIRST_PAUSE
    while True:
        for ending in endings:
            ending.go_on(watch.diagnosis)
        left = deadline - time.monotonic()
        # who outlives the main process, or has been given its socket, holds the same one as before: no table can tell
        if left <= 0 or any(ending.is_over() for ending in endings):
            watch.look()
        else:
            watch.glance()
        if left <= 0 or not is_held(plan, watch.diagnosis):
            return tuple(trouble for ending in endings for trouble in ending.troubles)
        time.sleep(min(pause, left))
        pause = min(pause * 2, LONGEST_PAUSE)


class _Ending:
    """Ends a program generation by generation: what would start it again, its main process, who outlives that.

    Nobody is signalled who was not a member of it when the plan was made.
    """

    def __init__(self, step: Step, *, kill: bool) -> None:
        self.troubles: list[str] = []
        self._step = step
        self._kill = kill
        self._signalled: list[Process] = []

    def go_on(self, diagnosis: Diagnosis) -> None:
        """Signals whoever is next, once those before are gone."""
        if any(map(is_alive, self._signalled)):
            return
        for process in self._next(diagnosis):
            self._signalled.append(process)
            try:
                end(process, SIGKILL if self._kill else getattr(signal, ended_by(process), signal.SIGTERM))
            except PortcheckError as error:
                self.troubles.append(error.cause)

    def _next(self, diagnosis: Diagnosis) -> Sequence[Process]:
        first = [process for process in self._step.signalled if process not in self._signalled and is_alive(process)]
        return first or [process for process in left_of(self._step, diagnosis) if process not in self._signalled]

    def is_over(self) -> bool:
        """Whether all that were signalled are gone, whoever else there is."""
        return not any(map(is_alive, self._signalled))
