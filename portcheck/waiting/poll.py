"""Waits for ports of this host and of others: polls a short table, and diagnoses in full only where it has changed."""

from __future__ import annotations

import time

from portcheck.diagnosis import v6only
from portcheck.diagnosis.pipeline import checks
from portcheck.errors import UsageError
from portcheck.namedtuple import TYPE_CHECKING
from portcheck.observe.connect import refusal
from portcheck.observe.interfaces import addresses_told, is_delivered_here
from portcheck.observe.snapshot import fingerprint, listening_or_bound
from portcheck.profiles import TABLES_ALONE, USUAL
from portcheck.traits import PLATFORM
from portcheck.waiting.condition import concluded, connected, freed, listening
from portcheck.waiting.loop import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from portcheck.model import Family, LocalAddress, Socket
    from portcheck.profiles import Question
    from portcheck.target import Endpoint, Host
    from portcheck.waiting.loop import Plan, Standing, Waited

CONNECT_TIMEOUT = 2.0  # seconds for one address: two of TCP's attempts
LOOPBACK: Mapping[Family, str] = {"ipv4": "127.0.0.1", "ipv6": "::1"}
# Causes that show in the short table: as long as it stays the same, so does the answer.
SEEN_IN_TABLE = ("listener", "bound", "udp-socket", "kernel")


def wait_for(
    endpoints: Sequence[Endpoint],
    plan: Plan,
    question: Question = USUAL,
    *,
    tell: Callable[[tuple[Standing, ...]], object] = bool,
) -> Waited:
    """Waits until the targets listen or, with `plan.free`, until a server could be started there.

    Ports of other machines are connected to.  `tell` hears of every look that was not enough.  Raises
    UsageError where what is asked for cannot be seen.
    """
    _refuse_what_cannot_be_seen(endpoints, plan)
    if plan.free:
        look = FreeWatch(endpoints, question)
        return wait_until(look, plan, clock=time.monotonic, sleep=time.sleep, tell=tell)
    watch = ListeningWatch(endpoints, connect=plan.connect)
    waited = wait_until(watch, plan, clock=time.monotonic, sleep=time.sleep, tell=tell)
    return waited._replace(standings=watch.conclude(waited.standings))


def _refuse_what_cannot_be_seen(endpoints: Sequence[Endpoint], plan: Plan) -> None:
    if plan.free and plan.connect:
        raise UsageError("--connect cannot tell whether a port is free; leave out --connect or --free")
    if plan.fail_fast and not plan.free:
        raise UsageError("--fail-fast belongs to --free: a server that does not listen yet may always come")
    for endpoint in endpoints:
        if plan.free and is_remote(endpoint):
            raise UsageError(f"'{endpoint.target}' is another machine's: whether it is free cannot be seen from here")
        if endpoint.protocol == "udp" and (plan.connect or is_remote(endpoint)):
            raise UsageError(f"'{endpoint.target}': a UDP port cannot be asked by connecting")


class FreeWatch:
    """Watches whether a server could be started on each target."""

    def __init__(self, endpoints: Sequence[Endpoint], question: Question) -> None:
        self._endpoints = endpoints
        self._question = question
        self._fingerprint: frozenset[object] = frozenset()
        self._standings: tuple[Standing, ...] = ()

    def __call__(self, left: float) -> tuple[Standing, ...]:  # noqa: ARG002 - no look takes that long
        """How each target stands now."""
        now = fingerprint(listening_or_bound(self._endpoints))
        if now != self._fingerprint or not self._standings or not all(map(_is_held, self._standings)):
            diagnoses = checks(self._endpoints, self._question)
            self._standings = tuple(map(freed, self._endpoints, diagnoses))
            self._fingerprint = now
        return self._standings


def _is_held(standing: Standing) -> bool:
    return standing.diagnosis is not None and standing.diagnosis.cause in SEEN_IN_TABLE and not standing.met


class ListeningWatch:
    """Watches whether each target has a listener: by this host's table, or by connecting to other machines."""

    def __init__(self, endpoints: Sequence[Endpoint], *, connect: bool) -> None:
        self._endpoints = endpoints
        self._remote = frozenset(endpoint for endpoint in endpoints if connect or is_remote(endpoint))
        self._local = [endpoint for endpoint in endpoints if endpoint not in self._remote]

    def __call__(self, left: float) -> tuple[Standing, ...]:
        """How each target stands now; connecting takes at most `left` seconds for each address."""
        table = listening_or_bound(self._local)
        own = addresses_told()
        return tuple(
            _connect(endpoint, min(left, CONNECT_TIMEOUT))
            if endpoint in self._remote
            else _listening(endpoint, table, own)
            for endpoint in self._endpoints
        )

    def conclude(self, standings: Iterable[Standing]) -> tuple[Standing, ...]:
        """The same standings; those of this host's ports say who listens there."""
        diagnoses = iter(checks(self._local, TABLES_ALONE) if self._local else ())
        now = time.time()
        return tuple(
            standing if standing.endpoint in self._remote else concluded(standing, next(diagnoses), now)
            for standing in standings
        )


def _listening(endpoint: Endpoint, table: Sequence[Socket], own: Sequence[LocalAddress]) -> Standing:
    """How a target stands by the table; by a bind, too, where only that tells whether IPv4 clients reach a listener."""
    standing = listening(endpoint, table, own, PLATFORM)
    on_port = (socket for socket in table if socket.local_port == endpoint.port)
    any_will_do = endpoint.host is None and endpoint.family != "ipv4"
    if not standing.met or any_will_do or not v6only.hidden(on_port, PLATFORM):
        return standing
    return listening(endpoint, next(checks([endpoint])).sockets, own, PLATFORM)


def is_remote(endpoint: Endpoint) -> bool:
    """Whether every named host is another machine."""
    return all(host.kind == "addresses" and not any(map(is_delivered_here, host.addresses)) for host in endpoint.hosts)


def _connect(endpoint: Endpoint, timeout: float) -> Standing:
    refusals = [_refusal(host, endpoint, timeout) for host in endpoint.hosts]
    return connected(endpoint, next((error for error in refusals if error), None))


def _refusal(host: Host, endpoint: Endpoint, timeout: float) -> str | None:
    """None where one of the host's addresses accepts a connection, else why the first of them does not."""
    refusals = [refusal(name, endpoint.port, timeout) for name in _names(host, endpoint.family)]
    return None if None in refusals else next(iter(refusals), "it has no address")


def _names(host: Host, family: Family | None) -> list[str]:
    """What to connect to; `localhost` where no host in particular is meant."""
    if host.kind == "addresses" and host.text:
        return [host.text] if family is None else [str(address) for address in host.addresses]
    if host.kind == "interface":
        return [str(own) for own in addresses_told() if own.interface == host.text and family in (own.family, None)]
    return ["localhost"] if family is None else [LOOPBACK[family]]
