"""The face for a terminal: port, verdict and holder at a glance, then what differs by address, then what helps.

    ✗ 3000 is in use by node server.js (PID 812, ann) in ~/shop, for 12 min
      It listens on 127.0.0.1; the other addresses are free, but a server that binds 0.0.0.0 would fail.

      portcheck stop 3000

Only the verdict has a colour, names are bold, the rest is dim; no fact is told twice.
"""

from __future__ import annotations

from portcheck.model import AS_ROOT
from portcheck.namedtuple import TYPE_CHECKING, NamedTuple
from portcheck.render.escape import visible
from portcheck.render.headline import headline, holders_of, in_short, mark
from portcheck.render.layout import INDENT, MARKS, Piece, cells, drawn, marked, paint, table, wrapped
from portcheck.render.rows import joined
from portcheck.render.voice import SHOWN_HOLDERS, helps, up_to_a_command
from portcheck.render.words import noted, quoted, target, unseen

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from portcheck.diagnosis.pipeline import Stretch
    from portcheck.model import Advice, BlindSpot, Diagnosis
    from portcheck.render.holder import Holder
    from portcheck.render.layout import Canvas

    Lines = Iterator[list[Piece]]

WIDEST_PORT = 24  # columns, in an overview


def checks(stretches: Iterable[Stretch], canvas: Canvas, *, verbose: bool = False) -> Iterator[str]:
    """Every answer in full."""
    for number, (diagnosis, last) in enumerate(stretches):
        if number:
            yield ""
        yield from check(diagnosis, canvas, last=last, verbose=verbose)


def check(diagnosis: Diagnosis, canvas: Canvas, *, last: int | None = None, verbose: bool = False) -> Iterator[str]:
    """The lines for one port, or for neighbours up to `last` that are alike."""
    return paint(_answer(diagnosis, canvas, last, verbose=verbose), canvas)


def _answer(diagnosis: Diagnosis, canvas: Canvas, last: int | None, *, verbose: bool) -> Lines:
    stands = mark(diagnosis)
    indent = " " * (len(drawn(stands, canvas).text) + 1)
    holding = holders_of(diagnosis, canvas)
    yield from marked(headline(diagnosis, last, holding), canvas, stands)
    for sentence in _sentences(diagnosis, holding):
        yield from wrapped([Piece(sentence, "dim")], canvas.width, start=[Piece(indent)], further=indent)
    if verbose:
        yield from _in_detail(diagnosis, canvas, indent)
    elif len(holding) > 1:
        yield [Piece("")]
        yield from table_of_holders(holding, diagnosis, canvas.width, indent)
    for remark in _remarks(diagnosis, holding):
        yield from wrapped([Piece(remark, "dim")], canvas.width, start=[Piece(indent)], further=indent + INDENT)
    yield from _what_helps(diagnosis, holding, canvas.width, indent, verbose=verbose)


def _sentences(diagnosis: Diagnosis, holding: Sequence[Holder]) -> Iterator[str]:
    """At most one: where it listens, if that makes a difference, and what follows from it."""
    consequences = list(diagnosis.sentence.consequences)
    if diagnosis.verdict not in ("in-use", "unavailable"):
        return
    if len(holding) == 1:
        sockets = [diagnosis.sockets[index] for index in holding[0].sockets]
        if consequences or any(socket.state == "BOUND" for socket in sockets):
            from portcheck.diagnosis.sentence import does

            consequences.insert(0, f"it {does(sockets, several=False)}")
    if consequences:
        told = visible("; ".join(consequences))
        yield f"{told[:1].upper()}{told[1:]}."


def table_of_holders(holding: Sequence[Holder], diagnosis: Diagnosis, width: int, indent: str) -> Lines:
    """Which of them listens where, and whom a client reaches."""
    from portcheck.render.table import scoped

    rows = []
    for holder in holding[:SHOWN_HOLDERS]:
        sockets = [diagnosis.sockets[index] for index in holder.sockets]
        reached = [answer.address for answer in diagnosis.answers if not set(holder.sockets).isdisjoint(answer.sockets)]
        rows.append(
            (
                Piece("?" if holder.pid is None else str(holder.pid), "bold"),
                Piece(holder.name, "bold"),
                Piece(holder.user or "?", "dim"),
                Piece(", ".join(dict.fromkeys(map(scoped, sockets))), "dim"),
                Piece(visible(", ".join(reached)) or "nobody", "dim"),
            )
        )
    headings = ("PID", "PROGRAM", "USER", "LISTENS ON", "ANSWERS CLIENTS OF")
    for lines in table(headings, rows, width, indent=indent, wrap=True):
        yield from lines
    if len(holding) > SHOWN_HOLDERS:
        yield [Piece(indent), Piece(f"{len(holding) - SHOWN_HOLDERS} more (-v shows all)", "dim")]


def _in_detail(diagnosis: Diagnosis, canvas: Canvas, indent: str) -> Lines:
    """With -v: every process, every way to bind, and whom a client reaches where."""
    from portcheck.render.binds import answer_lines, bind_lines
    from portcheck.render.owners import owner_lines

    owners = [
        (line.pids or "?", line.name, line.user or "?", line.since or "?", "; ".join(filter(None, line[4:])))
        for line in owner_lines(diagnosis, verbose=True)[0]
    ]
    binds = [(line.addresses, line.outcome, line.how, line.by) for line in bind_lines(diagnosis, verbose=True)]
    tables: tuple[tuple[tuple[str, ...], Sequence[tuple[str, ...]]], ...] = (
        (("PID", "NAME", "USER", "SINCE", "COMMAND"), owners),
        (("ADDRESS", "OUTCOME", "HOW", "BLOCKED BY"), binds),
        (("CLIENTS OF", "REACH"), answer_lines(diagnosis, verbose=True)),
    )
    for headings, rows in tables:
        if rows:
            yield [Piece("")]
            cells_of = [[*map(Piece, row)] for row in rows]
            for lines in table(headings, cells_of, canvas.width, indent=indent, wrap=True):
                yield from lines
    if diagnosis.connections:
        more = ", ".join(f"{count} {visible(state)}" for state, count in diagnosis.connections.items())
        text = [Piece(f"more sockets of this port: {more}", "dim")]
        yield from wrapped(text, canvas.width, start=[Piece(indent)], further=indent)


def _remarks(diagnosis: Diagnosis, holding: Sequence[Holder]) -> Iterator[str]:
    """Notes, and what was not seen, where the headline does not say it already."""
    yield from map(noted, diagnosis.notes)
    yield from unseen(spot for spot in diagnosis.blind_spots if not _is_told(spot, diagnosis, holding))


def _is_told(spot: BlindSpot, diagnosis: Diagnosis, holding: Sequence[Holder]) -> bool:
    if spot.code == "owner-hidden":
        return any(holder.pid is None for holder in holding)
    return spot.message in diagnosis.sentence.reason and not spot.remedy


def _what_helps(diagnosis: Diagnosis, holding: Sequence[Holder], width: int, indent: str, *, verbose: bool) -> Lines:
    """Commands, each alone on its line; of a single holder the one that helps, the others with -v."""
    shown: Sequence[Advice] = diagnosis.advice
    if not verbose:
        shown = up_to_a_command(shown) if len(holding) == 1 else shown[:SHOWN_HOLDERS]
    if shown or _root_sees_more(diagnosis):
        yield [Piece("")]
    yield from helps(shown, width, indent)
    if _root_sees_more(diagnosis):
        yield [Piece(indent), Piece(quoted(("sudo", "portcheck", target(diagnosis))), "bold")]


def _root_sees_more(diagnosis: Diagnosis) -> bool:
    """Whether to ask as root tells who it is, and nothing else that is advised asks for root already."""
    return any(spot.remedy == AS_ROOT for spot in diagnosis.blind_spots) and not any(
        each.command and each.command[0] == "sudo" for each in diagnosis.advice
    )


class _Line(NamedTuple):
    """What an overview says of neighbouring ports."""

    first: Diagnosis
    last: int
    mark: Piece
    text: tuple[Piece, ...]
    remarks: tuple[str, ...]
    as_root: bool  # whether root would see a holder that is hidden


def overview(
    stretches: Iterable[Stretch], canvas: Canvas, targets: Iterable[str] = (), *, again: Sequence[str] = ()
) -> Iterator[str]:
    """A line for each port; neighbours with equal lines share one.  What was not seen is told once, at the end.

    The lines come as the answers do, so how long a port is at most is known from how the targets were typed.  `again`
    is the command that asks the same, for where root would see more.
    """
    remarks: dict[str, None] = {}
    as_root = False
    room = min(max(map(_widest_label, targets), default=0), WIDEST_PORT)
    for line in _joined(_line(stretch, canvas) for stretch in stretches):
        remarks.update(dict.fromkeys(line.remarks))
        as_root = as_root or line.as_root
        yield from paint(_drawn(line, canvas, room), canvas)
    for remark in remarks:
        yield from paint(wrapped([Piece(remark, "dim")], canvas.width, further=INDENT), canvas)
    if as_root and again:
        yield ""
        yield from paint(wrapped([Piece("to see what is hidden:", "dim")], canvas.width, further=INDENT), canvas)
        yield from paint(iter([[Piece(INDENT), Piece(quoted(("sudo", *again)), "bold")]]), canvas)


def _widest_label(typed: str) -> int:
    """How many columns the ports of a target take at most: `1-65535` has neighbours such as 10000-65535."""
    shown = visible(typed)
    first, _, last = shown.rpartition("-")
    digits = len(first) - len(first.rstrip("0123456789"))
    return cells(shown) + (len(last) - digits if digits and last.isdecimal() else 0)


def _line(stretch: Stretch, canvas: Canvas) -> _Line:
    diagnosis, last = stretch
    holding = holders_of(diagnosis, canvas)
    hidden = [spot for spot in diagnosis.blind_spots if _is_told(spot, diagnosis, holding)]
    remarks = (*map(noted, diagnosis.notes), *unseen(spot for spot in diagnosis.blind_spots if spot not in hidden))
    as_root = any(spot.remedy == AS_ROOT for spot in hidden)
    return _Line(diagnosis, last, drawn(mark(diagnosis), canvas), tuple(in_short(diagnosis, holding)), remarks, as_root)


def _joined(lines: Iterable[_Line]) -> Iterator[_Line]:
    return joined(
        lines,
        lambda before, after: before.last + 1 == after.first.port and _kind(before) == _kind(after),
        lambda before, after: before._replace(
            last=after.last,
            remarks=tuple(dict.fromkeys(before.remarks + after.remarks)),
            as_root=before.as_root or after.as_root,
        ),
    )


def _kind(line: _Line) -> object:
    return line.first.protocol, line.first.host, line.mark, line.text


def _drawn(line: _Line, canvas: Canvas, room: int) -> Lines:
    """Mark, port, and the rest beside it, or below where there is no room for that."""
    widest = 1 if canvas.signs else max(len(sign.plain) for sign in MARKS.values())
    label = target(line.first, line.last)
    shown = label.ljust(room) + INDENT if line.text else label
    start = [Piece(line.mark.text.ljust(widest + 1), line.mark.style), Piece(shown, "bold")]
    beside = widest + 1 + max(room, len(label)) + len(INDENT)
    return wrapped(
        line.text, canvas.width, start=start, further=" " * beside if beside <= canvas.width // 2 else INDENT
    )
