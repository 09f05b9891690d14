"""Carries a plan out: managers' commands and signals; then waits until the port is let go, and stays free."""

from __future__ import annotations

import os
import signal
import time

from portcheck.errors import PortcheckError
from portcheck.identify.holders import groups
from portcheck.identify.interpreters import script
from portcheck.namedtuple import TYPE_CHECKING
from portcheck.observe.system import process_now
from portcheck.stop.outcome import Doing, is_held, left_of
from portcheck.stop.plan import Asker
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
AFTER_KILL = 5.0  # seconds that the kernel may take to take a killed process apart
SIGKILL: int = getattr(signal, "SIGKILL", signal.SIGTERM)  # Windows ends a process at once by SIGTERM


def asker(finding: Diagnosis) -> Asker:
    """This process as the one that wants to stop the holders of a port."""
    own = process_now(os.getpid())
    named = {owner.process.supervisor_pid for owner in finding.owners if owner.process.supervisor}
    supervisors = {pid: _named(process) for pid in named if pid and (process := process_now(pid))}
    uid = os.getuid() if hasattr(os, "getuid") else None
    return Asker(uid, _self_and_ancestors(), own.cgroup if own else None, supervisors)


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
        troubles = _end(plan, signal.SIGTERM, watch, PATIENCE_WITH_PROCESSES if timeout is None else timeout)
    killed = force and any(step.signalled for step in plan.steps) and is_held(plan, watch.diagnosis)
    if killed:
        troubles += _end(plan, SIGKILL, watch, AFTER_KILL)
    return Doing(watch.diagnosis, time.time(), troubles, killed)


def settle(done: Doing, watch: Watch, seconds: float) -> Doing:
    """Watches a port that is let go for a while: managers back off before they start again what has ended."""
    deadline = time.monotonic() + seconds
    while not groups(watch.diagnosis) and (left := deadline - time.monotonic()) > 0:
        time.sleep(min(LONGEST_PAUSE, left))
        watch.glance()
    if seconds and not groups(watch.diagnosis):
        watch.look()  # what the table of sockets does not show: TIME_WAIT, what the kernel would say to a bind
    return done._replace(after=watch.diagnosis)


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


def _end(plan: Plan, number: int, watch: Watch, patience: float) -> tuple[str, ...]:
    """Signals, and looks ever less often, until the plan's holders have let go; what went wrong."""
    endings = [_Ending(step, number) for step in plan.steps if step.signalled]
    deadline, pause = time.monotonic() + patience, FIRST_PAUSE
    while True:
        for ending in endings:
            ending.go_on(watch.diagnosis)
        left = deadline - time.monotonic()
        # who outlives the main process holds the same socket as before: the table cannot tell
        if left <= 0 or any(ending.is_outlived() for ending in endings):
            watch.look()
        else:
            watch.glance()
        if left <= 0 or not is_held(plan, watch.diagnosis):
            return tuple(trouble for ending in endings for trouble in ending.troubles)
        time.sleep(min(pause, left))
        pause = min(pause * 2, LONGEST_PAUSE)


class _Ending:
    """Ends a program generation by generation: what would start it again, its main process, who outlives that."""

    def __init__(self, step: Step, number: int) -> None:
        self.troubles: list[str] = []
        self._step = step
        self._number = number
        self._signalled: list[Process] = []

    def go_on(self, diagnosis: Diagnosis) -> None:
        """Signals whoever is next, once those before are gone."""
        if any(map(is_alive, self._signalled)):
            return
        for process in self._next(diagnosis):
            self._signalled.append(process)
            try:
                end(process, self._number)
            except PortcheckError as error:
                self.troubles.append(error.cause)

    def _next(self, diagnosis: Diagnosis) -> Sequence[Process]:
        first = [process for process in self._step.signalled if process not in self._signalled and is_alive(process)]
        return first or [process for process in left_of(self._step, diagnosis) if process not in self._signalled]

    def is_outlived(self) -> bool:
        """Whether all that were signalled are gone, and others of the program are not."""
        members = (owner.process for owner in self._step.members if owner.pid)
        return not any(map(is_alive, self._signalled)) and any(map(is_alive, members))
