"""Carries a plan out: managers' commands and signals; then waits until the port is let go."""

from __future__ import annotations

import os
import signal
import time

from portcheck.errors import PortcheckError
from portcheck.identify.holders import groups
from portcheck.namedtuple import TYPE_CHECKING
from portcheck.observe.system import process_now
from portcheck.stop.outcome import Doing, is_held, left_of
from portcheck.stop.plan import Asker
from portcheck.stop.terminate import end, is_alive

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from portcheck.model import Diagnosis, Process
    from portcheck.stop.plan import Plan, Step

    Look = Callable[[], Diagnosis]

FIRST_PAUSE, LONGEST_PAUSE = 0.02, 0.25  # seconds between two looks
PATIENCE_WITH_PROCESSES = 10.0
PATIENCE_WITH_MANAGERS = 100.0  # systemd waits 90 seconds before it kills, docker 10
AFTER_KILL = 5.0  # seconds that the kernel may take to take a killed process apart
SIGKILL: int = getattr(signal, "SIGKILL", signal.SIGTERM)  # Windows ends a process at once by SIGTERM


def asker(finding: Diagnosis) -> Asker:
    """This process as somebody who wants to stop the holders of a port."""
    pids = ancestors()
    own = process_now(os.getpid())
    named = {owner.process.supervisor_pid for owner in finding.owners if owner.process.supervisor}
    supervisors = {pid: found for pid in named if pid and (found := process_now(pid))}
    uid = os.getuid() if hasattr(os, "getuid") else None
    return Asker(uid, pids, own.cgroup if own else None, supervisors)


def ancestors() -> frozenset[int]:
    """portcheck itself and every process above it: stopping one of these would stop the stopping."""
    found: set[int] = set()
    pid: int | None = os.getpid()
    while pid and pid not in found:
        found.add(pid)
        process = process_now(pid)
        pid = process.parent_pid if process else None
    return frozenset(found)


def carry_out(plan: Plan, before: Diagnosis, look: Look, *, timeout: float | None, force: bool) -> Doing:
    """Stops every holder of the plan, and waits until they have let go or `timeout` seconds are over.

    None waits as long as managers and processes usually need.  What has not let go then is killed only with `force`.
    """
    done = _run([step.command for step in plan.steps if step.command], timeout)
    if not done:
        patience = PATIENCE_WITH_PROCESSES if timeout is None else timeout
        after, done = _end(plan, signal.SIGTERM, before, look, patience)
    else:
        after = look()
    killed = force and any(step.signalled for step in plan.steps) and is_held(plan, after)
    if killed:
        after, more = _end(plan, SIGKILL, after, look, AFTER_KILL)
        done += more
    return Doing(after, time.time(), done, killed)


def settle(done: Doing, look: Look, seconds: float) -> Doing:
    """Watches a port that is let go for a while: managers back off before they start again what has ended."""
    deadline = time.monotonic() + seconds
    after = done.after
    while not groups(after) and (left := deadline - time.monotonic()) > 0:
        time.sleep(min(LONGEST_PAUSE, left))
        after = look()
    return done._replace(after=after)


def _end(plan: Plan, number: int, found: Diagnosis, look: Look, patience: float) -> tuple[Diagnosis, tuple[str, ...]]:
    """Signals, and looks ever less often, until the plan's holders have let go; the last look, and what went wrong."""
    endings = [_Ending(step, number) for step in plan.steps if step.signalled]
    deadline, pause = time.monotonic() + patience, FIRST_PAUSE
    while True:
        for ending in endings:
            ending.go_on(found)
        found = look()
        left = deadline - time.monotonic()
        if not is_held(plan, found) or left <= 0:
            return found, tuple(trouble for ending in endings for trouble in ending.troubles)
        time.sleep(min(pause, left))
        pause = min(pause * 2, LONGEST_PAUSE)


class _Ending:
    """Ends a program generation by generation: what would start it again, its main process, who outlives that."""

    def __init__(self, step: Step, number: int) -> None:
        self.troubles: list[str] = []
        self._step = step
        self._number = number
        self._signalled: list[Process] = []

    def go_on(self, found: Diagnosis) -> None:
        """Signals whoever is next, once those before are gone; `found` is how the port stands."""
        if any(map(is_alive, self._signalled)):
            return
        for process in self._next(found):
            self._signalled.append(process)
            try:
                end(process, self._number)
            except PortcheckError as error:
                self.troubles.append(error.cause)

    def _next(self, found: Diagnosis) -> Sequence[Process]:
        first = [process for process in self._step.signalled if process not in self._signalled and is_alive(process)]
        return first or [process for process in left_of(self._step, found) if process not in self._signalled]


def _run(commands: Iterable[tuple[str, ...]], timeout: float | None) -> tuple[str, ...]:
    """Managers' commands one after the other; what went wrong."""
    return tuple(trouble for command in commands if (trouble := _command(command, timeout)))


def _command(command: tuple[str, ...], timeout: float | None) -> str | None:
    """In a session of its own, so that nothing asks for a password at the terminal."""
    import subprocess

    said = " ".join(command)
    patience = PATIENCE_WITH_MANAGERS if timeout is None else timeout
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=patience,
            check=False,
            env=_environment(),
            start_new_session=True,
        )
    except OSError as error:
        return f"{said}: {error.strerror}"
    except subprocess.TimeoutExpired:
        return f"'{said}' was not done after {patience:g} s"
    if not done.returncode:
        return None
    # os.fsdecode would raise UnicodeDecodeError for what is written in the code page of a Windows console
    words = (done.stderr.strip() or done.stdout.strip()).decode("utf-8", "surrogateescape").splitlines()
    return f"'{said}' failed with status {done.returncode}" + (f": {words[0].rstrip('.')}" if words else "")


def _environment() -> dict[str, str]:
    """With the place of one's own systemd, which sudo and cron leave out."""
    if not hasattr(os, "getuid"):
        return dict(os.environ)
    return {"XDG_RUNTIME_DIR": f"/run/user/{os.getuid()}", **os.environ}
