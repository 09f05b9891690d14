"""The Python API: what `import portcheck` offers, on the same pipeline as the command line.

Wherever several ports can be named, a single one stands for a list of one.
"""

from __future__ import annotations

import time

from portcheck import chooser
from portcheck.chooser import Selection, order
from portcheck.diagnosis.pipeline import checks
from portcheck.errors import UsageError
from portcheck.leases.book import USUAL as LEASE
from portcheck.leases.book import Book
from portcheck.listing import Filter, Listing, list_sockets
from portcheck.namedtuple import TYPE_CHECKING
from portcheck.observe.names import NamesToCome, SystemNames
from portcheck.profiles import question_for
from portcheck.reservation import reserve_first
from portcheck.target import EVERY, of_family, parse_host, parse_ports, parse_targets
from portcheck.waiting.loop import Plan, WaitFailed
from portcheck.waiting.poll import wait_for
from portcheck.waiting.readiness import Readiness, parse_statuses

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from portcheck.chooser import Choice
    from portcheck.model import Diagnosis, Family, Protocol
    from portcheck.profiles import Question
    from portcheck.reservation import Reservation
    from portcheck.target import Names
    from portcheck.waiting.loop import Standing

    Target = str | int
    Targets = Target | Iterable[Target]
    Hosts = str | Iterable[str] | None
    Statuses = str | int | Iterable[str | int]

A_PORT, STATUS = "a port is an int or a str such as '8000-8010'", "a status is an int or a str such as '2xx'"


def check(
    target: Target,
    *,
    protocol: Protocol = "tcp",
    host: Hosts = None,
    family: Family | None = None,
    reuseaddr: bool = True,
    profile: str | None = None,
    probe: bool = True,
    verbose: bool = False,
) -> Diagnosis:
    """Can a server listen on `target` (one port, in any form of the command line); if not, who has it and why.

    `host` is one or more addresses, interfaces or names to ask about alone, `family` one of "ipv4" and "ipv6".  `probe`
    False only reads the kernel's tables and tries no bind; `profile` asks as that server binds ("node" ...).

    `reuseaddr` False asks for a server that does not set SO_REUSEADDR, and where the tables cannot tell by a bind
    without it, which can make a server fail that starts on the port just then; `verbose` also looks into other network
    namespaces.  Raises UsageError where `target` cannot be understood or names several ports (see `check_all`), and
    TypeError where it is neither str nor int.
    """
    diagnoses = check_all(
        _text("target", target), protocol=protocol, host=host, family=family, reuseaddr=reuseaddr, profile=profile,
        probe=probe, verbose=verbose,
    )  # fmt: skip
    if len(diagnoses) != 1:
        raise UsageError(f"'{target}' names {len(diagnoses)} ports; check_all() takes many")
    return diagnoses[0]


def check_all(
    targets: Targets,
    *,
    protocol: Protocol = "tcp",
    host: Hosts = None,
    family: Family | None = None,
    reuseaddr: bool = True,
    profile: str | None = None,
    probe: bool = True,
    verbose: bool = False,
) -> tuple[Diagnosis, ...]:
    """A Diagnosis for every port that `targets` name, in order, from one look at the host.

    The arguments are those of `check`.  Raises UsageError, or TypeError for what is neither str nor int.
    """
    endpoints = parse_targets(
        _texts("targets", targets), SystemNames(), protocol=_known(protocol), hosts=_hosts(host), family=family
    )
    return tuple(checks(endpoints, question_for(profile, reuseaddr=reuseaddr, probe=probe, verbose=verbose)))


def pick(
    candidates: Targets = (),
    *,
    host: Hosts = None,
    family: Family | None = None,
    protocol: Protocol = "tcp",
    both: bool = False,
    exclude: Targets = (),
    random: bool = False,
    stable: str | None = None,
    any_port: bool = False,
    lease: float = LEASE,
    reuseaddr: bool = True,
    profile: str | None = None,
    probe: bool = True,
) -> int:
    """The first of `candidates` that is free on `host` (default: on every address), and not handed out a moment ago.

    `candidates` are ports, ranges as "8000-8010", or any other target.  `both` wants the number free on TCP and UDP;
    `exclude` names ports that are not wanted; `any_port` lets the kernel choose where no candidate is free.  No other
    portcheck hands the port out for `lease` seconds (an hour at most; 0: nothing is leased, and leases of others are
    not heeded).

    Where the tables cannot tell who else may have the port it hands out, it is tried with a bind without SO_REUSEADDR.
    Another program may take the port before it is bound: bind port 0 yourself where you can, or hold the port with
    `reserve`.  Raises UsageError, TypeError for what is neither str nor int, or NoFreePort, which carries the Diagnosis
    of every candidate.
    """
    choice = choose(
        candidates, host=host, family=family, protocol=protocol, both=both, exclude=exclude, random=random,
        stable=stable, any_port=any_port, lease=lease, reuseaddr=reuseaddr, profile=profile, probe=probe,
    )  # fmt: skip
    return choice.ports[0]


def choose(
    candidates: Targets = (),
    *,
    count: int = 1,
    block: bool = False,
    host: Hosts = None,
    family: Family | None = None,
    protocol: Protocol = "tcp",
    both: bool = False,
    exclude: Targets = (),
    random: bool = False,
    stable: str | None = None,
    any_port: bool = False,
    lease: float = LEASE,
    reuseaddr: bool = True,
    profile: str | None = None,
    probe: bool = True,
) -> Choice:
    """As `pick`, for `count` ports (with `block`: neighbours), and all that is known of them.

    A Choice has `.ports`, the `.diagnoses` of every candidate looked at, `.notes` on ports that were chosen although
    another one would be better (in the ephemeral range, reserved, refused by browsers, not leased), and
    `.leased_until`, in seconds since the epoch.
    """
    names = SystemNames()
    hosts = _hosts(host)
    excluded = _ports("exclude", exclude, names, _known(protocol))
    endpoints = parse_targets(_texts("candidates", candidates), names, protocol=protocol, hosts=hosts, family=family)
    return chooser.choose(
        order(endpoints, exclude=excluded, random=random, stable=stable),
        Selection(count, block, any_port, excluded),
        protocols=("tcp", "udp") if both else (protocol,) if protocol == "udp" else (),
        hosts=of_family(tuple(parse_host(text, names) for text in hosts) or (EVERY,), family),
        family=family,
        question=question_for(profile, reuseaddr=reuseaddr, probe=probe),
        leases=Book(lease, stable),
    )


def reserve(
    candidates: Targets, *, host: str = "127.0.0.1", protocol: Protocol = "tcp", lease: float = LEASE
) -> Reservation:
    """Binds the first of `candidates` (ports, or ranges such as "8001-8010") that nobody else holds, and keeps it.

    `host` is one address (`::` takes IPv4 clients too) or a name, whose first address is taken.  Ports that another
    portcheck has handed out a moment ago are left to whom they were handed out, unless `lease` is 0; what is held needs
    no lease of its own.
    Raises UsageError, TypeError for what is neither str nor int, or NoFreePort, which carries the Diagnosis of every
    candidate.
    """
    names = SystemNames()
    ports = _ports("candidates", candidates, names, _known(protocol))
    return reserve_first(ports, parse_host(host, names), host, protocol, Book(lease))


def wait(
    *targets: Targets,
    free: bool = False,
    any: bool = False,  # noqa: A002 - the command line's own word
    timeout: float = 30.0,
    stable: float = 0.0,
    interval: float | None = None,
    fail_fast: bool = False,
    connect: bool = False,
    status: Statuses = (),
    follow: bool = False,
    insecure: bool = False,
    per_try: float | None = None,
    wait_for_dns: bool = False,
    protocol: Protocol = "tcp",
    host: Hosts = None,
    family: Family | None = None,
    reuseaddr: bool = True,
    profile: str | None = None,
    probe: bool = True,
) -> tuple[Standing, ...]:
    """Waits until every target (`any`: one of them) listens, or with `free` until a server could be started there.

    A URL of http or https is asked instead: it is ready where it answers 2xx or 3xx, or what `status` names (200,
    "2xx", [200, 404]), with `follow` at the end of redirects on the same host; `insecure` takes any certificate.

    `timeout`, `stable` (how long it has to last), `interval` (between looks; unless named ever longer, up to half a
    second) and `per_try` (for one look that connects) are in seconds.  Ports of other machines are connected to,
    with `connect` this host's too; with `wait_for_dns` a host's name may not resolve yet.  Returns how each target
    stands.  Raises UsageError, TypeError for what is neither str nor int, or WaitFailed where time is up or, with
    `fail_fast`, as soon as waiting cannot help.
    """
    return _waiting(
        targets, Plan(free, connect, timeout, stable, any, fail_fast, interval),
        Readiness(parse_statuses(_texts("status", status, STATUS)), insecure, follow, per_try),
        protocol=protocol, host=host, family=family, wait_for_dns=wait_for_dns,
        question=question_for(profile, reuseaddr=reuseaddr, probe=probe),
    )(time.sleep)  # fmt: skip


async def wait_async(
    *targets: Targets,
    free: bool = False,
    any: bool = False,  # noqa: A002 - the command line's own word
    timeout: float = 30.0,
    stable: float = 0.0,
    interval: float | None = None,
    fail_fast: bool = False,
    connect: bool = False,
    status: Statuses = (),
    follow: bool = False,
    insecure: bool = False,
    per_try: float | None = None,
    wait_for_dns: bool = False,
    protocol: Protocol = "tcp",
    host: Hosts = None,
    family: Family | None = None,
    reuseaddr: bool = True,
    profile: str | None = None,
    probe: bool = True,
) -> tuple[Standing, ...]:
    """As `wait`, beside an event loop of asyncio; whoever cancels it, stops the waiting at once."""
    from portcheck.waiting.background import in_background

    return await in_background(_waiting(
        targets, Plan(free, connect, timeout, stable, any, fail_fast, interval),
        Readiness(parse_statuses(_texts("status", status, STATUS)), insecure, follow, per_try),
        protocol=protocol, host=host, family=family, wait_for_dns=wait_for_dns,
        question=question_for(profile, reuseaddr=reuseaddr, probe=probe),
    ))  # fmt: skip


def _waiting(
    targets: tuple[Targets, ...],
    plan: Plan,
    readiness: Readiness,
    *,
    protocol: Protocol,
    host: Hosts,
    family: Family | None,
    wait_for_dns: bool,
    question: Question,
) -> Callable[[Callable[[float], None]], tuple[Standing, ...]]:
    """A wait, which is still to be handed what it sleeps with."""

    def waiting(sleep: Callable[[float], None]) -> tuple[Standing, ...]:
        names = NamesToCome() if wait_for_dns else SystemNames()
        texts = [text for target in targets for text in _texts("targets", target)]
        endpoints = parse_targets(texts, names, protocol=_known(protocol), hosts=_hosts(host), family=family)
        waited = wait_for(endpoints, plan, question, readiness, sleep=sleep)
        if waited.outcome != "met":
            raise WaitFailed(waited)
        return waited.standings

    return waiting


def listeners(*, protocol: Protocol | None = None, ports: Targets | None = None) -> Listing:
    """Every listening TCP and bound UDP socket of this network namespace, in order of port.

    Iterating gives each `Socket` with the `pids` that hold it; `.processes` describes those, `.blind_spots` says
    what could not be seen.  `ports` are numbers, ranges as "8000-8010" and service names.  Raises UsageError, or
    TypeError for what is neither str nor int.
    """
    protocols: tuple[Protocol, ...] = ("tcp", "udp") if protocol is None else (_known(protocol),)
    if ports is None:
        return list_sockets(Filter(protocols))
    return list_sockets(Filter(protocols, tuple(_ports("ports", ports, SystemNames(), "tcp"))))


def _texts(argument: str, value: Targets, expected: str = A_PORT) -> tuple[str, ...]:
    """What one argument names; a text is not a list of its characters."""
    if isinstance(value, (str, bytes, bytearray)) or not hasattr(value, "__iter__"):
        return (_text(argument, value, expected),)
    return tuple(_text(argument, each, expected) for each in value)


def _text(argument: str, value: object, expected: str = A_PORT) -> str:
    """Not every caller is type-checked: True is no port, and str() of bytes would be one of its own kind."""
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        raise TypeError(f"{argument}: {expected}, not {type(value).__name__}")
    return str(value)


def _ports(argument: str, value: Targets, names: Names, protocol: Protocol) -> list[int]:
    return [port for text in _texts(argument, value) for port in parse_ports(text, names, protocol)]


def _hosts(host: Hosts) -> tuple[str, ...]:
    if host is None:
        return ()
    return (host,) if isinstance(host, str) else tuple(host)


def _known(protocol: Protocol) -> Protocol:
    """Not every caller is type-checked."""
    if protocol not in ("tcp", "udp"):
        raise UsageError(f"unknown protocol '{protocol}'; accepted: tcp, udp")
    return protocol
