"""What the eye meets first: the mark, the port, what is so, and who.  Check, stop, wait and preflight begin with it."""

from __future__ import annotations

from portcheck.namedtuple import TYPE_CHECKING
from portcheck.render.escape import visible
from portcheck.render.layout import KEPT, MARKS, Piece
from portcheck.render.words import target

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from portcheck.model import Diagnosis
    from portcheck.render.holder import Holder
    from portcheck.render.layout import Canvas, Mark


def mark(diagnosis: Diagnosis) -> Mark:
    """How a port stands."""
    if diagnosis.verdict == "free":
        return "doubtful" if diagnosis.cause else "good"
    return "bad" if diagnosis.verdict in ("in-use", "denied") else "doubtful"


def holders_of(diagnosis: Diagnosis, canvas: Canvas) -> list[Holder]:
    """Nobody for what is no holder's doing: the sentence tells of that."""
    if diagnosis.verdict != "in-use" or not diagnosis.owners:
        return []
    from portcheck.render.holder import holders

    return holders(diagnosis, canvas.now)


def headline(diagnosis: Diagnosis, last: int | None, holding: Sequence[Holder]) -> Iterator[Piece]:
    """Which port, what is so, and who or why."""
    sentence, colour = diagnosis.sentence, MARKS[mark(diagnosis)].style
    if diagnosis.verdict == "unknown":
        claim, _, end = sentence.subject.removeprefix("whether ").rpartition(" is free")
        yield from (Piece("whether "), Piece(visible(claim or end), "bold"), Piece(" is free " if claim else " "))
        yield Piece(visible(f"{sentence.verb} {sentence.answer}"), colour)
        yield Piece(f": {visible(sentence.because)}")
        return
    yield Piece(visible(sentence.subject) if sentence.proper else target(diagnosis, last), "bold")
    if sentence.short:
        needs, _, why = visible(sentence.short).partition(" (")
        several = last not in (None, diagnosis.port)
        yield from (Piece(" "), Piece(needs.replace("needs", "need", several), colour), Piece(f" ({why}", "dim"))
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
    yield in_brackets(holder.details)
    where = f" in {holder.place}" if holder.place else ""
    since = (f"for {holder.age.replace(' ', KEPT)}",) if holder.age else ()
    yield Piece(where + "".join(f", {each}" for each in (*since, *holder.remarks)), "dim")


def in_brackets(details: Sequence[str]) -> Piece:
    """Which one of its name it is."""
    return Piece(f" ({', '.join(details)})" if details else "", "dim")


def in_short(diagnosis: Diagnosis, holding: Sequence[Holder]) -> Iterator[Piece]:
    """The same where the mark and the port stand before it already."""
    if holding:
        for number, holder in enumerate(holding):
            yield from (Piece("; " if number else "", "dim"), Piece(holder.name, "bold"))
            yield in_brackets(tuple(filter(None, (*holder.details, holder.place))))
    elif diagnosis.verdict != "free":
        yield Piece(visible(diagnosis.sentence.short or diagnosis.sentence.because), "dim")
    elif diagnosis.cause:
        yield Piece(visible(diagnosis.sentence.answer), "dim")
