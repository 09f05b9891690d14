"""Looks that wait for others, taken at the same time."""

from __future__ import annotations

from portcheck.namedtuple import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import TypeVar

    Thing = TypeVar("Thing")
    Result = TypeVar("Result")


MOST_THREADS = 32


def at_once(look: Callable[[Thing], Result], things: Sequence[Thing]) -> list[Result]:
    """`look` of each, in order; raises what one of them raises.

    Threads of a pool would be waited for at the end of the program, whoever interrupts it; these are not.
    """
    if len(things) < 2:
        return [look(thing) for thing in things]
    from threading import Thread

    outcomes: dict[int, Result | BaseException] = {}
    left = [*range(len(things))]

    def run() -> None:
        while left:
            try:
                place = left.pop()
            except IndexError:  # another thread was faster
                return
            try:
                outcomes[place] = look(things[place])
            except BaseException as error:
                outcomes[place] = error

    threads = [Thread(target=run, daemon=True) for _ in range(min(len(things), MOST_THREADS))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [_result(outcomes[place]) for place in range(len(things))]


def _result(outcome: Result | BaseException) -> Result:
    if isinstance(outcome, BaseException):
        raise outcome
    return outcome
