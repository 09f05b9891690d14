"""When a wait ends, and how often it looks: with a clock that nobody has to wait for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portcheck.target import Endpoint
from portcheck.waiting.loop import (
    FIRST_PAUSE,
    LONGEST_PAUSE,
    SHORTEST_PAUSE,
    Plan,
    Standing,
    Waited,
    unmet,
    wait_until,
)

World = Callable[[float], Sequence[Standing]]
USUAL = Plan()


class Time:
    """A clock that only moves while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.looks: list[float] = []
        self.told: list[tuple[Standing, ...]] = []

    def wait(self, world: World, plan: Plan = USUAL) -> Waited:
        start = self.now

        def look(left: float) -> tuple[Standing, ...]:
            assert left > 0
            self.looks.append(self.now - start)
            return tuple(world(self.now - start))

        return wait_until(look, plan, clock=lambda: self.now, sleep=self.sleep, tell=self.told.append)

    def sleep(self, seconds: float) -> None:
        assert seconds >= SHORTEST_PAUSE
        self.now += seconds


def standing(met: bool = False, port: int = 8000, inode: int = 1, **fields: object) -> Standing:
    evidence = frozenset({inode}) if met and inode else frozenset()
    return Standing(Endpoint(str(port), "tcp", port), met, f"port {port}", evidence, **fields)  # type: ignore[arg-type]


def test_what_is_there_already_takes_one_look_and_no_time() -> None:
    time = Time()
    waited = time.wait(lambda _: [standing(met=True)])
    assert (waited.outcome, waited.seconds, time.looks, time.told) == ("met", 0, [0], [])


def test_it_ends_soon_after_the_condition_is_met() -> None:
    time = Time()
    waited = time.wait(lambda now: [standing(met=now >= 2)])
    assert waited.outcome == "met"
    assert 2 <= waited.seconds <= 2 + LONGEST_PAUSE


def test_looks_come_as_often_as_the_user_says() -> None:
    time = Time()
    time.wait(lambda _: [standing(met=True), standing()], Plan(timeout=10, stable=5, interval=2.5))
    assert time.looks == [0, 2.5, 5, 7.5, 10]


def test_what_is_met_already_does_not_hasten_the_looks_at_the_others() -> None:
    time = Time()
    time.wait(lambda _: [standing(met=True), standing()], Plan(timeout=30))
    assert len(time.looks) < 80


def test_looks_come_ever_less_often_and_one_comes_last() -> None:
    time = Time()
    waited = time.wait(lambda _: [standing()], Plan(timeout=30))
    gaps = [later - sooner for sooner, later in pairwise(time.looks)]
    assert waited.outcome == "timeout"
    assert gaps[0] == pytest.approx(FIRST_PAUSE)
    assert gaps[:-1] == sorted(gaps[:-1])
    assert max(gaps) == pytest.approx(LONGEST_PAUSE)
    assert len(gaps) < 30 / LONGEST_PAUSE + 15
    assert time.looks[-1] == pytest.approx(30, abs=SHORTEST_PAUSE)
    assert len(time.told) == len(time.looks) - 1


def test_no_time_at_all_is_one_look() -> None:
    time = Time()
    assert time.wait(lambda _: [standing()], Plan(timeout=0)).outcome == "timeout"
    assert time.looks == [0]


def test_all_means_at_the_same_time() -> None:
    def in_turn(now: float) -> list[Standing]:
        return [standing(met=now < 1), standing(met=now > 1)]

    assert Time().wait(in_turn, Plan(timeout=5)).outcome == "timeout"
    assert Time().wait(in_turn, Plan(timeout=5, any=True)).outcome == "met"
    both_at_last = Time().wait(lambda now: [standing(met=True), standing(met=now > 3)])
    assert both_at_last.seconds == pytest.approx(3, abs=LONGEST_PAUSE)


def test_stable_lasts_from_the_first_time_without_a_gap() -> None:
    waited = Time().wait(lambda now: [standing(met=1 <= now < 2 or now >= 3)], Plan(stable=2))
    assert waited.outcome == "met"
    assert 5 <= waited.seconds <= 5 + LONGEST_PAUSE


def test_a_server_that_came_back_between_two_looks_is_a_gap() -> None:
    """It shows another socket."""
    waited = Time().wait(lambda now: [standing(met=True, inode=int(now))], Plan(timeout=10, stable=2))
    assert (waited.outcome, unmet(waited.standings)) == ("timeout", [])
    assert Time().wait(lambda _: [standing(met=True, inode=7)], Plan(timeout=10, stable=2)).seconds == pytest.approx(2)


def test_further_sockets_of_a_server_are_no_gap() -> None:
    def growing(now: float) -> list[Standing]:
        workers = frozenset(range(round(now * 10), round(now * 10) + 3))
        return [standing(met=True)._replace(evidence=workers)]

    assert Time().wait(growing, Plan(timeout=10, stable=2)).outcome == "met"


def test_a_connection_leaves_no_evidence_and_still_lasts() -> None:
    waited = Time().wait(lambda _: [standing(met=True, inode=0)], Plan(timeout=10, stable=2))
    assert waited.outcome == "met"
    assert waited.seconds == pytest.approx(2)


def test_it_looks_often_while_it_has_to_last() -> None:
    time = Time()
    time.wait(lambda now: [standing(met=now >= 20)], Plan(stable=2))
    late = [look for look in time.looks if look > 20]
    assert max(later - sooner for sooner, later in pairwise(late)) <= 0.1 + 1e-9


def test_without_fail_fast_what_is_hopeless_is_waited_for() -> None:
    waited = Time().wait(lambda _: [standing(helpless=True)], Plan(timeout=3))
    assert waited.outcome == "timeout"
    assert waited.seconds == pytest.approx(3, abs=SHORTEST_PAUSE)


def test_fail_fast_ends_as_soon_as_one_of_all_is_hopeless() -> None:
    time = Time()
    waited = time.wait(lambda now: [standing(), standing(helpless=now > 2)], Plan(fail_fast=True))
    assert waited.outcome == "hopeless"
    assert waited.seconds == pytest.approx(2, abs=LONGEST_PAUSE)


def test_fail_fast_with_any_ends_when_all_are_hopeless() -> None:
    plan = Plan(timeout=5, any=True, fail_fast=True)
    assert Time().wait(lambda _: [standing(), standing(helpless=True)], plan).outcome == "timeout"
    assert Time().wait(lambda _: [standing(helpless=True)] * 2, plan).outcome == "hopeless"
    assert Time().wait(lambda _: [standing(met=True), standing(helpless=True)], plan).outcome == "met"


def test_fail_fast_knows_what_takes_longer_than_there_is_time() -> None:
    plan = Plan(timeout=10, fail_fast=True)
    assert Time().wait(lambda now: [standing(seconds_left=11 - now)], plan).seconds == 0
    waited = Time().wait(lambda now: [standing(met=now >= 9, seconds_left=9 - now if now < 9 else None)], plan)
    assert waited.outcome == "met"


def test_what_leaves_by_itself_is_looked_at_when_it_has() -> None:
    time = Time()
    end = 20.123
    waited = time.wait(lambda now: [standing(met=now >= end, seconds_left=max(end - now, 0) or None)])
    assert waited.seconds == pytest.approx(end, abs=2 * SHORTEST_PAUSE)


@given(
    timeout=st.floats(0, 100),
    stable=st.floats(0, 100),
    flips=st.lists(st.floats(0, 100), max_size=6).map(sorted),
)
def test_no_wait_takes_longer_than_it_may_and_none_ends_too_soon(
    timeout: float, stable: float, flips: list[float]
) -> None:
    def world(now: float) -> list[Standing]:
        return [standing(met=sum(flip <= now for flip in flips) % 2 == 1)]

    time = Time()
    waited = time.wait(world, Plan(timeout=timeout, stable=stable))
    assert waited.seconds <= timeout + SHORTEST_PAUSE * 1.01
    if waited.outcome == "met":
        assert world(waited.seconds)[0].met
        assert waited.seconds >= stable
    else:
        assert waited.seconds >= timeout
    assert len(time.looks) <= 20 + timeout / SHORTEST_PAUSE
