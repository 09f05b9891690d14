"""The lines of stop, wait, pick and errors as a terminal shows them: marks and colours as in a check, words wrapped."""

from __future__ import annotations

from portcheck.namedtuple import TYPE_CHECKING
from portcheck.render.layout import MARKS, Piece, painted, wrapped

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from portcheck.render.layout import Canvas, Mark

COMMAND = " " * 6  # what a command is indented by, in plain lines too
INDENT = "  "


def voiced(lines: Iterable[str], canvas: Canvas, mark: Mark | None = None) -> Iterator[str]:
    """The first line with its mark, if it has one; what is indented is dim, and a command bold and whole."""
    for number, line in enumerate(lines):
        for drawn in _drawn(line, canvas, mark if number == 0 else None):
            yield painted(drawn, colour=canvas.colour)


def _drawn(line: str, canvas: Canvas, mark: Mark | None) -> Iterable[list[Piece]]:
    text = line.strip()
    if line.startswith(COMMAND):
        return [[Piece(COMMAND), Piece(text, "bold")]]
    if line.startswith(" "):
        return wrapped([Piece(text, "dim")], canvas.width, start=[Piece(INDENT)], further=INDENT * 2)
    if mark is None:
        return wrapped([Piece(text)], canvas.width, further=INDENT)
    sign = MARKS[mark]
    start = [Piece(f"{sign.sign if canvas.signs else sign.plain} ", sign.style)]
    return wrapped([Piece(text)], canvas.width, start=start, further=INDENT)
