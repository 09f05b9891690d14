"""Runs the command once on one port: starts it, watches the port, and waits for its end."""

from __future__ import annotations

import sys
import time

from portcheck import exit_codes
from portcheck.errors import PortcheckError
from portcheck.namedtuple import TYPE_CHECKING, NamedTuple
from portcheck.run.tree import NOTHING
from portcheck.traits import HERE
from portcheck.waiting.loop import pauses

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Literal, Protocol

    from portcheck.model import Diagnosis
    from portcheck.run.launch import Launch
    from portcheck.run.monitor import Monitor
    from portcheck.run.tree import Left

    class Child(Protocol):
        """A running command."""

        was_told_to_end: bool

        def wait(self, timeout: float | None) -> int | None:
            """Its exit code once it has ended; None after `timeout` seconds."""

        def end(self, tell: Callable[[str], None]) -> Left:
            """Ends it and everything that it has started; what is left all the same."""

    class Children(Protocol):
        """How this system starts a command, and ends as one did: child_posix or child_windows."""

        def start(self, launch: Launch) -> Child:
            """Raises OSError."""

        def end_as(self, code: int) -> int:
            """The exit code that says how the command ended, if it can be said by one."""

        def become(self, command: Sequence[str]) -> int:
            """Runs a command in place of this process, as far as the system can; its exit code.  Raises OSError."""


def _children() -> Children:
    if HERE.forks:
        from portcheck.run import child_posix

        return child_posix
    from portcheck.run import child_windows

    return child_windows


CHILDREN = _children()
AT_ONCE = 5.0  # seconds: a command that fails sooner cannot have served anybody


class Ending(NamedTuple):
    """How an attempt ended; `code` is what end_as() takes, 0 where the command is still running."""

    how: Literal["ended", "ready", "timeout"]
    code: int = 0
    # The answer for the port, where somebody else has it and the command failed for that: it has never listened, and
    # was not told to end.
    taken_by: Diagnosis | None = None
    failed_at_once: bool = False  # by itself
    left: Left = NOTHING  # what should have ended, and has not
    # Where all that the command started was to end: the answer for the port, if it is not free even so.
    still_held: Diagnosis | None = None

    @property
    def may_be_repeated(self) -> bool:
        """Only where a stranger is known to have the port: running a command twice repeats what it does."""
        return self.taken_by is not None and any(owner.pid for owner in self.taken_by.owners) and not self.left


def attempt(
    launch: Launch, monitor: Monitor, tell: Callable[[str], None], *, until_ready: float | None = None
) -> Ending:
    """Runs the command to its end or, where `until_ready` (seconds) is given, until it is proven to listen.

    What a command leaves that has ended by itself lives on, as it may be a daemon.  Nothing lives on of one that was
    told to end, or has not become what it was started for.  Raises CannotStart.
    """
    try:
        child = CHILDREN.start(launch)
    except OSError as error:
        raise CannotStart(launch.command[0], error) from error
    begun = time.monotonic()
    watched = True
    for pause in pauses():
        code = child.wait(pause if watched else None)
        if code is not None:
            failed = code > 0 and not child.was_told_to_end
            taken_by = _asked(monitor.taken_by, tell) if failed else None
            ending = Ending("ended", code, taken_by, failed and time.monotonic() - begun < AT_ONCE)
            lives_on = until_ready is None and not taken_by and not child.was_told_to_end
            return ending if lives_on else _end(child, ending, monitor, tell)
        watched = watched and not _look(monitor.look, tell)
        if until_ready is not None and monitor.ready and not child.was_told_to_end:
            return Ending("ready")
        if until_ready is not None and time.monotonic() - begun > until_ready:
            _look(monitor.look_elsewhere, tell)
            return _end(child, Ending("timeout"), monitor, tell)
    raise AssertionError("pauses() never ends")


def _end(child: Child, ending: Ending, monitor: Monitor, tell: Callable[[str], None]) -> Ending:
    left = child.end(tell)
    return ending._replace(left=left, still_held=None if ending.taken_by else _asked(monitor.still_held, tell))


def _look(look: Callable[[], bool | None], tell: Callable[[str], None]) -> bool:
    """Whether there is no need to look again.  Whatever goes wrong with looking, the command runs on."""
    try:
        return bool(look())
    except PortcheckError as error:
        tell(f"whether the command listens cannot be seen: {error.cause}")
    except Exception as error:
        tell(f"internal error while looking at the port: {type(error).__name__}: {error}")
    return True


def _asked(question: Callable[[], Diagnosis | None], tell: Callable[[str], None]) -> Diagnosis | None:
    try:
        return question()
    except PortcheckError as error:
        tell(f"whether somebody else has the port cannot be seen: {error.cause}")
        return None


def become(command: Sequence[str]) -> int:
    """Hands this process over to a command, which nobody watches; its exit code.  Raises CannotStart."""
    for stream in (sys.stdout, sys.stderr):
        if stream:
            stream.flush()
    try:
        return CHILDREN.become(command)
    except OSError as error:
        raise CannotStart(command[0], error) from error


class CannotStart(PortcheckError):
    """The command of `run` or `wait` does not exist (exit code 127, as in a shell), or cannot be run (126)."""

    def __init__(self, command: str, error: OSError) -> None:
        super().__init__(f"{command} cannot be started: {error.strerror}")
        missing = isinstance(error, FileNotFoundError)
        self.exit_code = exit_codes.NOT_FOUND if missing else exit_codes.CANNOT_RUN
