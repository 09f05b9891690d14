"""Sockets as the Linux kernel lists them by sock_diag (netlink; sock_diag(7), linux/inet_diag.h).

Needs no privilege, sees every socket of this network namespace whoever holds it, and with them what /proc/net
never shows: TCP sockets that are bound without listening (Linux 6.8 and later).
"""

from __future__ import annotations

import os
import sys
from struct import Struct

from portcheck import lean_socket as socket
from portcheck.lean_functools import cache, partial
from portcheck.model import BlindSpot, PortRange, Socket, SocketTable
from portcheck.namedtuple import TYPE_CHECKING
from portcheck.observe.linux import procfs, user_namespace
from portcheck.observe.linux.netlink import NETLINK_SOCK_DIAG, Netlink, attribute, attributes, number

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import TypeVar

    from portcheck.model import Family, Protocol, State
    from portcheck.observe.back_end import Depth

    T = TypeVar("T")

# Bits of `states`: 1 << the kernel's number of a state.
LISTEN = 1 << 10
BOUND_ONLY = 1 << 13  # TCPF_BOUND_INACTIVE: bound, neither listening nor connected
EVERY_STATE = 0xFFF  # without BOUND_ONLY, which earlier kernels do not know
STATES: dict[int, State] = {
    1: "ESTABLISHED",
    2: "SYN-SENT",
    3: "SYN-RECEIVED",
    4: "FIN-WAIT-1",
    5: "FIN-WAIT-2",
    6: "TIME-WAIT",
    7: "BOUND",  # TCP_CLOSE: in a TCP table only bound-only sockets have it
    8: "CLOSE-WAIT",
    9: "LAST-ACK",
    10: "LISTEN",
    11: "CLOSING",
}
_FAMILIES: dict[int, Family] = {socket.AF_INET: "ipv4", socket.AF_INET6: "ipv6"}
TIMER_TIME_WAIT = 3

# TCPDIAG_GETSOCK walks the kernel's tables once for both families; only TCP has it.  Beyond it there is
# SOCK_DIAG_BY_FAMILY.  Both say: family, protocol or masks, extensions, states, and any socket.
_TCPDIAG_GETSOCK = 18
_TCP_REQUEST = Struct("=52xI4x")  # inet_diag_req
_SOCK_DIAG_BY_FAMILY = 20
_REQUEST = Struct("=BBBxI48x")  # inet_diag_req_v2
_REQ_BYTECODE = 1
_REQ_PROTOCOL = 3
_IPPROTO_MPTCP = 262
# inet_diag_msg: family, state, timer, retransmits; ports, addresses, interface, cookie;
# expires, receive and send queue, uid, inode.  Ports are in network order.
MESSAGE = Struct("=BBBxHH16s16sIQIIIII")
_SKV6ONLY = 11
_CGROUP_ID = 21
_SOCKOPT = 22
# Bits of its first byte, a C bit field: where the machine's words begin with the other end, so does this.
_LETS = ((2, "IP_FREEBIND"), (5, "IP_TRANSPARENT"))

_OPERATION = Struct("=BBH")  # inet_diag_bc_op: code, how far to go on where it holds, and where not
_JUMP, _PORT_AT_LEAST, _PORT_AT_MOST = 1, 2, 3
# The kernel checks such a program in quadratic time (256 ranges 0.3 ms, 1,000 ranges 5 ms): instead of more,
# the range that covers them all is asked for.
_MOST_RANGES = 256

_FIRST_WITH_BOUND_ONLY = (6, 8)
_FIRST_WITH_MPTCP_COUNTED = (6, 2)


def table(protocol: Protocol, ports: Sequence[PortRange] | None, depth: Depth, *, may_bind: bool) -> SocketTable:
    """The sockets of a protocol, as `observe.back_end` has it.  Raises OSError where the kernel refuses to tell."""
    if protocol == "udp":
        return SocketTable("udp", tuple(dump("udp", ports)), "everything")
    # First what is bound, then what listens: a server that starts in between is seen twice and not missed.
    bound = dump("tcp", ports, BOUND_ONLY)
    others = dump("tcp", ports, _states(depth))
    sockets = tuple(_without_twins(bound, others))
    if bound or sees_bound_only(may_bind=may_bind):
        return SocketTable("tcp", sockets, depth)
    blind = BlindSpot(
        "bound-not-visible",
        "this kernel does not list TCP sockets that are bound without listening (Linux 6.8 and later does)",
    )
    return SocketTable("tcp", sockets, depth, sees_bound_only=False, blind_spots=(blind,))


def with_connections(table: SocketTable, ports: Sequence[PortRange] | None) -> SocketTable:
    """A TCP table of listeners with every other state.  Raises OSError where the kernel refuses to tell."""
    others = dump("tcp", ports, EVERY_STATE & ~LISTEN)
    return table._replace(sockets=tuple(_without_twins(table.sockets, others)), depth="everything")


def _none_is_multipath() -> bool:
    """Whether the kernel counts no multipath socket in this network namespace (it counts them since Linux 6.2)."""
    if release() < _FIRST_WITH_MPTCP_COUNTED:
        return False
    lines = [line.split() for line in (procfs.read("net/protocols") or b"").split(b"\n")]
    counts = [line[2] for line in lines if len(line) > 2 and line[0] in (b"MPTCP", b"MPTCPv6")]
    return bool(counts) and set(counts) == {b"0"}


def _states(depth: Depth) -> int:
    return LISTEN if depth == "listeners" else EVERY_STATE


def _without_twins(earlier: Iterable[Socket], later: list[Socket]) -> list[Socket]:
    """Of a socket that was seen twice, because its state changed in between, only what was seen last."""
    inodes = {socket.inode for socket in later if socket.inode}
    return [*(socket for socket in earlier if socket.inode not in inodes), *later]


def multipath(table: SocketTable) -> frozenset[int] | None:
    """The inodes of a table's multipath sockets; None where they are not told.

    To be asked for only once the table is settled: to list them the kernel goes through every token that it could have
    given to one (1.5 ms, however few there are).
    """
    ports = [socket.local_port for socket in table.sockets if socket.inode]
    # A kernel without MPTCP would look for a module to load if it was asked.
    if table.protocol != "tcp" or not ports or procfs.read("sys/net/mptcp/enabled") is None:
        return None
    if _none_is_multipath():
        return frozenset()
    try:
        return mptcp_inodes([PortRange(min(ports), max(ports))], _states(table.depth))
    except OSError:
        return None


def dump(protocol: Protocol, ports: Sequence[PortRange] | None, states: int = EVERY_STATE) -> list[Socket]:
    """The sockets of both families in `states` (UDP: in any) whose local port is in `ports` (None: any).

    Holders and `cgroup` stay unknown: `descriptors` finds them by inode, `cgroups` by cgroup_id.
    Raises OSError where the kernel refuses to tell.
    """
    port_filter = _port_filter(ports)
    read = reader(protocol)
    with Netlink(NETLINK_SOCK_DIAG) as link:
        if protocol == "tcp":
            sockets = link.dump(_TCPDIAG_GETSOCK, _TCP_REQUEST.pack(states) + port_filter, read)
        else:
            sockets = _both_families(link, socket.IPPROTO_UDP, EVERY_STATE, port_filter, read)
    if ports is None or len(ports) <= _MOST_RANGES:
        return sockets
    return [sock for sock in sockets if any(sock.local_port in wanted for wanted in ports)]


def mptcp_inodes(ports: Sequence[PortRange] | None, states: int = EVERY_STATE) -> frozenset[int]:
    """The inodes of multipath TCP sockets.  Raises OSError.

    This list has nothing that `dump` does not show: the TCP sockets below, which are what binds, have the
    same inodes.  Multipath sockets that are only bound are missing in it.
    """
    options = attribute(_REQ_PROTOCOL, _IPPROTO_MPTCP.to_bytes(4, sys.byteorder)) + _port_filter(ports)
    with Netlink(NETLINK_SOCK_DIAG) as link:
        return frozenset(_both_families(link, 0, states, options, _inode))


def _both_families(link: Netlink, ip_protocol: int, states: int, options: bytes, read: Callable[[bytes], T]) -> list[T]:
    return [
        entry
        for family in (socket.AF_INET, socket.AF_INET6)
        for entry in link.dump(_SOCK_DIAG_BY_FAMILY, _REQUEST.pack(family, ip_protocol, 0, states) + options, read)
    ]


def _port_filter(ports: Sequence[PortRange] | None) -> bytes:
    """The request's attribute that lets only sockets on these ports through; nothing where all are wanted."""
    if ports is None:
        return b""
    if len(ports) > _MOST_RANGES:
        ports = [PortRange(min(first for first, _ in ports), max(last for _, last in ports))]
    return attribute(_REQ_BYTECODE, port_program(ports))


def port_program(ports: Sequence[PortRange]) -> bytes:
    """Byte code that accepts a socket whose local port is in one of the ranges.

    Of each range: port >= first, port <= last, jump to the end.  Where a test fails the next range is tried;
    after the last one this leads beyond the end, which refuses the socket.  (INET_DIAG_BC_S_EQ would save one
    test, but nothing that can be measured, and only younger kernels have it.)
    """
    program = b""
    for first, last in reversed(ports):
        beyond = 0 if program else 4
        program = b"".join((
            _OPERATION.pack(_PORT_AT_LEAST, 8, 20 + beyond), _OPERATION.pack(0, 0, first),
            _OPERATION.pack(_PORT_AT_MOST, 8, 12 + beyond), _OPERATION.pack(0, 0, last),
            _OPERATION.pack(_JUMP, 4, 4 + len(program)),
            program,
        ))  # fmt: skip
    return program


def reader(protocol: Protocol) -> Callable[[bytes], Socket]:
    """What makes a Socket of an inet_diag_msg and its attributes.

    Addresses, attributes and devices repeat from socket to socket, so each is read once.  A socket without an
    inode (TIME_WAIT, left behind by a process, not accepted yet) is held by no process.
    """
    made = partial(tuple.__new__, Socket)
    unpack, size, ntohs = MESSAGE.unpack_from, MESSAGE.size, socket.ntohs
    address, details, device = cache(_address), cache(_details), cache(_device)
    state_name = (STATES if protocol == "tcp" else {}).get
    strangers = user_namespace.strangers_uid()

    def read(message: bytes) -> Socket:
        # fmt: off
        (family, state_number, timer, port, remote_port, local, remote, interface, cookie,
         expires, queue, backlog, uid, inode) = unpack(message)
        v6only, cgroup_id, lets = details(message[size:])
        state = state_name(state_number)
        listens = state == "LISTEN"
        timed = timer == TIMER_TIME_WAIT
        # By position, in the order of Socket's fields: half the time of naming them.
        return made((
            protocol, _FAMILIES[family], address(family, local), ntohs(port),
            address(family, remote) if remote_port else None, ntohs(remote_port) or None,
            state, device(interface), v6only, None, None if uid == strangers else uid, None if inode else (),
            queue if listens else None, backlog if listens else None, expires / 1000 if timed else None,
            inode, None, cgroup_id, None, None, None, timed and state == "FIN-WAIT-2", lets, cookie,
        ))
        # fmt: on

    return read


def _address(family: int, packed: bytes) -> str:
    return socket.inet_ntop(family, packed[:4] if family == socket.AF_INET else packed)


def _details(data: bytes) -> tuple[bool | None, int | None, tuple[str, ...]]:
    """Of a message's attributes: v6only, the cgroup's id, and what lets it have an address of nobody."""
    values = dict(attributes(data))
    v6only, cgroup = values.get(_SKV6ONLY), values.get(_CGROUP_ID)
    flags = values.get(_SOCKOPT, b"\0")[0]
    lets = tuple(name for bit, name in _LETS if flags >> (bit if sys.byteorder == "little" else 7 - bit) & 1)
    return None if v6only is None else bool(number(v6only)), None if cgroup is None else number(cgroup), lets


def _device(index: int) -> str | None:
    """The name of the device that a socket is bound to; one that is gone still counts as one."""
    if not index:
        return None
    try:
        return socket.if_indextoname(index)
    except OSError:
        return f"#{index}"


def _inode(message: bytes) -> int:
    inode: int = MESSAGE.unpack_from(message)[-1]
    return inode


@cache
def sees_bound_only(*, may_bind: bool) -> bool:
    """Whether this kernel lists TCP sockets that are bound without listening.

    With `may_bind` a socket of our own (loopback, port 0, closed at once) shows it; else the kernel's release
    tells.  Raises OSError.
    """
    shown = _finds_own_socket() if may_bind else None
    return release() >= _FIRST_WITH_BOUND_ONLY if shown is None else shown


def _finds_own_socket() -> bool | None:
    """None where no socket can be bound to a loopback address."""
    for family, loopback in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        try:
            ours = socket.socket(family, socket.SOCK_STREAM)
        except OSError:
            continue
        with ours:
            try:
                ours.bind((loopback, 0))
            except OSError:
                continue
            port = ours.getsockname()[1]
            inode = os.fstat(ours.fileno()).st_ino
            return any(listed.inode == inode for listed in dump("tcp", [PortRange(port, port)], BOUND_ONLY))
    return None


def release() -> tuple[int, ...]:
    """The kernel's release: (6, 12) of `6.12.3-arch1`; () where it is not written like that."""
    try:
        return tuple(int(part) for part in os.uname().release.split("-")[0].split(".")[:2])
    except ValueError:
        return ()
