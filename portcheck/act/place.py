"""Taking the first candidate that is free, and with `--listen` keeping it."""

from __future__ import annotations

from portcheck.act.handover import listener
from portcheck.choose import choose
from portcheck.errors import NoFreePort
from portcheck.value import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence

    from portcheck.addresses import Address
    from portcheck.model import Diagnosis
    from portcheck.servers import Server
    from portcheck.target import Host


class Wish(NamedTuple):
    """What kind of port the command is to have."""

    hosts: tuple[Host, ...]  # where it has to be free
    address: Address  # where the command is to listen
    host: str  # the same as typed
    server: Server
    listen: bool = False
    probe: bool = True


class Place(NamedTuple):
    """Where the command is to listen."""

    port: int
    host: str
    address: str | None  # the one that counts; None where any will do
    listener: socket.socket | None = None  # what listens there already
    skipped: tuple[Diagnosis, ...] = ()  # candidates that are not free


def take(candidates: Sequence[int], wish: Wish) -> Place:
    """The first candidate that is free.  Raises NoFreePort, which carries every diagnosis."""
    left = list(candidates)
    skipped: list[Diagnosis] = []
    while True:
        try:
            *taken, free = choose(left, hosts=wish.hosts, server=wish.server, probe=wish.probe).diagnoses
        except NoFreePort as error:
            raise NoFreePort(error.cause, [*skipped, *error.diagnoses], error.remedy) from None
        skipped += taken
        place = _place(free, wish)
        if place:
            return place._replace(skipped=tuple(skipped))
        left = left[left.index(free.port) + 1 :]


def _place(free: Diagnosis, wish: Wish) -> Place | None:
    """None where somebody was faster with listening there."""
    named = str(wish.address) if wish.listen or wish.hosts[0].text else None
    place = Place(free.port, wish.host, named)
    if not wish.listen:
        return place
    held = listener(wish.address, free.port, leftovers=free.cause is not None)
    return place._replace(listener=held) if held else None
