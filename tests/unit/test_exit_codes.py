"""Which exit code an answer gets: the contract's table, row by row."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from portcheck import exit_codes
from portcheck.chooser import NoFreePort
from portcheck.errors import PortcheckError, UsageError
from portcheck.run.attempt import CannotStart


def preflight(*, complete: bool = True, strict: bool = False) -> Callable[[list[str]], int]:
    return lambda statuses: exit_codes.of_preflight(statuses, complete=complete, strict=strict)


TABLE: tuple[tuple[Callable[[list[str]], int], str, int], ...] = (
    (exit_codes.of_verdicts, "", 0),
    (exit_codes.of_verdicts, "free free", 0),
    (exit_codes.of_verdicts, "free in-use", 1),
    (exit_codes.of_verdicts, "denied", 1),
    (exit_codes.of_verdicts, "unavailable unknown", 1),
    (exit_codes.of_verdicts, "free unknown", 3),
    (exit_codes.of_pick, "", 1),
    (exit_codes.of_pick, "in-use free", 1),
    (exit_codes.of_pick, "in-use unknown", 3),
    (exit_codes.of_stop, "", 0),
    (exit_codes.of_stop, "free already-free planned", 0),
    (exit_codes.of_stop, "unknown", 3),
    (exit_codes.of_stop, "free unknown held", 1),
    *((exit_codes.of_stop, outcome, 1) for outcome in ("declined", "refused", "respawned", "time-wait", "closing")),
    (preflight(), "free running fallback", 0),
    (preflight(), "free unknown", 3),
    *((preflight(), f"{bad} unknown free", 1) for bad in ("in-use", "denied", "unavailable", "declared-twice")),
    (preflight(complete=False), "free", 0),
    (preflight(complete=False), "", 3),  # nothing else was declared
    (preflight(complete=False, strict=True), "free", 3),
    (preflight(complete=False, strict=True), "in-use", 1),
    (preflight(strict=True), "free", 0),
)


@pytest.mark.parametrize(("rule", "words", "code"), TABLE)
def test_the_table(rule: Callable[[list[str]], int], words: str, code: int) -> None:
    assert rule(words.split()) == code


@pytest.mark.parametrize(("outcome", "code"), [("met", 0), ("hopeless", 1), ("timeout", 124)])
def test_a_wait(outcome: str, code: int) -> None:
    assert exit_codes.of_wait(outcome) == code


def test_a_word_that_is_not_known_is_no_success() -> None:
    rules = (exit_codes.of_verdicts, exit_codes.of_stop, preflight(), lambda words: exit_codes.of_wait(*words))
    assert 0 not in [rule(["news"]) for rule in rules]


def test_nothing_fails_with_a_code_of_the_command_before_run_has_started_it() -> None:
    codes = [exit_codes.before_start(code) for code in (1, 2, 3, 70, 126, 127)]
    assert codes == [125, 125, 125, 125, 126, 127]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (PortcheckError("no table can be read"), 3),
        (UsageError("port 0"), 2),
        (NoFreePort("none is free", ()), 1),
        (CannotStart("serve", FileNotFoundError(2, "No such file")), 127),
        (CannotStart("serve", PermissionError(13, "Permission denied")), 126),
    ],
)
def test_errors_carry_theirs(error: PortcheckError, code: int) -> None:
    assert error.exit_code == code
