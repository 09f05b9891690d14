"""Real sockets of every kind that portcheck must tell apart.

A socket that is made here lives until `close_all`, which a namespace calls at its end, or until somebody closes it.
What needs a kernel feature skips the test where that is missing.
"""

from __future__ import annotations

import ctypes
import os
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from support.libc import CLONE_FILES, check, libc, unshare
from support.patience import PATIENCE, wait_for

IPPROTO_MPTCP = 262
# io_uring has the same numbers on every architecture (they were given after the tables were unified).
IO_URING_SETUP, IO_URING_REGISTER = 425, 427
IORING_REGISTER_FILES = 2


def inodes_of(made: object) -> Iterator[int]:
    """What names the sockets in what a function made."""
    if isinstance(made, Hidden):
        yield made.inode
    elif isinstance(made, socket.socket):
        yield inode(made)
    elif isinstance(made, Iterable):
        for part in made:
            yield from inodes_of(part)


def inode(made: socket.socket) -> int:
    """What names a socket in sock_diag and in /proc/PID/fd."""
    return os.fstat(made.fileno()).st_ino


def port(made: socket.socket) -> int:
    number: int = made.getsockname()[1]
    return number


_made: list[socket.socket] = []


def keep(made: socket.socket) -> socket.socket:
    """Keeps a socket alive until `close_all`, or until somebody closes it."""
    _made.append(made)
    return made


def close_all() -> None:
    while _made:
        _made.pop().close()


def bound(
    number: int = 0,
    address: str = "127.0.0.1",
    *,
    kind: int = socket.SOCK_STREAM,
    protocol: int = 0,
    device: str | None = None,
    v6only: bool = False,
    reuseaddr: bool = False,
    reuseport: bool = False,
) -> socket.socket:
    """A socket that is bound, and does nothing else."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        made = keep(socket.socket(family, kind, protocol))
    except OSError as error:
        pytest.skip(f"this kernel makes no such socket: {error}")
    if family == socket.AF_INET6:
        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, v6only)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, reuseaddr)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, reuseport)
    if device:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device.encode())
    made.bind((address, number))
    return made


def udp(number: int = 0, address: str = "127.0.0.1", **options: Any) -> socket.socket:
    return bound(number, address, kind=socket.SOCK_DGRAM, **options)


def listener(number: int = 0, address: str = "127.0.0.1", *, backlog: int = 8, **options: Any) -> socket.socket:
    made = bound(number, address, **options)
    made.listen(backlog)
    return made


def reuseport_group(number: int, members: int, address: str = "127.0.0.1") -> list[socket.socket]:
    """Listeners that share a port by SO_REUSEPORT."""
    return [listener(number, address, reuseport=True) for _ in range(members)]


def client(to: socket.socket | tuple[str, int], number: int = 0, source: str | None = None) -> socket.socket:
    """A connection to a listener, from `source` and port `number` if they are given."""
    target = to.getsockname()[:2] if isinstance(to, socket.socket) else to
    wildcard = {"0.0.0.0": "127.0.0.1", "::": "::1"}
    address = wildcard.get(target[0], target[0])
    if number or source:
        made = bound(number, source or ("::" if ":" in address else "0.0.0.0"))
    else:
        made = keep(socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET))
    made.connect((address, target[1]))
    return made


def connected(server: socket.socket) -> tuple[socket.socket, socket.socket]:
    """(client, accepted) of a new connection to a listener."""
    return client(server), accepted(server)


def accepted(server: socket.socket) -> socket.socket:
    """A connection that waits at a listener."""
    return keep(server.accept()[0])


def close_wait(server: socket.socket) -> socket.socket:
    """An accepted connection whose client has gone: CLOSE_WAIT on the listener's port."""
    made, left = connected(server)
    left.settimeout(PATIENCE)
    made.close()
    assert left.recv(1) == b""  # its end has arrived
    return left


def fin_wait_orphan(server: socket.socket) -> socket.socket:
    """Leaves a FIN_WAIT2 entry without a process on the listener's port; returns the client that keeps it."""
    made, left = connected(server)
    left.close()
    made.settimeout(PATIENCE)
    assert made.recv(1) == b""
    wait_for(lambda: state_of(port(server), port(made)) == 5, "FIN_WAIT2")
    return made


def time_wait(server: socket.socket) -> tuple[int, int]:
    """Leaves a TIME_WAIT entry on the listener's port; returns its (local, remote) port."""
    made = fin_wait_orphan(server)
    ports = port(server), port(made)
    made.close()
    wait_for(lambda: state_of(*ports) == 6, "TIME_WAIT")
    return ports


def state_of(local: int, remote: int) -> int | None:
    """The kernel's number of a TCP connection's state, from /proc/net."""
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/thread-self/net/{table}").read_text().splitlines()[1:]:
            _, here, there, state, *_ = line.split()
            if int(here.rpartition(":")[2], 16) == local and int(there.rpartition(":")[2], 16) == remote:
                return int(state, 16)
    return None


# Sockets that no process has among its ordinary descriptors.


class Hidden(NamedTuple):
    """A socket without an ordinary descriptor, and what keeps it."""

    inode: int
    keeper: object


def in_flight(made: socket.socket) -> Hidden:
    """Sends a socket to nobody (SCM_RIGHTS) and closes it."""
    number = inode(made)
    sender, receiver = map(keep, socket.socketpair())
    socket.send_fds(sender, [b"x"], [made.fileno()])
    made.close()
    return Hidden(number, (sender, receiver))


def in_io_uring(made: socket.socket) -> Hidden:
    """Registers a socket with a new io_uring and closes it."""
    number = inode(made)
    ring = ring_with(made.fileno())
    made.close()
    return Hidden(number, ring)


def ring_with(descriptor: int) -> int:
    """A new io_uring with which a file is registered."""
    assert libc
    try:
        ring = check(libc.syscall(IO_URING_SETUP, 4, ctypes.create_string_buffer(120)), "io_uring_setup")
    except OSError as error:
        pytest.skip(f"no io_uring here: {error}")
    files = (ctypes.c_int * 1)(descriptor)
    check(libc.syscall(IO_URING_REGISTER, ring, IORING_REGISTER_FILES, files, 1), "io_uring_register")
    return ring


def in_thread_table(make: Callable[[], socket.socket]) -> Hidden:
    """Has a thread with descriptors of its own make a socket; it stays until the process ends."""
    numbers: list[int] = []
    ready = threading.Event()

    def work() -> None:
        unshare(CLONE_FILES)
        made = make()
        numbers.append(inode(made))
        ready.set()
        threading.Event().wait()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    assert ready.wait(PATIENCE)
    return Hidden(numbers[0], thread)
