"""Hands a listening socket over by systemd's protocol (sd_listen_fds(3)), so that nobody else can take the port."""

from __future__ import annotations

import errno
import os

from portcheck.namedtuple import TYPE_CHECKING
from portcheck.reservation import bind, listen

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence

    from portcheck.addresses import Address

FIRST_FD = 3  # SD_LISTEN_FDS_START
# Programs that start the server as another process, or may: LISTEN_PID is theirs then, and not the server's.
STARTERS = (
    "sh", "bash", "dash", "zsh", "ksh", "fish", "npm", "npx", "yarn", "pnpm", "bunx", "make", "sudo", "nodemon", "uv",
)  # fmt: skip


def listener(address: Address, port: int, *, leftovers: bool) -> socket.socket:
    """A socket that listens.  Raises OSError, also where somebody else has taken the port in the meantime.

    It is bound without SO_REUSEADDR, so as not to disturb another program that has bound the port and is about to
    listen; with it only where `leftovers`, closed connections of an earlier server, are in the way.
    """
    try:
        return _listening(address, port, reuseaddr=False)
    except OSError as error:
        if error.errno != errno.EADDRINUSE or not leftovers:
            raise
    return _listening(address, port, reuseaddr=True)


def _listening(address: Address, port: int, *, reuseaddr: bool) -> socket.socket:
    held = bind(address, port, reuseaddr=reuseaddr)
    try:
        return listen(held)
    except OSError:
        held.close()
        raise


def take_over(fd: int) -> dict[str, str]:
    """In the process that is about to become the command: moves the socket to the fd that the protocol wants.

    Returns the environment variables that announce it; LISTEN_PID is this process.
    """
    if fd != FIRST_FD:
        os.dup2(fd, FIRST_FD)
    os.set_inheritable(FIRST_FD, True)  # noqa: FBT003
    return {"LISTEN_FDS": "1", "LISTEN_PID": str(os.getpid()), "LISTEN_FDNAMES": "portcheck"}


def caveat(command: Sequence[str]) -> str | None:
    """What a person should know of a command that is not the server itself, but starts it."""
    starter = os.path.basename(command[0])
    if starter not in STARTERS:
        return None
    return (
        f"{starter} may start the server as another process, where LISTEN_PID cannot match: a server that"
        " checks it (sd_listen_fds) ignores the socket; one that is told to use fd 3 takes it"
    )
