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

from portcheck.errors import PortcheckError
from portcheck.lean_functools import cache
from portcheck.namedtuple import TYPE_CHECKING
from portcheck.observe.system import descends
from portcheck.run import handover, signals
from portcheck.run.tree import NOTHING, Tree
from portcheck.traits import HERE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, NoReturn

    from portcheck.run.launch import Launch
    from portcheck.run.signals import Received
    from portcheck.run.tree import Left

    Handler = Any  # what signal.signal() takes and returns


# Python ignores these two; the command must not inherit that.
IGNORED_BY_PYTHON = (signal.SIGPIPE, signal.SIGXFSZ)
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36  # prctl(2)
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


def start(launch: Launch) -> Child:
    """Starts the command and returns once it runs; raises OSError, with the errno of execve, where it cannot.

    The launch's listener is handed over, and closed here.
    """
    _adopt_orphans()
    has_others = _has_children()
    mask, handlers = _taken_from_the_caller()
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
    return Child(pid, Tree(pid, adopts=HERE.has_prctl and not has_others))


def _has_children() -> bool:
    """Whether the caller has left some (`server & exec portcheck run ...`): then an orphan may be one of theirs."""
    try:
        os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        return False
    return True


@cache
def _taken_from_the_caller() -> tuple[set[int | signal.Signals], dict[int, Handler]]:
    """Blocks the signals; the mask and the handlers that the command would have found without Python and portcheck.

    Once: what a second attempt finds is what the first has left.
    """
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, signals.TAKEN)
    handlers: dict[int, Handler] = dict.fromkeys(IGNORED_BY_PYTHON, signal.SIG_DFL)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        handlers[signal.SIGINT] = signal.SIG_DFL
    # Some callers ignore it, and then no status could be waited for.
    handlers[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    return mask, handlers


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


def become(command: Sequence[str]) -> NoReturn:
    """Replaces this process by a command: same PID, same signals, its own end.  Raises OSError."""
    for number in IGNORED_BY_PYTHON:
        signal.signal(number, signal.SIG_DFL)
    os.execvp(command[0], [*command])  # noqa: S606 - no shell is meant


class Child:
    """A running command."""

    def __init__(self, pid: int, tree: Tree) -> None:
        self.pid = pid
        self.tree = tree
        self.was_told_to_end = self.has_ended = self.is_impatient = False
        self._is_childless = False

    def wait(self, timeout: float | None) -> int | None:
        """Passes on the next signal that comes within `timeout` seconds (None: no limit).

        Returns the command's exit code once it has ended (-15 where it died of signal 15), else None.
        """
        received = signals.take(timeout)
        if received is not None and received.number == signal.SIGCHLD:
            return self._reap()
        self.tree.remember()
        if received is not None:
            self.was_told_to_end |= _is_an_end(received)
            if _is_for_us_alone(received):
                self.send(received.number)
        return None

    def end(self, tell: Callable[[str], None]) -> Left:
        """Ends all that is left of it, and of what it has started."""
        if self.rest(0):
            return NOTHING
        from portcheck.run.ending import end_all

        return end_all(self, tell)

    def send(self, number: int) -> None:
        """Signals the command alone, which has not been waited for yet: its PID is nobody else's."""
        with suppress(PermissionError):  # it has become another user's (sudo)
            os.kill(self.pid, number)

    def rest(self, seconds: float) -> bool:
        """Reaps for so long; True as soon as there is no child left, and so no descendant: orphans are adopted."""
        deadline = time.monotonic() + seconds
        while True:
            self._reap()
            left = deadline - time.monotonic()
            if left <= 0 or (self._is_childless and HERE.has_prctl):
                return self._is_childless and HERE.has_prctl
            received = signals.take(left)
            self.is_impatient |= received is not None and _is_an_end(received)

    def _reap(self) -> int | None:
        """Reaps every child that has ended, the adopted orphans too; the command's exit code if it is among them."""
        ended = None
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG | os.WUNTRACED)
            except ChildProcessError:
                self._is_childless = True
                return ended
            if pid == 0:
                return ended
            if pid != self.pid:
                continue
            if not os.WIFSTOPPED(status):
                self.has_ended = True
                ended = os.waitstatus_to_exitcode(status)
            elif os.WSTOPSIG(status) in signals.STOPS:
                signals.stop_as(os.WSTOPSIG(status))


def _is_an_end(received: Received) -> bool:
    """Whether it asks to end; not where the caller has chosen to ignore that (nohup)."""
    return received.number in ENDING and signal.getsignal(received.number) is not signal.SIG_IGN


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
        try:
            import ctypes

            c_library = ctypes.CDLL(None)
        except (ImportError, OSError):  # a static Python, as one built for musl may be
            raise PortcheckError(
                "this Python was built without ctypes, so what the command starts could outlive it",
                "take a Python with ctypes for `portcheck run`",
            ) from None
        c_library.prctl(option, value, 0, 0, 0)
