"""Looks again and again, cheaply: a short table each time, holders only where something calls for it."""

from __future__ import annotations

import time

from portcheck.listing import gaps, ranges, selected
from portcheck.model import BlindSpot, Owner, Process, SocketTable
from portcheck.namedtuple import TYPE_CHECKING
from portcheck.observe.holders import with_pids, with_processes
from portcheck.observe.snapshot import glance
from portcheck.observe.system import BACK_END
from portcheck.watching.changes import FLAPPING_SECONDS, Event, Openings, compared, key, unnoticed

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping

    from typing_extensions import Self  # in typing from 3.11 on; a type checker brings it along

    from portcheck.listing import Filter
    from portcheck.model import Protocol, Scene, Socket
    from portcheck.observe.back_end import Departures
    from portcheck.watching.changes import Change

# Of all the time, for walking over everybody's descriptors in search of holders that have changed unnoticed: a walk
# that takes 20 ms is due every 7 s.
SHARE_OF_WALKS = 0.003


class Watcher:
    """Remembers what the last look has shown: `sockets`, the wanted ones, `processes`, their holders, and `unseen`."""

    def __init__(
        self,
        wanted: Filter,
        *,
        initial: bool = False,
        notices: bool = True,
        now: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`initial` makes events of what is there at the first look; otherwise it is no event.

        With `notices` the kernel tells of sockets that are gone.
        """
        self._wanted = wanted
        self._ranges = ranges(wanted)
        self._initial = initial
        self._now, self._clock = now, clock
        self._every: dict[Hashable, Socket] | None = None  # wanted or not; None before the first look
        self._owners: dict[Hashable, tuple[Owner, ...]] = {}
        self._since: dict[Hashable, float] = {}
        self._gone: dict[Hashable, float] = {}  # notices of these may still come
        self._openings = Openings()
        self._notices: list[Socket] = []  # since the last look that came to its end
        self._holders: set[int] = set()
        self._next_walk = 0.0
        self._shown: set[Hashable] = set()
        self.unseen: dict[str, BlindSpot] = {}
        self._departures = self._listen() if notices else None
        if not notices:
            self._miss("the kernel was not to give notice of it")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if self._departures is not None:
            self._departures.close()

    @property
    def sockets(self) -> list[Socket]:
        """The wanted ones that are there, by port."""
        shown = [socket for each, socket in (self._every or {}).items() if each in self._shown]
        return sorted(shown, key=lambda socket: (socket.local_port, socket.protocol, socket.local_address))

    @property
    def processes(self) -> dict[int, Process]:
        """Their holders."""
        held = (owner for each in self._shown for owner in self._owners.get(each, ()))
        return {owner.pid: owner.process for owner in held if owner.pid is not None}

    def __call__(self) -> list[Event]:
        """What has happened since the last look.  Raises PortcheckError or OSError where it cannot be taken."""
        glimpse = glance(self._wanted.protocols, self._ranges)
        self._notices += self._drained()
        now = self._now()
        before = self._every or {}
        scene, every = self._with_holders(glimpse, before)
        told = [*self._events(compared(before, every), scene, now)]
        brief = [*self._brief(self._unseen_before(every, before), scene, now)]
        self._notices = []
        first, self._every = self._every is None, every
        self._forget(now)
        if first:
            self._note(gaps(self.sockets, scene))
            return [event._replace(kind="present") for event in told] if self._initial else []
        # In the order in which one place has them: whoever had it, who had it for a moment, who has it now.
        closed = [event for event in told if event.kind == "closed"]
        return [*closed, *brief, *(event for event in told if event.kind != "closed")]

    def _unseen_before(self, every: Mapping[Hashable, Socket], before: Mapping[Hashable, Socket]) -> Iterator[Socket]:
        """The sockets that are gone by their notices, and that no look has shown."""
        if self._notices and not all(socket.cookie for socket in (*before.values(), *every.values())):
            # /proc/net has been read instead of what names a socket as a notice does
            self._miss("the sockets that are told to be gone cannot be told from those that a look has seen")
            return iter(())
        return unnoticed(self._notices, before, every, self._gone)

    # Holders

    def _with_holders(self, glimpse: Scene, before: Mapping[Hashable, Socket]) -> tuple[Scene, dict[Hashable, Socket]]:
        """Those of the last look, unless something calls for another walk; the scene, and its sockets by their keys."""
        every = {key(socket): socket for socket in _sockets(glimpse) if _is_bound(socket)}
        if every.keys() <= before.keys() and self._clock() < self._next_walk and not self._a_holder_is_gone():
            return glimpse, {each: _as_before(socket, before[each]) for each, socket in every.items()}
        walked = self._walked(_only(glimpse, every.values()))
        return walked, {key(socket): socket for socket in _sockets(walked)}

    def _walked(self, scene: Scene) -> Scene:
        """With everybody's descriptors looked at."""
        start = self._clock()
        walked = with_pids(scene)
        end = self._clock()
        self._next_walk = end + (end - start) / SHARE_OF_WALKS
        self._holders = {pid for socket in _sockets(walked) for pid in socket.pids or ()}
        return walked

    def _a_holder_is_gone(self) -> bool:
        """Which a child may have survived, with its sockets."""
        return not self._holders <= {*BACK_END.pids()}

    # Events

    def _events(self, changes: Iterable[Change], scene: Scene, now: float) -> Iterator[Event]:
        """Those of what is wanted, or was; the holders of what is new or has new ones are asked who they are."""
        changes = [*changes]
        news = [change.socket for change in changes if change.kind == "opened" or "owners" in change.what]
        asked = with_processes(_only(scene, news)) if news else scene
        wanted = {key(socket) for socket in selected(asked, self._wanted)} if news else set()
        for change in changes:
            if change.kind == "closed":
                yield from self._closed(change, now)
                continue
            was_shown = change.key in self._shown
            if change.kind == "opened" or "owners" in change.what:
                self._owners[change.key] = _owners(change.socket, asked.processes)
                (self._shown.add if change.key in wanted else self._shown.discard)(change.key)
            if change.kind == "opened" and self._every is not None:
                self._since[change.key] = now
            if was_shown or change.key in self._shown:
                yield self._event(change, asked, now)

    def _event(self, change: Change, scene: Scene, now: float) -> Event:
        socket, owners = change.socket, self._owners.get(change.key, ())
        if change.kind == "opened" and self._every is not None:
            self._openings.add(socket, now)
        holders = {owner.process.pid: owner.process for owner in owners}
        spots = tuple(gaps([socket], scene._replace(processes=holders), f"{socket.local_address}:{socket.local_port}"))
        if self._every is not None:  # of the first look they are told together
            self._note(spots)
        return Event(
            change.kind,
            change.key,
            now,
            socket,
            owners,
            change.what,
            self._since.get(change.key),
            self._openings.count(socket),
            blind_spots=spots,
        )

    def _closed(self, change: Change, now: float) -> Iterator[Event]:
        owners, since = self._owners.pop(change.key, ()), self._since.pop(change.key, None)
        self._gone[change.key] = now
        if change.key in self._shown:
            self._shown.discard(change.key)
            times = self._openings.count(change.socket)
            yield Event("closed", change.key, now, change.socket, owners, since=since, times=times)

    def _brief(self, gone: Iterable[Socket], scene: Scene, now: float) -> Iterator[Event]:
        """What no look has seen: it was opened, and closed."""
        for socket in selected(_only(scene, gone), self._wanted):
            self._openings.add(socket, now)
            opened = Event(
                "opened",
                key(socket),
                now,
                socket,
                times=self._openings.count(socket),
                between_looks=True,
                blind_spots=(BlindSpot("brief-not-seen", "it was gone before a look could see whose it was"),),
            )
            yield from (opened, opened._replace(kind="closed"))

    def _forget(self, now: float) -> None:
        self._openings.forget(now)
        self._gone = {each: at for each, at in self._gone.items() if now - at < FLAPPING_SECONDS}

    # What cannot be seen

    def _note(self, spots: Iterable[BlindSpot]) -> None:
        """Each gap once: the first that is told of its kind."""
        for spot in spots:
            self.unseen.setdefault(spot.code, spot)

    def _listen(self) -> Departures | None:
        try:
            departures = BACK_END.departures(self._wanted.protocols)
        except OSError as refusal:
            self._miss(f"the kernel's notices are refused here: {refusal.strerror or refusal}")
            return None
        if departures is None:
            self._miss("this system gives no notice of it")
        return departures

    def _drained(self) -> list[Socket]:
        if self._departures is None:
            return []
        try:
            gone, lost = self._departures.drain()
        except OSError as error:
            self._miss(f"the kernel's notices cannot be read: {error.strerror or error}")
            return []
        if lost:
            self._miss("more of them have closed at once than the kernel's notices have room for")
        return [*gone]

    def _miss(self, why: str) -> None:
        message = f"what is opened and closed again between two looks may be missed: {why}"
        self._note([BlindSpot("brief-not-seen", message)])


def _is_bound(socket: Socket) -> bool:
    """A connected UDP socket takes nobody's datagrams but its peer's."""
    return socket.protocol == "tcp" or not socket.remote_port


def _as_before(socket: Socket, before: Socket) -> Socket:
    """With the holders that it had, where the table does not tell them itself; a longer queue is no change."""
    if socket.pids is not None:
        return socket
    return before if socket.state == before.state else before._replace(state=socket.state)


def _sockets(scene: Scene) -> Iterator[Socket]:
    return (socket for table in scene.tables.values() for socket in table.sockets)


def _only(scene: Scene, sockets: Iterable[Socket]) -> Scene:
    """The same scene with no sockets but these."""
    by_protocol: dict[Protocol, list[Socket]] = {name: [] for name in scene.tables}
    for socket in sockets:
        by_protocol[socket.protocol].append(socket)
    tables: dict[Protocol, SocketTable] = {
        name: table._replace(sockets=tuple(by_protocol[name])) for name, table in scene.tables.items()
    }
    return scene._replace(tables=tables)


def _owners(socket: Socket, processes: Mapping[int, Process]) -> tuple[Owner, ...]:
    return tuple(Owner(pid, processes.get(pid) or Process(pid), (0,)) for pid in socket.pids or ())
