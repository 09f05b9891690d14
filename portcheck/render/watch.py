"""What `watch` prints: a line for each event where it is piped, and a table that is drawn again at a terminal.

  PORT  ADDRESS    PROGRAM         PID  USER  AGE     CHANGE           WHERE
  3000  127.0.0.1  node server.js  812  ann   12 min                   ~/shop (npm run dev)
+ 5432  127.0.0.1  postgres        911  ann   3 s     opened 3 s ago   postgresql.service
- 8000  0.0.0.0    python3         907  ann           closed 5 s ago   ~/shop
"""

from __future__ import annotations

from portcheck.namedtuple import TYPE_CHECKING, NamedTuple
from portcheck.render.escape import visible
from portcheck.render.layout import GAP, LEAST_OF_THE_LAST, Piece, cells, fitted, table
from portcheck.render.listing import COLUMNS, STYLES, USUAL, columns, entries
from portcheck.render.plain import COLUMNS as PLAIN_COLUMNS
from portcheck.render.table import Listed, rows
from portcheck.render.words import age, unseen
from portcheck.text import utc
from portcheck.watching.board import FLAPPING
from portcheck.watching.changes import key, place

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from portcheck.model import BlindSpot
    from portcheck.render.layout import Canvas, Cells
    from portcheck.render.listing import Entry
    from portcheck.watching.board import Board
    from portcheck.watching.changes import Event

LINE = "%-20s %-7s %5s " + PLAIN_COLUMNS
SIGNS = {"opened": "+", "closed": "-", "changed": "~"}
COLOURS = {"opened": "green", "closed": "red", "changed": "yellow"}
FRESH = 3.0  # seconds for which what is gone keeps its colour
NOTES_AT_MOST = 3
SPARE = ("WHERE", "USER", "STATE", "AGE", "PID", "ADDRESS")  # what a narrow terminal does without, in this order


# Lines.


def heading() -> str:
    """The names of a line's columns."""
    return LINE % ("AT", "EVENT", "TIMES", *map(str.upper, Listed._fields))


def line(event: Event) -> str:
    r"""When, what, how often within a minute, then as `list` has it; every column but the last is one word."""
    processes = {owner.process.pid: owner.process for owner in event.owners}
    (row,) = rows([event.socket], processes)
    name, user = row.name.replace(" ", r"\x20"), row.user.replace(" ", r"\x20")
    told = (utc(event.at) or "?", event.kind, event.times or "-", *row[:5], name, user, *row[7:])
    return (LINE % told).rstrip()


# The table.


class Frame(NamedTuple):
    """What a table is drawn of."""

    entries: Sequence[Entry]
    board: Board
    title: str
    notes: tuple[str, ...] = ()  # what could not be seen, or done


class _Row(NamedTuple):
    entry: Entry
    event: Event | None

    @property
    def port(self) -> int:
        return self.entry.sockets[0].local_port


def frame(drawn: Frame, canvas: Canvas, height: int) -> list[Cells]:
    """At most `height` lines: a title, the table, and notes; where rows have no room, what has changed comes first."""
    listed = _rows(drawn)
    notes = [
        [Piece(fitted(note, canvas.width), "dim")] for note in drawn.notes[: min(NOTES_AT_MOST, max(height - 4, 0))]
    ]
    room = max(height - 2 - len(notes), 1)
    hidden = len(listed) - room
    if hidden > 0:
        hidden += 1  # the line that says so
        listed = sorted(listed, key=lambda row: -row.event.at if row.event else 0)[: room - 1]
    more = [[Piece(f"   ... and {hidden} more", "dim")]] if hidden > 0 else []
    return [[Piece(fitted(_title(drawn), canvas.width), "bold")], *_table(listed, canvas), *more, *notes][:height]


def _title(drawn: Frame) -> str:
    counts = ", ".join(f"{count} {kind}" for kind, count in drawn.board.counts.items() if count)
    sockets = sum(len(entry.sockets) for entry in drawn.entries)
    return f"{visible(drawn.title)}: {sockets} open" + (f"; {counts}" if counts else "")


def _rows(drawn: Frame) -> list[_Row]:
    """By port, those that are gone at their places."""
    if drawn.board.is_calm():
        return [_Row(entry, None) for entry in drawn.entries]
    listed = []
    for entry in drawn.entries:
        happened = [event for each in entry.sockets if (event := drawn.board.latest(key(each)))]
        listed.append(_Row(entry, max(happened, key=lambda event: event.at, default=None)))
    there = {place(socket) for entry in drawn.entries for socket in entry.sockets}
    for event in drawn.board.gone():
        if place(event.socket) not in there:  # nobody has it again
            processes = {owner.process.pid: owner.process for owner in event.owners}
            listed += (_Row(entry, event) for entry in entries([event.socket], processes))
    return sorted(listed, key=lambda row: row.port)


def _table(listed: Sequence[_Row], canvas: Canvas) -> Iterator[Cells]:
    """One line a row, whatever does not fit is cut: a table that moves is read by its columns."""
    told = [{**columns(row.entry, canvas.now), "CHANGE": _change(row.event, canvas.now)} for row in listed]
    order = [*COLUMNS[:-1], "CHANGE", COLUMNS[-1]]
    shown = _fitting(
        [name for name in order if any(one[name] != USUAL.get(name, "") for one in told)], told, canvas.width
    )
    lined = [[_sign(row, canvas), *_cells(row, one, shown, canvas)] for row, one in zip(listed, told)]
    for lines in table(["", *shown], lined, max(canvas.width, 1)):
        yield from lines[:1]


def _fitting(names: list[str], told: Sequence[Mapping[str, str]], width: int) -> list[str]:
    """Without the columns that are missed least, where there is no room for all; only WHERE may be cut."""

    def needed(name: str) -> int:
        widest = max((cells(one[name]) for one in told), default=0)
        return len(GAP) + max(len(name), min(widest, LEAST_OF_THE_LAST) if name == "WHERE" else widest)

    for spare in SPARE:
        if 1 + sum(map(needed, names)) <= width:
            break
        names = [name for name in names if name != spare]
    return names


def _sign(row: _Row, canvas: Canvas) -> Piece:
    if row.event is None:
        return Piece(" ")
    return Piece(SIGNS[row.event.kind], "dim" if _fades(row, canvas) else COLOURS[row.event.kind])


def _cells(row: _Row, told: Mapping[str, str], shown: Sequence[str], canvas: Canvas) -> Cells:
    gone = row.event is not None and row.event.kind == "closed"
    colour = "dim" if _fades(row, canvas) else COLOURS[row.event.kind] if row.event else ""
    return [
        Piece(told[name], "dim" if gone else colour if name == "CHANGE" else STYLES.get(name, "")) for name in shown
    ]


def _fades(row: _Row, canvas: Canvas) -> bool:
    return row.event is not None and row.event.kind == "closed" and canvas.now - row.event.at >= FRESH


def _change(event: Event | None, now: float) -> str:
    if event is None:
        return ""
    if event.times >= FLAPPING:
        return f"opened {event.times} times in a minute"
    what = event.kind if event.kind != "changed" else "new owner" if "owners" in event.what else "new state"
    return f"{what} {age(now - event.at)} ago"


def summary(board: Board, seconds: float) -> str:
    """What is left on the terminal when the table is gone."""
    counts = ", ".join(f"{count} {kind}" for kind, count in board.counts.items() if count)
    return f"watched for {age(seconds)}: {counts or 'nothing has changed'}"


def notes(spots: Iterable[BlindSpot], failures: Iterable[str]) -> tuple[str, ...]:
    """What stands below the table: gaps, and looks that have failed."""
    return (*map(visible, failures), *unseen(spots))
