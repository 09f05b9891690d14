"""The exit codes of the contract, and which of them an answer gets.

The words that come in are those of the JSON documents (a verdict, an outcome of `stop` or `wait`, a status of
`preflight`); a word that is not known here is never taken for success.
"""

from __future__ import annotations

from portcheck.namedtuple import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

FREE = DONE = 0
NOT_FREE = 1
USAGE = 2
UNKNOWN = 3
INTERNAL_ERROR = 70
TIME_IS_UP = 124
NOT_STARTED = 125  # `run`: whatever fails before its command starts, and a command that never listened
CANNOT_RUN = 126
NOT_FOUND = 127
INTERRUPTED = 130

# Of preflight: the declared server runs, or could be started; with --static nothing in the files is against it.
STARTABLE = frozenset(("free", "running", "fallback", "not-asked"))
STOPPED = frozenset(("free", "already-free", "planned"))
WAITED = {"met": DONE, "hopeless": NOT_FREE, "timeout": TIME_IS_UP}


def of_verdicts(verdicts: Iterable[str]) -> int:
    """`check`: 1 where a target is known not to be free, 3 where one could not be told, 0 where all are free."""
    return _worst(set(verdicts) - {"free"})


def of_pick(verdicts: Iterable[str]) -> int:
    """`pick` with fewer free candidates than asked for: 3 where one more could have been free."""
    return UNKNOWN if "unknown" in set(verdicts) else NOT_FREE


def of_stop(outcomes: Iterable[str]) -> int:
    """`stop`: 1 where a port is known not to be free, 3 where that could not be told of one."""
    return _worst(set(outcomes) - STOPPED)


def of_wait(outcome: str) -> int:
    """`wait`: 124 where time ran out, 1 where waiting cannot help."""
    return WAITED.get(outcome, UNKNOWN)


def of_watch(ending: str, *, expects: bool, failing: bool) -> int:
    """`watch`: 124 where time ran out before what was waited for, 3 where the last look could not be taken."""
    if ending == "over" and expects:
        return TIME_IS_UP
    return UNKNOWN if ending == "over" and failing else DONE


def of_preflight(statuses: Iterable[str], *, complete: bool, strict: bool) -> int:
    """`preflight`: 1 where a declared server could not be started, 3 where that could not be told of one.

    What was left open (not `complete`) counts with `strict`, and where there is no other answer.
    """
    reached = set(statuses)
    code = _worst(reached - STARTABLE)
    return UNKNOWN if code == DONE and not complete and (strict or not reached) else code


def of_verify(answers: Iterable[bool | None]) -> int:
    """`verify`: 1 where something is known not to be as declared, 3 where that could not be told, 0 where all is."""
    reached = set(answers)
    return NOT_FREE if False in reached else UNKNOWN if None in reached else DONE


def before_start(code: int) -> int:
    """`run` passes its command's status through: what fails before the command starts has codes from 125 on."""
    return max(code, NOT_STARTED)


def _worst(failures: set[str]) -> int:
    """1 is known to be bad, and worse than 3, which is not known."""
    if failures - {"unknown"}:
        return NOT_FREE
    return UNKNOWN if failures else DONE
