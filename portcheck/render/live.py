"""Draws lines over and over on a terminal's other screen, by rich; the first one is there again afterwards."""

from __future__ import annotations

import os
import signal
import sys

from portcheck.namedtuple import TYPE_CHECKING
from portcheck.render.stream import takes_panels

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import FrameType

    from typing_extensions import Self  # in typing from 3.11 on; a type checker brings it along

# After which a terminal would be left without its cursor.
ENDING = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))


def can_draw() -> bool:
    """Whether stdout is a terminal that can be drawn on, and rich is there."""
    return takes_panels(sys.stdout) and os.environ.get("TERM", "") not in ("", "dumb", "unknown")


class Screen:
    """A terminal's other screen, as long as the `with` block lasts; however that ends, the first one comes back."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.live import Live

        self._console = Console(file=sys.stdout, highlight=False)
        self._live = Live(
            console=self._console, screen=True, auto_refresh=False, redirect_stdout=False, redirect_stderr=False
        )

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

    def draw(self, lines: Callable[[int, int], Sequence[str]]) -> None:
        """Draws what `lines` makes of so many columns and lines."""
        from rich.text import Text

        text = Text.from_ansi("\n".join(lines(*self.size)), no_wrap=True, overflow="crop")
        self._live.update(text, refresh=True)
