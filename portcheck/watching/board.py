"""What a live table tells beside the sockets themselves: what has just happened to each, and what fades.  Pure."""

from __future__ import annotations

from portcheck.namedtuple import TYPE_CHECKING
from portcheck.watching.changes import FLAPPING_SECONDS, place

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable

    from portcheck.watching.changes import Event

FADING_SECONDS = 10.0  # for which what has just changed is marked, and what is gone stays in sight
FLAPPING = 3  # openings of a place within a minute, from which on it is said how many


class Board:
    """The latest event of each socket, and how many events there were of each kind."""

    def __init__(self) -> None:
        self.counts = {"opened": 0, "closed": 0, "changed": 0}
        self._latest: dict[Hashable, Event] = {}

    def add(self, events: Iterable[Event], now: float) -> None:
        """What has happened; what has faded by now is forgotten."""
        for event in events:
            if event.kind in self.counts:
                self.counts[event.kind] += 1
                self._latest.pop(event.key, None)  # the latest is the last
                self._latest[event.key] = event
        self._latest = {each: event for each, event in self._latest.items() if now - event.at < _lasts(event)}

    def latest(self, key: Hashable) -> Event | None:
        """What has just happened to a socket, if anything has."""
        return self._latest.get(key)

    def is_calm(self) -> bool:
        """Whether nothing has happened of late."""
        return not self._latest

    def gone(self) -> list[Event]:
        """The closings that have not faded, in order; of a place that is opened again and again the last."""
        closings = {place(event.socket): event for event in self._latest.values() if event.kind == "closed"}
        return [*closings.values()]


def _lasts(event: Event) -> float:
    return FLAPPING_SECONDS if event.kind == "opened" and event.times >= FLAPPING else FADING_SECONDS
