"""Judges one look: whether a target listens or is free, and says so in a sentence.  Pure."""

from __future__ import annotations

from portcheck.addresses import is_wildcard
from portcheck.identify.describe import port_named, spread, who
from portcheck.identify.holders import leader
from portcheck.namedtuple import TYPE_CHECKING
from portcheck.rules.reachability import answering, takes
from portcheck.target import FAMILIES
from portcheck.waiting.loop import Standing

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from portcheck.model import Diagnosis, LocalAddress, Socket
    from portcheck.target import Endpoint, Host
    from portcheck.vocabulary import Platform

# Causes that go away by themselves, or may.
TRANSIENT = ("time-wait", "closing")


def freed(endpoint: Endpoint, diagnosis: Diagnosis) -> Standing:
    """Whether a server could be started; tells what goes away by itself from what a process holds."""
    met = diagnosis.verdict == "free"
    passing = diagnosis.cause in TRANSIENT
    left = _seconds_left(diagnosis.sockets) if passing and not met else None
    message = diagnosis.sentence.line
    return Standing(
        endpoint,
        met,
        f"{message} (about {left:.0f} s more)" if left else message,
        helpless=diagnosis.verdict == "denied" or (not met and diagnosis.cause is not None and not passing),
        seconds_left=left,
        diagnosis=diagnosis,
    )


def _seconds_left(sockets: Iterable[Socket]) -> float | None:
    return max((socket.expires_in for socket in sockets if socket.expires_in), default=None)


def listening(
    endpoint: Endpoint, sockets: Sequence[Socket], addresses: Sequence[LocalAddress], platform: Platform
) -> Standing:
    """Whether every named host has a listener: on any of its addresses, as a client would find it."""
    family = endpoint.family
    serving = [
        socket
        for socket in sockets
        if _is_for(socket, endpoint) and (family is None or takes(socket, family, platform))
    ]
    reached = [_reached(host, endpoint, serving, addresses, platform) for host in endpoint.hosts]
    if not all(reached):
        return Standing(endpoint, met=False, message=f"nothing listens on {place(endpoint)}")
    inodes = frozenset(socket.inode for sockets in reached for socket in sockets if socket.inode)
    return Standing(endpoint, met=True, message=f"somebody listens on {place(endpoint)}", evidence=inodes)


def _is_for(socket: Socket, endpoint: Endpoint) -> bool:
    if (socket.protocol, socket.local_port) != (endpoint.protocol, endpoint.port):
        return False
    return socket.state == "LISTEN" or (socket.protocol == "udp" and not socket.remote_port)


def _reached(
    host: Host,
    endpoint: Endpoint,
    serving: Sequence[Socket],
    addresses: Sequence[LocalAddress],
    platform: Platform,
) -> list[Socket]:
    """The sockets that a client of this host reaches; all of them where no host in particular is meant."""
    if host.kind == "every":
        return list(serving)
    if host.kind == "wildcard":
        return [socket for socket in serving if is_wildcard(socket.local_address)]
    wanted = [(address.text, address.family, address.zone) for address in host.addresses]
    if host.kind == "interface":
        wanted = [
            (own.address, own.family, own.interface)
            for own in addresses
            if own.interface == host.text and endpoint.family in (own.family, None)
        ]
    return [
        serving[index]
        for address, family, interface in wanted
        for index in answering(address, family, interface, endpoint.protocol, endpoint.port, serving, platform)
    ]


def connected(endpoint: Endpoint, refusal: str | None) -> Standing:
    """How a target stands that was connected to; `refusal` says why there was no connection, None that there was."""
    if refusal is None:
        return Standing(endpoint, met=True, message=f"{place(endpoint)} accepts connections")
    return Standing(endpoint, met=False, message=f"{place(endpoint)} does not accept connections ({refusal})")


def answered(endpoint: Endpoint, status: int, redirects: int, *, is_ready: bool) -> Standing:
    """How a URL stands that has answered, at the end of so many redirects."""
    after = f" after {redirects} redirect{'s' if redirects > 1 else ''}" if redirects else ""
    return Standing(endpoint, is_ready, f"{place(endpoint)} answers {status}{after}", status=status)


def silent(endpoint: Endpoint, refusal: str) -> Standing:
    """How a URL stands that has not answered."""
    return Standing(endpoint, met=False, message=f"{place(endpoint)} does not answer ({refusal})")


def so_far(missing: Sequence[Standing]) -> str:
    """What there is of what is waited for, at the first look."""
    if len(missing) == 1 and missing[0].status:
        return f"it answers {missing[0].status}"
    return f"nothing {'is ready' if any(each.endpoint.url for each in missing) else 'listens'} there yet"


def concluded(standing: Standing, diagnosis: Diagnosis, now: float) -> Standing:
    """The same, with who listens there, or with what else is known of a port on which nobody does."""
    endpoint = standing.endpoint
    message = standing.message
    listeners = [index for index, socket in enumerate(diagnosis.sockets) if _is_for(socket, endpoint)]
    if listeners and (standing.met or endpoint.url):
        named = _by_listener(listeners, diagnosis, now)
        message = "; ".join([message, *named] if endpoint.url else named)
    elif not standing.met and diagnosis.verdict == "in-use":
        message = f"{message}; {diagnosis.sentence.clause}"
    return standing._replace(message=message, diagnosis=diagnosis)


def _by_listener(listeners: Iterable[int], diagnosis: Diagnosis, now: float) -> list[str]:
    """`node (PID 812, root) listens on 127.0.0.1, port 8000`, once for each leading process."""
    by_name: dict[str, list[Socket]] = {}
    for index in listeners:
        owner = leader(diagnosis.owners, index)
        name = who(owner.process, now) if owner else "a process that cannot be seen"
        by_name.setdefault(name, []).append(diagnosis.sockets[index])
    verb = "listens on" if diagnosis.protocol == "tcp" else "has bound"
    return [f"{name} {verb} {spread(sockets)}, port {diagnosis.port}" for name, sockets in by_name.items()]


def place(endpoint: Endpoint) -> str:
    """`port 80`, `IPv6 UDP port 53`, `127.0.0.1:80`, `[::1]:80`, `http://localhost/`"""
    if endpoint.url:
        return endpoint.target
    family = f"{FAMILIES[endpoint.family]} " if endpoint.family else ""
    port = family + port_named(endpoint.protocol, endpoint.port)
    if endpoint.host is None:
        return port
    if endpoint.host == "*":
        return f"a wildcard address, {port}"
    host = f"[{endpoint.host}]" if ":" in endpoint.host else endpoint.host
    return f"{'UDP ' if endpoint.protocol == 'udp' else ''}{host}:{endpoint.port}"
