"""Runs a command on Windows, as a child in the same console.  Ctrl-C reaches both, and is left to the command."""

from __future__ import annotations

import errno
import os
import shutil
import time

from portcheck.namedtuple import TYPE_CHECKING
from portcheck.run.launch import Launch
from portcheck.run.tree import Tree

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Sequence

    from portcheck.run.tree import Left


def start(launch: Launch) -> Child:
    """Starts the command; raises OSError where it cannot.  `npm` is found as npm.cmd, as a shell would."""
    import subprocess

    program = shutil.which(launch.command[0], path=launch.environ.get("PATH"))
    if program is None:
        raise FileNotFoundError(errno.ENOENT, "no such command", launch.command[0])
    stdout = 2 if launch.stdout_to_stderr else None
    return Child(subprocess.Popen((program, *launch.command[1:]), env=dict(launch.environ), stdout=stdout))


class Child:
    """A running command."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self.pid = process.pid
        self.tree = Tree(process.pid, adopts=False)
        self.was_told_to_end = self.has_ended = self.is_impatient = False

    def wait(self, timeout: float | None) -> int | None:
        """The command's exit code once it has ended, None after `timeout` seconds (None: no limit)."""
        import subprocess

        end = None if timeout is None else time.monotonic() + timeout
        self.tree.remember()
        while True:
            try:
                code = self._process.wait(None if end is None else max(end - time.monotonic(), 0))
            except subprocess.TimeoutExpired:
                return None
            except KeyboardInterrupt:
                self.was_told_to_end = True
                self.tree.remember()
            else:
                self.has_ended = True
                return code

    def end(self, tell: Callable[[str], None]) -> Left:
        """Ends all that is left of it, and of what it has started; Windows has no gentle way for it.

        What has lost its parent is found only if it has been seen before that.
        """
        from portcheck.run.ending import end_all

        return end_all(self, tell)

    def send(self, number: int) -> None:  # noqa: ARG002
        """Ends the command alone."""
        self._process.terminate()

    def rest(self, seconds: float) -> bool:
        """Waits; never knows more than the list of processes shows."""
        time.sleep(seconds)
        self.has_ended = self._process.poll() is not None
        return False


def become(command: Sequence[str]) -> int:
    """Waits for a child: nothing can replace a process here.  Raises OSError."""
    child = start(Launch(tuple(command), os.environ))
    while (code := child.wait(None)) is None:
        pass
    return code


def end_as(code: int) -> int:
    """The exit code, which is all that a Windows process leaves."""
    return code
