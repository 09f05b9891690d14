"""Signals of a process that stands between its caller and a command as if it were not there.

They are blocked and taken one by one, so that nothing is interrupted and no signal is lost.
"""

from __future__ import annotations

import os
import signal
import sys
import time

from portcheck.namedtuple import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

# The first two cannot be blocked, the others tell of faults of our own.
UNTAKEN = {
    signal.SIGKILL, signal.SIGSTOP, signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGTRAP,
    signal.SIGSYS, signal.SIGABRT,
}  # fmt: skip
TAKEN: AbstractSet[int] = signal.valid_signals() - UNTAKEN
# Typed at a terminal, or sent by it: every process of its foreground group receives them.
OF_THE_TERMINAL = (signal.SIGINT, signal.SIGQUIT, signal.SIGTSTP, signal.SIGWINCH)
STOPS = (signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU)
POLL = 0.05  # seconds, where the system cannot wait for a signal with a time limit
SENT_BY_KERNEL = 0  # si_code is positive for what the kernel sends, and for no process


class Received(NamedTuple):
    """A signal; `sender` is the PID that sent it, None for the kernel (0: one of another PID namespace)."""

    number: int
    sender: int | None


def take(timeout: float | None) -> Received | None:
    """The next signal, or None after `timeout` seconds (None: no limit)."""
    if not hasattr(signal, "sigtimedwait"):
        return _take_by_polling(timeout)
    info = signal.sigwaitinfo(TAKEN) if timeout is None else signal.sigtimedwait(TAKEN, timeout)
    if info is None:
        return None
    return Received(info.si_signo, None if info.si_code > SENT_BY_KERNEL else info.si_pid)


def _take_by_polling(timeout: float | None) -> Received | None:
    """For systems without sigtimedwait (macOS), which do not name the sender either."""
    end = None if timeout is None else time.monotonic() + timeout
    while not (pending := signal.sigpending() & TAKEN):
        if end is not None and time.monotonic() >= end:
            return None
        time.sleep(POLL)
    number = signal.sigwait(pending)
    return Received(number, None if number in OF_THE_TERMINAL and _in_foreground() else 0)


def _in_foreground() -> bool:
    try:
        with open("/dev/tty", "rb") as terminal:
            return os.tcgetpgrp(terminal.fileno()) == os.getpgrp()
    except OSError:
        return False


def stop_as(number: int) -> None:
    """Stops this process as a terminal would stop it; returns when it is continued.

    In an orphaned process group, where nobody could continue it, the kernel does not stop it.
    """
    os.kill(os.getpid(), number)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {number})
    signal.pthread_sigmask(signal.SIG_BLOCK, {number})


def die_of(number: int) -> None:
    """Ends this process by a signal, so that its parent sees what the command died of.

    Returns only where the signal does not kill, as for the first process of a PID namespace.
    """
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # the core that matters is the command's
    for stream in (sys.stdout, sys.stderr):
        if stream:
            stream.flush()
    if number not in (signal.SIGKILL, signal.SIGSTOP):
        signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {number})
