"""Sockets as Linux lists them in /proc/net/{tcp,tcp6,udp,udp6} (proc_pid_net(5)): where sock_diag is not to be had.

Needs no privilege, and tells state, user, inode, queue and timer of every socket of this network namespace.  It does
not tell which TCP sockets are bound without listening, whether an IPv6 wildcard takes IPv4 too, to which device a
socket is bound, and how many connections may wait.

A table is read in pieces, and of its lines only those are taken apart that are on the ports which were asked for.
"""

from __future__ import annotations

import errno
import os
import sys

from portcheck.addresses import ANY6, is_mapped
from portcheck.lean_functools import cache
from portcheck.lean_socket import AF_INET, AF_INET6, inet_ntop
from portcheck.model import BlindSpot, Socket, SocketTable
from portcheck.namedtuple import TYPE_CHECKING
from portcheck.observe.linux import user_namespace
from portcheck.observe.linux.sock_diag import STATES, TIMER_TIME_WAIT
from portcheck.observe.portable.sockets import BOUND_NOT_VISIBLE, hidden_v6only

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from portcheck.model import Family, PortRange, Protocol, State
    from portcheck.observe.back_end import Depth

PLACES = ("thread-self/net", "self/net", "net")  # a thread may be in a network namespace of its own
FAMILIES: tuple[tuple[Family, str], ...] = (("ipv4", ""), ("ipv6", "6"))
_HEADING = b"local_address"
_LISTEN = b"0A"
PORTS = 1 << 16
PIECE = 1 << 16
LONGEST_LINE = 1 << 10  # the kernel's have 150 bytes, or 200
_HOW_ODD = (ValueError, LookupError, ArithmeticError)


def table(protocol: Protocol, ports: Iterable[PortRange] | None, depth: Depth) -> SocketTable:
    """The sockets of a protocol, as `observe.back_end` has it.  Raises OSError where there is no such /proc."""
    listeners_alone = depth == "listeners" and protocol == "tcp"
    sockets: dict[object, Socket] = {}
    unread = 0
    for family, digit in FAMILIES:
        try:
            for socket in rows(_place(protocol + digit), protocol, family, ports, listeners_alone=listeners_alone):
                if socket is None:
                    unread += 1
                else:
                    # The kernel finds its place again by counting: what stands there twice is one socket.
                    sockets[socket.inode, socket.local_address, socket.remote_address, socket.remote_port] = socket
        except FileNotFoundError:
            if family == "ipv4":
                raise
            # ipv6.disable=1, or a kernel without it: there are no such sockets
    return _with_gaps(protocol, tuple(sockets.values()), depth, unread)


def _with_gaps(protocol: Protocol, sockets: tuple[Socket, ...], depth: Depth, unread: int) -> SocketTable:
    spots = [*([BOUND_NOT_VISIBLE] if protocol == "tcp" else []), *hidden_v6only(sockets)]
    if unread:
        message = f"{unread} lines of the socket list in /proc/net cannot be understood"
        spots.append(BlindSpot("sockets-not-visible", message))
    return SocketTable(
        protocol,
        sockets,
        depth if protocol == "tcp" else "everything",
        sees_bound_only=protocol == "udp" and not unread,
        blind_spots=tuple(spots),
    )


def _place(name: str) -> str:
    """Where a table is: the first that there is, or else the one that there usually is."""
    places = [f"/proc/{place}/{name}" for place in PLACES]
    return next(filter(os.path.exists, places), places[-1])


def rows(
    path: str,
    protocol: Protocol,
    family: Family,
    ports: Iterable[PortRange] | None,
    *,
    listeners_alone: bool,
    at_most: int | None = None,
) -> Iterator[Socket | None]:
    """The sockets of one table whose local port is in `ports` (None: any); None for a line that cannot be understood.

    `at_most` bytes are read of it.  Raises OSError.
    """
    wanted, read = _wanted(ports), reader(protocol, family)
    for line in _lines(path, at_most):
        fields = line.split(None, 4)
        try:
            if (listeners_alone and fields[3] != _LISTEN) or not wanted[int(fields[1].rpartition(b":")[2], 16)]:
                continue
            yield read(fields)
        except _HOW_ODD:
            yield None


def _lines(path: str, at_most: int | None) -> Iterator[bytes]:
    """The lines of a table after its heading, not further than `at_most` bytes (a line that is cut there is left out).

    Raises OSError, also for what is no such table.
    """
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        rest, done, headed = b"", 0, False
        while piece := os.read(file, PIECE if at_most is None else min(PIECE, at_most - done)):
            done += len(piece)
            *lines, rest = (rest + piece).split(b"\n")
            if lines and not headed:
                headed = _HEADING in lines.pop(0)
            if len(rest) > LONGEST_LINE or (lines and not headed):
                break
            yield from lines
        if not headed or len(rest) > LONGEST_LINE:
            raise OSError(errno.EBADMSG, f"{path} is no table of sockets")
        if rest and at_most is None:
            yield rest
    finally:
        os.close(file)


def _wanted(ports: Iterable[PortRange] | None) -> bytes | bytearray:
    """For each port whether it is asked for."""
    if ports is None:
        return b"\1" * PORTS
    wanted = bytearray(PORTS)
    for first, last in ports:
        wanted[first : last + 1] = b"\1" * (last + 1 - first)
    return wanted


def reader(protocol: Protocol, family: Family) -> Callable[[list[bytes]], Socket]:
    """What makes a Socket of a line's number, local and remote address, state, and the rest.

    It raises one of _HOW_ODD where they are not written like that.
    """
    address, ticks_in_a_second = cache(_address), os.sysconf("SC_CLK_TCK")
    state_of: Mapping[int, State] = STATES if protocol == "tcp" else {}
    strangers = user_namespace.strangers_uid()

    def read(fields: list[bytes]) -> Socket:
        _, local, remote, state_number, rest = fields
        queues, timer, _, uid, _, inode_number = rest.split(None, 6)[:6]
        local_address, local_port = address(local)
        remote_address, remote_port = address(remote)
        state = state_of.get(int(state_number, 16))
        listens = state == "LISTEN"
        kind, _, ticks = timer.partition(b":")
        timed = int(kind, 16) == TIMER_TIME_WAIT
        inode = _number(inode_number)
        # What is left of a connection is held by no process.  Of what waits for clients that cannot be: another
        # system, which plays Linux, does not tell.
        left = not inode and remote_port
        owner = _number(uid)
        return Socket(
            protocol,
            family,
            local_address,
            local_port,
            remote_address if remote_port else None,
            remote_port or None,
            state,
            v6only=_v6only(local_address, family, chosen=listens or (protocol == "udp" and not remote_port)),
            uid=None if owner == strangers else owner,
            pids=() if left else None,
            queue=int(queues.rpartition(b":")[2], 16) if listens else None,
            expires_in=int(ticks, 16) / ticks_in_a_second if timed else None,
            inode=0 if left else inode or None,
            minisocket=timed and state == "FIN-WAIT-2",
        )

    return read


def _v6only(address: str, family: Family, *, chosen: bool) -> bool | None:
    """None where it does not show: of a wildcard, and of a connection, which may have got its address from a peer.

    To bind an IPv6 address sets it (__inet6_bind), and a mapped one cannot be bound with it.
    """
    if family == "ipv4" or address == ANY6 or not chosen:
        return None
    return not is_mapped(address)


def _address(text: bytes) -> tuple[str, int]:
    """`0100007F:1F90` → 127.0.0.1 and 8080: the kernel prints each 32-bit word in the machine's byte order."""
    words, _, port = text.partition(b":")
    if not port.isalnum():  # int() takes more than digits
        raise ValueError(port)
    packed = bytes.fromhex(words.decode("ascii"))
    if sys.byteorder == "little":
        packed = b"".join(packed[start : start + 4][::-1] for start in range(0, len(packed), 4))
    return inet_ntop(AF_INET if len(packed) == 4 else AF_INET6, packed), int(port, 16)


def _number(text: bytes) -> int:
    if not text.isdigit():
        raise ValueError(text)
    return int(text)
