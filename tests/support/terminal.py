"""A terminal for a program, with a keyboard that the test types on."""

from __future__ import annotations

import codecs
import fcntl
import os
import pty
import select
import struct
import subprocess
import termios
import time
from collections.abc import Mapping, Sequence
from typing import Self

from support.namespaces import Host
from support.patience import PATIENCE
from support.processes import end


class Terminal:
    """A terminal of its own, with a session whose leader is the program."""

    def __init__(self, host: Host, argv: Sequence[str], env: Mapping[str, str] | None = None) -> None:
        self._keyboard, inside = pty.openpty()
        self.program = subprocess.Popen(
            host.argv(["setsid", "--ctty", *argv]), stdin=inside, stdout=inside, stderr=inside,
            env=None if env is None else {**os.environ, **env},
        )  # fmt: skip
        os.close(inside)
        self.shown = ""
        self._decode = codecs.getincrementaldecoder("utf-8")().decode  # a character may come in two pieces

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._keyboard)  # the kernel hangs up
        end(self.program)

    def types(self, keys: bytes) -> None:
        os.write(self._keyboard, keys)

    def resizes(self, lines: int, columns: int) -> None:
        """As when somebody drags its window: the kernel sends SIGWINCH."""
        fcntl.ioctl(self._keyboard, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def shows(self, words: str) -> str:
        """Everything that was shown, up to these words and the rest of what comes with them."""
        over = time.monotonic() + PATIENCE
        while words not in self.shown:
            readable = select.select([self._keyboard], [], [], max(over - time.monotonic(), 0))[0]
            assert readable, f"{words!r} is not in {self.shown!r}"
            self.shown += self._decode(os.read(self._keyboard, 4096))
        return self.shown

    def ends(self, answers: Mapping[str, bytes] | None = None) -> int:
        """The exit code, once each of these questions has had its answer as often as it was asked."""
        open_questions = dict.fromkeys(answers or {}, 0)
        while self._reads():
            for question, answered in open_questions.items():
                for _ in range(self.shown.count(question) - answered):
                    self.types((answers or {})[question])
                open_questions[question] = self.shown.count(question)
        return self.program.wait(PATIENCE)

    def _reads(self) -> bool:
        """Whether there was more to read; at the end nobody has the terminal open any more (EIO)."""
        assert select.select([self._keyboard], [], [], PATIENCE)[0], f"nothing after {self.shown!r}"
        try:
            self.shown += self._decode(os.read(self._keyboard, 4096))
        except OSError:
            return False
        return True
