"""A sign of life on stderr for a person who has waited for more than a second."""

from __future__ import annotations

import os
import sys
import time

from portcheck.namedtuple import TYPE_CHECKING
from portcheck.render.stream import has_signs, takes_rich, wants_colour

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from threading import Event
    from typing import TextIO

    from rich.live import Live
    from rich.spinner import Spinner

    from portcheck.requests import Color

SECOND = 1.0
FRAME = 0.125  # seconds: enough to move, and next to no work


class Progress:
    """Shows on a terminal what is being done and for how many seconds, and takes it away at the end.

    Nothing is shown in the first second (`after`), and nothing at all where `stream` (stderr) is no terminal, or one
    that cannot take a line back; rich is imported only to show something.  A class, no generator: contextlib would
    cost every command 2 ms.
    """

    def __init__(
        self, doing: str, color: Color = "auto", stream: TextIO | None = None, *, after: float = SECOND
    ) -> None:
        self._doing = doing
        self._stream = stream or sys.stderr
        self._color = color
        self._after = after
        self._ended: Event | None = None
        self._spinner: Spinner | None = None

    def __enter__(self) -> None:
        self.start()

    def __exit__(self, *error: object) -> None:
        self.end()

    def start(self) -> None:
        """Begins to count the seconds, where somebody would see them."""
        if not takes_rich(self._stream) or os.environ.get("TERM") == "dumb":
            return
        from threading import Event, Thread

        self._ended = Event()
        self._thread = Thread(target=self._show, args=(self._ended, time.monotonic()), daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Returns once nothing of it is left on the terminal."""
        if self._ended is not None:
            self._ended.set()
            self._thread.join()

    def _show(self, ended: Event, since: float) -> None:
        if ended.wait(self._after):
            return
        try:
            with self._live() as live:
                while True:
                    live.update(self._line(since), refresh=True)
                    if ended.wait(FRAME):
                        return
        except OSError:  # the terminal is gone, and whoever looked at it
            return

    def _live(self) -> Live:
        """As rich's status, but sys.stdout is left alone: answers are written there."""
        from rich.console import Console
        from rich.live import Live

        class Modest(Console):
            """Leaves the cursor visible: whoever is killed could not bring it back."""

            def show_cursor(self, show: bool = True) -> bool:  # noqa: ARG002, FBT001, FBT002 - rich's own
                return False

        colour = wants_colour(self._stream, os.environ, self._color)
        console = Modest(file=self._stream, force_terminal=True, color_system="standard" if colour else None)
        return Live(console=console, auto_refresh=False, transient=True, redirect_stdout=False, redirect_stderr=False)

    def _line(self, since: float) -> Spinner:
        """`⠹ waiting for port 3000 (3 s)`"""
        from rich.spinner import Spinner
        from rich.text import Text

        if self._spinner is None:
            self._spinner = Spinner("dots" if has_signs(self._stream, os.environ) else "line")
        self._spinner.update(text=Text(f"{self._doing} ({int(time.monotonic() - since)} s)", "dim"))
        return self._spinner


def with_progress(lines: Iterable[str], doing: str, color: Color = "auto") -> Iterator[str]:
    """The lines, with a sign of life wherever one of them takes more than a second; each is written without it."""
    waiting = Progress(doing, color)
    rest = iter(lines)
    while True:
        with waiting:
            line = next(rest, None)
        if line is None:
            return
        yield line
