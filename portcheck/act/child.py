"""A command that runs as if portcheck were not there: its terminal, process group, signals and exit status are its own.

It is a child in portcheck's own process group.  What the terminal sends reaches both; what is sent to portcheck alone
is passed on; where the command stops, portcheck stops; as it ends, portcheck ends.
"""

from __future__ import annotations

import errno
import fcntl
import os
import signal

from portcheck.act import handover, prctl, signals
from portcheck.observe.tree import descends
from portcheck.value import TYPE_CHECKING

if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping, Sequence

    from portcheck.act.signals import Received

KILL_AFTER = 10.0  # seconds between SIGTERM and SIGKILL
# Python ignores these two; the command gets them back.
IGNORED_BY_PYTHON = (signal.SIGPIPE, signal.SIGXFSZ)
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


class Child:
    """A running command."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.was_told_to_end = False

    def wait(self, timeout: float | None) -> int | None:
        """Passes on the next signal that comes within `timeout` seconds (None: no limit).

        Returns the command's wait status (os.waitstatus_to_exitcode) once it has ended, else None.
        """
        received = signals.take(timeout)
        if received is None:
            return None
        if received.number == signal.SIGCHLD:
            return self._reap()
        self.was_told_to_end |= received.number in ENDING
        if _is_for_us_alone(received):
            os.kill(self.pid, received.number)
        return None

    def end(self) -> None:
        """SIGTERM, and SIGKILL if that does not help; returns when the command has ended."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            os.kill(self.pid, number)
            end = _monotonic() + KILL_AFTER
            while (left := end - _monotonic()) > 0:
                if self.wait(left) is not None:
                    return

    def _reap(self) -> int | None:
        """Every child that has ended; orphans of the command come to us (prctl.adopt_orphans)."""
        ended = None
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG | os.WUNTRACED)
            except ChildProcessError:
                return ended
            if pid == 0:
                return ended
            if pid != self.pid:
                continue
            if not os.WIFSTOPPED(status):
                ended = status
            elif os.WSTOPSIG(status) in signals.STOPS:
                signals.stop_as(os.WSTOPSIG(status))


def _monotonic() -> float:
    import time

    return time.monotonic()


def _is_for_us_alone(received: Received) -> bool:
    """Not what the kernel sends to the whole group, nor what comes from the command's own processes."""
    return received.sender is not None and not (received.sender and descends(received.sender, os.getpid()))


def start(
    command: Sequence[str],
    environ: Mapping[str, str],
    *,
    listener: socket.socket | None = None,
    detached: bool = False,
    stdout_to_stderr: bool = False,
) -> Child:
    """Starts the command and returns when it runs; raises OSError, with the errno of execve, where it cannot.

    `listener` is handed over as fd 3, and closed here.  A `detached` command outlives portcheck.
    """
    prctl.adopt_orphans()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # ignored by some callers, and then no status could be waited for
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, signals.TAKEN)
    reader, writer = _pipe_out_of_the_way()
    pid = os.fork()
    if pid == 0:
        _become(command, environ, writer, mask, listener, detached=detached, stdout_to_stderr=stdout_to_stderr)
    os.close(writer)
    if listener is not None:
        listener.close()
    with open(reader, "rb") as pipe:  # noqa: PTH123 - it ends when execve closes the other end
        refused = pipe.read()
    if refused:
        os.waitpid(pid, 0)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        raise OSError(int(refused), os.strerror(int(refused)), command[0])
    return Child(pid)


def _pipe_out_of_the_way() -> tuple[int, int]:
    """A pipe whose writing end is not fd 3, and is closed by execve."""
    reader, writer = os.pipe()
    away = fcntl.fcntl(writer, fcntl.F_DUPFD_CLOEXEC, handover.FIRST_FD + 1)
    os.close(writer)
    return reader, away


def _become(
    command: Sequence[str],
    environ: Mapping[str, str],
    report: int,
    mask: set[signal.Signals],
    listener: socket.socket | None,
    *,
    detached: bool,
    stdout_to_stderr: bool,
) -> None:
    """In the child: becomes the command, or reports the errno and ends."""
    refused = errno.EINVAL
    try:
        if not detached:
            prctl.die_with_parent()
        if stdout_to_stderr:
            os.dup2(2, 1)
        handed = handover.take_over(listener.fileno()) if listener is not None else {}
        for number in IGNORED_BY_PYTHON:
            signal.signal(number, signal.SIG_DFL)
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        os.execvpe(command[0], command, {**environ, **handed})  # noqa: S606
    except OSError as error:
        refused = error.errno or refused
    finally:
        os.write(report, str(refused).encode())
        os._exit(127)
