"""Holds a port until its server has it: bound here, so that nobody else can take it in between."""

from __future__ import annotations

import socket
import time

from portcheck.chooser import LEASED, NoFreePort, with_lease
from portcheck.diagnosis.pipeline import checks
from portcheck.errors import UsageError
from portcheck.namedtuple import TYPE_CHECKING
from portcheck.observe.probe import SO_EXCLUSIVEADDRUSE
from portcheck.profiles import Question, Server
from portcheck.target import Endpoint
from portcheck.traits import HERE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from types import TracebackType

    from typing_extensions import Self  # in typing from 3.11 on; a type checker brings it along

    from portcheck.addresses import Address
    from portcheck.leases.book import Book
    from portcheck.model import Diagnosis, Protocol
    from portcheck.target import Host

    Hold = Callable[[Diagnosis], socket.socket]  # raises OSError


PLAIN = Question(Server(reuseaddr=False))  # what is bound without SO_REUSEADDR also loses to TIME_WAIT
# A bind may be refused by the probe of another portcheck that is looking for a port too; that is gone at once.
ATTEMPTS = 20
PROBE_TAKES = 0.001  # seconds, generously


class Reservation:
    """A port that is held by `socket`, which is bound to it; leaving a `with` or `async with` block closes it.

    The socket has no SO_REUSEADDR yet, so that nobody else can bind the port; `listen` sets it.
    """

    __slots__ = ("host", "port", "socket")

    def __init__(self, held: socket.socket, host: str) -> None:
        self.socket = held
        self.host = host  # as typed
        self.port: int = held.getsockname()[1]

    def listen(self, backlog: int = socket.SOMAXCONN) -> socket.socket:
        """Starts to listen (TCP); from then on clients may connect.  Raises OSError."""
        return listen(self.socket, backlog)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.socket.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.socket.close()


def reserve_first(ports: Iterable[int], host: Host, text: str, protocol: Protocol, leases: Book) -> Reservation:
    """Holds the first of the ports that can be had on the host's first address; `text` is the host as typed."""
    address = one_address(host)
    endpoints = [Endpoint(str(port), protocol, port, (host,)) for port in dict.fromkeys(ports)]
    held, _ = first_held(endpoints, lambda free: bind(address, free.port, protocol), PLAIN, leases)
    return Reservation(held, text)


def first_held(
    endpoints: Sequence[Endpoint], hold: Hold, question: Question, leases: Book
) -> tuple[socket.socket, list[Diagnosis]]:
    """The socket that `hold` makes for the first port that is free, and why those before it are not.

    Raises NoFreePort, which carries the Diagnosis of every candidate.
    """
    question = question._replace(to_take=True)
    not_free: list[Diagnosis] = []
    for endpoint, diagnosis in zip(endpoints, checks(endpoints, question)):
        # Heeded, and not taken: what is held here needs no lease.
        if diagnosis.verdict == "free" and (lease := leases.whose(endpoint.protocol, endpoint.port)):
            not_free.append(with_lease(diagnosis, lease))
            continue
        held = _held_or_why_not(endpoint, diagnosis, hold, question)
        if isinstance(held, socket.socket):
            return held, not_free
        not_free.append(held)
    one = f"the candidate {not_free[0].port} cannot be held" if len(not_free) == 1 else None
    remedy = LEASED if any(one.verdict == "free" for one in not_free) else None
    raise NoFreePort(one or f"none of {len(not_free)} candidates can be held", not_free, remedy)


def _held_or_why_not(
    endpoint: Endpoint, diagnosis: Diagnosis, hold: Hold, question: Question
) -> socket.socket | Diagnosis:
    """Where the port is taken first, another look tells by whom; it may find nobody: then it was a mere probe."""
    for _ in range(ATTEMPTS):
        if diagnosis.verdict != "free":
            break
        try:
            return hold(diagnosis)
        except OSError:
            time.sleep(PROBE_TAKES)
            diagnosis = next(checks([endpoint], question._replace(probe=True)))
    return diagnosis


def one_address(host: Host) -> Address:
    """The address that one socket can be bound to.  Raises UsageError for a host that is not a single address."""
    if host.kind != "addresses":
        raise UsageError(f"'{host.text}' is not one address; accepted: 127.0.0.1, 0.0.0.0, ::1, ::, localhost")
    return host.addresses[0]


def bind(address: Address, port: int, protocol: Protocol = "tcp", *, reuseaddr: bool = False) -> socket.socket:
    """A socket that is bound, and not inherited by other programs.  Raises OSError."""
    family = socket.AF_INET if address.family == "ipv4" else socket.AF_INET6
    held = socket.socket(family, socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM)
    try:
        if address.family == "ipv6":
            held.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, address.text != "::")
        if HERE.has_exclusive_binds:  # there only this keeps others from binding the port too
            held.setsockopt(socket.SOL_SOCKET, SO_EXCLUSIVEADDRUSE, 1)
        elif reuseaddr:
            held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        scope = socket.if_nametoindex(address.zone) if address.zone else 0
        held.bind((address.text, port) if address.family == "ipv4" else (address.text, port, 0, scope))
    except OSError:
        held.close()
        raise
    return held


def listen(held: socket.socket, backlog: int = socket.SOMAXCONN) -> socket.socket:
    """Makes a bound socket listen, with SO_REUSEADDR on Unix.

    Connections inherit the option, and so does the TIME_WAIT that they leave: without it the server's next start
    would be refused for a minute.  It is set at the last moment: a socket with it that does not listen yet lets
    others bind the port too.
    """
    if HERE.reuseaddr_is_usual:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.listen(backlog)
    return held
