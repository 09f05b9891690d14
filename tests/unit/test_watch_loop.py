"""When a watch looks, and when it is over, with a clock of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from support.examples import listener

from portcheck import exit_codes
from portcheck.errors import PortcheckError
from portcheck.watching.changes import Event
from portcheck.watching.loop import Plan, Watched, watch

OPENED, CLOSED = (Event(kind, 1, 0.0, listener("127.0.0.1", 80, 7)) for kind in ("opened", "closed"))


class Time:
    """A clock that only sleeping and slow looks move."""

    def __init__(self) -> None:
        self.now = 100.0
        self.looked: list[float] = []
        self.told: list[tuple[tuple[Event, ...], str | None]] = []

    def run(
        self,
        plan: Plan,
        look: Callable[[int], Sequence[Event]] = lambda _: (),
        *,
        slow: float = 0,
        reads: int = 999,
    ) -> Watched:
        def looking() -> Sequence[Event]:
            self.looked.append(self.now - 100)
            self.now += slow
            return look(len(self.looked))

        def sleep(seconds: float) -> bool:
            assert seconds >= 0
            self.now += seconds
            return len(self.looked) < reads

        def tell(events: Sequence[Event], failure: str | None) -> bool:
            self.told.append((tuple(events), failure))
            return True

        return watch(looking, plan, clock=lambda: self.now, sleep=sleep, tell=tell)


def test_looks_are_counted_from_the_start_and_the_last_one_is_taken_when_time_is_up() -> None:
    time = Time()
    assert time.run(Plan(interval=1, seconds=3.5), slow=0.25) == Watched("over", failing=False)
    assert time.looked == [0, 1, 2, 3, 3.5]


def test_a_look_that_takes_longer_than_an_interval_is_followed_by_the_next_at_once() -> None:
    time = Time()
    time.run(Plan(interval=1, seconds=5), slow=2)
    assert time.looked == [0, 2, 4]


def test_no_time_at_all_is_one_look() -> None:
    time = Time()
    assert time.run(Plan(seconds=0)).ending == "over"
    assert time.looked == [0]


@pytest.mark.parametrize("error", [OSError("no more descriptors"), PortcheckError("no socket table")])
def test_a_look_that_fails_is_told_and_ends_nothing(error: Exception) -> None:
    def look(number: int) -> Sequence[Event]:
        if number in (2, 3):
            raise error
        return [OPENED] if number == 4 else []

    time = Time()
    assert time.run(Plan(seconds=4), look) == Watched("over", failing=False)
    assert time.told == [((), None), ((), str(error)), ((), str(error)), ((OPENED,), None), ((), None)]


def test_whether_the_last_look_failed_is_told() -> None:
    def look(_: int) -> Sequence[Event]:
        raise OSError("nothing to be seen")

    assert Time().run(Plan(seconds=1), look) == Watched("over", failing=True)


def test_a_bug_is_not_swallowed() -> None:
    def look(_: int) -> Sequence[Event]:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        Time().run(Plan(seconds=1), look)


def test_it_ends_with_the_event_that_it_waits_for() -> None:
    time = Time()
    assert time.run(Plan(exit_on="closed"), lambda number: [[], [OPENED], [], [CLOSED]][number - 1]).ending == "met"
    assert time.looked == [0, 1, 2, 3]


def test_it_ends_when_nobody_reads_any_more() -> None:
    assert Time().run(Plan(), reads=3).ending == "unread"


@pytest.mark.parametrize(
    ("ending", "expects", "failing", "code"),
    [("over", False, False, 0), ("over", False, True, 3), ("over", True, False, 124), ("met", True, False, 0),
     ("unread", True, True, 0)],
)  # fmt: skip
def test_exit_codes(ending: str, expects: bool, failing: bool, code: int) -> None:
    assert exit_codes.of_watch(ending, expects=expects, failing=failing) == code
