"""What `run` says of an attempt that came to an end; a complaint is escaped as a whole."""

from __future__ import annotations

from portcheck.identify.describe import who
from portcheck.namedtuple import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from portcheck.model import Diagnosis, Process

HIDDEN = "still running: a process of the command that cannot be seen from here"
NEVER_LISTENED = "the command has ended without having been seen to listen"
NAMED_AT_MOST = 20  # a fork bomb leaves thousands
# To a server that was handed the port and binds it all the same.
HANDED_OVER = "with --listen, fd 3 is already the listening socket: a server that binds the port itself is refused"


def taken(by: Diagnosis) -> str:
    """Why a command failed whose port somebody else has got."""
    return f"port {by.port} was taken in the meantime: {by.sentence.reason}"


def patience(command: Sequence[str], port: int, timeout: float) -> str:
    """With --wait-ready, for whoever has waited for a while already."""
    return f"waiting until {command[0]} listens on port {port}, {timeout:g} s at most"


def not_ready(timeout: float, elsewhere: tuple[str, str] | None, *, is_ended: bool) -> str:
    """With --wait-ready, which ends the command then.

    `not ready within 8 s (vite listens on 5174, not on 3000), so it was stopped. It ignores PORT; try: ...`
    """
    where, remedy = elsewhere or ("", "")
    why = f" ({where})" if where else ""
    try_this = f". {remedy}" if remedy else ""
    return f"not ready within {timeout:g} s{why}, {'so it was' if is_ended else 'but it was not'} stopped{try_this}"


def left_over(left: Sequence[Process], now: float) -> Iterator[str]:
    """What should have ended, and has not."""
    for process in left[:NAMED_AT_MOST]:
        yield f"still running: {who(process, now)}"
    if len(left) > NAMED_AT_MOST:
        yield f"still running: {len(left) - NAMED_AT_MOST} more"


def still_held(by: Diagnosis) -> str:
    """After all that the command started was to end."""
    return f"port {by.port} is still held: {by.sentence.because}"
