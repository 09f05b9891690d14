"""What `run` says of an attempt that came to an end."""

from __future__ import annotations

from portcheck.namedtuple import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from portcheck.run.attempt import Ending
    from portcheck.run.choose_port import Place

NEVER_LISTENED = "the command has ended without having been seen to listen"


def afterwards(ending: Ending, place: Place) -> Iterator[str]:
    """Why it may have failed; a complaint is escaped as a whole."""
    if ending.taken_by:
        yield f"port {place.port} was taken in the meantime: {ending.taken_by.message}"
    elif ending.failed_at_once and place.listener:
        yield "with --listen, fd 3 is already the listening socket: a server that binds the port itself is refused"


def not_ready(timeout: float) -> str:
    """With --wait-ready, which ends the command then."""
    return f"not ready within {timeout:g} s: the command has been ended"
