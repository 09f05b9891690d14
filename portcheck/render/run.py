"""What `run` says of an attempt that came to an end; a complaint is escaped as a whole."""

from __future__ import annotations

from portcheck.namedtuple import TYPE_CHECKING

if TYPE_CHECKING:
    from portcheck.model import Diagnosis

NEVER_LISTENED = "the command has ended without having been seen to listen"
# To a server that was handed the port and binds it all the same.
HANDED_OVER = "with --listen, fd 3 is already the listening socket: a server that binds the port itself is refused"


def taken(by: Diagnosis) -> str:
    """Why a command failed whose port somebody else has got."""
    return f"port {by.port} was taken in the meantime: {by.message}"


def not_ready(timeout: float) -> str:
    """With --wait-ready, which ends the command then."""
    return f"not ready within {timeout:g} s: the command has been ended"
