"""Waiting beside an event loop of asyncio, which goes on meanwhile."""

from __future__ import annotations

from contextlib import suppress

from portcheck.namedtuple import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    Result = TypeVar("Result")
    Sleep = Callable[[float], None]


async def in_background(wait: Callable[[Sleep], Result]) -> Result:
    """What `wait` returns or raises, from a thread of its own.

    It is handed what it sleeps with, which ends it as soon as nobody awaits it any more.  Looks take a while, so they
    have no place in the loop; a thread of asyncio's own pool would be waited for at the end of the program.
    """
    import asyncio
    from threading import Event, Thread

    loop = asyncio.get_running_loop()
    outcome: asyncio.Future[Result] = loop.create_future()
    is_given_up = Event()

    def sleep(seconds: float) -> None:
        if is_given_up.wait(seconds):
            raise _GivenUpError

    def tell(result: Result | None, error: BaseException | None) -> None:
        if outcome.done():
            return
        if error is None:
            outcome.set_result(result)  # type: ignore[arg-type]
        else:
            outcome.set_exception(error)

    def run() -> None:
        result, failure = None, None
        try:
            result = wait(sleep)
        except BaseException as error:
            failure = error
        with suppress(RuntimeError):  # the loop is closed: nobody is there to hear of it
            loop.call_soon_threadsafe(tell, result, failure)

    Thread(target=run, daemon=True, name="portcheck").start()
    try:
        return await outcome
    finally:
        is_given_up.set()


class _GivenUpError(Exception):
    """Nobody awaits the answer any more."""
