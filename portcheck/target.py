"""Text → endpoints: the grammar of TARGET.  Pure: names are looked up through a `Names` that is handed in.

TARGET   = URL | [PROTO ":"] [HOST ":"] PORTS ["/" PROTO]
PORTS    = PORT {"," PORT}          PORT = number | number "-" number | service name
HOST     = address | "[" IPv6 "]" | "*" | interface name | host name
"""

from __future__ import annotations

from portcheck.addresses import Address, parse_address
from portcheck.errors import UsageError
from portcheck.namedtuple import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from typing import Literal
    from typing import Protocol as Interface

    from portcheck.model import Protocol

    class Names(Interface):
        """The three kinds of names that a target can hold."""

        def service(self, name: str, protocol: Protocol) -> int | None:
            """The port of a service in the services database."""

        def interfaces(self) -> Collection[str]:
            """The names of this host's network interfaces."""

        def resolve(self, host: str) -> tuple[Address, ...]:
            """Every address of a host name, in the resolver's order; () where there is none.

            Raises UnresolvedError where it is not known whether there is one.
            """


PORTS_ACCEPTED = "80, 8000-8010, 80,443, http"
ACCEPTED = "80, 8000-8010, 80,443, http, 53/udp, 127.0.0.1:80, [::1]:80, *:80, localhost:80, eth0:80"
SCHEME_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443, "ftp": 21, "redis": 6379, "postgresql": 5432}


class Host(NamedTuple):
    """The addresses that a question is about.

    `every`: all addresses a server could be given here; `wildcard`: 0.0.0.0 and :: only; `interface`: every address
    of the interface `text`; `addresses`: those listed.
    """

    text: str | None = None
    kind: Literal["every", "wildcard", "interface", "addresses"] = "every"
    addresses: tuple[Address, ...] = ()


EVERY = Host()


class Endpoint(NamedTuple):
    """One port that is asked about."""

    target: str  # as typed
    protocol: Protocol
    port: int
    hosts: tuple[Host, ...] = (EVERY,)

    @property
    def host(self) -> str | None:
        """The hosts as typed; None where none was named."""
        named = [host.text for host in self.hosts if host.text]
        return ",".join(named) or None


def parse_targets(
    texts: Collection[str], names: Names, *, protocol: Protocol = "tcp", hosts: Collection[str] = ()
) -> tuple[Endpoint, ...]:
    """Every endpoint that `texts` ask about, in order.  `hosts` are those of `--host`.

    Raises UsageError naming the first part that cannot be understood: nothing is half done.
    """
    chosen = tuple(parse_host(host, names) for host in hosts)
    return tuple(endpoint for text in texts for endpoint in _parse_target(text, names, protocol, chosen))


def _parse_target(text: str, names: Names, protocol: Protocol, hosts: tuple[Host, ...]) -> Iterator[Endpoint]:
    host_text: str | None
    if "://" in text:
        host_text, ports_text = _split_url(text)
    else:
        body, protocol = _split_protocol(text, protocol)
        host_text, ports_text = _split_host(body, text)
    if host_text is not None:
        if hosts:
            raise UsageError(f"'{text}' names a host, and --host names one too: use one of them")
        hosts = (parse_host(host_text, names),)
    for port in parse_ports(ports_text, names, protocol, whole=text):
        yield Endpoint(text, protocol, port, hosts or (EVERY,))


def _split_url(text: str) -> tuple[str, str]:
    """`http://localhost:3000/x` → localhost and 3000."""
    from urllib.parse import urlsplit

    try:
        url = urlsplit(text)
        host, port = url.hostname, SCHEME_PORTS.get(url.scheme) if url.port is None else url.port
    except ValueError as error:
        raise UsageError(f"'{text}' is no URL that can be read: {error}") from None
    if not host or port is None:
        raise UsageError(f"'{text}' names no {'port' if host else 'host'}; for example http://localhost:3000/")
    return host, str(port)


def _split_protocol(text: str, default: Protocol) -> tuple[str, Protocol]:
    """Takes `udp:` off the front or `/udp` off the end."""
    found: list[Protocol] = []
    body, slash, last = text.rpartition("/")
    if slash:
        found.append(_protocol(last, text))
        text = body
    first, colon, rest = text.partition(":")
    if colon and first in ("tcp", "udp"):
        found.append(_protocol(first, text))
        text = rest
    if len(set(found)) > 1:
        raise UsageError(f"'{text}' names two protocols; write 53/udp or udp:53")
    return text, found[0] if found else default


def _protocol(word: str, text: str) -> Protocol:
    if word == "tcp":
        return "tcp"
    if word == "udp":
        return "udp"
    raise UsageError(f"unknown protocol '{word}' in '{text}'; accepted: tcp, udp (53/udp)")


def _split_host(body: str, text: str) -> tuple[str | None, str]:
    """`127.0.0.1:80` → host and ports; the host is None where none is named."""
    if body.startswith("["):
        host, bracket, rest = body[1:].partition("]")
        if not bracket or not rest.startswith(":"):
            raise UsageError(f"'{text}' needs the form [::1]:80")
        return f"[{host}]", rest[1:]
    host, colon, ports = body.rpartition(":")
    if not colon:
        return None, body
    if ":" in host:
        raise UsageError(f"'{text}': an IPv6 address needs brackets: [{host}]:{ports or '80'}")
    return host or "*", ports


def parse_host(text: str, names: Names) -> Host:
    """A host as it stands before the port, or after `--host`: address, interface, `*` or name."""
    if text in ("*", ""):
        return Host("*", "wildcard")
    bare = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    if address := parse_address(bare):
        return Host(bare, "addresses", (address,))
    if ":" in bare or text.startswith("["):
        raise UsageError(f"'{bare}' is no IP address; for example [::1]:80 or 127.0.0.1:80")
    if bare in names.interfaces():
        return Host(bare, "interface")
    if addresses := names.resolve(bare):
        return Host(bare, "addresses", addresses)
    raise UsageError(f"unknown host '{bare}': no address, no interface of this host, and no name that resolves")


def parse_ports(text: str, names: Names, protocol: Protocol = "tcp", *, whole: str | None = None) -> list[int]:
    """`80,8000-8010,http` → every port in order; `whole` is the target that they are part of.  Raises UsageError."""
    ports: list[int] = []
    for part in text.split(","):
        ports.extend(_parse_part(part, names, protocol, whole or text, ACCEPTED if whole else PORTS_ACCEPTED))
    return ports


def _parse_part(part: str, names: Names, protocol: Protocol, whole: str, accepted: str) -> range:
    first, dash, last = part.partition("-")
    if dash and _is_number(first) and _is_number(last):
        low, high = _port(first, whole), _port(last, whole)
        if low > high:
            raise UsageError(f"'{part}' runs backwards; write {high}-{low}")
        return range(low, high + 1)
    if _is_number(part):
        port = _port(part, whole)
        return range(port, port + 1)
    service = names.service(part, protocol) if part and part.isascii() and part.isprintable() else None
    if service is None:
        inside = "" if part == whole else f" in '{whole}'"
        raise UsageError(f"'{part}'{inside} is no port and no known {protocol} service; accepted: {accepted}")
    return range(service, service + 1)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()


def _port(text: str, whole: str) -> int:
    # int() refuses more than 4,300 digits, and none of them is a port
    port = int(text) if len(text) <= 5 else 0
    if not 1 <= port <= 65535:
        inside = "" if text == whole else f" in '{whole}'"
        raise UsageError(f"port {text[:20]}{inside} is out of range; a port is a number from 1 to 65535")
    return port
