from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest
from support.examples import STARTED

from portcheck.text import local, utc


@pytest.fixture
def zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Sets this process's time zone until the test ends."""
    if not hasattr(time, "tzset"):
        pytest.skip("no time.tzset() here")

    def move(name: str) -> None:
        monkeypatch.setenv("TZ", name)
        time.tzset()

    yield move
    monkeypatch.undo()
    time.tzset()


def test_local_time_follows_the_zone(zone: Callable[[str], None]) -> None:
    zone("UTC")
    assert local(STARTED) == "2026-11-19 09:00"
    zone("EAT-3")
    assert local(STARTED) == "2026-11-19 12:00"


def test_utc_does_not(zone: Callable[[str], None]) -> None:
    zone("EAT-3")
    assert utc(STARTED) == "2026-11-19T09:00:00Z"


@pytest.mark.parametrize("impossible", [None, float("nan"), float("inf"), 1e300])
def test_what_is_no_time_is_not_known(impossible: float | None) -> None:
    assert utc(impossible) is None
    assert local(impossible) is None
