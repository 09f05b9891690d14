"""Runs other programs for their answers, within a time limit: a tool that hangs must not hang portcheck."""

from __future__ import annotations

import os
import time

from portcheck.namedtuple import TYPE_CHECKING, NamedTuple
from portcheck.traits import HERE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from subprocess import Popen


class NoAnswerError(Exception):
    """The program gave none; the text says why, as the end of a sentence about it."""


class Answer(NamedTuple):
    """What a program wrote, and whether it succeeded."""

    ok: bool
    out: str
    err: str


class Patience:
    """A time that several questions share, in seconds; it begins with the first one."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._deadline: float | None = None

    def left(self) -> float:
        """Seconds; never less than 0."""
        if self._deadline is None:
            self._deadline = time.monotonic() + self.seconds
        return max(0.0, self._deadline - time.monotonic())


def is_there(program: str) -> bool:
    """Whether the program is on the user's PATH."""
    import shutil

    return shutil.which(program) is not None


def ask(argv: Sequence[str], patience: Patience, environment: Mapping[str, str] | None = None) -> Answer:
    """Runs the program without a terminal or input, and kills it with all its children when its time is over.

    Raises NoAnswerError.
    """
    import subprocess

    left = patience.left()
    if not left:
        raise NoAnswerError("was not asked: the time for it was used up")
    try:
        with subprocess.Popen(
            (_on_path(argv[0]), *argv[1:]),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, **(environment or {}), "LC_ALL": "C"},
            start_new_session=True,
        ) as process:
            try:
                out, err = process.communicate(timeout=left)
            except subprocess.TimeoutExpired:
                raise NoAnswerError(f"did not answer within {patience.seconds:g} s") from None
            finally:
                _end(process)
    except OSError as error:
        raise NoAnswerError(f"cannot be run: {error.strerror}") from None
    return Answer(process.returncode == 0, _text(out), _text(err))


def ask_exactly(argv: Sequence[str], environment: Mapping[str, str], *, seconds: float, most: int) -> Answer:
    """Runs a program by its path in the root directory, with this environment and no other.

    Its complaints are not read; it is killed with all its children when its time or its `most` bytes are over.
    Raises NoAnswerError.
    """
    import subprocess
    from threading import Thread

    answer: list[bytes] = []
    try:
        with subprocess.Popen(
            argv,
            cwd=os.sep,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        ) as process:
            out = process.stdout
            reader = Thread(target=lambda: answer.append(out.read(most + 1) if out else b""), daemon=True)
            reader.start()
            reader.join(seconds)
            over = not answer or len(answer[0]) > most
            try:
                if not over:
                    process.wait(1)  # what has closed its output has ended, or is about to
            except subprocess.TimeoutExpired:
                over = True
            finally:
                _end(process)  # all of it, while the process has not been waited for
                reader.join()
    except OSError as error:
        raise NoAnswerError(f"cannot be run: {error.strerror}") from None
    if over:
        raise NoAnswerError(f"did not answer within {seconds:g} s, or with more than {most:,} bytes")
    return Answer(process.returncode == 0, _text(answer[0]), "")


def _on_path(program: str) -> str:
    """The program by its path: what lies in the current directory is not meant.  Raises NoAnswerError."""
    if os.path.isabs(program):
        return program
    # Windows looks into the current directory first, and everybody where PATH has a relative or an empty entry.
    name = f"{program}.exe" if HERE.finds_programs_in_current_directory else program
    paths = (os.path.join(folder, name) for folder in os.get_exec_path() if os.path.isabs(folder))
    path = next((path for path in paths if os.path.isfile(path) and os.access(path, os.X_OK)), None)
    if path is None:
        raise NoAnswerError("is not on the PATH")
    return path


def _text(written: bytes) -> str:
    """os.fsdecode would raise UnicodeDecodeError on Windows, where tools write in the code page of a console."""
    return written.decode("utf-8", "surrogateescape")


def _end(process: Popen[bytes]) -> None:
    """Kills a process that has not been waited for (so the PID is still its own), and what it started."""
    if process.returncode is not None:
        return
    if hasattr(os, "killpg"):
        import signal

        os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
