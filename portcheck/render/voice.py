"""One voice for what every command says at a terminal: marks and colours as in a check, whole words wrapped."""

from __future__ import annotations

from portcheck.errors import SPEAKER
from portcheck.namedtuple import TYPE_CHECKING
from portcheck.render.escape import visible
from portcheck.render.layout import INDENT, Piece, marked, paint, wrapped
from portcheck.render.words import quoted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from portcheck.model import Advice
    from portcheck.render.layout import Canvas, Mark

    Lines = Iterator[list[Piece]]

SHOWN_HOLDERS = 8  # of one port, and what stops each of them
COMMAND = " " * 6  # what a command is indented by, in plain lines too


def voiced(lines: Iterable[str], canvas: Canvas, mark: Mark | None = None) -> Iterator[str]:
    """Plain lines, the first with its mark if it has one; what is indented is dim, and a command bold and whole."""
    for number, line in enumerate(lines):
        yield from paint(_voiced(line, canvas, mark if number == 0 else None), canvas)


def _voiced(line: str, canvas: Canvas, mark: Mark | None) -> Lines:
    text = line.strip()
    if line.startswith(COMMAND):
        return iter([[Piece(COMMAND), Piece(text, "bold")]])
    if line.startswith(" "):
        return wrapped([Piece(text, "dim")], canvas.width, start=[Piece(INDENT)], further=INDENT * 2)
    if text.startswith(SPEAKER):
        return marked([Piece(SPEAKER, "dim"), Piece(text[len(SPEAKER) :])], canvas, mark)
    return marked([Piece(text)], canvas, mark)


def helps(advice: Sequence[Advice], width: int, indent: str, *, told: str = "") -> Lines:
    """What can be done, each command alone on its line; what was `told` already is not said again."""
    for each in advice:
        own = len(advice) == 1 and "portcheck" in (each.command or ())
        silent = each.command and (own or each.text in told)
        if not silent:
            yield from wrapped(
                [Piece(visible(each.text), "dim")], width, start=[Piece(indent)], further=indent + INDENT
            )
        if each.command:
            yield [Piece(indent if silent else indent + INDENT), Piece(quoted(each.command), "bold")]


def up_to_a_command(advice: Sequence[Advice]) -> Sequence[Advice]:
    """What is enough for one holder: nobody needs two ways."""
    first = next((number for number, each in enumerate(advice, 1) if each.command), len(advice))
    return advice[:first]
