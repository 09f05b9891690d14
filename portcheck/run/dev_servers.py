"""Which words to add to a command whose development server does not heed PORT.  Pure."""

from __future__ import annotations

from portcheck.identify.dev_servers import program_name, programs_in, server_of
from portcheck.identify.names import names
from portcheck.namedtuple import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from portcheck.identify.dev_servers import DevServer
    from portcheck.model import Process


SPRING = {
    "mvn": "-Dspring-boot.run.arguments=--server.port={port}",
    "mvnw": "-Dspring-boot.run.arguments=--server.port={port}",
    "gradle": "--args=--server.port={port}",
    "gradlew": "--args=--server.port={port}",
    "java": "--server.port={port}",
}
RUNNERS = ("npm", "pnpm", "yarn", "bun")


def remedy(command: Sequence[str], listening: Process, port: int) -> tuple[str, ...] | None:
    """The command with what gives its server the port; None where it has that, or the server is unknown.

    `command` is what the user wrote, `listening` the process that listens on another `port`.
    """
    if any("{port}" in word for word in command):
        return None
    written = tuple(_with_placeholder(word, str(port)) for word in command)
    if written != tuple(command):
        return written
    tool = program_name(command[0])
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
    return server_of({*programs_in(command), *programs_in(listening.command or ()), *names(listening)})


def _is_spring(command: Sequence[str], listening: Process) -> bool:
    words = (*command, *(listening.command or ()))
    return any("spring-boot" in word or "bootRun" in word or "org.springframework" in word for word in words)
