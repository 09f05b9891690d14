"""portcheck's own declaration: `[tool.portcheck]` in pyproject.toml, or portcheck.toml.

host = "127.0.0.1"                  # for every port below that says nothing else; so do protocol and profile
allow = [22, "53/udp"]              # who listens there is nobody's concern; for `verify --only`

[ports]                             # [tool.portcheck.ports] in pyproject.toml
web = 8000
dns = "53/udp"                      # any TARGET of the command line
workers = ["9001-9004", 9010]
api = { port = 8001, host = ["0.0.0.0", "::"], fallback = ["8002-8010"] }
db = { port = 5432, service = "postgresql.service", user = "postgres", optional = true }
"""

from __future__ import annotations

import re

from portcheck import toml
from portcheck.addresses import Address
from portcheck.errors import UsageError
from portcheck.namedtuple import TYPE_CHECKING, NamedTuple
from portcheck.observe.names import SystemNames
from portcheck.preflight.declarations import (
    Declaration,
    Expected,
    LeftUnreadError,
    PreflightError,
    Reading,
    shown,
)
from portcheck.preflight.files import Allowance, Grounds, around, needs
from portcheck.preflight.toml_lines import lines_of
from portcheck.target import parse_host, parse_ports, parse_targets

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path
    from typing import Any

    from portcheck.model import Protocol


def read_own(path: Path, grounds: Grounds | None = None) -> Reading:
    """Every port of the declaration; none where a pyproject.toml has no `[tool.portcheck]`.

    Raises PreflightError: broken TOML, an unknown key, a value that is no port, no TOML parser.
    Raises LeftUnreadError: beyond a limit.
    """
    file, text = str(path), (grounds or around(path)).text(path)
    prefix = ("tool", "portcheck") if path.name == "pyproject.toml" else ()
    table = _parse(text, file)
    for key in prefix:
        table = table.get(key, {}) if isinstance(table, dict) else {}
    if not table:
        return Reading((file,))
    lines = lines_of(text, prefix)
    allowance = Allowance()
    declarations: list[Declaration] = []
    allowed: list[Declaration] = []
    at = Written(file, lines.get((), 1), "")
    try:
        ports = _ports(table)
        defaults = Defaults.read(table)
        for name, value in ports.items():
            at = Written(file, lines.get(("ports", name), at.line), name)
            for each in declared(value, defaults, at):
                allowance.spend(1 + len(each.fallback), file, at.line)
                declarations.append(each)
        at = Written(file, lines.get((ALLOW,), 1), ALLOW)
        for each in declared(table.get(ALLOW, []), Defaults(), at):
            allowance.spend(1 + len(each.fallback), file, at.line)
            allowed.append(each)
    except UsageError as error:
        raise PreflightError(file, at.line, f"{at.name}: {error.cause}" if at.name else error.cause) from None
    return Reading((file,), tuple(declarations), allowed=tuple(allowed))


# `a.a.a...=1` of 48 KB keeps the parsers busy for up to 40 seconds; nobody nests tables as deep.
MAX_KEYS = 64
_WORD = re.compile(r"""(?P<key>[\w-]+|"[^"\n]*"|'[^'\n]*')|(?P<dot>\.)|(?P<blank>[ \t]+)|(?P<other>.|\n)""")


def _parse(text: str, file: str) -> Any:
    if line := _deep_key(text):
        raise LeftUnreadError("limit", file, line, f"a key of more than {MAX_KEYS} parts: not read")
    try:
        with needs("tomli", file):  # Python has a TOML parser of its own from 3.11 on
            return toml.loads(text)
    except ValueError as error:  # TOMLDecodeError, or a number of more digits than int() takes
        place = re.search(r"at (?:line (\d+)|end of document)", str(error))
        line = int(place[1] or text.count("\n") + 1) if place else None
        raise PreflightError(file, line, f"broken TOML: {error}") from None
    except RecursionError:
        raise LeftUnreadError("limit", file, None, "nested too deep") from None


def _deep_key(text: str) -> int | None:
    """The line of a key of too many parts, found in one pass; in a comment or a string it counts too."""
    dots, before = 0, None
    for word in _WORD.finditer(text):
        if word["blank"]:
            continue
        if word["dot"]:
            dots = dots + 1 if before == "key" else 0
        elif word["other"] or before == "key":
            dots = 0
        if dots >= MAX_KEYS:
            return text.count("\n", 0, word.start()) + 1
        before = word.lastgroup
    return None


def _ports(table: Any) -> dict[str, Any]:
    if not isinstance(table, dict):
        raise UsageError("portcheck is a table")
    for key in table:
        if key not in (*DEFAULTS, ALLOW, "ports"):
            raise UsageError(f"unknown key {shown(key)}; accepted: {', '.join(DEFAULTS)}, {ALLOW}, ports")
    ports = table.get("ports", {})
    if not isinstance(ports, dict):
        raise UsageError("ports is a table of names, such as ports.web = 8000")
    return ports


ALLOW = "allow"
DEFAULTS = ("host", "protocol", "profile")
BY_WHOM = ("process", "user", "service", "container")
MAX_TEXT = 200
MAX_NAME = 4096  # the longest path that Linux takes
MAX_HOSTS = 64
KEYS = ("port", "fallback", *DEFAULTS, *BY_WHOM, "optional")


class Written(NamedTuple):
    """Where a name is declared."""

    file: str
    line: int
    name: str


class Defaults(NamedTuple):
    """What holds for every port that does not say otherwise."""

    hosts: tuple[str | None, ...] = (None,)
    protocol: Protocol = "tcp"
    profile: str | None = None

    @classmethod
    def read(cls, table: Mapping[str, Any], outer: Defaults | None = None) -> Defaults:
        """The host, protocol and profile of a table, over those of `outer`.  Raises UsageError."""
        defaults = outer or cls()
        given: dict[str, Any] = {**defaults._asdict(), **{key: table[key] for key in DEFAULTS[1:] if key in table}}
        for key in DEFAULTS[1:]:
            if given[key] is not None and not isinstance(given[key], str):
                raise UsageError(f"{key} is a text, not {shown(str(given[key]))}")
        if given["protocol"] not in ("tcp", "udp"):
            raise UsageError(f"unknown protocol {shown(given['protocol'])}; accepted: tcp, udp")
        hosts = tuple(_hosts(table["host"])) if "host" in table else defaults.hosts
        return cls(hosts, given["protocol"], given["profile"])


def _hosts(value: Any) -> Iterator[str | None]:
    """One address, interface or name, or a list of them."""
    listed = value if isinstance(value, list) else [value]
    if not 0 < len(listed) <= MAX_HOSTS:
        raise UsageError(f"host is a list of 1 to {MAX_HOSTS}, not of {len(listed)}")
    for each in listed:
        if not isinstance(each, str):
            raise UsageError(f"host is a text, not {shown(str(each))}")
        yield parse_host(each, NAMES).text


class Names(SystemNames):
    """Services are looked up now; hosts stay as written, for the check to resolve."""

    def interfaces(self) -> tuple[str, ...]:
        """None: an interface is just another host name here."""
        return ()

    def resolve(self, host: str) -> tuple[Address, ...]:
        """Some address: only the text of a host is kept."""
        return (Address("ipv4", host),)


NAMES = Names()


def declared(value: Any, defaults: Defaults, at: Written) -> Iterator[Declaration]:
    """A number, a TARGET, a table, or a list of these.  Raises UsageError."""
    if isinstance(value, list):
        for each in value:
            yield from declared(each, defaults, at)
    elif isinstance(value, dict):
        yield from _from_table(value, defaults, at)
    else:
        for endpoint in parse_targets([_text(value)], NAMES, protocol=defaults.protocol):
            hosts = (endpoint.host,) if endpoint.host else defaults.hosts
            yield from _declarations(endpoint.port, (), defaults._replace(hosts=hosts, protocol=endpoint.protocol), at)


def _from_table(table: Mapping[str, Any], defaults: Defaults, at: Written) -> Iterator[Declaration]:
    for key in table:
        if key not in KEYS:
            raise UsageError(f"unknown key {shown(key)}; accepted: {', '.join(KEYS)}")
    if "port" not in table:
        raise UsageError("port is missing")
    written = Defaults.read(table, defaults)
    ports = parse_ports(_text(table["port"]), NAMES, written.protocol)
    fallback = tuple(_fallback(table.get("fallback", []), written.protocol))
    if fallback and len(ports) > 1:
        raise UsageError("fallback stands in for one port, not for several")
    expected = _expected(table)
    for port in ports:
        for each in _declarations(port, fallback, written, at):
            yield each._replace(expected=expected)


def _expected(table: Mapping[str, Any]) -> Expected:
    """By whom it is to be listened on.  Raises UsageError."""
    for key in BY_WHOM:
        value = table.get(key)
        if value is not None and not (isinstance(value, str) and 0 < len(value) <= MAX_NAME):
            raise UsageError(f"{key} is a text of 1 to {MAX_NAME} characters, not {shown(str(value))}")
    optional = table.get("optional", False)
    if not isinstance(optional, bool):
        raise UsageError(f"optional is true or false, not {shown(str(optional))}")
    process, user, service, container = (table.get(key) for key in BY_WHOM)
    return Expected(process, user, service, container, optional)


def _fallback(value: Any, protocol: Protocol) -> Iterator[int]:
    listed = value if isinstance(value, list) else [value]
    ports = (port for each in listed for port in parse_ports(_text(each), NAMES, protocol))
    for number, port in enumerate(ports):
        if number > 65535:
            raise UsageError("fallback names more ports than there are")
        yield port


def _text(value: Any) -> str:
    """A number, or a text of a length that cannot ask for billions of ports."""
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        raise UsageError(f'{shown(str(value))} is no port; write 8000, "8000-8010" or a table with port = 8000')
    text = str(value)
    if len(text) > MAX_TEXT:
        raise UsageError(f"{shown(text)} is longer than {MAX_TEXT} characters")
    return text


def _declarations(port: int, fallback: tuple[int, ...], written: Defaults, at: Written) -> Iterator[Declaration]:
    """One for each host that is named."""
    protocol, profile = written.protocol, written.profile
    for host in written.hosts:
        yield Declaration(port, protocol, host, at.file, at.line, "portcheck", at.name, fallback, profile=profile)
