"""What `wait` prints: what is in the way while it waits, and how it ended."""

from __future__ import annotations

from portcheck.namedtuple import TYPE_CHECKING
from portcheck.render.escape import visible
from portcheck.render.stream import complaint
from portcheck.waiting.condition import place

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from portcheck.model import Advice
    from portcheck.waiting.loop import Plan, Standing, Waited


def obstacles(missing: Sequence[Standing]) -> Iterator[str]:
    """A line for each target that a server could not be started on yet."""
    return (f"waiting: {visible(standing.message)}" for standing in missing)


def clock(missing: Sequence[Standing]) -> str:
    """What the clock on a terminal says is being waited for."""
    what = visible(place(missing[0].endpoint)) if missing else "it to last"
    more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
    return f"waiting for {what}{more}"


def successes(waited: Waited) -> Iterator[str]:
    """How each target that met its condition stands."""
    return (f"{visible(standing.message)}." for standing in waited.standings if standing.met)


def reason(waited: Waited, plan: Plan) -> str:
    """Why it is over."""
    return "waiting cannot help" if waited.outcome == "hopeless" else f"timed out after {plan.timeout:g} s"


def complaints(waited: Waited, plan: Plan) -> Iterator[str]:
    """Cause and remedy for each target that did not."""
    for standing in waited.standings:
        if not standing.met:
            found = standing.diagnosis if plan.free else None
            short = f"port {found.port} {found.sentence.short}" if found and found.sentence.short else ""
            advice = found.advice if found else ()
            cause = f"{reason(waited, plan)}: {short or standing.message}"
            yield from complaint(cause, _in_one_line(advice[0]) if advice else None)


def _in_one_line(advice: Advice) -> str:
    from portcheck.render.words import quoted

    return f"{advice.text}: {quoted(advice.command)}" if advice.command else advice.text
