"""Which network this process is in: that of the host, or of a container."""

from __future__ import annotations

import os
import sys

from portcheck import lean_socket as socket

SO_NETNS_COOKIE = 71  # from Linux 5.14 on; asm-generic/socket.h


def network() -> str:
    """A name for the network namespace, for as long as the machine runs.

    The number of its file is given to another one as soon as it is gone, its cookie is not; an older kernel has none.
    """
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
            return str(int.from_bytes(any_socket.getsockopt(socket.SOL_SOCKET, SO_NETNS_COOKIE, 8), sys.byteorder))
    except OSError:
        return _by_its_file()


def _by_its_file() -> str:
    try:
        return str(os.stat("/proc/self/ns/net").st_ino)
    except OSError:  # no Linux
        return "0"
