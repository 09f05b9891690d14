"""Text → endpoints: the grammar of TARGET.  Pure: names are looked up through a `Names` that is handed in.

TARGET   = URL | [PROTO ":"] [HOST ":"] PORTS ["/" PROTO]
PORTS    = PORT {"," PORT}          PORT = number | number "-" number | service name
HOST     = address | "[" IPv6 "]" | "*" | interface name | host name
"""

from __future__ import annotations

from portcheck.addresses import Address, parse_address
from portcheck.errors import NotATarget, UsageError
from portcheck.namedtuple import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from typing import Literal
    from typing import Protocol as Interface

    from portcheck.model import Family, Protocol

    class Names(Interface):
        """The three kinds of names that a target can hold."""

        def service(self, name: str, protocol: Protocol) -> int | None:
            """The port of a service in the services database."""

        def interfaces(self) -> Collection[str]:
            """The names of this host's network interfaces."""

        def resolve(self, host: str) -> tuple[Address, ...] | None:
            """Every address of a host name, in the resolver's order; () where there is none.

            None where there is none yet, which is no reason to refuse the name.  Raises UnresolvedError where it is not
            known whether there is one.
            """


PORTS_ACCEPTED = "80, 8000-8010, 80,443, http"
ACCEPTED = "80, 8000-8010, 80,443, http, 53/udp, 127.0.0.1:80, [::1]:80, *:80, localhost:80, eth0:80"
SCHEME_PORTS = {
    "http": 80, "https": 443, "ws": 80, "wss": 443, "ftp": 21, "redis": 6379, "postgresql": 5432,
    "http-get": 80, "https-get": 443,  # as wait-on writes them
}  # fmt: skip
WEB: Mapping[str, Literal["http", "https"]] = {
    "http": "http", "http-get": "http", "https": "https", "https-get": "https",
}  # fmt: skip


class Host(NamedTuple):
    """The addresses that a question is about.

    `every`: all addresses a server could be given here; `wildcard`: 0.0.0.0 and :: only; `interface`: every address
    of the interface `text`; `addresses`: those listed.
    """

    text: str | None = None
    kind: Literal["every", "wildcard", "interface", "addresses"] = "every"
    addresses: tuple[Address, ...] = ()


EVERY = Host()
FAMILIES = {"ipv4": "IPv4", "ipv6": "IPv6"}


class Url(NamedTuple):
    """A URL, taken apart as far as a client needs it."""

    scheme: str
    host: str  # without brackets
    port: int
    path: str = "/"  # with the query, in ASCII
    has_userinfo: bool = False

    @property
    def web(self) -> Literal["http", "https"] | None:
        """How it is asked, if a web server is meant."""
        return WEB.get(self.scheme)


class Endpoint(NamedTuple):
    """One port that is asked about."""

    target: str  # as typed
    protocol: Protocol
    port: int
    hosts: tuple[Host, ...] = (EVERY,)
    family: Family | None = None  # the only one that is asked about
    url: Url | None = None  # where the target is one of a web server

    @property
    def host(self) -> str | None:
        """The hosts as typed; None where none was named."""
        named = [host.text for host in self.hosts if host.text]
        return ",".join(named) or None


def parse_targets(
    texts: Collection[str],
    names: Names,
    *,
    protocol: Protocol = "tcp",
    hosts: Collection[str] = (),
    family: Family | None = None,
) -> tuple[Endpoint, ...]:
    """Every endpoint that `texts` ask about, in order.  `hosts` are those of `--host`.

    Raises UsageError naming the first part that cannot be understood: nothing is half done.
    """
    chosen = tuple(parse_host(host, names) for host in hosts)
    return tuple(
        endpoint._replace(hosts=of_family(endpoint.hosts, family), family=family)
        for text in texts
        for endpoint in _parse_target(text, names, protocol, chosen)
    )


def parse_wanted(texts: Collection[str], names: Names) -> tuple[tuple[Endpoint, ...], tuple[str, ...]]:
    """What `list` is asked for: endpoints of either protocol, and parts of programs' names.

    Raises UsageError for a target with something wrong in it.
    """
    endpoints: list[Endpoint] = []
    programs = []
    for text in texts:
        try:
            endpoints += _in_either_protocol(text, names)
        except NotATarget as mistake:
            if mistake.host or mistake.word != text or not text or _is_number(text):
                raise
            programs.append(text)
    return tuple(dict.fromkeys(endpoints)), tuple(programs)


def _in_either_protocol(text: str, names: Names) -> tuple[Endpoint, ...]:
    """A service may be known in one of them alone."""
    try:
        tcp = tuple(_parse_target(text, names, "tcp", ()))
    except NotATarget:
        return tuple(_parse_target(text, names, "udp", ()))
    try:
        return (*tcp, *_parse_target(text, names, "udp", ()))
    except NotATarget:
        return tcp


def of_family(hosts: Collection[Host], family: Family | None) -> tuple[Host, ...]:
    """The hosts as -4 or -6 ask about them.  Raises UsageError where none has an address of that family."""
    if family is None:
        return tuple(hosts)
    narrowed = tuple(
        host._replace(addresses=tuple(each for each in host.addresses if each.family == family)) for host in hosts
    )
    # A name that is yet to come has none.
    if all(before.addresses and not after.addresses for before, after in zip(hosts, narrowed)):
        names = ",".join(host.text for host in hosts if host.text)
        raise UsageError(f"'{names}' has no {FAMILIES[family]} address")
    return narrowed


def _parse_target(text: str, names: Names, protocol: Protocol, hosts: tuple[Host, ...]) -> Iterator[Endpoint]:
    host_text: str | None
    url = None
    if _is_a_path(text):
        raise UsageError(f"'{text}' names a file or a Unix socket; portcheck asks about TCP and UDP ports alone")
    if "://" in text:
        url = parse_url(text)
        host_text, ports_text = url.host, str(url.port)
    else:
        body, protocol = _split_protocol(text, protocol)
        host_text, ports_text = _split_host(body, text)
    if host_text is not None:
        if hosts:
            raise UsageError(f"'{text}' names a host, and --host names one too: use one of them")
        hosts = (parse_host(host_text, names),)
    for port in parse_ports(ports_text, names, protocol, whole=text):
        yield Endpoint(text, protocol, port, hosts or (EVERY,), url=url if url and url.web else None)


def _is_a_path(text: str) -> bool:
    """`/run/x.sock`, `unix:/run/x.sock`, and with HTTP over it `http://unix:/run/x.sock:/health`; `/80` is a slip."""
    scheme, slashes, rest = text.partition("://")
    if slashes and scheme != "unix":
        return rest.startswith("unix:/")
    kind, _, path = text.partition(":")
    return not _is_number(text[1:]) and (path if kind in ("unix", "socket") else text)[:1] in ("/", ".", "@")


def parse_url(text: str) -> Url:
    """`http://localhost:3000/x` → localhost, 3000 and /x.  Raises UsageError."""
    from string import punctuation
    from urllib.parse import quote, urlsplit

    try:
        url = urlsplit(text)
        host, port = url.hostname, SCHEME_PORTS.get(url.scheme) if url.port is None else url.port
    except ValueError as error:
        raise UsageError(f"'{text}' is no URL that can be read: {error}") from None
    if not host or port is None:
        raise UsageError(f"'{text}' names no {'port' if host else 'host'}; for example http://localhost:3000/")
    path = (url.path or "/") + (f"?{url.query}" if url.query else "")
    # What is quoted already stays as it is.
    return Url(url.scheme, host, port, quote(path, safe=punctuation, errors="surrogateescape"), "@" in url.netloc)


def _split_protocol(text: str, default: Protocol) -> tuple[str, Protocol]:
    """Takes `udp:` off the front or `/udp` off the end."""
    found: list[Protocol] = []
    body, slash, last = text.rpartition("/")
    if slash:
        found.append(_protocol(last, body, text))
        text = body
    first, colon, rest = text.partition(":")
    if colon and first.lower() in ("tcp", "udp"):
        found.append(_protocol(first, rest, text))
        text = rest
    if len(set(found)) > 1:
        raise UsageError(f"'{text}' names two protocols; write 53/udp or udp:53")
    return text, found[0] if found else default


def _protocol(word: str, rest: str, text: str) -> Protocol:
    if word.lower() == "tcp":
        return "tcp"
    if word.lower() == "udp":
        return "udp"
    if rest.lower() in ("tcp", "udp"):
        raise UsageError(f"'{text}' is the wrong way round; did you mean {word}/{rest.lower()}?")
    if _is_number(word) and not _is_number(rest):  # `/80`, `localhost/80`
        raise UsageError(f"'{text}' is no target; did you mean {f'{rest}:{word}' if rest else word}?")
    if ":" in rest or not word:  # the path of a URL
        raise UsageError(f"'{text}' is no target; did you mean {rest}?")
    raise UsageError(f"unknown protocol '{word}' in '{text}'; accepted: tcp, udp (53/udp)")


def _split_host(body: str, text: str) -> tuple[str | None, str]:
    """`127.0.0.1:80` → host and ports; the host is None where none is named."""
    host, colon, ports = body.rpartition(":")
    if not colon:
        return None, body
    if published := _published(host):
        runs = _is_number(host) and _is_number(ports) and len(host) == len(ports) and host < ports
        or_all = f" or the range {host}-{ports}" if runs else ""
        meant = text.replace(body, published)
        raise UsageError(f"'{text}' is how Docker publishes ports; did you mean {meant}{or_all}?")
    if body.startswith("["):
        if not host.endswith("]"):
            raise UsageError(f"'{text}' needs the form [::1]:80")
        return host, ports
    if ":" in host:
        if parse_address(body) and not parse_address(host):
            raise NotATarget(f"'{text}' names no port; for example [{body}]:80", body, host=True)
        if not parse_address(host):
            raise UsageError(f"'{text}' is no address with a port; for example 127.0.0.1:80 or [::1]:80")
        raise UsageError(f"'{text}': an IPv6 address needs brackets: [{host}]:{ports or '80'}")
    return host or "*", ports


def _published(host: str) -> str | None:
    """Of Docker's `3000:80` or `127.0.0.1:8080:80` what concerns this host: all before the last `:`."""
    address, _, ports = host.rpartition(":")
    first, _, last = ports.partition("-")
    if not (_is_number(first) and (not last or _is_number(last))):
        return None
    bare = address[1:-1] if address.startswith("[") and address.endswith("]") else address
    return host if not address or (parse_address(bare) and (bare != address or ":" not in address)) else None


def parse_host(text: str, names: Names) -> Host:
    """A host as it stands before the port, or after `--host`: address, interface, `*` or name."""
    if text in ("*", ""):
        return Host("*", "wildcard")
    bare = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    if address := parse_address(bare):
        return Host(bare, "addresses", (address,))
    host, _, port = text.rpartition(":")
    if _is_number(port) and (parse_address(host.strip("[]")) or (host and ":" not in host)):
        raise UsageError(f"'{text}' names a port as well: a host stands alone, such as {host}")
    if ":" in bare or text.startswith("["):
        raise UsageError(f"'{bare}' is no IP address; for example [::1]:80 or 127.0.0.1:80")
    if bare in names.interfaces():
        return Host(bare, "interface")
    if _is_dotless(bare):
        raise UsageError(f"'{bare}' is no host: a number without dots is no IPv4 address")
    addresses = names.resolve(bare)
    if addresses != ():
        return Host(bare, "addresses", addresses or ())
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
        raise _no_port(part, names, protocol, whole, accepted)
    return range(service, service + 1)


def _no_port(part: str, names: Names, protocol: Protocol, whole: str, accepted: str) -> UsageError:
    """Names what is wrong with a part that is no port, and what was meant, where that can be told."""
    numbers = part.replace("\u2013", "-").replace("..", "-").split("-")  # an en dash, as word processors make them
    if len(numbers) > 1 and all(map(_is_number, numbers)):
        each = f" or {','.join(numbers)}" if len(numbers) > 2 else ""
        return UsageError(f"'{part}' is no range; did you mean {numbers[0]}-{numbers[-1]}{each}?")
    if meant := _spelled_otherwise(part) or _in_small_letters(part, names, protocol):
        return UsageError(f"'{part}' is no port; did you mean {meant}?")
    if not part and whole.strip(","):
        if whole.endswith(":"):
            return NotATarget(f"'{whole}' names no port; for example {whole}80", whole, host=True)
        return UsageError(f"'{whole}' has a comma too many; did you mean {','.join(filter(None, whole.split(',')))}?")
    if part == whole and (part == "localhost" or parse_address(part) or part in names.interfaces()):
        return NotATarget(f"'{part}' names no port; for example {part}:80", part, host=True)
    inside = "" if part == whole else f" in '{whole}'"
    return NotATarget(f"'{part}'{inside} is no port and no known {protocol} service; accepted: {accepted}", part)


def _spelled_otherwise(part: str) -> str | None:
    """What is meant by a number in other digits, by `0x50`, `+80`, `3_000`, `PORT=3000`, `53udp`, `80 81`, `8000-`."""
    words = part.split()
    if len(words) > 1 and all(map(_is_number, words)):
        return ",".join(words)
    bare = part.strip().rpartition("=")[2].strip("+.-").replace("_", "").lower()
    protocol = bare[-3:] if bare[-3:] in ("tcp", "udp") else ""
    number = bare.removesuffix(protocol)
    if bare[:2] == "0x" and set(bare[2:]) <= set("0123456789abcdef") and bare[2:]:
        number = str(int(bare, 16))
    elif number.isdecimal():
        number = "".join(str(int(digit)) for digit in number)
    first, dash, last = number.partition("-")
    if not (_is_number(first) and (_is_number(last) or not dash)):
        return None
    if not all(len(each) <= 5 and 1 <= int(each) <= 65535 for each in (first, *([last] if dash else []))):
        return None
    return f"{number}/{protocol}" if protocol else number


def _in_small_letters(part: str, names: Names, protocol: Protocol) -> str | None:
    """`HTTP`"""
    small = part.lower()
    return small if small != part and small.isascii() and names.service(small, protocol) is not None else None


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()


def _is_dotless(text: str) -> bool:
    """A number that the C library would take for an address: 3000 for 0.0.11.184, 0x7f000001 for 127.0.0.1."""
    return _is_number(text) or (text[:2] in ("0x", "0X") and text.isascii() and text.isalnum())


def _port(text: str, whole: str) -> int:
    # int() refuses more than 4,300 digits, and none of them is a port
    port = int(text) if len(text) <= 5 else 0
    if not 1 <= port <= 65535:
        inside = "" if text == whole else f" in '{whole}'"
        together = whole.replace(",", "")
        if text[0] == "0" and text != whole and _is_number(together) and len(together) <= 5:  # `3,000`
            raise UsageError(f"'{whole}' is a list of ports; did you mean {together}?")
        cause = f"port {text[:20]}{inside} is out of range; a port is a number from 1 to 65535"
        raise NotATarget(cause if text.strip("0") else f"{cause} (for any free one: portcheck pick --any)", text)
    return port
