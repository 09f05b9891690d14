"""How development servers take their port, where they do not heed PORT: which words to add to the command.  Pure.

Each was read in the help of the program itself; the names and flags have stayed the same over their versions.
"""

from __future__ import annotations

from portcheck.identify.names import base, names
from portcheck.namedtuple import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from portcheck.model import Process


class DevServer(NamedTuple):
    """A server by the names of its programs, and the words that give it a port."""

    programs: tuple[str, ...]
    words: tuple[str, ...]


DEV_SERVERS = (
    DevServer(("vite", "svelte-kit", "vinxi"), ("--port", "{port}")),
    DevServer(("next", "next-server"), ("-p", "{port}")),
    DevServer(("astro",), ("--port", "{port}")),
    DevServer(("ng",), ("--port", "{port}")),
    DevServer(("nuxt", "nuxi"), ("--port", "{port}")),
    DevServer(("webpack", "webpack-dev-server"), ("--port", "{port}")),
    DevServer(("vue-cli-service",), ("--port", "{port}")),
    DevServer(("gatsby",), ("-p", "{port}")),
    DevServer(("parcel",), ("-p", "{port}")),
    DevServer(("storybook", "start-storybook"), ("-p", "{port}")),
    DevServer(("http-server",), ("-p", "{port}")),
    DevServer(("manage.py", "manage"), ("{port}",)),
    DevServer(("flask",), ("--port", "{port}")),
    DevServer(("uvicorn",), ("--port", "{port}")),
    DevServer(("hypercorn",), ("--bind", "{host}:{port}")),
    DevServer(("gunicorn",), ("--bind", "{host}:{port}")),
    DevServer(("streamlit",), ("--server.port", "{port}")),
    DevServer(("mkdocs",), ("--dev-addr", "{host}:{port}")),
    DevServer(("rails", "puma"), ("-p", "{port}")),
    DevServer(("jekyll",), ("--port", "{port}")),
    DevServer(("artisan",), ("--port", "{port}")),  # Laravel's, before the php that runs it
    DevServer(("php",), ("-S", "{host}:{port}")),
    DevServer(("hugo",), ("--port", "{port}")),
    DevServer(("serve",), ("-l", "{port}")),  # last: others have it as a subcommand
)
# react-scripts is not among them: it heeds PORT, and has no flag.
SPRING = {
    "mvn": "-Dspring-boot.run.arguments=--server.port={port}",
    "mvnw": "-Dspring-boot.run.arguments=--server.port={port}",
    "gradle": "--args=--server.port={port}",
    "gradlew": "--args=--server.port={port}",
    "java": "--server.port={port}",
}
RUNNERS = ("npm", "pnpm", "yarn", "bun")
LOOKED_AT = 6  # words of a command line: `node --inspect node_modules/.bin/vite dev`
ENDINGS = (".js", ".mjs", ".cjs", ".cmd", ".bat", ".rb")


def remedy(command: Sequence[str], listening: Process, port: int) -> tuple[str, ...] | None:
    """The command with what gives its server the port; None where it has that, or the server is unknown.

    `command` is what the user wrote, `listening` the process that listens on another `port`.
    """
    if any("{port}" in word for word in command):
        return None
    written = tuple(_with_placeholder(word, str(port)) for word in command)
    if written != tuple(command):
        return written
    tool = _name(command[0])
    if tool in SPRING and _is_spring(command, listening):
        return (*command, SPRING[tool])
    server = _server(command, listening)
    if server is None:
        return None
    if tool not in RUNNERS:
        return (*command, *server.words)
    # npm keeps options to itself, unless they stand behind --
    apart = ("--",) if tool == "npm" and "--" not in command else ()
    return (*command, *apart, *server.words)


def _with_placeholder(word: str, port: str) -> str:
    """`--port=3000` → `--port={port}`, `localhost:3000` → `localhost:{port}`, `3000` → `{port}`"""
    before, middle, _ = word.rpartition(port) if word.endswith(port) else ("", "", "")
    return f"{before}{{port}}" if middle and not before[-1:].isalnum() else word


def _server(command: Sequence[str], listening: Process) -> DevServer | None:
    programs = {*_programs(command), *_programs(listening.command or ()), *names(listening)}
    return next((server for server in DEV_SERVERS if not programs.isdisjoint(server.programs)), None)


def _programs(words: Iterable[str]) -> Iterator[str]:
    """`vite` of `node_modules/.bin/vite` and of `node_modules/vite/bin/vite.js`, `next-server` of a title."""
    for word in list(words)[:LOOKED_AT]:
        yield _name(word.partition(" ")[0])


def _name(word: str) -> str:
    name = base(word)
    return next((name[: -len(ending)] for ending in ENDINGS if name.endswith(ending)), name)


def _is_spring(command: Sequence[str], listening: Process) -> bool:
    words = (*command, *(listening.command or ()))
    return any("spring-boot" in word or "bootRun" in word or "org.springframework" in word for word in words)
