"""A shell command → the ports that it certainly listens on, by its own words.  Pure."""

from __future__ import annotations

import re
import shlex
from collections import ChainMap

from portcheck.addresses import parse_address
from portcheck.identify.dev_servers import DEV_SERVERS, LOOKED_AT, program_name
from portcheck.namedtuple import TYPE_CHECKING, NamedTuple
from portcheck.preflight.declarations import shown
from portcheck.preflight.dotenv import port_number
from portcheck.preflight.interpolate import BadTemplateError, Filled, blamed, interpolate

if TYPE_CHECKING:
    from collections.abc import Iterator, MutableMapping, Sequence

    from portcheck.identify.dev_servers import DevServer

PORT_OPTIONS = ("-p", "--port", "--server.port")
BIND_OPTIONS = ("-b", "--bind")
HOST_OPTIONS = ("--host", "--hostname")
SHELLS = {"sh", "bash", "dash", "zsh"}
TUNNELS = {"ssh", "autossh"}
# What runs the commands that it is given as single words: `concurrently "next dev" "json-server db.json"`.
SEVERAL = {"concurrently", "conc", "start-server-and-test", "start-test"}
# What stands before a program and starts it as it is.
PREFIXES = {"env", "exec", "nohup", "time", "cross-env", "cross-env-shell"}
RUNNERS = {"npm", "pnpm", "yarn", "bun"}  # of the scripts of a package.json, each of which is read there
# Programs whose -p and --port name another program's port, or no port at all.
NOT_SERVERS = {
    "kill-port", "mkdir", "mysql", "mysqladmin", "mysqldump", "nc", "ncat", "pg_dump", "pg_isready",
    "psql", "redis-cli", "scp", "telnet",
    "wait-on", "wait-port",
}  # fmt: skip
_ASSIGNMENT = re.compile(r"([A-Za-z_]\w*)=(.*)", re.ASCII | re.DOTALL)
_SCHEME = re.compile(r"^(tcp|http)://")
_OF_PORTS = re.compile(r"(?<![a-z])(port|bind|listen)", re.IGNORECASE)
_SEPARATOR = re.compile(r"[();<>|&]+")


class Unsaid(NamedTuple):
    """A server that is told no port: it takes one by its configuration, or its usual one."""

    server: DevServer
    command: str  # `dev`, or "" for none
    host: str | None = None


class Listening(NamedTuple):
    """Hosts (None: not given) with their ports, and what could not be established, in words.

    `names` are the variables that hosts or ports come from.  `servers` are those that are told a port.
    """

    ports: tuple[tuple[str | None, int], ...] = ()
    problems: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    unsaid: tuple[Unsaid, ...] = ()
    servers: tuple[DevServer, ...] = ()


class Option(NamedTuple):
    """An option of a command, with the word that it is given."""

    name: str
    value: str


def listens(command: str, variables: MutableMapping[str, str]) -> Listening:
    """The ports in `-p N`, `--port N`, `--bind HOST:N`, `-b :N` and `PORT=N program`, variables filled in.

    Of servers that are known (`identify.dev_servers`) also as each is told one, and that one is told none.
    """
    try:
        words = _shell_words(command)
    except ValueError as error:
        return Listening((), (f"its command cannot be read: {error}",))
    commands = [_simple(each, variables) for each in _split(words)]
    return _all(commands)


def speaks_of_ports(command: str) -> bool:
    """Whether a command that names no port is likely to listen on one."""
    return any(
        _OF_PORTS.search(" ".join(words)) for words in _commands(command) if program_name(words[0]) not in NOT_SERVERS
    )


def _commands(command: str) -> list[list[str]]:
    """Its simple commands, as far as they can be told apart."""
    try:
        return [words for words in _split(_shell_words(command)) if words]
    except ValueError:
        return [command.split()]


def _shell_words(command: str) -> list[str]:
    """Raises ValueError."""
    lexer = shlex.shlex(command, posix=True, punctuation_chars=True)
    lexer.whitespace_split, lexer.commenters = True, ""
    return list(lexer)


def _all(parts: list[Listening]) -> Listening:
    ports = dict.fromkeys(port for each in parts for port in each.ports)
    names = dict.fromkeys(name for each in parts for name in each.names)
    return Listening(
        tuple(ports),
        tuple(problem for each in parts for problem in each.problems),
        tuple(names),
        tuple(unsaid for each in parts for unsaid in each.unsaid),
        tuple(server for each in parts for server in each.servers),
    )


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
    while words and (words[0] in PREFIXES or _ASSIGNMENT.fullmatch(words[0])):
        if assignment := _ASSIGNMENT.fullmatch(words[0]):
            assigned[assignment[1]] = assignment[2]
        words = words[1:]
    program = words[0].rpartition("/")[2] if words else ""
    inner = ChainMap(assigned, variables)
    if program in NOT_SERVERS:
        return Listening()
    if program in TUNNELS:
        return _of_options([*_forwarding(words[1:])], inner)
    if commands := _inner_commands(program, words):
        return _all([listens(command, inner) for command in commands])
    return _of_a_server(words, assigned, inner)


def _inner_commands(program: str, words: list[str]) -> list[str]:
    """What this program runs, as it is given: `sh -c 'exec web'`, `concurrently "next dev" "json-server db.json"`."""
    if program in SHELLS and words[1:2] == ["-c"]:
        return words[2:3]
    if program in SEVERAL or (program in STARTERS and set(words[1:2]) & SEVERAL):
        return [word for word in words[1:] if not word.startswith("-") and word not in SEVERAL]
    return [word for word in words[1:] if " " in word] if program == "nodemon" else []


def _of_a_server(words: list[str], assigned: dict[str, str], variables: MutableMapping[str, str]) -> Listening:
    known = _server(words)
    options = [*_options(_of_its_script(words), known)]
    if not any(option.name not in HOST_OPTIONS for option in options) and "PORT" in assigned:
        options.append(Option("--port", assigned["PORT"]))
    listening = _of_options(options, variables)
    if known is None:
        return listening
    if any(option.name not in HOST_OPTIONS and not parse_address(option.value) for option in options):
        return listening._replace(servers=(known.server,))
    return _unsaid(known, listening, options, variables)


def _of_its_script(words: list[str]) -> list[str]:
    """`node -p 1` evaluates; `node server.js -p 3000` hands on."""
    if not words or program_name(words[0]) != "node":
        return words
    script = next((number for number, word in enumerate(words[1:], 1) if not word.startswith("-")), len(words))
    return words[script:]


class Known(NamedTuple):
    """A server whose command line this is, with its subcommand and the words after that."""

    server: DevServer
    command: str
    rest: tuple[str, ...]


def _server(words: list[str]) -> Known | None:
    """`npx vite dev`, `python manage.py runserver 8000`, `bundle exec rails s`; not `vite build`."""
    if words and words[0] in RUNNERS and words[1:2] not in (["exec"], ["dlx"], ["x"]):
        words = words[1:] if words[0] != "npm" and words[1:2] != ["run"] else []
    names = [program_name(word) for word in words[:LOOKED_AT]]
    for server in DEV_SERVERS:
        for number, name in enumerate(names):
            if name in server.programs and (name not in USUAL_WORDS or _only_starters(words[:number])):
                return _serving(server, words[number + 1 :])
    return None


# Names of programs that are as often what another program is told to do: `ollama serve`.
USUAL_WORDS = {"serve", "next", "manage", "parcel"}
STARTERS = {
    "npx",
    "bunx",
    "pnpm",
    "yarn",
    "bun",
    "exec",
    "dlx",
    "x",
    "node",
    "python",
    "python3",
    "run",
    "dotenv",
    "--",
}


def _only_starters(words: Sequence[str]) -> bool:
    """Whether these do nothing but start the program after them."""
    if "--" in words:
        words = words[max(number for number, word in enumerate(words) if word == "--") :]
    return all(word.startswith("-") or program_name(word) in STARTERS for word in words)


def _serving(server: DevServer, rest: Sequence[str]) -> Known | None:
    """None where it is told to do something else than to serve."""
    command = next((word for word in rest if word in server.commands), "")
    first = next((word for word in rest if not word.startswith("-")), "")
    if server.commands and not command and ("" not in server.commands or first in NOT_SERVING):
        return None
    after = rest[rest.index(command) + 1 :] if command else rest
    return Known(server, command, tuple(after))


NOT_SERVING = {
    "add", "analyze", "build", "check", "clean", "create", "export", "generate", "info", "init", "lint", "optimize",
    "prepare", "sync", "telemetry", "test", "typecheck", "upgrade", "watch",
}  # fmt: skip


def _unsaid(
    known: Known, listening: Listening, options: list[Option], variables: MutableMapping[str, str]
) -> Listening:
    """It is told nothing by its words: then by a variable, if it heeds one."""
    server, command, _ = known
    host = next((option.value for option in options if "$" not in option.value), None)
    if server.heeds and server.heeds in variables:
        told = _of_options([Option("--port", f"${server.heeds}")], variables)
        return _all([listening, told])._replace(servers=(server,))
    return listening._replace(unsaid=(Unsaid(server, command, host),))


def _options(words: list[str], known: Known | None = None) -> Iterator[Option]:
    """`--port 80`, `--port=80`, `-p80`, and what this server calls its port."""
    own = known.server.words[0] if known and known.server.words and not known.server.takes_operand else None
    all_options = {*PORT_OPTIONS, *BIND_OPTIONS, *HOST_OPTIONS}
    bind_options = BIND_SPELLINGS.get(own or "", ())
    for word, following in zip(words, [*words[1:], ""]):
        name, equals, value = word.partition("=")
        if name in bind_options:
            yield Option(EITHER, value if equals else following)
        elif name == own and name not in all_options:
            yield Option("--port", value if equals else following)
        elif name in HOST_OPTIONS and not equals and (not following or following.startswith("-")):
            continue  # `vite --host`: every address
        elif name in all_options:
            yield Option(name, value if equals else following)
        elif word[:2] == "-p" and word[2:].isdigit():
            yield Option("-p", word[2:])
    if known and known.server.takes_operand:
        operands = [word for word in known.rest if not word.startswith("-") and re.search(r"\d$|\$", word)]
        yield from (Option(EITHER, word) for word in operands[:1])


# [HOST:]PORT, by the option that is in a server's record.
EITHER = "the port"
BIND_SPELLINGS = {"-S": ("-S",), "-l": ("-l", "--listen"), "--dev-addr": ("-a", "--dev-addr")}


def _forwarding(words: list[str]) -> Iterator[Option]:
    """What ssh opens on this host: `-L [HOST:]PORT:...` and `-D [HOST:]PORT`, on localhost unless a host is named."""
    for word, following in zip(words, [*words[1:], ""]):
        if word[:2] not in ("-L", "-D"):
            continue
        value = word[2:] or following
        parts = re.findall(r"\[[^]]*\]|[^:]+|(?<=:)(?=:)|^(?=:)", value)
        listening = parts[:1] if len(parts) == (1 if word[1] == "D" else 3) else parts[:2]
        if "/" in value.partition(":")[0]:  # a Unix socket
            continue
        yield Option(EITHER, ":".join(listening if len(listening) == 2 else ["localhost", *listening]))


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
        elif option.name in PORT_OPTIONS or (option.name == EITHER and ":" not in filled.text):
            readings.append(_port(option, filled))
        else:
            readings.append(_bind(option, filled))
    every = _all(readings)
    return every._replace(ports=tuple((each or host, port) for each, port in every.ports))


def _is_host(option: Option, filled: Filled) -> bool:
    """A name counts where it is written; the value of a variable has to be an address, since it will be printed."""
    if option.name == EITHER:
        return False
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
