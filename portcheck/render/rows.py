"""Rows, blocks and neighbours of a text, whatever its lines are made of: text for pipes, pieces for a terminal."""

from __future__ import annotations

from portcheck.namedtuple import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from typing import TypeVar

    Item = TypeVar("Item")

GAP = "  "  # between columns


def aligned(rows: Sequence[Sequence[str]], widest: Sequence[int]) -> Iterator[str]:
    """Rows in columns, the last of which needs no width.  A cell longer than the `widest` moves its own row only."""
    widths = [
        max((len(row[column]) for row in rows if len(row[column]) <= most), default=0)
        for column, most in enumerate(widest)
    ]
    for row in rows:
        yield GAP.join(cell.ljust(width) for cell, width in zip(row, (*widths, 0))).rstrip()


def apart(blocks: Iterable[Iterable[Item]], empty: Item) -> Iterator[Item]:
    """Blocks of lines with an empty line between them; some have nothing to say."""
    before = False
    for lines in map(list, blocks):
        if lines and before:
            yield empty
        before = before or bool(lines)
        yield from lines


def joined(
    items: Iterable[Item], goes_on: Callable[[Item, Item], bool], as_one: Callable[[Item, Item], Item]
) -> Iterator[Item]:
    """The items, neighbours of which one `goes_on` from the other `as_one`; each as soon as the next is another."""
    before: Item | None = None
    for item in items:
        if before is not None and goes_on(before, item):
            before = as_one(before, item)
            continue
        if before is not None:
            yield before
        before = item
    if before is not None:
        yield before
