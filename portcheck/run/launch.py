"""What is started: the command, with its port in the environment and in the arguments."""

from __future__ import annotations

from portcheck.namedtuple import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping, Sequence


class Launch(NamedTuple):
    """One start of a command."""

    command: tuple[str, ...]
    environ: Mapping[str, str]
    listener: socket.socket | None = None  # handed over as fd 3
    detached: bool = False  # it outlives portcheck
    stdout_to_stderr: bool = False


def with_port(command: Sequence[str], port: int, host: str) -> tuple[str, ...]:
    """`serve --port {port}` → `serve --port 8001`.  Other braces stay: they may be JSON, or a shell's."""
    return tuple(word.replace("{port}", str(port)).replace("{host}", host) for word in command)
