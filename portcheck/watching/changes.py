"""What has changed between two looks at the sockets.  Pure."""

from __future__ import annotations

from portcheck.namedtuple import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Container, Hashable, Iterable, Iterator, Mapping
    from typing import Literal

    from portcheck.model import BlindSpot, Owner, Socket

    Kind = Literal["opened", "closed", "changed", "present"]
    What = Literal["state", "owners"]
    Sockets = Mapping[Hashable, Socket]

FLAPPING_SECONDS = 60.0  # how far back openings of one place are counted


class Change(NamedTuple):
    """One socket that differs from how it was."""

    kind: Kind
    key: Hashable
    socket: Socket  # as it is; as it was, where it is gone
    what: tuple[What, ...] = ()  # of "changed"


class Event(NamedTuple):
    """A change with what is known of it."""

    kind: Kind
    key: Hashable
    at: float  # seconds since the epoch: of the look that has seen it
    socket: Socket
    owners: tuple[Owner, ...] = ()  # whose `sockets` are this one
    what: tuple[What, ...] = ()  # what is different, of "changed"
    since: float | None = None  # when it was opened; None where it was there before the watch began, or nobody saw it
    times: int = 0  # how often this place was opened within the last minute
    between_looks: bool = False  # no look has seen it: the kernel told that it is gone
    blind_spots: tuple[BlindSpot, ...] = ()


def key(socket: Socket) -> Hashable:
    """What stays the same as long as a socket lives, and is no other's meanwhile.

    Without a cookie and an inode (psutil's other systems) the sockets of one place are listed as one.
    """
    return socket.cookie or (socket.protocol, socket.inode or place(socket))


def place(socket: Socket) -> tuple[object, ...]:
    """Where a socket is: what its successor has in common with it."""
    return socket.protocol, socket.local_address, socket.local_port, socket.interface


def compared(before: Sockets, now: Sockets) -> Iterator[Change]:
    """What is gone, then what is new or different; each socket once at most, and its successor in its place once.

    Holders that cannot be seen now are no change; those that are seen at last are one.
    """
    for each in before.keys() - now.keys():
        yield Change("closed", each, before[each])
    for each, socket in now.items():
        if each not in before:
            yield Change("opened", each, socket)
        elif _succeeds(socket, before[each]):
            yield Change("closed", each, before[each])
            yield Change("opened", each, socket)
        elif before[each] is not socket and (what := tuple(_different(before[each], socket))):
            yield Change("changed", each, socket, what)


def _succeeds(socket: Socket, before: Socket) -> bool:
    """Where sockets have no names of their own: whether nobody is left of those who held it."""
    if socket.cookie or socket.inode or not (socket.pids and before.pids):
        return False
    return set(before.pids).isdisjoint(socket.pids)


def _different(before: Socket, now: Socket) -> Iterator[What]:
    if before.state != now.state:
        yield "state"
    if now.pids not in (before.pids, None):
        yield "owners"


def unnoticed(gone: Iterable[Socket], *seen: Container[Hashable]) -> Iterator[Socket]:
    """Of the sockets that the kernel says are gone, those that no look has seen."""
    return (socket for socket in gone if not any(key(socket) in sockets for sockets in seen))


class Openings:
    """Counts how often each place was opened lately; forgets whatever is older than that."""

    def __init__(self, seconds: float = FLAPPING_SECONDS) -> None:
        self._seconds = seconds
        self._at: dict[object, list[float]] = {}

    def add(self, socket: Socket, at: float) -> None:
        """It was opened."""
        self._at.setdefault(place(socket), []).append(at)

    def count(self, socket: Socket) -> int:
        """How often its place was, within the time that is remembered."""
        return len(self._at.get(place(socket), ()))

    def forget(self, now: float) -> None:
        """Drops what is too long ago, so that memory stays flat however long a watch goes on."""
        for where, times in [*self._at.items()]:
            recent = [at for at in times if now - at < self._seconds]
            if recent:
                self._at[where] = recent
            else:
                del self._at[where]
