"""Carries a plan out: the manager's own command, else a signal; then waits until the port is let go."""

from __future__ import annotations

import os
import signal
import subprocess
import time

from portcheck.act.terminate import handle
from portcheck.errors import PortcheckError
from portcheck.stopping import holders
from portcheck.value import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from portcheck.model import Diagnosis
    from portcheck.stopping import Plan, Step

    Look = Callable[[], Diagnosis]

FIRST_PAUSE, LONGEST_PAUSE = 0.02, 0.25  # seconds between two looks
AFTER_KILL = 5.0  # seconds that the kernel may take to take a killed process apart


def carry_out(plan: Plan, look: Look, *, timeout: float, force: bool) -> Diagnosis:
    """Stops every holder of the plan and returns the first look in which they are gone, or the last one.

    A process that has not let go after `timeout` seconds is killed only with `force`.  Raises PortcheckError where a
    command fails or a process may not be signalled.
    """
    for step in plan.steps:
        if step.command:
            _command(step, timeout)
        else:
            _signal(step, signal.SIGTERM)
    after = _until_gone(plan, look, timeout)
    if not force or not _still_there(plan, after):
        return after
    for step in plan.steps:
        if step.command is None:
            _signal(step, getattr(signal, "SIGKILL", signal.SIGTERM))
    return _until_gone(plan, look, AFTER_KILL)


def settle(look: Look, seconds: float) -> Diagnosis:
    """Watches the port for a while: managers back off before they start again what was stopped."""
    end = time.monotonic() + seconds
    while True:
        found = look()
        left = end - time.monotonic()
        if holders(found) or left <= 0:
            return found
        time.sleep(min(LONGEST_PAUSE, max(left, 0.001)))


def ancestors() -> frozenset[int]:
    """portcheck itself and every process above it: stopping one of these would stop the stopping."""
    from portcheck.observe.people import process_now

    found: set[int] = set()
    pid: int | None = os.getpid()
    while pid and pid not in found:
        found.add(pid)
        process = process_now(pid)
        pid = process.parent_pid if process else None
    return frozenset(found)


def _command(step: Step, timeout: float) -> None:
    assert step.command is not None
    try:
        done = subprocess.run(step.command, capture_output=True, text=True, errors="replace", timeout=timeout, check=False)
    except FileNotFoundError:
        raise PortcheckError(f"{step.command[0]} is not installed here", f"run: {' '.join(step.command)}") from None
    except subprocess.TimeoutExpired:
        raise PortcheckError(f"'{' '.join(step.command)}' was not done after {timeout:g} s") from None
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()[:1]
        raise PortcheckError(f"'{' '.join(step.command)}' failed with status {done.returncode}: {' '.join(said)}")


def _signal(step: Step, number: int) -> None:
    with handle(step.owner.process) as send:
        send(number)


def _still_there(plan: Plan, after: Diagnosis) -> bool:
    return any(owner.pid in plan.pids for owner in after.owners)


def _until_gone(plan: Plan, look: Look, timeout: float) -> Diagnosis:
    """Looks, ever less often, until none of the plan's holders has the port any more or time is up."""
    end, pause = time.monotonic() + timeout, FIRST_PAUSE
    while True:
        found = look()
        if not _still_there(plan, found) or time.monotonic() >= end:
            return found
        time.sleep(min(pause, max(end - time.monotonic(), 0.001)))
        pause = min(pause * 2, LONGEST_PAUSE)
