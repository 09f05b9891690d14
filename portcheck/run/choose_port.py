"""Takes the first candidate that is free, and with `--listen` keeps it."""

from __future__ import annotations

from portcheck.chooser import choose
from portcheck.namedtuple import TYPE_CHECKING, NamedTuple
from portcheck.reservation import first_held
from portcheck.run.handover import listener

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence

    from portcheck.addresses import Address
    from portcheck.leases.book import Book
    from portcheck.model import Diagnosis, Family
    from portcheck.profiles import Question
    from portcheck.target import Endpoint, Host


class Wish(NamedTuple):
    """What kind of port the command is to have."""

    hosts: tuple[Host, ...]  # where the port has to be free
    address: Address  # where the command is to listen
    host: str  # the same, as typed
    question: Question
    leases: Book
    listen: bool = False
    family: Family | None = None  # the only one in which it has to be free, and the command to listen


class Place(NamedTuple):
    """Where the command is to listen."""

    port: int
    host: str
    address: str | None  # where it has to listen; None: on any address
    listener: socket.socket | None = None  # already listening, to be handed over
    skipped: tuple[Diagnosis, ...] = ()  # candidates that are not free


def take(candidates: Sequence[Endpoint], wish: Wish) -> Place:
    """The first candidate that is free.  Raises NoFreePort, which carries every diagnosis."""
    if wish.listen:
        held, not_free = first_held(candidates, lambda free: _listener(free, wish), wish.question, wish.leases)
        return Place(held.getsockname()[1], wish.host, str(wish.address), held, tuple(not_free))
    *not_free, free = choose(candidates, question=wish.question, leases=wish.leases).diagnoses
    address = str(wish.address) if wish.hosts[0].text or wish.family else None
    return Place(free.port, wish.host, address, None, tuple(not_free))


def _listener(free: Diagnosis, wish: Wish) -> socket.socket:
    # a cause beside the verdict "free" would refuse a server without SO_REUSEADDR
    return listener(wish.address, free.port, leftovers=free.cause is not None)
