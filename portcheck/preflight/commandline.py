"""A shell command → the ports that it certainly listens on, by its own words.  Pure."""

from __future__ import annotations

import re
import shlex

from portcheck.addresses import parse_address
from portcheck.namedtuple import TYPE_CHECKING, NamedTuple
from portcheck.preflight.declarations import shown
from portcheck.preflight.dotenv import port_number
from portcheck.preflight.interpolate import BadTemplateError, Filled, interpolate

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

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
    """Hosts (None: not given) with their ports, and what could not be established, in words."""

    ports: tuple[tuple[str | None, int], ...] = ()
    problems: tuple[str, ...] = ()


class Option(NamedTuple):
    """An option of a command, with the word that it is given."""

    name: str
    value: str


def listens(command: str, variables: Mapping[str, str]) -> Listening:
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
    return Listening(tuple(ports), tuple(problem for each in parts for problem in each.problems))


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


def _simple(words: list[str], variables: Mapping[str, str]) -> Listening:
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
        return listens(words[2], {**variables, **assigned})
    options = [*_options(words)]
    if not any(option.name in (*PORT_OPTIONS, *BIND_OPTIONS) for option in options) and "PORT" in assigned:
        options.append(Option("--port", assigned["PORT"]))
    return _of_options(options, {**variables, **assigned})


def _options(words: list[str]) -> Iterator[Option]:
    """`--port 80`, `--port=80` and `-p80`."""
    all_options = (*PORT_OPTIONS, *BIND_OPTIONS, *HOST_OPTIONS)
    for word, following in zip(words, [*words[1:], ""]):
        name, equals, value = word.partition("=")
        if name in all_options:
            yield Option(name, value if equals else following)
        elif word[:2] == "-p" and word[2:].isdigit():
            yield Option("-p", word[2:])


def _of_options(options: list[Option], variables: Mapping[str, str]) -> Listening:
    host: str | None = None
    readings: list[Listening] = []
    for option in options:
        try:
            filled = interpolate(option.value, variables)
        except BadTemplateError:
            filled = Filled("$")
        if "$" in filled.text:  # `$(...)` and the like
            readings.append(Listening((), (f"{option.name} {shown(option.value)} is not known before it runs",)))
        elif filled.problems:
            readings.append(Listening((), tuple(f"{option.name}: {problem}" for problem in filled.problems)))
        elif option.name in HOST_OPTIONS or (option.name in BIND_OPTIONS and parse_address(filled.text)):
            host = filled.text
        elif option.name in PORT_OPTIONS:
            readings.append(_port(option.name, filled.text))
        else:
            readings.append(_bind(filled.text))
    every = _all(readings)
    return every._replace(ports=tuple((each or host, port) for each, port in every.ports))


def _port(name: str, text: str) -> Listening:
    """A port by itself; something else that holds a number may be one and is named."""
    port = port_number(text)
    if port:
        return Listening(((None, port),))
    return Listening((), (f"{name} {shown(text)} is no port by itself",) if re.search(r"\d", text) else ())


def _bind(text: str) -> Listening:
    """`HOST:PORT`, `:PORT` (the wildcard), `tcp://HOST:PORT`; a Unix socket or a descriptor has no port."""
    host, colon, number = _SCHEME.sub("", text).rpartition(":")
    port = port_number(number)
    if not colon or not port:
        return Listening()
    return Listening(((host.removeprefix("[").removesuffix("]") or "*", port),))
