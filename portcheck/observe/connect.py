"""Connects to a port: the only look that the other side notices, taken only where the user asked for it.

`portcheck wait` does it for the ports of other machines, for URLs (see observe/web.py), and for local ports with
`--connect`.
"""

from __future__ import annotations

import errno

from portcheck.namedtuple import TYPE_CHECKING

if TYPE_CHECKING:
    import socket


def refusal(host: str, port: int, timeout: float) -> str | None:
    """None where `host` (name or address) accepts a TCP connection, which is closed at once; else why not.

    Every address of a name is tried, as a client would, each for `timeout` seconds.
    """
    try:
        opened(host, port, timeout).close()
    except OSError as error:
        return reason(error, timeout)
    return None


def opened(host: str, port: int, timeout: float) -> socket.socket:
    """A connection, each of whose steps may take `timeout` seconds.  Raises OSError."""
    import socket
    import struct

    connection = socket.create_connection((host, port), timeout)
    if connection.getsockname() != connection.getpeername():
        return connection
    # Where nobody listens a socket can connect to itself, if the kernel gives our end that very port.
    # It is closed by a reset: a TIME_WAIT entry would keep the port from the server that is waited for.
    with connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    raise ConnectionRefusedError(errno.ECONNREFUSED, "connected to itself")


def reason(error: OSError, timeout: float) -> str:
    """Why there is no connection: the errno, where there is one."""
    import socket

    if isinstance(error, (TimeoutError, socket.timeout)):  # one and the same from Python 3.10 on
        return f"no answer within {timeout:.1f} s"
    if isinstance(error, socket.gaierror):
        return f"the name does not resolve: {error.strerror}"
    return errno.errorcode.get(error.errno or 0, str(error))
