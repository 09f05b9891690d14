"""What `wait` prints: what is in the way while it waits, and how it ended."""

from __future__ import annotations

from portcheck.namedtuple import TYPE_CHECKING
from portcheck.render.escape import visible
from portcheck.waiting.condition import place, so_far

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from portcheck.model import Advice
    from portcheck.waiting.loop import Plan, Standing, Waited


def obstacles(missing: Sequence[Standing]) -> Iterator[str]:
    """A line for each target that a server could not be started on yet."""
    return (f"waiting: {visible(standing.message)}" for standing in missing)


def announcement(missing: Sequence[Standing], timeout: float) -> str:
    """What is waited for, told at once to whoever sits at a terminal."""
    places = ", ".join(visible(place(standing.endpoint)) for standing in missing) or "it to last"
    return f"waiting for {places}: {so_far(missing)} (for {timeout:g} s at most)"


def clock(missing: Sequence[Standing]) -> str:
    """What the clock on a terminal says is being waited for."""
    what = visible(place(missing[0].endpoint)) if missing else "it to last"
    more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
    return f"waiting for {what}{more}"


def successes(waited: Waited) -> Iterator[str]:
    """How each target that met its condition stands."""
    return (f"{visible(standing.message)}." for standing in waited.standings if standing.met)


def complaints(waited: Waited, plan: Plan) -> Iterator[tuple[str, str | None]]:
    """Cause and remedy for each target that did not; a complaint is escaped as a whole."""
    why = "waiting cannot help" if waited.outcome == "hopeless" else f"timed out after {plan.timeout:g} s"
    for standing in waited.standings:
        if not standing.met:
            advice = standing.diagnosis.advice if standing.diagnosis and plan.free else ()
            yield f"{why}: {standing.message}", _in_one_line(advice[0]) if advice else None


def _in_one_line(advice: Advice) -> str:
    from portcheck.render.words import quoted

    return f"{advice.text}: {quoted(advice.command)}" if advice.command else advice.text
