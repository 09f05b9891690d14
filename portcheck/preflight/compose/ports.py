"""The `ports` syntax of the Compose specification, short and long.  Pure: text → what is published.

Read as Compose does (`nat.ParsePortSpec` of docker/go-connections); tests compare it with the real binary.
"""

from __future__ import annotations

import re

from portcheck.addresses import parse_address
from portcheck.namedtuple import TYPE_CHECKING, NamedTuple
from portcheck.preflight.declarations import Declaration, Unresolved, shown

if TYPE_CHECKING:
    from portcheck.model import Protocol
    from portcheck.preflight.declarations import Kind

PROTOCOLS = ("tcp", "udp", "sctp")
_NUMBERS = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?")


class Published(NamedTuple):
    """One port that a service takes on the host; any of `fallback` will do as well (`8000-8005:80`)."""

    host: str | None
    port: int
    fallback: tuple[int, ...]
    protocol: str  # of PROTOCOLS
    target: int  # in the container; tells two mappings of one port from the same mapping given twice


class PortSyntaxError(ValueError):
    """A `ports` entry that Compose does not accept either."""


def declared(port: Published, kind: Kind, file: str, line: int, service: str | None) -> Declaration | Unresolved:
    """What a published port declares; an sctp port stays open, for want of anything that could check it."""
    if port.protocol == "sctp":
        message = f"{port.port}/sctp is published; portcheck knows tcp and udp"
        return Unresolved("protocol", message, file, line, service)
    protocol: Protocol = "udp" if port.protocol == "udp" else "tcp"
    return Declaration(port.port, protocol, port.host, file, line, kind, service, port.fallback)


def short(text: str) -> list[Published]:
    """`[HOST:][PUBLISHED:]TARGET[/PROTOCOL]`, with ranges; [] where the host's port is left to the engine.

    Raises PortSyntaxError.
    """
    body, _, protocol = text.partition("/")
    *before, target = body.split(":")
    published = before.pop() if before else ""
    host = ":".join(before)
    if host.startswith("["):
        if not host.endswith("]"):
            raise PortSyntaxError(f"{shown(text)}: '[' without ']'")
        host = host[1:-1]
    return mapping(host, published, target, protocol)


def mapping(host: str, published: str, target: str, protocol: str) -> list[Published]:
    """The four parts of an entry, as the long syntax names them; empty text where one is left out.

    A range of targets publishes each on its own port; one target takes any one port of a published range.
    Raises PortSyntaxError.
    """
    protocol = protocol.lower() or "tcp"
    if protocol not in PROTOCOLS:
        raise PortSyntaxError(f"unknown protocol {shown(protocol)}; accepted: {', '.join(PROTOCOLS)}")
    if host and ("%" in host or not parse_address(host)):
        raise PortSyntaxError(f"{shown(host)} is no IP address")
    targets = _ports(target, "container port")
    if not published or (published == "0" and len(targets) == 1):  # the engine chooses
        return []
    ports = _ports(published, "host port")
    address = host or None
    if len(targets) == 1:
        return [Published(address, ports[0], tuple(ports[1:]), protocol, targets[0])]
    if len(targets) != len(ports):
        raise PortSyntaxError(f"{shown(published)} and {shown(target)} are ranges of different lengths")
    return [Published(address, port, (), protocol, inside) for port, inside in zip(ports, targets)]


def _ports(text: str, what: str) -> range:
    numbers = _NUMBERS.fullmatch(text)
    if not numbers:
        raise PortSyntaxError(f"{shown(text)} is no {what}; accepted: 8000 or 8000-8010")
    first, last = int(numbers[1]), int(numbers[2] or numbers[1])
    if first > last:
        raise PortSyntaxError(f"the {what}s {shown(text)} run backwards")
    if first < 1 or last > 65535:
        raise PortSyntaxError(f"{what} {shown(text)} is out of range; a port is a number from 1 to 65535")
    return range(first, last + 1)
