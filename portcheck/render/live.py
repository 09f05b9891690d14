"""Draws lines over and over on a terminal's other screen, by rich; the first one is there again afterwards."""

from __future__ import annotations

import os
import signal
import sys

from portcheck.namedtuple import TYPE_CHECKING
from portcheck.render.stream import takes_rich

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import FrameType

    from typing_extensions import Self  # in typing from 3.11 on; a type checker brings it along

    from portcheck.render.layout import Cells

# The keys of `layout.CODES` as rich writes them.
STYLES = {"bold": "bold", "dim": "dim", "red": "bold red", "green": "bold green", "yellow": "bold yellow"}
# After which a terminal would be left without its cursor.
ENDING = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))


def can_draw() -> bool:
    """Whether stdout is a terminal that can be drawn on, and rich is there."""
    return takes_rich(sys.stdout) and os.environ.get("TERM") not in ("dumb", "unknown")


class Screen:
    """A terminal's other screen, as long as the `with` block lasts; however that ends, the first one comes back."""

    def __init__(self, *, colour: bool) -> None:
        from rich.console import Console
        from rich.live import Live
        from rich.style import Style

        # As large as the terminal is: what COLUMNS and LINES say stays the same when that is resized.
        environ = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
        console = Console(file=sys.stdout, no_color=not colour, _environ=environ)
        self._console = console
        self._live = Live(
            console=console, screen=True, auto_refresh=False, redirect_stdout=False, redirect_stderr=False
        )
        self._styles = {name: Style.parse(style) for name, style in STYLES.items() if colour}
        self._drawn: object = None

    def __enter__(self) -> Self:
        self._before = {number: signal.signal(number, self._end) for number in ENDING}
        self._live.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._live.stop()
        for number, before in self._before.items():
            signal.signal(number, before)

    def _end(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002
        """A signal that ends us does so, with the terminal as it was."""
        self._live.stop()
        signal.signal(number, signal.SIG_DFL)
        signal.raise_signal(number)

    @property
    def size(self) -> tuple[int, int]:
        """Columns and lines, as they are now."""
        return self._console.size

    def draw(self, lines: Callable[[int, int], Sequence[Cells]]) -> None:
        """Draws what `lines` makes of so many columns and lines, where that differs from what is there."""
        from rich.segment import Segment, Segments

        size = self.size
        drawn = size, [*lines(*size)]
        if drawn == self._drawn:
            return
        segments = [
            segment
            for line in drawn[1]
            for segment in (*(Segment(text, self._styles.get(style)) for text, style in line), Segment.line())
        ]
        self._live.update(Segments(segments[:-1]), refresh=True)  # no line below the last
        self._drawn = drawn
