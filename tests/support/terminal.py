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
from collections.abc import Sequence
from typing import Self

from support.namespaces import Host
from support.patience import PATIENCE
from support.processes import end


class Terminal:
    """A terminal of its own, with a session whose leader is the program."""

    def __init__(self, host: Host, argv: Sequence[str]) -> None:
        self._keyboard, inside = pty.openpty()
        self.program = subprocess.Popen(
            host.argv(["setsid", "--ctty", *argv]), stdin=inside, stdout=inside, stderr=inside
        )
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
