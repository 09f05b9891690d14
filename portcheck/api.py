"""The Python API: what `import portcheck` offers, on the same pipeline as the command line."""

from __future__ import annotations

from portcheck import chooser
from portcheck.chooser import order
from portcheck.diagnosis.pipeline import checks
from portcheck.errors import UsageError
from portcheck.listing import Filter, Listing, list_sockets
from portcheck.namedtuple import TYPE_CHECKING
from portcheck.observe.names import SystemNames
from portcheck.profiles import question_for
from portcheck.target import EVERY, parse_host, parse_ports, parse_targets
from portcheck.waiting.loop import WaitFailed

if TYPE_CHECKING:
    from collections.abc import Iterable

    from portcheck.chooser import Choice
    from portcheck.model import Diagnosis, Protocol
    from portcheck.waiting.loop import Standing


def check(
    target: str | int,
    *,
    protocol: Protocol = "tcp",
    host: str | None = None,
    reuseaddr: bool = True,
    profile: str | None = None,
    probe: bool = True,
    verbose: bool = False,
) -> Diagnosis:
    """Can a server listen on `target` (one port, in any form of the command line); if not, who has it and why.

    `probe` False only reads the kernel's tables and tries no bind; `profile` asks as that runtime binds ("node" ...);
    `reuseaddr` False asks for a server that does not set SO_REUSEADDR, and where the tables cannot tell by a bind
    without it, which can make a server fail that starts on the port just then; `verbose` also looks into other network
    namespaces.  Raises UsageError where `target` cannot be understood or names several ports (see `check_all`).
    """
    diagnoses = check_all(
        [target], protocol=protocol, host=host, reuseaddr=reuseaddr, profile=profile, probe=probe, verbose=verbose
    )
    if len(diagnoses) != 1:
        raise UsageError(f"'{target}' names {len(diagnoses)} ports; check_all() takes many")
    return diagnoses[0]


def check_all(
    targets: Iterable[str | int],
    *,
    protocol: Protocol = "tcp",
    host: str | None = None,
    reuseaddr: bool = True,
    profile: str | None = None,
    probe: bool = True,
    verbose: bool = False,
) -> tuple[Diagnosis, ...]:
    """A Diagnosis for every port that `targets` name, in order, from one look at the host.  Raises UsageError."""
    _known(protocol)
    texts = [str(target) for target in targets]
    hosts = () if host is None else (host,)
    endpoints = parse_targets(texts, SystemNames(), protocol=protocol, hosts=hosts)
    return tuple(checks(endpoints, question_for(profile, reuseaddr=reuseaddr, probe=probe, verbose=verbose)))


def pick(
    candidates: Iterable[str | int],
    *,
    host: str | None = None,
    protocol: Protocol = "tcp",
    exclude: Iterable[str | int] = (),
    random: bool = False,
    stable: str | None = None,
    any_port: bool = False,
    reuseaddr: bool = True,
    probe: bool = True,
) -> int:
    """The first of `candidates` (ports, ranges as "8000-8010") that is free on `host` (default: on every address).

    Where the tables cannot tell who else may have the port it hands out, it is tried with a bind without SO_REUSEADDR.
    Another program may take the port before it is bound: bind port 0 yourself where you can, or hold the port with
    `reserve`.  Raises UsageError, or NoFreePort, which carries the Diagnosis of every candidate.
    """
    choice = choose(
        candidates, host=host, protocol=protocol, exclude=exclude, random=random, stable=stable, any_port=any_port,
        reuseaddr=reuseaddr, probe=probe,
    )  # fmt: skip
    return choice.ports[0]


def choose(
    candidates: Iterable[str | int],
    *,
    count: int = 1,
    host: str | None = None,
    protocol: Protocol = "tcp",
    exclude: Iterable[str | int] = (),
    random: bool = False,
    stable: str | None = None,
    any_port: bool = False,
    reuseaddr: bool = True,
    probe: bool = True,
) -> Choice:
    """As `pick`, for `count` ports, and all that is known of them.

    A Choice has `.ports`, the `.diagnoses` of every candidate looked at, and `.notes` on ports that were chosen
    although another one would be better: in the ephemeral range, reserved, refused by browsers.
    """
    _known(protocol)
    names = SystemNames()

    def ports(texts: Iterable[str | int]) -> list[int]:
        return [port for text in texts for port in parse_ports(str(text), names, protocol)]

    excluded = ports(exclude)
    return chooser.choose(
        order(ports(candidates), exclude=excluded, random=random, stable=stable),
        count=count,
        protocol=protocol,
        hosts=(EVERY if host is None else parse_host(host, names),),
        any_port=any_port,
        exclude=excluded,
        question=question_for(None, reuseaddr=reuseaddr, probe=probe),
    )


def wait(
    *targets: str | int,
    free: bool = False,
    any: bool = False,  # noqa: A002 - the command line's own word
    timeout: float = 30.0,
    stable: float = 0.0,
    fail_fast: bool = False,
    connect: bool = False,
    protocol: Protocol = "tcp",
    host: str | None = None,
    reuseaddr: bool = True,
    probe: bool = True,
) -> tuple[Standing, ...]:
    """Waits until every target (`any`: one of them) listens, or with `free` until a server could be started there.

    `timeout` and `stable` (how long it has to last) are in seconds.  Ports of other machines are connected to, with
    `connect` this host's too.  Returns how each target stands.  Raises UsageError, or WaitFailed where time is up or,
    with `fail_fast`, as soon as waiting cannot help.
    """
    from portcheck.waiting.loop import Plan
    from portcheck.waiting.poll import wait_for

    _known(protocol)
    hosts = () if host is None else (host,)
    endpoints = parse_targets([str(target) for target in targets], SystemNames(), protocol=protocol, hosts=hosts)
    plan = Plan(free, connect, timeout, stable, any, fail_fast)
    waited = wait_for(endpoints, plan, question_for(None, reuseaddr=reuseaddr, probe=probe))
    if waited.outcome != "met":
        raise WaitFailed(waited)
    return waited.standings


def listeners(*, protocol: Protocol | None = None, ports: Iterable[str | int] | None = None) -> Listing:
    """Every listening TCP and bound UDP socket of this network namespace, in order of port.

    Iterating gives each `Socket` with the `pids` that hold it; `.processes` describes those, `.blind_spots` says
    what could not be seen.  `ports` are numbers, ranges as "8000-8010" and service names.  Raises UsageError.
    """
    protocols: tuple[Protocol, ...] = ("tcp", "udp") if protocol is None else (_known(protocol),)
    if ports is None:
        return list_sockets(Filter(protocols))
    names = SystemNames()
    return list_sockets(Filter(protocols, tuple(port for text in ports for port in parse_ports(str(text), names))))


def _known(protocol: Protocol) -> Protocol:
    """Not every caller is type-checked."""
    if protocol not in ("tcp", "udp"):
        raise UsageError(f"unknown protocol '{protocol}'; accepted: tcp, udp")
    return protocol
