"""A sign of life on stderr for a person who has waited for more than a second."""

from __future__ import annotations

import sys

from portcheck.namedtuple import TYPE_CHECKING
from portcheck.render.stream import is_terminal

if TYPE_CHECKING:
    from threading import Event
    from typing import TextIO

SECOND = 1.0


class Progress:
    """Shows on a terminal what is being done and for how many seconds, and takes it away at the end.

    Nothing is shown in the first second (`every`), and nothing at all where `stream` (stderr) is no terminal.
    One line rewritten in place: rich's status would replace sys.stdout meanwhile, and importing it would slow
    down just the looks that are slow already.  Nor is it a generator: contextlib would cost every command 2 ms.
    """

    def __init__(self, doing: str, stream: TextIO | None = None, *, every: float = SECOND) -> None:
        self._doing = doing
        self._stream = stream or sys.stderr
        self._every = every
        self._ended: Event | None = None

    def __enter__(self) -> None:
        self.start()

    def __exit__(self, *error: object) -> None:
        self.end()

    def start(self) -> None:
        """Begins to count the seconds, where somebody would see them."""
        if not is_terminal(self._stream):
            return
        from threading import Event, Thread

        self._ended = Event()
        self._thread = Thread(target=self._show, args=(self._ended,), daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Returns once nothing of it is left on the terminal."""
        if self._ended is not None:
            self._ended.set()
            self._thread.join()

    def _show(self, ended: Event) -> None:
        seconds, line = 0, ""
        try:
            while not ended.wait(self._every):
                seconds += 1
                line = f"{self._doing} ({seconds} s)"
                self._put(f"\r{line}")
            if line:
                self._put(f"\r{' ' * len(line)}\r")  # spaces: even a dumb terminal knows them
        except OSError:  # the terminal is gone, and whoever looked at it
            return

    def _put(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()
