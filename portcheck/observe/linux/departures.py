"""The kernel's own notices of sockets that are gone (sock_diag's groups SKNLGRP_*_DESTROY; ss -E shows them).

They tell of what lived between two looks at the tables.  A notice comes when the kernel frees the socket: its state,
user, inode and holders are forgotten by then, its addresses and its cookie are not.  (Linux 4.2 and later; whether the
groups need CAP_NET_ADMIN is the kernel's to say.)
"""

from __future__ import annotations

import errno
from array import array
from struct import Struct

from portcheck import lean_socket as socket
from portcheck.namedtuple import TYPE_CHECKING
from portcheck.observe.linux import sock_diag
from portcheck.observe.linux.netlink import NETLINK_SOCK_DIAG, attributes, messages, number
from portcheck.observe.linux.policy import linux_policy

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from portcheck.model import PortRange, Protocol, Socket

# The numbers of the groups (linux/sock_diag.h), as the bits of an address: IPv4's and IPv6's.
GROUPS: dict[Protocol, int] = {"tcp": 1 << 0 | 1 << 2, "udp": 1 << 1 | 1 << 3}
PROTOCOLS: dict[int, Protocol] = {socket.IPPROTO_TCP: "tcp", socket.IPPROTO_UDP: "udp"}
_BUFFER = 1 << 22  # bytes: some thousand notices between two looks
_LARGEST = 1 << 16
_INET_DIAG_INFO, _INET_DIAG_PROTOCOL = 2, 10
_PMTU = slice(60, 64)  # tcpi_pmtu in struct tcp_info

# A program for the kernel, so that a busy server's connections cost no more than that.  In a message the local port is
# at 20, the remote one at 22 (after nlmsghdr and the first words of inet_diag_msg): let through what has the first and
# not the second.  (linux/filter.h: code, jump if true, jump if false, operand.)
_SO_ATTACH_FILTER = 26
_INSTRUCTION = Struct("=HBBI")
_LOAD_HALF, _JUMP_IF_EQUAL, _RETURN = 0x28, 0x15, 0x06
_PROGRAM = (
    (_LOAD_HALF, 0, 0, 20),
    (_JUMP_IF_EQUAL, 3, 0, 0),
    (_LOAD_HALF, 0, 0, 22),
    (_JUMP_IF_EQUAL, 0, 1, 0),
    (_RETURN, 0, 0, 0xFFFFFFFF),
    (_RETURN, 0, 0, 0),
)
_FPROG = Struct("@HP")  # sock_fprog: how many, and where


class SockDiagNotices:
    """Sockets that are gone, as `observe.back_end` has it."""

    def __init__(self, protocols: Collection[Protocol]) -> None:
        """Raises OSError where the kernel, or a sandbox, does not let us listen to it."""
        self._ephemeral = linux_policy().ephemeral
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_SOCK_DIAG)
        self._socket.settimeout(0)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
        program = array("B", b"".join(_INSTRUCTION.pack(*instruction) for instruction in _PROGRAM))
        place, _ = program.buffer_info()
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, _FPROG.pack(len(_PROGRAM), place))
        self._socket.bind((0, sum(GROUPS[protocol] for protocol in protocols)))

    def close(self) -> None:
        """No more of them."""
        self._socket.close()

    def drain(self) -> tuple[list[Socket], bool]:
        """Those since the last time, and whether there were more than could be told.  Raises OSError."""
        gone: list[Socket] = []
        lost = False
        while True:
            try:
                data = self._socket.recv(_LARGEST)
            except BlockingIOError:
                return gone, lost
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                lost = True
                continue
            for _, _, message in messages(data, 0):  # they answer no request
                gone += notice(message, self._ephemeral)


def notice(message: bytes, ephemeral: PortRange | None) -> Iterator[Socket]:
    """The socket that a notice tells of, unless it was a client's."""
    size = sock_diag.MESSAGE.size
    values = dict(attributes(message, size))
    protocol = PROTOCOLS.get(number(values.get(_INET_DIAG_PROTOCOL, b"")))
    if protocol is None:
        return
    gone = sock_diag.reader(protocol)(message[:size])
    # One that has tried to connect and failed has no remote port any more, but knows how long a packet may be.
    connected = number(values.get(_INET_DIAG_INFO, b"")[_PMTU])
    # An unconnected UDP socket on a port of the kernel's own choice is a client's (DNS).
    client = protocol == "udp" and ephemeral and gone.local_port in ephemeral
    if not gone.local_port or gone.remote_port or connected or client:
        return
    yield gone._replace(
        state="CLOSED" if protocol == "tcp" else None, uid=None, pids=None, inode=None, queue=None, backlog=None
    )
