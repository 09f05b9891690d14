"""Waits for ports of this host and of others, and for URLs.

Of this host's ports it polls a short table, and diagnoses in full only where that has changed; the others, and URLs,
are connected to, all of them at the same time.
"""

from __future__ import annotations

import time

from portcheck.diagnosis import v6only
from portcheck.diagnosis.pipeline import checks
from portcheck.errors import UnresolvedError, UsageError
from portcheck.namedtuple import TYPE_CHECKING
from portcheck.observe.at_once import at_once
from portcheck.observe.connect import refusal
from portcheck.observe.databases import resolve
from portcheck.observe.interfaces import addresses_told, is_delivered_here
from portcheck.observe.snapshot import fingerprint, listening_or_bound
from portcheck.profiles import TABLES_ALONE, USUAL
from portcheck.traits import PLATFORM
from portcheck.waiting.condition import concluded, connected, freed, listening, silent
from portcheck.waiting.loop import wait_until
from portcheck.waiting.readiness import USUAL as USUAL_READINESS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from portcheck.addresses import Address
    from portcheck.model import Family, LocalAddress, Socket
    from portcheck.profiles import Question
    from portcheck.target import Endpoint, Host
    from portcheck.waiting.loop import Plan, Standing, Waited
    from portcheck.waiting.readiness import Readiness

CONNECT_TIMEOUT = 2.0  # seconds for one address: two of TCP's attempts
LOOPBACK: Mapping[Family, str] = {"ipv4": "127.0.0.1", "ipv6": "::1"}
# Causes that show in the short table: as long as it stays the same, so does the answer.
SEEN_IN_TABLE = ("listener", "bound", "udp-socket", "kernel")


def wait_for(
    endpoints: Sequence[Endpoint],
    plan: Plan,
    question: Question = USUAL,
    readiness: Readiness = USUAL_READINESS,
    *,
    tell: Callable[[tuple[Standing, ...]], object] = bool,
    sleep: Callable[[float], object] = time.sleep,
) -> Waited:
    """Waits until the targets listen or, with `plan.free`, until a server could be started there.

    Ports of other machines are connected to, and URLs asked.  `tell` hears of every look that was not enough.  Raises
    UsageError where what is asked for cannot be seen.
    """
    _refuse_what_cannot_be_seen(endpoints, plan)
    _refuse_what_cannot_be_asked(endpoints, plan, readiness)
    if plan.free:
        look = FreeWatch(endpoints, question)
        return wait_until(look, plan, clock=time.monotonic, sleep=sleep, tell=tell)
    watch = ListeningWatch(endpoints, plan, readiness)
    waited = wait_until(watch, plan, clock=time.monotonic, sleep=sleep, tell=tell)
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


def _refuse_what_cannot_be_asked(endpoints: Sequence[Endpoint], plan: Plan, readiness: Readiness) -> None:
    urls = [] if plan.free else [(endpoint, endpoint.url) for endpoint in endpoints if endpoint.url]
    if readiness.is_about_urls and not urls:
        raise UsageError(f"{readiness.is_about_urls} is about a URL's answer; for example http://localhost:3000/health")
    if readiness.per_try is not None and (plan.free or readiness.per_try <= 0):
        raise UsageError("--per-try needs some time, and something that is connected to")
    for endpoint, url in urls:
        if url.has_userinfo:
            raise UsageError(
                f"a URL of {url.host} has a user name in it: none is sent; leave it out",
                "a server that wants one answers 401: --status 401",
            )
        if endpoint.protocol == "udp" or endpoint.host == "*":
            raise UsageError(f"'{endpoint.target}' cannot be asked: a URL needs one host, and TCP")


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
    """Watches whether each target has a listener: by this host's table, by connecting, or by asking its URL."""

    def __init__(self, endpoints: Sequence[Endpoint], plan: Plan, readiness: Readiness) -> None:
        remote = {endpoint for endpoint in endpoints if plan.connect or is_remote(endpoint)}
        self._endpoints = endpoints
        self._one_is_enough = plan.any and not plan.stable
        self._readiness = readiness
        self._asked = [endpoint for endpoint in endpoints if endpoint.url or endpoint in remote]
        self._local = [endpoint for endpoint in endpoints if not (endpoint.url or endpoint in remote)]
        # Those of which this host's tables can tell who listens
        self._named = [endpoint for endpoint in endpoints if endpoint not in remote]

    def __call__(self, left: float) -> tuple[Standing, ...]:
        """How each target stands now; connecting takes at most `left` seconds for each address."""
        answers = at_once(lambda endpoint: self._ask(endpoint, left), self._asked, self._is_enough)
        asked = dict(zip(self._asked, answers))
        table = listening_or_bound(self._local)
        own = addresses_told()
        return tuple(
            (asked[endpoint] or silent(endpoint, "no answer yet"))
            if endpoint in asked
            else _listening(endpoint, table, own)
            for endpoint in self._endpoints
        )

    def _is_enough(self, standing: Standing) -> bool:
        return self._one_is_enough and standing.met

    def _ask(self, endpoint: Endpoint, left: float) -> Standing:
        if endpoint.url:
            from portcheck.waiting.web import standing_of

            (host,) = endpoint.hosts

            def find(seconds: float) -> list[str]:
                return _addresses(host, endpoint.family, seconds)

            return standing_of(endpoint, endpoint.url, find, self._readiness, left)
        return _connect(endpoint, min(left, self._readiness.per_try or CONNECT_TIMEOUT))

    def conclude(self, standings: Iterable[Standing]) -> tuple[Standing, ...]:
        """The same standings; those of this host's ports say who listens there."""
        diagnoses = dict(zip(self._named, checks(self._named, TABLES_ALONE) if self._named else ()))
        now = time.time()
        return tuple(
            concluded(standing, diagnoses[standing.endpoint], now) if standing.endpoint in diagnoses else standing
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
    if host.kind == "addresses" and host.text and family is None:
        return [host.text]
    if host.kind in ("addresses", "interface"):
        return _addresses(host, family, CONNECT_TIMEOUT)
    return ["localhost"] if family is None else [LOOPBACK[family]]


def _addresses(host: Host, family: Family | None, seconds: float) -> list[str]:
    """Those of one family or of both; of a host whose name there was not at first, they are looked up so long."""
    if host.kind == "interface":
        own = (each for each in addresses_told() if each.interface == host.text)
        return [str(each) for each in own if family in (each.family, None)]
    return [str(each) for each in host.addresses or _resolved(host, seconds) if family in (each.family, None)]


def _resolved(host: Host, seconds: float) -> tuple[Address, ...]:
    try:
        return resolve(host.text or "", seconds)
    except UnresolvedError:
        return ()
