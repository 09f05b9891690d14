"""`wait` at a terminal: at once what it waits for and who is in the way, then how it ended.

waiting until port 3000 is free (for 30 s at most)
✗ 3000 is in use by node server.js (PID 812, ann) in ~/shop, for 12 min
✓ 3000 is free on every IPv4 and IPv6 address
"""

from __future__ import annotations

from portcheck.diagnosis.pipeline import Stretch
from portcheck.diagnosis.sentence import does
from portcheck.identify.describe import listed
from portcheck.namedtuple import TYPE_CHECKING
from portcheck.render.escape import visible
from portcheck.render.headline import headline, holders_of, in_brackets, mark
from portcheck.render.layout import INDENT, Piece, marked, paint
from portcheck.render.terminal import overview
from portcheck.render.voice import helps
from portcheck.render.wait import reason
from portcheck.render.words import target
from portcheck.waiting.condition import place, so_far

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from portcheck.render.layout import Canvas
    from portcheck.render.voice import Lines
    from portcheck.waiting.loop import Plan, Standing, Waited


def announcement(missing: Sequence[Standing], plan: Plan, canvas: Canvas) -> Iterator[str]:
    """What is waited for, told once."""
    places = listed(visible(place(standing.endpoint)) for standing in missing) or "it to last"
    several = len(missing) > 1
    one_of = "one of " if several and plan.any else ""
    is_free = "is free" if not several or plan.any else "are free"
    what = f"until {one_of}{places} {is_free}" if plan.free else f"for {one_of}{places}"
    state = "" if plan.free else f": {so_far(missing)}"
    lasting = f", and for {plan.stable:g} s without a gap" if plan.stable else ""
    told = [Piece(f"waiting {what}{state}{lasting} (for {plan.timeout:g} s at most)", "dim")]
    return paint(marked(told, canvas), canvas)


def obstacles(missing: Sequence[Standing], canvas: Canvas) -> Iterator[str]:
    """Who is in the way where a server could not be started yet: a headline, of several ports a line each."""
    found = [standing.diagnosis for standing in missing if standing.diagnosis]
    if len(found) > 1:
        stretches = (Stretch(diagnosis, diagnosis.port) for diagnosis in found)
        return overview(stretches, canvas, [diagnosis.target for diagnosis in found])
    lines = (marked(headline(each, None, holders_of(each, canvas)), canvas, mark(each)) for each in found)
    return (line for drawn in lines for line in paint(drawn, canvas))


def successes(waited: Waited, canvas: Canvas) -> Iterator[str]:
    """How each target that met its condition stands."""
    for standing in waited.standings:
        if standing.met:
            yield from paint(marked(_success(standing, canvas), canvas, "good"), canvas)


def _success(standing: Standing, canvas: Canvas) -> Iterator[Piece]:
    """`3000 is free on ...`, `node server.js (PID 812, ann) in ~/shop listens on 127.0.0.1, port 3000`"""
    found = None if standing.status else standing.diagnosis  # what a URL answers is in the message alone
    if found and found.verdict == "free":
        yield from headline(found, None, ())
        return
    holding = holders_of(found, canvas) if found else []
    if found is None or len(holding) != 1:
        yield Piece(visible(standing.message))
        return
    (holder,) = holding
    yield from (Piece(holder.name, "bold"), in_brackets(holder.details))
    yield Piece(f" in {holder.place} " if holder.place else " ", "dim")
    yield Piece(visible(does([found.sockets[index] for index in holder.sockets], several=False)))
    yield from (Piece(", port "), Piece(str(found.port), "bold"))


def complaints(waited: Waited, plan: Plan, canvas: Canvas, *, named: bool) -> Iterator[str]:
    """Each target that did not, and what could be done about it; who is in the way may have been `named`."""
    for standing in waited.standings:
        if not standing.met:
            yield from paint(_complaint(standing, reason(waited, plan), plan, canvas, named=named), canvas)


def _complaint(standing: Standing, why: str, plan: Plan, canvas: Canvas, *, named: bool) -> Lines:
    found = standing.diagnosis if plan.free else None
    if found is None:
        told = iter([Piece(visible(standing.message))])
    elif named and found.verdict == "in-use":
        told = iter([Piece(target(found), "bold"), Piece(" is still in use")])
    else:
        told = headline(found, None, holders_of(found, canvas))
    yield from marked([Piece(why, "red"), Piece(": "), *told], canvas, "bad")
    advice = found.advice[:1] if found else ()
    if advice:
        yield [Piece("")]
    yield from helps(advice, canvas.width, INDENT)
