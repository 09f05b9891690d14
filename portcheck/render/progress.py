"""A sign of life on stderr for a person who has waited for more than a second."""

from __future__ import annotations

import sys
from contextlib import contextmanager, suppress

from portcheck.namedtuple import TYPE_CHECKING
from portcheck.render.stream import is_terminal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from threading import Event
    from typing import TextIO

SECOND = 1.0


@contextmanager
def progress(doing: str, stream: TextIO | None = None, *, every: float = SECOND) -> Iterator[None]:
    """Shows on a terminal what is being done and for how many seconds, and takes it away after the block.

    Nothing is shown in the first second (`every`), and nothing at all where `stream` (stderr) is no terminal.
    One line rewritten in place: rich's status would replace sys.stdout meanwhile, and importing it would slow
    down just the looks that are slow already.
    """
    stream = stream or sys.stderr
    if not is_terminal(stream):
        yield
        return
    from threading import Event, Thread

    done = Event()
    shower = Thread(target=_show, args=(doing, stream, done, every), daemon=True)
    shower.start()
    try:
        yield
    finally:
        done.set()
        shower.join()


def _show(doing: str, stream: TextIO, done: Event, every: float) -> None:
    seconds, line = 0, ""
    with suppress(OSError):  # the terminal has gone away
        while not done.wait(every):
            seconds += 1
            line = f"{doing} ({seconds} s)"
            _put(stream, f"\r{line}")
        if line:
            _put(stream, f"\r{' ' * len(line)}\r")  # spaces: even a dumb terminal knows them


def _put(stream: TextIO, text: str) -> None:
    stream.write(text)
    stream.flush()
