"""Fixtures that give a test ports of its own, on one machine with whatever else runs there, xdist's workers included.

    def test_server(free_port): ...  # an int; nobody else's until the test is over
    def test_two(free_port_factory): first, second = free_port_factory(), free_port_factory(protocol="udp")
    def test_held(reserved_socket): ...  # a portcheck.Reservation: `.port`, and `.socket`, bound and not listening

A port is leased until its test is over, so that no other fixture, process or portcheck is given it; any other program
could still bind it, which none can do with the port of `reserved_socket`.  Ports come from below the ephemeral range,
where no outgoing connection takes one; `portcheck_ports` in pytest's configuration names others.
"""

from __future__ import annotations

import pytest

from portcheck.namedtuple import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from portcheck import Reservation
    from portcheck.leases.book import Book
    from portcheck.vocabulary import Protocol

    PortFactory = Callable[..., int]

PORTS = "20000-31999"  # below Linux's ephemeral range (32768-60999), and those of other systems
AT_ONCE = 50  # candidates of one look: with so many one is free


def pytest_addoption(parser: pytest.Parser) -> None:
    """The one setting."""
    parser.addini("portcheck_ports", f"the ports that tests are given, such as {PORTS}", default=PORTS)


@pytest.fixture
def free_port(free_port_factory: PortFactory) -> int:
    """A TCP port that is free on 127.0.0.1, and nobody else's until the test is over."""
    return free_port_factory()


@pytest.fixture
def free_port_factory(request: pytest.FixtureRequest) -> Iterator[PortFactory]:
    """As many of them as are asked for: `free_port_factory(host="::1", protocol="udp", both=False)`.

    Raises portcheck.NoFreePort.
    """
    from portcheck.leases.book import Book

    candidates = _candidates(request)
    with Book(held=True) as leases:

        def make(*, host: str = "127.0.0.1", protocol: Protocol = "tcp", both: bool = False) -> int:
            return _free(candidates, host, ("tcp", "udp") if both else (protocol,), leases)

        yield make


@pytest.fixture
def reserved_socket(request: pytest.FixtureRequest) -> Iterator[Reservation]:
    """A port of 127.0.0.1 with the socket that holds it; `.listen()` makes that a server's."""
    import portcheck

    with portcheck.reserve(_some(_candidates(request))) as held:
        yield held


def _candidates(request: pytest.FixtureRequest) -> Sequence[int]:
    from portcheck.observe.names import SystemNames
    from portcheck.target import parse_ports

    return parse_ports(request.config.getini("portcheck_ports"), SystemNames())


def _some(candidates: Sequence[int]) -> list[int]:
    """At random, so that many who ask at once do not all ask for the same."""
    from random import SystemRandom

    return SystemRandom().sample(candidates, min(AT_ONCE, len(candidates)))


def _free(candidates: Sequence[int], host: str, protocols: tuple[Protocol, ...], leases: Book) -> int:
    from portcheck.chooser import choose
    from portcheck.observe.names import SystemNames
    from portcheck.target import parse_targets

    endpoints = parse_targets([str(port) for port in _some(candidates)], SystemNames(), hosts=(host,))
    return choose(endpoints, protocols=protocols, leases=leases).ports[0]
