"""Runs a command as if portcheck were not there: same terminal, same process group, same end.

It is a child in portcheck's own process group.  What the terminal sends reaches both; what is sent to portcheck
alone is passed on; when the command stops, so does portcheck; as it ends, portcheck ends.
"""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import time
from contextlib import suppress

from portcheck.namedtuple import TYPE_CHECKING
from portcheck.observe.system import descends
from portcheck.run import handover, signals
from portcheck.traits import HERE

if TYPE_CHECKING:
    from typing import Any, NoReturn

    from portcheck.run.launch import Launch
    from portcheck.run.signals import Received

    Handler = Any  # what signal.signal() takes and returns


KILL_AFTER = 10.0  # seconds between SIGTERM and SIGKILL
# Python ignores these two; the command must not inherit that.
IGNORED_BY_PYTHON = (signal.SIGPIPE, signal.SIGXFSZ)
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36  # prctl(2)
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


def start(launch: Launch) -> Child:
    """Starts the command and returns once it runs; raises OSError, with the errno of execve, where it cannot.

    The launch's listener is handed over, and closed here.
    """
    _adopt_orphans()
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, signals.TAKEN)
    handlers = _handlers_of_the_command()
    reader, writer = _pipe_out_of_the_way()
    pid = os.fork()
    if pid == 0:
        _become(launch, writer, mask, handlers)
    os.close(writer)
    if launch.listener is not None:
        launch.listener.close()
    with open(reader, "rb") as pipe:
        refused = pipe.read()
    if refused:
        os.waitpid(pid, 0)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        raise OSError(int(refused), os.strerror(int(refused)), launch.command[0])
    return Child(pid)


def _handlers_of_the_command() -> dict[int, Handler]:
    """The handlers that the command would have found without Python and portcheck, which change them."""
    handlers: dict[int, Handler] = dict.fromkeys(IGNORED_BY_PYTHON, signal.SIG_DFL)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        handlers[signal.SIGINT] = signal.SIG_DFL
    # Some callers ignore it, and then no status could be waited for.
    handlers[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    return handlers


def _pipe_out_of_the_way() -> tuple[int, int]:
    """A pipe whose writing end is not the fd of the handover, and is closed by execve."""
    reader, writer = os.pipe()
    away = fcntl.fcntl(writer, fcntl.F_DUPFD_CLOEXEC, handover.FIRST_FD + 1)
    os.close(writer)
    return reader, away


def _become(launch: Launch, report: int, mask: set[int | signal.Signals], handlers: dict[int, Handler]) -> NoReturn:
    """In the child: becomes the command, or reports the errno and ends."""
    refused = errno.EINVAL
    try:
        if not launch.detached:
            _die_with_parent()
        if launch.stdout_to_stderr:
            os.dup2(2, 1)
        handed = handover.take_over(launch.listener.fileno()) if launch.listener else {}
        for number, handler in handlers.items():
            signal.signal(number, handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        os.execvpe(launch.command[0], launch.command, {**launch.environ, **handed})  # noqa: S606 - no shell is meant
    except OSError as error:
        refused = error.errno or refused
    finally:
        os.write(report, str(refused).encode())
        os._exit(127)


class Child:
    """A running command."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.was_told_to_end = False

    def wait(self, timeout: float | None) -> int | None:
        """Passes on the next signal that comes within `timeout` seconds (None: no limit).

        Returns the command's exit code once it has ended (-15 where it died of signal 15), else None.
        """
        received = signals.take(timeout)
        if received is None:
            return None
        if received.number == signal.SIGCHLD:
            return self._reap()
        self.was_told_to_end |= received.number in ENDING
        if _is_for_us_alone(received):
            with suppress(PermissionError):  # the command has become another user's (sudo)
                os.kill(self.pid, received.number)
        return None

    def end(self) -> None:
        """SIGTERM, and SIGKILL if that does not help; returns when the command has ended."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            with suppress(PermissionError):
                os.kill(self.pid, number)
            end = time.monotonic() + KILL_AFTER
            while (left := end - time.monotonic()) > 0:
                if self.wait(left) is not None:
                    return

    def _reap(self) -> int | None:
        """Reaps every child that has ended, the adopted orphans too; the command's exit code if it is among them."""
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
                ended = os.waitstatus_to_exitcode(status)
            elif os.WSTOPSIG(status) in signals.STOPS:
                signals.stop_as(os.WSTOPSIG(status))


def _is_for_us_alone(received: Received) -> bool:
    """Whether it was sent neither by the kernel, to the whole group, nor by the command's own processes."""
    return received.sender is not None and not (received.sender and descends(received.sender, os.getpid()))


def end_as(code: int) -> int:
    """Ends as the command did: by the same signal, or with the exit code that is returned."""
    if code >= 0:
        return code
    signals.die_of(-code)
    return 128 - code


def _adopt_orphans() -> None:
    """Makes descendants that lose their parent children of this process: so a daemon is known to be the command's."""
    _prctl(PR_SET_CHILD_SUBREAPER, 1)


def _die_with_parent() -> None:
    """Has the kernel kill the command when portcheck dies, even of SIGKILL, which cannot be passed on."""
    _prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL))


def _prctl(option: int, value: int) -> None:
    if HERE.has_prctl:
        import ctypes

        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)
