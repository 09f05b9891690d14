"""The loop of a wait: how often to look, when it is enough, when to give up.  Pure: clock and look are handed in."""

from __future__ import annotations

from portcheck import exit_codes
from portcheck.errors import PortcheckError
from portcheck.namedtuple import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import Literal

    from portcheck.model import Diagnosis
    from portcheck.target import Endpoint

    Condition = Literal["listening", "free"]
    Outcome = Literal["met", "timeout", "hopeless"]
    Ages = Sequence[float | None]


FIRST_PAUSE, LONGEST_PAUSE, GROWTH = 0.02, 0.5, 1.5  # seconds, seconds, factor
# While a condition has to last, looks are closer together, so that no gap is missed.
STEADY_PAUSE = 0.1
SHORTEST_PAUSE = 0.01


class Standing(NamedTuple):
    """How one target stands at one look."""

    endpoint: Endpoint
    met: bool
    message: str  # one sentence, without a full stop
    evidence: frozenset[int] = frozenset()  # inodes of the sockets that meet it, where they can be seen
    helpless: bool = False  # nothing that is in the way goes away by itself
    seconds_left: float | None = None  # until what is in the way has gone away by itself, where that is known
    diagnosis: Diagnosis | None = None
    status: int | None = None  # what a URL answers


class Plan(NamedTuple):
    """What is waited for, when it is enough, and when to give up; times in seconds."""

    free: bool = False  # until a server could be started, instead of until one listens
    connect: bool = False  # connects to find a listener, on local ports too
    timeout: float = 30.0
    stable: float = 0.0  # how long it has to last
    any: bool = False  # one target is enough
    fail_fast: bool = False  # give up as soon as waiting cannot help
    interval: float | None = None  # between looks; None: ever longer ones


class Waited(NamedTuple):
    """How a wait ended."""

    outcome: Outcome
    standings: tuple[Standing, ...]
    seconds: float


class WaitFailed(PortcheckError):
    """What was waited for did not happen; `waited` tells how each target stood at the end.

    `exit_code` is 124 where time ran out, 1 where waiting could not help.
    """

    def __init__(self, waited: Waited) -> None:
        missing = [standing.message for standing in waited.standings if not standing.met]
        super().__init__("; ".join(missing) or "it did not last")
        self.waited = waited
        self.exit_code = exit_codes.of_wait(waited.outcome)


def wait_until(
    look: Callable[[float], tuple[Standing, ...]],
    plan: Plan,
    *,
    clock: Callable[[], float],
    sleep: Callable[[float], object],
    tell: Callable[[tuple[Standing, ...]], object],
) -> Waited:
    """Looks, ever less often, until it is enough or time is up; the last look is taken when time is up.

    `look` is given the number of seconds that are left; `tell` hears of every look that was not enough.
    """
    start = clock()
    steady = _Steady()
    for pause in pauses(plan.interval):
        standings = look(max(plan.timeout - (clock() - start), SHORTEST_PAUSE))
        seconds = clock() - start
        ages = steady.ages(standings, seconds)
        outcome = _outcome(standings, ages, plan, plan.timeout - seconds)
        if outcome:
            return Waited(outcome, standings, seconds)
        tell(standings)
        sleep(_seconds_to_next_look(standings, ages, plan, pause, plan.timeout - seconds))
    raise AssertionError("pauses() never ends")


def pauses(interval: float | None = None) -> Iterator[float]:
    """Seconds between looks: `interval`, or short ones at first, because most waits are short."""
    pause = FIRST_PAUSE
    while True:
        yield pause if interval is None else interval
        pause = min(pause * GROWTH, LONGEST_PAUSE)


class _Steady:
    """Remembers since when each target has met its condition without a gap.

    A server that ended and came back between two looks has other sockets: that is a gap too.
    """

    def __init__(self) -> None:
        self._since: dict[int, tuple[float, frozenset[int]]] = {}

    def ages(self, standings: Sequence[Standing], now: float) -> Ages:
        """For how many seconds; None where it is not met."""
        return [self._age(index, standing, now) for index, standing in enumerate(standings)]

    def _age(self, index: int, standing: Standing, now: float) -> float | None:
        if not standing.met:
            self._since.pop(index, None)
            return None
        since, evidence = self._since.get(index, (now, standing.evidence))
        if evidence.isdisjoint(standing.evidence) and evidence != standing.evidence:
            since = now
        self._since[index] = since, standing.evidence
        return now - since


def _outcome(standings: Sequence[Standing], ages: Ages, plan: Plan, left: float) -> Outcome | None:
    enough, too_many = (any, all) if plan.any else (all, any)
    if enough(age is not None and age >= plan.stable for age in ages):
        return "met"
    if plan.fail_fast and too_many(_is_hopeless(standing, left) for standing in standings):
        return "hopeless"
    return "timeout" if left <= 0 else None


def _is_hopeless(standing: Standing, left: float) -> bool:
    return not standing.met and (standing.helpless or (standing.seconds_left or 0) > left)


def _seconds_to_next_look(standings: Sequence[Standing], ages: Ages, plan: Plan, pause: float, left: float) -> float:
    candidates = [pause, left]
    candidates += [standing.seconds_left for standing in standings if standing.seconds_left]
    steady = STEADY_PAUSE if plan.interval is None else plan.interval
    candidates += [min(steady, plan.stable - age) for age in ages if age is not None and age < plan.stable]
    return max(SHORTEST_PAUSE, min(candidates))


def unmet(standings: Sequence[Standing]) -> list[Standing]:
    """Those that do not meet their condition."""
    return [standing for standing in standings if not standing.met]


def obstacle(standing: Standing) -> object:
    """What is in a target's way; it changes where that is worth another line, not with the seconds that are left."""
    diagnosis = standing.diagnosis
    if diagnosis is None:
        return standing.status
    return diagnosis.verdict, diagnosis.cause, [owner.pid for owner in diagnosis.owners]
