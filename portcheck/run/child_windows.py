"""Runs a command on Windows, as a child in the same console.  Ctrl-C reaches both, and is left to the command."""

from __future__ import annotations

import errno
import shutil
import time

from portcheck.namedtuple import TYPE_CHECKING

if TYPE_CHECKING:
    import subprocess

    from portcheck.run.launch import Launch

KILL_AFTER = 10.0  # seconds


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
        self.was_told_to_end = False

    def wait(self, timeout: float | None) -> int | None:
        """The command's exit code once it has ended, None after `timeout` seconds (None: no limit)."""
        import subprocess

        end = None if timeout is None else time.monotonic() + timeout
        while True:
            try:
                return self._process.wait(None if end is None else max(end - time.monotonic(), 0))
            except subprocess.TimeoutExpired:
                return None
            except KeyboardInterrupt:
                self.was_told_to_end = True

    def end(self) -> None:
        """Ends the command; Windows has no gentle way for one without a window."""
        self._process.terminate()
        self.wait(KILL_AFTER)


def end_as(code: int) -> int:
    """The exit code, which is all that a Windows process leaves."""
    return code
