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
from portcheck.render.layout import MARKS, Piece, cells, painted, table, wrapped
from portcheck.render.words import noted, quoted, target, unseen

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from portcheck.diagnosis.pipeline import Stretch
    from portcheck.model import Advice, BlindSpot, Diagnosis
    from portcheck.render.holder import Holder
    from portcheck.render.layout import Canvas, Mark

    Lines = Iterator[list[Piece]]

INDENT = "  "
SHOWN_HOLDERS = 8
WIDEST_PORT = 24  # columns, in an overview


def checks(stretches: Iterable[Stretch], canvas: Canvas, *, verbose: bool = False) -> Iterator[str]:
    """Every answer in full."""
    for number, (diagnosis, last) in enumerate(stretches):
        if number:
            yield ""
        yield from check(diagnosis, canvas, last=last, verbose=verbose)


def check(diagnosis: Diagnosis, canvas: Canvas, *, last: int | None = None, verbose: bool = False) -> Iterator[str]:
    """The lines for one port, or for neighbours up to `last` that are alike."""
    return _painted(_answer(diagnosis, canvas, last, verbose=verbose), canvas)


def _answer(diagnosis: Diagnosis, canvas: Canvas, last: int | None, *, verbose: bool) -> Lines:
    mark = _mark(diagnosis, canvas)
    indent = " " * (len(mark.text) + 1)
    holding = _holders(diagnosis, canvas)
    headline = [*_headline(diagnosis, last, holding, mark.style)]
    yield from wrapped(headline, canvas.width, start=[mark, Piece(" ")], further=indent)
    for sentence in _sentences(diagnosis, holding):
        yield from wrapped([Piece(sentence, "dim")], canvas.width, start=[Piece(indent)], further=indent)
    if verbose:
        yield from _in_detail(diagnosis, canvas, indent)
    elif len(holding) > 1:
        yield [Piece("")]
        yield from _table_of_holders(holding[:SHOWN_HOLDERS], diagnosis, canvas.width, indent)
        if len(holding) > SHOWN_HOLDERS:
            more = f"{len(holding) - SHOWN_HOLDERS} more (-v shows all)"
            yield [Piece(indent), Piece(more, "dim")]
    for remark in _remarks(diagnosis, holding):
        yield from wrapped([Piece(remark, "dim")], canvas.width, start=[Piece(indent)], further=indent + INDENT)
    yield from _what_helps(diagnosis, holding, canvas.width, indent, verbose=verbose)


def _mark(diagnosis: Diagnosis, canvas: Canvas) -> Piece:
    sign = MARKS[_how_it_stands(diagnosis)]
    return Piece(sign.sign if canvas.signs else sign.plain, sign.style)


def _how_it_stands(diagnosis: Diagnosis) -> Mark:
    if diagnosis.verdict == "free":
        return "doubtful" if diagnosis.cause else "good"
    return "bad" if diagnosis.verdict in ("in-use", "denied") else "doubtful"


def _holders(diagnosis: Diagnosis, canvas: Canvas) -> list[Holder]:
    """Nobody for what is no holder's doing: the sentence tells of that."""
    if diagnosis.verdict != "in-use" or not diagnosis.owners:
        return []
    from portcheck.render.holder import holders

    return holders(diagnosis, canvas.now)


def _headline(diagnosis: Diagnosis, last: int | None, holding: Sequence[Holder], colour: str) -> Iterator[Piece]:
    """Which port, what is so, and who or why."""
    sentence = diagnosis.sentence
    if diagnosis.verdict == "unknown":
        claim, _, end = sentence.subject.removeprefix("whether ").rpartition(" is free")
        yield from (Piece("whether "), Piece(visible(claim or end), "bold"), Piece(" is free " if claim else " "))
        yield Piece(visible(f"{sentence.verb} {sentence.answer}"), colour)
        yield Piece(f": {visible(sentence.because)}")
        return
    yield Piece(visible(sentence.subject) if sentence.proper else target(diagnosis, last), "bold")
    if diagnosis.verdict == "denied" and diagnosis.cause == "privileged" and not sentence.proper:
        several = last not in (None, diagnosis.port)
        yield from (Piece(" "), Piece("need root" if several else "needs root", colour))
        yield Piece(f": {visible(sentence.because)}", "dim")
        return
    verdict, _, where = visible(sentence.answer).partition(" on ")
    if sentence.verb == "is":
        yield Piece(" is " if last in (None, diagnosis.port) else " are ")
    else:
        verdict = f"{visible(sentence.verb)} {verdict}"
        yield Piece(" ")
    yield from (Piece(verdict, colour), Piece(f" on {where}" if where else "", "dim"))
    if holding and not sentence.proper:
        yield from _by(holding)
    elif holding:
        yield Piece(": it is in use")
        yield from _by(holding)
    elif sentence.reason:
        yield Piece(f": {visible(sentence.reason)}")


def _by(holding: Sequence[Holder]) -> Iterator[Piece]:
    if len(holding) > 1:
        yield Piece(f" by {len(holding)} programs that have nothing to do with each other")
        return
    (holder,) = holding
    yield from (Piece(" by "), Piece(holder.name, "bold"))
    yield Piece(f" ({', '.join(holder.details)})" if holder.details else "", "dim")
    where = f" in {holder.place}" if holder.place else ""
    since = (f"for {holder.age}",) if holder.age else ()
    yield Piece(where + "".join(f", {each}" for each in (*since, *holder.remarks)), "dim")


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


def _table_of_holders(holding: Sequence[Holder], diagnosis: Diagnosis, width: int, indent: str) -> Lines:
    from portcheck.render.table import scoped

    rows = []
    for holder in holding:
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
    return (line for lines in table(headings, rows, width, indent=indent, wrap=True) for line in lines)


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
        shown = _up_to_a_command(shown) if len(holding) == 1 else shown[:SHOWN_HOLDERS]
    alone = len(shown) == 1
    if shown or _root_sees_more(diagnosis):
        yield [Piece("")]
    for advice in shown:
        own = alone and advice.command and "portcheck" in advice.command
        if not own:
            text = [Piece(visible(advice.text), "dim")]
            yield from wrapped(text, width, start=[Piece(indent)], further=indent + INDENT)
        if advice.command:
            yield [Piece(indent if own else indent + INDENT), Piece(quoted(advice.command), "bold")]
    if _root_sees_more(diagnosis):
        yield [Piece(indent), Piece(quoted(("sudo", "portcheck", target(diagnosis))), "bold")]


def _up_to_a_command(advice: Sequence[Advice]) -> Sequence[Advice]:
    first = next((number for number, each in enumerate(advice, 1) if each.command), len(advice))
    return advice[:first]


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
        yield from _painted(_drawn(line, canvas, room), canvas)
    for remark in remarks:
        yield from _painted(wrapped([Piece(remark, "dim")], canvas.width, further=INDENT), canvas)
    if as_root and again:
        yield ""
        yield from _painted(wrapped([Piece("to see what is hidden:", "dim")], canvas.width, further=INDENT), canvas)
        yield from _painted(iter([[Piece(INDENT), Piece(quoted(("sudo", *again)), "bold")]]), canvas)


def _widest_label(typed: str) -> int:
    """How many columns the ports of a target take at most: `1-65535` has neighbours such as 10000-65535."""
    shown = visible(typed)
    first, _, last = shown.rpartition("-")
    digits = len(first) - len(first.rstrip("0123456789"))
    return cells(shown) + (len(last) - digits if digits and last.isdecimal() else 0)


def _line(stretch: Stretch, canvas: Canvas) -> _Line:
    diagnosis, last = stretch
    holding = _holders(diagnosis, canvas)
    hidden = [spot for spot in diagnosis.blind_spots if _is_told(spot, diagnosis, holding)]
    remarks = (*map(noted, diagnosis.notes), *unseen(spot for spot in diagnosis.blind_spots if spot not in hidden))
    as_root = any(spot.remedy == AS_ROOT for spot in hidden)
    return _Line(diagnosis, last, _mark(diagnosis, canvas), tuple(_in_short(diagnosis, holding)), remarks, as_root)


def _joined(lines: Iterable[_Line]) -> Iterator[_Line]:
    before: _Line | None = None
    for line in lines:
        if before and before.last + 1 == line.first.port and _kind(before) == _kind(line):
            remarks = tuple(dict.fromkeys(before.remarks + line.remarks))
            before = before._replace(last=line.last, remarks=remarks, as_root=before.as_root or line.as_root)
            continue
        if before:
            yield before
        before = line
    if before:
        yield before


def _kind(line: _Line) -> object:
    return line.first.protocol, line.first.host, line.mark, line.text


def _drawn(line: _Line, canvas: Canvas, room: int) -> Lines:
    """Mark, port, and the rest beside it, or below where there is no room for that."""
    widest = 1 if canvas.signs else max(len(sign.plain) for sign in MARKS.values())
    label = target(line.first, line.last)
    start = [Piece(line.mark.text.ljust(widest + 1), line.mark.style), Piece(label.ljust(room) + INDENT, "bold")]
    beside = widest + 1 + max(room, len(label)) + len(INDENT)
    return wrapped(
        line.text, canvas.width, start=start, further=" " * beside if beside <= canvas.width // 2 else INDENT
    )


def _in_short(diagnosis: Diagnosis, holding: Sequence[Holder]) -> Iterator[Piece]:
    if holding:
        for number, holder in enumerate(holding):
            yield from (Piece("; " if number else "", "dim"), Piece(holder.name, "bold"))
            yield Piece(f" ({', '.join(filter(None, (*holder.details, holder.place)))})", "dim")
    elif diagnosis.verdict != "free":
        yield Piece(visible(diagnosis.sentence.because), "dim")
    elif diagnosis.cause:
        yield Piece(visible(diagnosis.sentence.answer), "dim")


def _painted(lines: Lines, canvas: Canvas) -> Iterator[str]:
    return (painted(line, colour=canvas.colour) for line in lines)
