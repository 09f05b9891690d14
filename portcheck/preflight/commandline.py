"""A shell command → the ports that it certainly listens on, by its own words.  Pure."""

from __future__ import annotations

import re
import shlex
from collections import ChainMap

from portcheck.addresses import parse_address
from portcheck.namedtuple import TYPE_CHECKING, NamedTuple
from portcheck.preflight.declarations import shown
from portcheck.preflight.dotenv import port_number
from portcheck.preflight.interpolate import BadTemplateError, Filled, blamed, interpolate

if TYPE_CHECKING:
    from collections.abc import Iterator, MutableMapping

PORT_OPTIONS = ("-p", "--port")
BIND_OPTIONS = ("-b", "--bind")
HOST_OPTIONS = ("--host", "--hostname")
SHELLS = {"sh", "bash", "dash", "zsh"}
# Programs whose -p and --port name another program's port, or no port at all.
NOT_SERVERS = {
    "autossh", "mkdir", "mysql", "mysqladmin", "mysqldump", "nc", "ncat", "node", "pg_dump", "pg_isready",
    "psql", "redis-cli", "scp", "ssh", "telnet",
}  # fmt: skip
_ASSIGNMENT = re.compile(r"([A-Za-z_]\w*)=(.*)", re.ASCII | re.DOTALL)
_SCHEME = re.compile(r"^(tcp|http)://")
_SEPARATOR = re.compile(r"[();<>|&]+")


class Listening(NamedTuple):
    """Hosts (None: not given) with their ports, and what could not be established, in words.

    `names` are the variables that hosts or ports come from.
    """

    ports: tuple[tuple[str | None, int], ...] = ()
    problems: tuple[str, ...] = ()
    names: tuple[str, ...] = ()


class Option(NamedTuple):
    """An option of a command, with the word that it is given."""

    name: str
    value: str


def listens(command: str, variables: MutableMapping[str, str]) -> Listening:
    """The ports in `-p N`, `--port N`, `--bind HOST:N`, `-b :N` and `PORT=N program`, variables filled in."""
    try:
        lexer = shlex.shlex(command, posix=True, punctuation_chars=True)
        lexer.whitespace_split, lexer.commenters = True, ""
        words = list(lexer)
    except ValueError as error:
        return Listening((), (f"its command cannot be read: {error}",))
    commands = [_simple(each, variables) for each in _split(words)]
    return _all(commands)


def _all(parts: list[Listening]) -> Listening:
    ports = dict.fromkeys(port for each in parts for port in each.ports)
    names = dict.fromkeys(name for each in parts for name in each.names)
    return Listening(tuple(ports), tuple(problem for each in parts for problem in each.problems), tuple(names))


def _split(words: list[str]) -> Iterator[list[str]]:
    """The simple commands between `&&`, `|` and their like."""
    current: list[str] = []
    for word in words:
        if _SEPARATOR.fullmatch(word):
            yield current
            current = []
        else:
            current.append(word)
    yield current


def _simple(words: list[str], variables: MutableMapping[str, str]) -> Listening:
    """One program with the assignments before it."""
    assigned: dict[str, str] = {}
    while words and (words[0] in ("env", "exec") or _ASSIGNMENT.fullmatch(words[0])):
        if assignment := _ASSIGNMENT.fullmatch(words[0]):
            assigned[assignment[1]] = assignment[2]
        words = words[1:]
    program = words[0].rpartition("/")[2] if words else ""
    if program in NOT_SERVERS:
        return Listening()
    if program in SHELLS and words[1:2] == ["-c"] and len(words) > 2:
        return listens(words[2], ChainMap(assigned, variables))
    options = [*_options(words)]
    if not any(option.name in (*PORT_OPTIONS, *BIND_OPTIONS) for option in options) and "PORT" in assigned:
        options.append(Option("--port", assigned["PORT"]))
    return _of_options(options, ChainMap(assigned, variables))


def _options(words: list[str]) -> Iterator[Option]:
    """`--port 80`, `--port=80` and `-p80`."""
    all_options = (*PORT_OPTIONS, *BIND_OPTIONS, *HOST_OPTIONS)
    for word, following in zip(words, [*words[1:], ""]):
        name, equals, value = word.partition("=")
        if name in all_options:
            yield Option(name, value if equals else following)
        elif word[:2] == "-p" and word[2:].isdigit():
            yield Option("-p", word[2:])


def _of_options(options: list[Option], variables: MutableMapping[str, str]) -> Listening:
    host: str | None = None
    readings: list[Listening] = []
    for option in options:
        try:
            filled = interpolate(option.value, variables)
        except BadTemplateError:
            filled = Filled("$")
        if filled.problems:
            readings.append(Listening((), tuple(f"{option.name}: {problem}" for problem in filled.problems)))
        elif "$" in filled.text and not filled.names:  # `$(...)` and the like
            readings.append(Listening((), (f"{option.name} {shown(option.value)} is not known before it runs",)))
        elif _is_host(option, filled):
            host = filled.text
            readings.append(Listening(names=filled.names))
        elif option.name in HOST_OPTIONS:
            readings.append(_not_taken(option, filled, "address"))
        elif option.name in PORT_OPTIONS:
            readings.append(_port(option, filled))
        else:
            readings.append(_bind(option, filled))
    every = _all(readings)
    return every._replace(ports=tuple((each or host, port) for each, port in every.ports))


def _is_host(option: Option, filled: Filled) -> bool:
    """A name counts where it is written; the value of a variable has to be an address, since it will be printed."""
    if option.name in HOST_OPTIONS and not filled.names:
        return True
    return option.name in (*HOST_OPTIONS, *BIND_OPTIONS) and _may_be_printed(filled.text)


def _may_be_printed(host: str) -> bool:
    """No free text: an address without a zone, or one of the words for one."""
    return host in ("localhost", "*") or ("%" not in host and bool(parse_address(host)))


def _not_taken(option: Option, filled: Filled, wanted: str) -> Listening:
    """What is neither a port nor an address: told as it is written, or by the variables that made it so."""
    if filled.names:
        return Listening((), (f"{option.name}: {blamed(filled.names)} no {wanted}",))
    return Listening((), (f"{option.name} {shown(filled.text)} is no {wanted} by itself",))


def _port(option: Option, filled: Filled) -> Listening:
    """A port by itself; something else that holds a number may be one and is named."""
    port = port_number(filled.text)
    if port:
        return Listening(((None, port),), (), filled.names)
    return _not_taken(option, filled, "port") if filled.names or re.search(r"\d", filled.text) else Listening()


def _bind(option: Option, filled: Filled) -> Listening:
    """`HOST:PORT`, `:PORT` (the wildcard), `tcp://HOST:PORT`; a Unix socket or a descriptor has no port."""
    host, colon, number = _SCHEME.sub("", filled.text).rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    port = port_number(number)
    if filled.names and not (port and (not host or _may_be_printed(host))):
        return _not_taken(option, filled, "HOST:PORT")
    if not colon or not port:
        return Listening()
    return Listening(((host or "*", port),), (), filled.names)
