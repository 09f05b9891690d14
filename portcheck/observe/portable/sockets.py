"""Sockets as psutil lists them: works everywhere, and sees less.

It names no user, hides whether an IPv6 socket is v6only, lists TCP sockets that are bound without listening on
macOS alone, and on Linux gives one process per socket.  There that process's descriptor leads to the inode, by
which the walk over all descriptors finds all holders; a socket whose first process is hidden stays without.  On macOS
and the BSDs a socket comes once for each process that holds it; on Windows PID 0 stands for nobody, or nobody known.
"""

from __future__ import annotations

import os

from portcheck.addresses import ANY6, is_link_local, parse_address
from portcheck.lean_socket import AF_INET6, if_indextoname
from portcheck.model import AS_ROOT, BlindSpot, Socket, SocketTable
from portcheck.namedtuple import TYPE_CHECKING, NamedTuple
from portcheck.observe.portable.tcp_states import state_named

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from typing import Any

    from portcheck.model import PortRange, Protocol, State
    from portcheck.observe.back_end import Depth

_CLOSED: dict[str, State] = {"CLOSE": "CLOSED", "BOUND": "BOUND"}
BOUND_NOT_VISIBLE = BlindSpot(
    "bound-not-visible",
    "TCP sockets that are bound without listening do not show in this system's socket list",
)
_V6ONLY_HIDDEN = BlindSpot(
    "v6only-hidden", "whether an IPv6 wildcard socket takes IPv4 too (dual-stack) does not show here"
)
_ONE_PROCESS = BlindSpot(
    "one-process-per-socket", "only the first process of a socket shows here; others may hold it too"
)


class Differences(NamedTuple):
    """In what psutil's list differs from system to system; the defaults are the BSDs'."""

    # Where no process is named for these, none holds them: what is left of a connection is the kernel's.
    let_go: tuple[State, ...] = ("TIME-WAIT", "FIN-WAIT-1", "FIN-WAIT-2", "CLOSING", "LAST-ACK")
    once_per_process: bool = True  # a socket comes once for each process that holds it
    lists_bound_only: bool = False  # as closed; elsewhere such TCP sockets do not show
    embedded_scopes: bool = False  # a link-local address has its scope in its second group
    hides_v6only_and_holders: bool = False
    has_inodes: bool = False  # a descriptor is a link to the socket's inode


BSD = Differences()
MACOS = Differences(lists_bound_only=True, embedded_scopes=True)
WINDOWS = Differences(once_per_process=False)
LINUX = Differences(let_go=("TIME-WAIT",), once_per_process=False, hides_v6only_and_holders=True, has_inodes=True)


class _WithPid(NamedTuple):
    """A connection of one process, with its pid as in psutil's system-wide list."""

    pid: int
    fd: int
    family: int
    type: int
    laddr: Any
    raddr: Any
    status: str


def table(protocol: Protocol, ports: Sequence[PortRange] | None, depth: Depth, differences: Differences) -> SocketTable:
    """The sockets whose local port is in `ports` (None: all), as `observe.back_end` has it.

    Never raises: what psutil cannot tell here is a blind spot.
    """
    connections, spots = _connections(protocol)
    whole = not spots
    sockets = tuple(
        _socket(protocol, connection, differences)
        for connection in connections
        if connection.laddr
        and connection.laddr.port
        and (ports is None or any(connection.laddr.port in wanted for wanted in ports))
        and (depth == "everything" or protocol == "udp" or not connection.raddr)
    )
    if differences.once_per_process:
        sockets = _with_every_process(sockets, differences.let_go)
    shows_bound_only = protocol == "udp" or differences.lists_bound_only
    if not shows_bound_only:
        spots.append(BOUND_NOT_VISIBLE)
    if differences.hides_v6only_and_holders:
        spots.extend(_hidden_details(sockets))
    return SocketTable(
        protocol,
        sockets,
        depth if protocol == "tcp" else "everything",
        sees_bound_only=whole and shows_bound_only,
        blind_spots=tuple(spots),
    )


def _connections(protocol: Protocol) -> tuple[list[Any], list[BlindSpot]]:
    """psutil's connections, each with the `pid` that it names (or None)."""
    try:
        import psutil
    except ModuleNotFoundError:
        from portcheck.observe.ourselves import install_hint

        missing = "the socket list cannot be read: psutil is not installed"
        return [], [BlindSpot("sockets-not-visible", missing, install_hint("psutil"))]
    try:
        return psutil.net_connections(protocol), []
    except psutil.AccessDenied:  # macOS asks each process, and stops at the first that it may not ask
        return _process_by_process(protocol)
    except (OSError, RuntimeError, NotImplementedError) as error:
        return [], [BlindSpot("sockets-not-visible", f"the socket list cannot be read: {error}")]


def _process_by_process(protocol: Protocol) -> tuple[list[Any], list[BlindSpot]]:
    import psutil

    connections: list[Any] = []
    hidden = 0
    for process in psutil.process_iter():
        try:
            list_them = getattr(process, "net_connections", None) or process.connections  # its name before psutil 6
            connections += (_WithPid(process.pid, *entry) for entry in list_them(protocol))
        except psutil.AccessDenied:
            hidden += 1
        except psutil.Error:
            continue  # it has ended
    if not hidden:
        return connections, []
    return connections, [
        BlindSpot(
            "processes-hidden",
            f"the sockets of {hidden} other users' processes cannot be seen",
            AS_ROOT,
        )
    ]


def _with_every_process(sockets: Sequence[Socket], let_go: Sequence[State]) -> tuple[Socket, ...]:
    """Each socket once, with all the processes that hold it.

    Two sockets that share an address by SO_REUSEPORT look the same here, and become one.
    """
    holders: dict[Socket, set[int]] = {}
    for socket in sockets:
        holders.setdefault(socket._replace(pids=None), set()).update(socket.pids or ())
    return tuple(
        socket._replace(pids=tuple(sorted(pids)) or (() if socket.state in let_go else None))
        for socket, pids in holders.items()
    )


def _socket(protocol: Protocol, connection: Any, differences: Differences) -> Socket:
    local, interface = address_and_scope(connection.laddr.ip, differences)
    remote = connection.raddr or None
    state = _state(connection, differences) if protocol == "tcp" else None
    inode = _inode(connection) if differences.has_inodes else None
    return Socket(
        protocol=protocol,
        family="ipv6" if connection.family == AF_INET6 else "ipv4",
        local_address=local,
        local_port=connection.laddr.port,
        remote_address=address_and_scope(remote.ip, differences)[0] if remote else None,
        remote_port=remote.port if remote else None,
        state=state,
        interface=interface,
        pids=(connection.pid,) if (connection.pid or 0) > 0 else () if state in differences.let_go else None,
        inode=inode,
    )


def _state(connection: Any, differences: Differences) -> State | None:
    """macOS lists what is bound and does not listen as closed (psutil reads the sockets of every descriptor)."""
    if differences.lists_bound_only and connection.status == "CLOSE" and not connection.raddr:
        return "BOUND"
    return _CLOSED.get(connection.status) or state_named(connection.status)


def address_and_scope(text: str, differences: Differences) -> tuple[str, str | None]:
    """`fe80::1%en0` → (canonical text, scope)."""
    address = parse_address(text)
    if address is None:
        return text, None
    return _without_embedded_scope(address.text) if differences.embedded_scopes else (address.text, address.zone)


def _without_embedded_scope(text: str) -> tuple[str, str | None]:
    """KAME's stack keeps the scope of a link-local address in its second group, and XNU shows it so: fe80:4::1."""
    first, _, rest = text.partition(":")
    second, _, last = rest.partition(":")
    if not is_link_local(text) or not second:
        return text, None
    address = parse_address(f"{first}::{last.removeprefix(':')}")
    try:
        return (address.text if address else text), if_indextoname(int(second, 16))
    except OSError:
        return (address.text if address else text), None


def _inode(connection: Any) -> int | None:
    """The socket's inode, read from the one file descriptor that psutil names."""
    if connection.status == "TIME_WAIT":
        return 0
    if connection.pid is None:
        return None
    try:
        link = os.readlink(f"/proc/{connection.pid}/fd/{connection.fd}")
    except OSError:
        return None
    return int(link[8:-1]) if link.startswith("socket:[") else None


def hidden_v6only(sockets: Iterable[Socket]) -> Iterator[BlindSpot]:
    """The blind spot where there is an IPv6 wildcard socket."""
    if any(socket.local_address == ANY6 and not socket.remote_port for socket in sockets):
        yield _V6ONLY_HIDDEN


def _hidden_details(sockets: Sequence[Socket]) -> Iterator[BlindSpot]:
    yield from hidden_v6only(sockets)
    if any(socket.pids and socket.inode is None for socket in sockets):
        yield _ONE_PROCESS
