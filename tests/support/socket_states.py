"""Sockets in every state that holds a port, made on purpose and checked with the kernel.

Run inside `kernel_lab.in_namespace`.  A specimen comes with the Socket that describes it, flags included.
"""

from __future__ import annotations

import contextlib
import itertools
import random
import socket
import struct
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from portcheck.addresses import ANY4, ANY6, is_mapped, is_wildcard, unmapped
from portcheck.model import Socket
from support.kernel_lab import DEVICES, EPHEMERAL_PORTS, SEED, STATES, Transport, Way, acting_as
from support.patience import wait_for

if TYPE_CHECKING:
    from portcheck.model import State

ADDRESSES = (
    "0.0.0.0", "127.0.0.1", "127.0.0.2", "127.0.0.6", "::", "::1", "fd00::1", "::ffff:127.0.0.1", "::ffff:0.0.0.0",
)  # fmt: skip
# Listeners for the clients: one that accepts, one whose queue is full; and a port where nobody listens.
OPEN_PORT, FULL_PORT, SHUT_PORT = 901, 902, 903
TCP_FIN_WAIT_2_FULL = 100  # seconds of TCP_LINGER2; beyond 60 the kernel keeps a full socket


class Old(NamedTuple):
    """A socket to be made: its state by name, how it was bound, and for connected ones the other end."""

    state: str
    way: Way
    peer: str = ""


class Specimen(NamedTuple):
    """A socket in its state, and what keeps it there."""

    socket: Socket
    kept: tuple[socket.socket, ...]

    def close(self) -> None:
        for made in self.kept:
            with contextlib.suppress(OSError):  # not a connection
                made.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            made.close()


def ways(transport: Transport, *, uids: tuple[int, ...] = (0,)) -> list[Way]:
    """Every way to bind that the kernel does not refuse by itself."""
    return [
        Way(transport, address, v6only, device, reuseaddr, reuseport, uid)
        for address, v6only, device, reuseaddr, reuseport, uid in itertools.product(
            ADDRESSES, (False, True), DEVICES, (False, True), (False, True), uids
        )
        if not (v6only and (":" not in address or is_mapped(address)))  # EINVAL
        and not (device == "v0" and address in ("::1", "fd00::1"))  # EADDRNOTAVAIL
    ]


def olds(transport: Transport) -> list[Old]:
    """Every specimen of one transport."""
    everywhere = ways(transport)
    local = [way for way in everywhere if way.device != "v0"]  # no client of ours comes in by v0
    accepted = [Old(state, way, peer) for state in SERVER_STATES[transport] for way in local for peer in peers(way)]
    connected = [
        Old(state, way, peer)
        for state in CLIENT_STATES[transport]
        for way in local
        for peer in peers(way)[:2]
        if is_wildcard(way.address) or state not in AUTOMATIC
    ]
    return [Old(state, way) for state in LONE_STATES[transport] for way in everywhere] + accepted + connected


OF_EACH_STATE = 12


def some_of_each_state(transport: Transport) -> list[Old]:
    """Specimens of every state, chosen by the seed, where all of them would take too long."""
    by_state: dict[str, list[Old]] = {}
    for old in olds(transport):
        by_state.setdefault(old.state, []).append(old)
    chance = random.Random(SEED)
    return [old for group in by_state.values() for old in chance.sample(group, min(len(group), OF_EACH_STATE))]


def peers(way: Way) -> list[str]:
    """Addresses at which clients reach such a listener, and which it can connect to itself."""
    if way.address == ANY6:
        return ["::1"] if way.v6only else ["::1", "127.0.0.1", "127.0.0.6"]
    address = unmapped(way.address)
    return ["127.0.0.1", "127.0.0.6"] if address == ANY4 else [address]


def make(old: Old, port: int) -> Specimen:
    """Makes the specimen on `port` (where it may choose: another) and checks its state with the kernel."""
    with acting_as(old.way.uid):
        specimen = _MAKERS[old.state](old.way, port, old.peer)
    if specimen.socket.remote_address is not None and specimen.socket.protocol == "tcp":
        minisocket = wait_for_state(specimen.socket, old.way.device)
        assert minisocket == specimen.socket.minisocket
    return specimen


# What needs no other end.


def _bound(way: Way, port: int, _peer: str) -> Specimen:
    made = way.bind(port)
    return Specimen(describe(made, way, None if way.transport == "udp" else "BOUND"), (made,))


def _listening(way: Way, port: int, _peer: str) -> Specimen:
    made = way.listen(port)
    return Specimen(describe(made, way, "LISTEN"), (made,))


def _shut_listener(way: Way, port: int, _peer: str) -> Specimen:
    made = way.listen(port)
    made.shutdown(socket.SHUT_RDWR)
    return Specimen(describe(made, way, "BOUND"), (made,))


# What a listener that is gone left behind.


def _accept(way: Way, port: int, peer: str) -> tuple[socket.socket, socket.socket]:
    listener = way.listen(port)
    client = stranger(way, peer)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.connect((peer, port))
    child, _ = listener.accept()
    listener.close()
    return child, client


def _established(way: Way, port: int, peer: str) -> Specimen:
    child, client = _accept(way, port, peer)
    return Specimen(describe(child, way, "ESTABLISHED"), (child, client))


def _close_wait(way: Way, port: int, peer: str) -> Specimen:
    child, client = _accept(way, port, peer)
    client.close()
    return Specimen(describe(child, way, "CLOSE-WAIT"), (child,))


def _fin_wait_1(way: Way, port: int, peer: str) -> Specimen:
    child, client = _accept(way, port, peer)
    described = describe(child, way, "FIN-WAIT-1")
    _fill(child)
    child.close()
    return Specimen(described, (client,))


def _closing(way: Way, port: int, peer: str) -> Specimen:
    child, client = _accept(way, port, peer)
    described = describe(child, way, "CLOSING")
    _fill(child)
    child.close()
    client.shutdown(socket.SHUT_WR)
    return Specimen(described, (client,))


def _last_ack(way: Way, port: int, peer: str) -> Specimen:
    child, client = _accept(way, port, peer)
    described = describe(child, way, "LAST-ACK")
    _fill(child)
    client.shutdown(socket.SHUT_WR)
    # Closed before the other end's FIN is here it would go to CLOSING, as happens on a slow machine.
    wait_for(lambda: child.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1) == TCP_CLOSE_WAIT, "CLOSE_WAIT")
    child.close()
    return Specimen(described, (client,))


def _fin_wait_2(way: Way, port: int, peer: str) -> Specimen:
    """The kernel keeps a full socket instead if the acknowledgement comes while close() still has the lock."""
    while True:
        child, client = _accept(way, port, peer)
        specimen = Specimen(describe(child, way, "FIN-WAIT-2", minisocket=True), (client,))
        child.close()
        acknowledge(client)
        if wait_for_state(specimen.socket, way.device):
            return specimen
        specimen.close()


def _fin_wait_2_orphan(way: Way, port: int, peer: str) -> Specimen:
    child, client = _accept(way, port, peer)
    described = describe(child, way, "FIN-WAIT-2")
    child.setsockopt(socket.IPPROTO_TCP, socket.TCP_LINGER2, TCP_FIN_WAIT_2_FULL)
    child.close()
    acknowledge(client)
    return Specimen(described, (client,))


def _fin_wait_2_held(way: Way, port: int, peer: str) -> Specimen:
    child, client = _accept(way, port, peer)
    child.shutdown(socket.SHUT_WR)
    acknowledge(client)
    return Specimen(describe(child, way, "FIN-WAIT-2"), (child, client))


def _time_wait(way: Way, port: int, peer: str) -> Specimen:
    child, client = _accept(way, port, peer)
    described = describe(child, way, "TIME-WAIT")
    child.close()
    client.close()
    return Specimen(described, ())


def _half_open(way: Way, port: int, peer: str) -> Specimen:
    """A connection request that waits for data, whose listener is gone."""
    listener = way.listen(port)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, 60)
    client = stranger(way, peer)
    client.connect((peer, port))
    family = "ipv6" if way.family == "ipv6" else "ipv4"
    local = f"::ffff:{peer}" if family == "ipv6" and ":" not in peer else peer
    name = client.getsockname()[:2]
    remote = f"::ffff:{name[0]}" if family == "ipv6" and ":" not in name[0] else name[0]
    described = describe(listener, way, "SYN-RECEIVED")._replace(
        local_address=local, remote_address=remote, remote_port=name[1], inode=0
    )
    listener.close()
    return Specimen(described, (client,))


# What connected by itself.


@contextlib.contextmanager
def automatic_port(port: int) -> Iterator[None]:
    """The kernel chooses this one: nobody else in the namespace has it, which a free choice does not promise."""
    EPHEMERAL_PORTS.write_text(f"{port} {port}")
    yield
    EPHEMERAL_PORTS.write_text("60001 65535")


def _client(way: Way, port: int, peer: str) -> Specimen:
    made = way.bind(port)
    made.connect((reached(way, peer), OPEN_PORT))
    return Specimen(describe(made, way, "ESTABLISHED"), (made, answer(peer)))


def _client_time_wait(way: Way, port: int, peer: str) -> Specimen:
    made = way.bind(port)
    made.connect((reached(way, peer), OPEN_PORT))
    described = describe(made, way, "TIME-WAIT")
    other_end = answer(peer)
    made.close()
    other_end.close()
    return Specimen(described, ())


def _automatic_client(way: Way, port: int, peer: str) -> Specimen:
    made = way.open()
    with automatic_port(port):
        made.connect((reached(way, peer), OPEN_PORT))
    return Specimen(describe(made, way, "ESTABLISHED"), (made, answer(peer)))


def _late_port_client(way: Way, port: int, peer: str) -> Specimen:
    made = way.open()
    made.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
    made.bind((way.address, 0))
    with automatic_port(port):
        made.connect((reached(way, peer), OPEN_PORT))
    return Specimen(describe(made, way, "ESTABLISHED"), (made, answer(peer)))


def _syn_sent(way: Way, port: int, peer: str) -> Specimen:
    made = way.bind(port)
    made.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        made.connect((reached(way, peer), FULL_PORT))
    remote = reached(way, peer), FULL_PORT
    return Specimen(describe(made, way, "SYN-SENT", remote), (made,))


def _refused(way: Way, port: int, peer: str) -> Specimen:
    made = way.bind(port)
    with contextlib.suppress(ConnectionRefusedError):
        made.connect((reached(way, peer), SHUT_PORT))
    return Specimen(describe(made, way, "BOUND"), (made,))


def _refused_later(way: Way, port: int, peer: str) -> Specimen:
    """Nobody asked yet how the connect went: the socket keeps the address that it had chosen."""
    made = way.bind(port)
    made.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        made.connect((reached(way, peer), SHUT_PORT))
    return Specimen(describe(made, way, "BOUND"), (made,))


def _udp_connected(way: Way, port: int, peer: str) -> Specimen:
    made = way.bind(port)
    made.connect((reached(way, peer), OPEN_PORT))
    return Specimen(describe(made, way, None), (made,))


def _udp_automatic(way: Way, port: int, peer: str) -> Specimen:
    made = way.open()
    with automatic_port(port):
        made.connect((reached(way, peer), OPEN_PORT))
    return Specimen(describe(made, way, None), (made,))


IP_BIND_ADDRESS_NO_PORT = 24
TCP_CLOSE_WAIT = b"\x08"  # the first byte of struct tcp_info

_MAKERS: dict[str, Callable[[Way, int, str], Specimen]] = {
    "bound": _bound,
    "listening": _listening,
    "shut-down listener": _shut_listener,
    "established child": _established,
    "CLOSE_WAIT": _close_wait,
    "FIN_WAIT1 orphan": _fin_wait_1,
    "CLOSING orphan": _closing,
    "LAST_ACK orphan": _last_ack,
    "FIN_WAIT2 minisocket": _fin_wait_2,
    "FIN_WAIT2 orphan": _fin_wait_2_orphan,
    "FIN_WAIT2 with owner": _fin_wait_2_held,
    "TIME_WAIT": _time_wait,
    "half-open request": _half_open,
    "bound client": _client,
    "bound client's TIME_WAIT": _client_time_wait,
    "auto-port client": _automatic_client,
    "late-port client": _late_port_client,
    "SYN_SENT": _syn_sent,
    "refused client": _refused,
    "refused client, not told": _refused_later,
    "UDP connected": _udp_connected,
    "UDP auto-port": _udp_automatic,
}
LONE_STATES: dict[Transport, tuple[str, ...]] = {
    "tcp": ("bound", "listening", "shut-down listener"),
    "mptcp": ("bound", "listening", "shut-down listener"),
    "udp": ("bound",),
}
SERVER_STATES: dict[Transport, tuple[str, ...]] = {
    "tcp": (
        "established child", "CLOSE_WAIT", "FIN_WAIT1 orphan", "CLOSING orphan", "LAST_ACK orphan",
        "FIN_WAIT2 minisocket", "FIN_WAIT2 orphan", "FIN_WAIT2 with owner", "TIME_WAIT", "half-open request",
    ),
    "mptcp": ("established child",),
    "udp": (),
}  # fmt: skip
CLIENT_STATES: dict[Transport, tuple[str, ...]] = {
    "tcp": (
        "bound client", "bound client's TIME_WAIT", "auto-port client", "late-port client", "SYN_SENT",
        "refused client", "refused client, not told",
    ),
    "mptcp": ("bound client", "auto-port client"),
    "udp": ("UDP connected", "UDP auto-port"),
}  # fmt: skip
AUTOMATIC = ("auto-port client", "UDP auto-port")


def describe(
    made: socket.socket,
    way: Way,
    state: State | None,
    remote: tuple[str, int] | None = None,
    *,
    minisocket: bool = False,
) -> Socket:
    """What a perfect observer would tell of it."""
    local = made.getsockname()
    if remote is None and state not in ("BOUND", "LISTEN"):
        with contextlib.suppress(OSError):
            remote = made.getpeername()[:2]
    return Socket(
        protocol="udp" if way.transport == "udp" else "tcp",
        family="ipv6" if made.family == socket.AF_INET6 else "ipv4",
        local_address=local[0],
        local_port=local[1],
        remote_address=remote[0] if remote else None,
        remote_port=remote[1] if remote else None,
        state=state,
        interface=way.device,
        v6only=_v6only(made, way),
        uid=way.uid,
        mptcp=way.transport == "mptcp",
        reuseaddr=way.reuseaddr,
        reuseport=way.reuseport,
        minisocket=minisocket,
    )


def _v6only(made: socket.socket, way: Way) -> bool | None:
    if made.family != socket.AF_INET6:
        return None
    if way.transport == "mptcp":  # tells what was asked for, not what the TCP socket inside it got
        return way.v6only or not (is_wildcard(way.address) or is_mapped(way.address))
    return bool(made.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY))


def stranger(way: Way, peer: str) -> socket.socket:
    """A client of its own, which leaves the port of the specimen alone."""
    return Way(way.transport, ANY6 if ":" in peer else ANY4).open()


def reached(way: Way, peer: str) -> str:
    return f"::ffff:{peer}" if way.family == "ipv6" and ":" not in peer else peer


def acknowledge(client: socket.socket) -> None:
    """Reads the FIN and acknowledges it now, not 40 ms later."""
    assert client.recv(1) == b""
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)


def _fill(child: socket.socket) -> None:
    """Sends until the other end's window is closed, so that a FIN stays unsent."""
    child.setblocking(False)
    child.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    with contextlib.suppress(BlockingIOError):
        while child.send(bytes(1 << 16)):
            pass


_helpers: dict[str, socket.socket] = {}
_clogged: list[socket.socket] = []


def open_helpers() -> None:
    """The listeners that clients connect to, once in each namespace."""
    for family, address in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):
        for port in (OPEN_PORT, FULL_PORT):
            helper = socket.socket(family)
            if family == socket.AF_INET6:
                helper.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            helper.bind((address, port))
            helper.listen(0 if port == FULL_PORT else 128)
            _helpers[f"{address} {port}"] = helper
        _clog("127.0.0.1" if family == socket.AF_INET else "::1", family)


def _clog(address: str, family: int) -> None:
    """Fills the queue of the listener that never accepts: from then on it ignores every SYN."""
    for _ in range(2):
        client = socket.socket(family)
        client.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            client.connect((address, FULL_PORT))
        _clogged.append(client)


def answer(peer: str) -> socket.socket:
    """The other end of the connection that was just made."""
    return _helpers[f"{'::' if ':' in peer else '0.0.0.0'} {OPEN_PORT}"].accept()[0]


# Asking the kernel for one connection (SOCK_DIAG_BY_FAMILY without NLM_F_DUMP).

_diag: list[socket.socket] = []


def wait_for_state(expected: Socket, device: str | None) -> bool:
    """Waits until the kernel tells that state; whether it is a minisocket in FIN_WAIT_2."""
    deadline = time.monotonic() + 20
    while (seen := _ask_kernel(expected, device))[0] != expected.state:
        assert time.monotonic() < deadline, f"{expected} became {seen}"
    return seen[1]


def wait_until_gone(connection: Socket, device: str | None) -> None:
    """Waits until the last acknowledgement has come; the kernel then tells of a listener there, or of nothing."""
    deadline = time.monotonic() + 20
    while _ask_kernel(connection, device)[0] not in (None, "LISTEN"):
        assert time.monotonic() < deadline, f"{connection} stays"


def _ask_kernel(wanted: Socket, device: str | None) -> tuple[State | None, bool]:
    """The state that the kernel tells, and whether it is a minisocket in FIN_WAIT_2."""
    if not _diag:
        _diag.append(socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 4))
    family = socket.AF_INET6 if wanted.family == "ipv6" else socket.AF_INET
    body = struct.pack("=BBBBI", family, socket.IPPROTO_TCP, 0, 0, 0xFFFFFFFF)
    body += struct.pack("!HH", wanted.local_port, wanted.remote_port or 0)
    for address in (wanted.local_address, wanted.remote_address or ""):
        body += socket.inet_pton(family, address).ljust(16, b"\0")
    index = socket.if_nametoindex(device) if device else 0
    body += struct.pack("=III", index, 0xFFFFFFFF, 0xFFFFFFFF)
    _diag[0].send(struct.pack("=IHHII", 16 + len(body), 20, 1, 0, 0) + body)
    answer = _diag[0].recv(8192)
    if struct.unpack_from("=H", answer, 4)[0] == 2:  # NLMSG_ERROR: no such socket
        return None, False
    state, timer = answer[17], answer[18]
    return STATES.get(state), STATES.get(state) == "FIN-WAIT-2" and timer == 3
