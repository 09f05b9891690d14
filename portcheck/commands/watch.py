"""portcheck watch [TARGET|NAME]...: what opens and closes, live."""

from __future__ import annotations

import os
import sys
import time

from portcheck import exit_codes
from portcheck.commands.listing import asked_for
from portcheck.namedtuple import TYPE_CHECKING
from portcheck.render import stream
from portcheck.render.live import can_draw
from portcheck.watching.look import Watcher
from portcheck.watching.loop import Plan, watch

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from portcheck.render.layout import Cells
    from portcheck.render.listing import Entry
    from portcheck.requests import WatchRequest
    from portcheck.watching.changes import Event

SHORTEST_INTERVAL = 0.01  # seconds
FADING, AGEING = 1.0, 2.0  # seconds between two drawings while something has changed of late, and while nothing has
NAP = 0.25  # seconds: how soon another size of the terminal shows, and that nobody reads a pipe any more


def run(request: WatchRequest) -> int:
    """Watches, prints as it goes, and returns the exit code of the contract."""
    plan = Plan(max(request.interval, SHORTEST_INTERVAL), request.seconds, request.exit_on)
    with Watcher(asked_for(request), initial=request.initial, notices=request.notices) as watcher:
        face = _Table(watcher, request) if request.face == "auto" and can_draw() else _Lines(watcher, request)
        with face:
            watched = watch(watcher, plan, clock=time.monotonic, sleep=face.sleep, tell=face.tell)
    return exit_codes.of_watch(watched.ending, expects=plan.exit_on is not None, failing=watched.failing)


class _Lines:
    """A line for each event, flushed at once; what could not be seen, or done, on stderr."""

    def __init__(self, watcher: Watcher, request: WatchRequest) -> None:
        self._watcher = watcher
        self._json = request.face == "json"
        self._color = request.color
        self._begun = False
        self._told: set[str] = set()
        self._failure: str | None = None

    def __enter__(self) -> None:
        return

    def __exit__(self, *error: object) -> None:
        return

    def tell(self, events: Sequence[Event], failure: str | None) -> bool:
        """Prints them; False where nobody reads any more."""
        self._complain(failure)
        if failure is not None:
            return True
        self._tell_gaps()
        if self._json:
            from portcheck.render.json_documents import dumps, watch_event

            return stream.write(dumps(watch_event(event)) for event in events)
        from portcheck.render.watch import heading, line

        begun, self._begun = self._begun, True
        return stream.write([*([] if begun else [heading()]), *map(line, events)])

    def _complain(self, failure: str | None) -> None:
        """Once for each reason in a row."""
        if failure is not None and failure != self._failure:
            stream.complain(failed(failure))
        self._failure = failure

    def _tell_gaps(self) -> None:
        """Each kind once."""
        news = [spot for code, spot in self._watcher.unseen.items() if code not in self._told]
        if news:
            from portcheck.render.words import unseen

            self._told.update(spot.code for spot in news)
            stream.say(unseen(news), sys.stderr, self._color)

    def sleep(self, seconds: float) -> bool:
        """Until the next look; False once nobody reads any more."""
        return all(not stream.is_abandoned(sys.stdout) for _ in naps(seconds))


class _Table:
    """The table on a terminal, drawn again with each look, each second, and where the terminal has another size."""

    def __init__(self, watcher: Watcher, request: WatchRequest) -> None:
        from portcheck.render.live import Screen
        from portcheck.watching.board import Board

        self._watcher = watcher
        self._color = request.color
        self._title = f"portcheck watch {' '.join(request.ports)}".rstrip()
        self._board = Board()
        self._screen = Screen(colour=stream.wants_colour(sys.stdout, os.environ, request.color))
        self._entries: list[Entry] = []
        self._failure: str | None = None
        self._began = time.time()
        self._drawn_at = 0.0  # by the monotonic clock
        self._drawn_for: tuple[int, int] | None = None  # columns and lines

    def __enter__(self) -> None:
        self._screen.__enter__()

    def __exit__(self, *error: object) -> None:
        from portcheck.render.watch import summary

        self._screen.__exit__(*error)
        stream.say([summary(self._board, time.time() - self._began)], sys.stdout, self._color)

    def tell(self, events: Sequence[Event], failure: str | None) -> bool:
        """Draws what is there now; a terminal that is gone has ended us."""
        from portcheck.render.listing import entries

        news = bool(events) or failure != self._failure
        self._failure = failure
        self._board.add(events, time.time())
        if events or not self._entries:  # as long as nothing happens, the same rows grow older
            self._entries = entries(self._watcher.sockets, self._watcher.processes)
        if news or self._is_due():
            self._draw()
        return True

    def _is_due(self) -> bool:
        """Whether what fades or grows old looks otherwise by now, or the terminal has another size."""
        lasts = AGEING if self._board.is_calm() else FADING
        return time.monotonic() - self._drawn_at >= lasts or self._drawn_for != self._screen.size

    def _draw(self) -> None:
        self._screen.draw(self._frame)
        self._drawn_at, self._drawn_for = time.monotonic(), self._screen.size

    def _frame(self, width: int, height: int) -> list[Cells]:
        from portcheck.render.watch import Frame, frame, notes

        failures = [] if self._failure is None else [failed(self._failure)]
        drawn = Frame(
            self._entries,
            self._board,
            self._title,
            notes(self._watcher.unseen.values(), failures),
        )
        return frame(drawn, stream.canvas(sys.stdout, os.environ, self._color)._replace(width=width), height)

    def sleep(self, seconds: float) -> bool:
        """Until the next look; what fades and grows old does so meanwhile."""
        for _ in naps(seconds):
            if self._is_due():
                self._board.add((), time.time())
                self._draw()
        return True


def naps(seconds: float) -> Iterator[None]:
    """Sleeps so long, a short while at a time."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        time.sleep(min(left, NAP))
        yield


def failed(failure: str) -> str:
    """What is said of a look that could not be taken."""
    return f"a look has failed ({failure}); the next one is taken in its turn"
