"""Ending one process, and no other that happens to have its PID by now."""

from __future__ import annotations

import os
import signal
from contextlib import contextmanager

from portcheck.errors import PortcheckError
from portcheck.observe.people import process_now
from portcheck.value import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from portcheck.model import Process

    Send = Callable[[int], None]


@contextmanager
def handle(process: Process) -> Iterator[Send]:
    """A function that signals exactly this process.

    Where the system has pidfds the handle is opened first and the start time compared after: from then on the PID
    cannot come to mean another process.  Elsewhere the start time is compared before each signal.  Raises
    PortcheckError where the process has ended or the PID belongs to another one now.
    """
    if not hasattr(os, "pidfd_open"):
        yield lambda number: _signal_by_pid(process, number)
        return
    try:
        pidfd = os.pidfd_open(process.pid)
    except OSError as error:
        raise _gone(process) from error
    try:
        _same(process)
        yield lambda number: _signal_by_handle(pidfd, process, number)
    finally:
        os.close(pidfd)


def _signal_by_handle(pidfd: int, process: Process, number: int) -> None:
    try:
        signal.pidfd_send_signal(pidfd, number)
    except ProcessLookupError as error:
        raise _gone(process) from error
    except PermissionError as error:
        raise _forbidden(process) from error


def _signal_by_pid(process: Process, number: int) -> None:
    _same(process)
    try:
        os.kill(process.pid, number)
    except ProcessLookupError as error:
        raise _gone(process) from error
    except PermissionError as error:
        raise _forbidden(process) from error


def _same(process: Process) -> None:
    """A PID with another start time is another process."""
    now = process_now(process.pid)
    if now is None or (now.start_ticks, now.started_at is None) != (process.start_ticks, process.started_at is None):
        raise _gone(process)


def _gone(process: Process) -> PortcheckError:
    return PortcheckError(f"PID {process.pid} is no longer {process.name or 'the process that was looked at'}")


def _forbidden(process: Process) -> PortcheckError:
    return PortcheckError(f"PID {process.pid} may not be signalled by this user", "run portcheck stop with sudo")
