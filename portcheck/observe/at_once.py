"""Looks that wait for others, taken at the same time."""

from __future__ import annotations

from portcheck.namedtuple import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import TypeVar

    Thing = TypeVar("Thing")
    Result = TypeVar("Result")

MOST_THREADS = 32


def at_once(
    look: Callable[[Thing], Result], things: Sequence[Thing], is_enough: Callable[[Result], bool]
) -> list[Result | None]:
    """`look` of each, in order; raises what one of them raises.

    As soon as one `is_enough`, nobody waits for the others, which are None.  Threads of a pool would be waited for at
    the end of the program, whoever interrupts it; these are not.
    """
    if len(things) < 2:
        return [look(thing) for thing in things]
    from queue import SimpleQueue
    from threading import Thread

    ended: SimpleQueue[tuple[int, Result | None, BaseException | None]] = SimpleQueue()
    left = [*range(len(things))]

    def run() -> None:
        while left:
            try:
                place = left.pop()
            except IndexError:  # another thread was faster
                return
            try:
                ended.put((place, look(things[place]), None))
            except BaseException as error:
                ended.put((place, None, error))

    for _ in range(min(len(things), MOST_THREADS)):
        Thread(target=run, daemon=True).start()
    results: list[Result | None] = [None] * len(things)
    for _ in things:
        place, result, error = ended.get()
        if error is not None:
            raise error
        results[place] = result
        if result is not None and is_enough(result):
            left.clear()
            break
    return results
