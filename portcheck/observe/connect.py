"""Connects to a port: the only look that the other side notices, taken only where the user asked for it.

`portcheck wait` does it for the ports of other machines, and for local ones with `--connect`.
"""

from __future__ import annotations

import errno
import socket
import struct


def refusal(host: str, port: int, timeout: float) -> str | None:
    """None where `host` (name or address) accepts a TCP connection, which is closed at once; else why not.

    Every address of a name is tried, as a client would, each for `timeout` seconds.
    """
    try:
        with socket.create_connection((host, port), timeout) as connection:
            if connection.getsockname() != connection.getpeername():
                return None
            # Where nobody listens a socket can connect to itself, if the kernel gives our end that very port.
            # It is closed by a reset: a TIME_WAIT entry would keep the port from the server that is waited for.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return "ECONNREFUSED"
    except TimeoutError:
        return f"no answer within {timeout:.1f} s"
    except socket.gaierror as error:
        return f"the name does not resolve: {error.strerror}"
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, str(error))
