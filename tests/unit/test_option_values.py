"""How the values of options are read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portcheck.cli.table import LONGEST_LEASE, Choice, Whole, parse_duration, parse_lease
from portcheck.errors import UsageError
from portcheck.leases.book import LONGEST


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30", 30), ("2s", 2), ("500ms", 0.5), ("1.5m", 90), ("1h", 3600), ("0", 0), (".5", 0.5), ("2.", 2)],
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "s", "-1", "1e3", "inf", "nan", "2 s", "1d", "1sm", "1.2.3", "٣", ".", "0x10"])
def test_what_is_no_duration_is_named(text: str) -> None:
    with pytest.raises(UsageError, match="is no duration; accepted: 30, 2s"):
        parse_duration(text)


def test_a_lease_that_nobody_would_heed_is_not_promised() -> None:
    assert LONGEST_LEASE == LONGEST
    assert [parse_lease(text) for text in ("0", "30", "60m", "1h")] == [0, 30, 3600, 3600]
    for text in ("1.1h", "3601", "9" * 400):
        with pytest.raises(UsageError, match=f"'{text}' is too long for a lease; accepted: up to 1h, 0 for none"):
            parse_lease(text)


@given(st.integers(0, 10**6))
def test_every_number_of_seconds_can_be_said(number: int) -> None:
    assert parse_duration(f"{number}") == parse_duration(f"{number}s") == number
    assert parse_duration(f"{number}ms") == pytest.approx(number / 1000)


@given(st.integers(-(10**12), 10**12), st.integers(0, 9), st.none() | st.integers(9, 10**6))
def test_numbers_are_read_within_their_bounds(number: int, least: int, most: int | None) -> None:
    read = Whole(least, most)
    if least <= number <= (999_999_999 if most is None else most):
        assert read(str(number)) == number
    else:
        with pytest.raises(UsageError, match=f"'{number}' is no number from {least} to "):
            read(str(number))


@pytest.mark.parametrize("text", ["", "-", "x", "1.5", "1e3", "0x10", "1_0", " 5 ", "+5", "٣", "--5", "9" * 5000])
def test_what_is_no_number_is_named(text: str) -> None:
    with pytest.raises(UsageError, match="is no number from 0 to 65535"):
        Whole(0, 65535)(text)


def test_one_of_a_few_words() -> None:
    read = Choice("format", "text", "json")
    assert read("json") == "json"
    with pytest.raises(UsageError, match="unknown format 'JSON'; accepted: text, json"):
        read("JSON")
