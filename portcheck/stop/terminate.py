"""Signals one process, and never another that has been given its PID since."""

from __future__ import annotations

import os
import signal
from contextlib import contextmanager

from portcheck.errors import PortcheckError
from portcheck.namedtuple import TYPE_CHECKING
from portcheck.observe.system import process_now

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from portcheck.model import Process

    Send = Callable[[int], None]


def is_alive(process: Process) -> bool:
    """Whether exactly this process still runs; a zombie does not."""
    now = process_now(process.pid)
    return now is not None and now.state != "Z" and now.born == process.born


def end(process: Process, number: int) -> None:
    """Signals exactly this process.

    A stopped one (Ctrl-Z) is continued, or it would never see the signal.  Raises PortcheckError where it has ended,
    where its PID belongs to another process by now, or where this user may not signal it.
    """
    with _handle(process) as send:
        try:
            send(number)
            if process.state == "T" and hasattr(signal, "SIGCONT"):
                send(signal.SIGCONT)
        except ProcessLookupError:
            raise _gone(process) from None
        except OSError as error:
            raise PortcheckError(f"{_named(process)} cannot be signalled: {error.strerror}") from None


@contextmanager
def _handle(process: Process) -> Iterator[Send]:
    """A function that signals exactly this process.

    Where the system has pidfds, one is opened before the start times are compared: from then on it cannot come to mean
    another process.  Elsewhere the start times are compared just before the signal.
    """
    if not hasattr(os, "pidfd_open"):
        _must_be_same(process)
        yield lambda number: os.kill(process.pid, number)
        return
    try:
        pidfd = os.pidfd_open(process.pid)
    except OSError:
        raise _gone(process) from None
    try:
        _must_be_same(process)
        yield lambda number: signal.pidfd_send_signal(pidfd, number)
    finally:
        os.close(pidfd)


def _must_be_same(process: Process) -> None:
    now = process_now(process.pid)
    if now is None or now.born != process.born:
        raise _gone(process)


def _gone(process: Process) -> PortcheckError:
    return PortcheckError(f"PID {process.pid} is no longer {process.name or 'the process that was looked at'}")


def _named(process: Process) -> str:
    return f"{process.name or 'a process'} (PID {process.pid})"
