"""Lines of a terminal: whole words wrapped, columns aligned, colours painted.

Not rich: its import takes longer than everything else that a check does, and the same lines have to come out where it
is not installed.  What is laid out has been through `escape.visible`.
"""

from __future__ import annotations

from portcheck.namedtuple import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from typing import Literal

    Cells = Sequence["Piece"]
    Mark = Literal["good", "bad", "doubtful"]

CODES = {"bold": "1", "dim": "2", "red": "1;31", "green": "1;32", "yellow": "1;33"}
GAP = "  "  # between columns
INDENT = "  "
KEPT = "\xa0"  # a space at which no line is broken; strangers have none, `escape.visible` would show it
LEAST_OF_THE_LAST = 8  # cells of a table's last column: with fewer, every row becomes a paragraph
# What nobody would know without its heading, where every row is a paragraph.
LABELLED = ("PID", "LISTENS ON", "ANSWERS CLIENTS OF", "ALSO SERVES")


class Sign(NamedTuple):
    """What the eye meets first."""

    sign: str
    plain: str  # where the terminal has no more than ASCII
    style: str


MARKS: dict[Mark, Sign] = {
    "good": Sign("✓", "ok", "green"),
    "bad": Sign("✗", "x", "red"),
    "doubtful": Sign("!", "!", "yellow"),
}


class Canvas(NamedTuple):
    """A terminal, as far as it matters to what is drawn on it."""

    width: int = 80
    colour: bool = False
    signs: bool = True  # whether it has more than ASCII
    now: float = 0.0  # seconds since the epoch


class Piece(NamedTuple):
    """Text of one style, a key of CODES; without a style as the terminal has it."""

    text: str
    style: str = ""


def drawn(mark: Mark, canvas: Canvas) -> Piece:
    """A mark, as the terminal can show it."""
    sign = MARKS[mark]
    return Piece(sign.sign if canvas.signs else sign.plain, sign.style)


def cells(text: str) -> int:
    """How many columns a text takes: wide characters take two, marks over others none."""
    if text.isascii():
        return len(text)
    from unicodedata import category, east_asian_width

    return sum(
        0 if category(character)[0] == "M" else 2 if east_asian_width(character) in "WF" else 1 for character in text
    )


def fitted(text: str, width: int, ellipsis: str = "…") -> str:
    """Cut to so many columns, with a sign where it is; never to nothing."""
    if cells(text) <= width:
        return text
    room = max(width - len(ellipsis), 1)
    taken = 0
    for end, character in enumerate(text):
        taken += cells(character)
        if taken > room and end:
            return text[:end].rstrip() + ellipsis
    return text


def painted(pieces: Iterable[Piece], *, colour: bool) -> str:
    """A line, with escape codes only if `colour`; neighbours of one style share theirs."""
    if not colour:
        return "".join(text for text, _ in pieces).replace(KEPT, " ").rstrip()
    line, before = "", ""
    for text, style in (*pieces, Piece("", "")):
        if style != before and (text or not style):
            line += ("\x1b[0m" if before else "") + (f"\x1b[{CODES[style]}m" if style else "")
            before = style
        line += text
    return line.replace(KEPT, " ").rstrip()


def wrapped(pieces: Iterable[Piece], width: int, *, start: Cells = (), further: str = "") -> Iterator[list[Piece]]:
    """Lines of at most `width` columns, broken between words alone: a longer word has a line to itself.

    The first one begins with `start`, as it is; the others are indented by `further`.
    """
    line, taken, begun = [*start], sum(cells(text) for text, _ in start), False
    for word in _words(pieces):
        needed = sum(cells(text) for text, _ in word)
        if begun and taken + 1 + needed > width:
            yield line
            line, taken, begun = [Piece(further)], cells(further), False
        if begun:
            line.append(Piece(" ", word[0].style if line[-1].style == word[0].style else ""))
            taken += 1
        line.extend(word)
        taken, begun = taken + needed, True
    if begun or start:
        yield line


def marked(pieces: Iterable[Piece], canvas: Canvas, mark: Mark | None = None) -> Iterator[list[Piece]]:
    """A sentence behind its mark, if it has one; its further lines stand below its first word."""
    if mark is None:
        return wrapped(pieces, canvas.width, further=INDENT)
    sign = drawn(mark, canvas)
    return wrapped(pieces, canvas.width, start=[sign, Piece(" ")], further=" " * (len(sign.text) + 1))


def paint(lines: Iterable[Iterable[Piece]], canvas: Canvas) -> Iterator[str]:
    """The lines as text, with escape codes only on a canvas that has colour."""
    return (painted(line, colour=canvas.colour) for line in lines)


def _words(pieces: Iterable[Piece]) -> Iterator[list[Piece]]:
    """What stands between spaces; a word may be of several styles, and a PID has its number in it."""
    word: list[Piece] = []
    for text, style in pieces:
        first, *others = text.replace("PID ", f"PID{KEPT}").split(" ")
        if first:
            word.append(Piece(first, style))
        for other in others:
            if word:
                yield word
            word = [Piece(other, style)] if other else []
    if word:
        yield word


def table(
    headings: Sequence[str], rows: Sequence[Cells], width: int, *, indent: str = "", wrap: bool = False
) -> Iterator[list[list[Piece]]]:
    """The lines of the headings, then those of each row.

    The last column alone gives way: what does not fit there is cut, or wrapped.  Where that would leave too little of
    it, there are no columns: every row is a paragraph, of which nothing is cut.
    """
    widths = _widths(headings, rows)
    before = cells(indent) + sum(widths) + len(GAP) * len(widths)
    room = width - before
    if room < (_longest_word(headings[-1], rows) if wrap else _least(rows)):
        yield []
        yield from (list(_paragraph(headings, row, width, indent)) for row in rows)
        return
    for row in ([Piece(heading, "dim") for heading in headings], *rows):
        start = [Piece(indent)]
        for cell, taken in zip(row, widths):
            start += (cell, Piece(" " * (taken - cells(cell.text)) + GAP))
        last = row[-1] if wrap else row[-1]._replace(text=fitted(row[-1].text, room))
        yield [*wrapped([last], width, start=start, further=" " * before)] if wrap else [[*start, last]]


def has_columns(headings: Sequence[str], rows: Sequence[Cells], width: int) -> bool:
    """Whether such a table, with its last column cut, is more than a paragraph for each row."""
    widths = _widths(headings, rows)
    return width - sum(widths) - len(GAP) * len(widths) >= _least(rows)


def _widths(headings: Sequence[str], rows: Sequence[Cells]) -> list[int]:
    """Of all columns but the last."""
    return [
        max([len(heading), *(cells(row[column].text) for row in rows)]) for column, heading in enumerate(headings[:-1])
    ]


def _least(rows: Sequence[Cells]) -> int:
    return min(LEAST_OF_THE_LAST, max((cells(row[-1].text) for row in rows), default=0))


def _longest_word(heading: str, rows: Sequence[Cells]) -> int:
    return max(cells(word) for text in (heading, *(row[-1].text for row in rows)) for word in (text.split() or [""]))


def _paragraph(headings: Sequence[str], row: Cells, width: int, indent: str) -> Iterator[list[Piece]]:
    pieces: list[Piece] = []
    for heading, cell in zip(headings, row):
        if cell.text:
            pieces += (Piece(" "), Piece(f"{heading} " if heading in LABELLED else "", "dim"), cell)
    return wrapped(pieces, width, start=[Piece(indent)], further=indent + GAP)
