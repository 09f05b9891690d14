"""The loop of a watch: when to look, and when it is over.  Pure: clock, look and sleep are handed in."""

from __future__ import annotations

from portcheck.errors import PortcheckError
from portcheck.namedtuple import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Literal

    from portcheck.watching.changes import Event

    # time is up; what --exit-on names has happened; nobody reads any more
    Ending = Literal["over", "met", "unread"]


class Plan(NamedTuple):
    """How often to look, and when it is enough; times in seconds."""

    interval: float = 1.0
    seconds: float | None = None  # None: until somebody ends it
    exit_on: Literal["opened", "closed"] | None = None


class Watched(NamedTuple):
    """How a watch ended."""

    ending: Ending
    failing: bool  # the last look has failed


def watch(
    look: Callable[[], Sequence[Event]],
    plan: Plan,
    *,
    clock: Callable[[], float],
    sleep: Callable[[float], bool],
    tell: Callable[[Sequence[Event], str | None], bool],
) -> Watched:
    """Looks once an interval, counted from the start, and once more when time is up.

    `tell` hears of every look, however little has changed, and why it has failed if it has: the next one is taken in
    its turn.  It and `sleep` return False once nobody reads any more.
    """
    start = due = clock()
    while True:
        events: Sequence[Event] = ()
        failure = None
        try:
            events = look()
        except (OSError, PortcheckError) as error:
            failure = str(error)
        failing = failure is not None
        if not tell(events, failure):
            return Watched("unread", failing)
        if plan.exit_on in [event.kind for event in events]:
            return Watched("met", failing)
        now = clock()
        left = None if plan.seconds is None else plan.seconds - (now - start)
        if left is not None and left <= 0:
            return Watched("over", failing)
        due = max(due + plan.interval, now)
        if not sleep(due - now if left is None else min(due - now, left)):
            return Watched("unread", failing)
