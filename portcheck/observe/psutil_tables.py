"""Sockets as psutil lists them: works everywhere, and sees less.

It names no user, hides whether an IPv6 socket is v6only, does not list TCP sockets that are bound without
listening, and on Linux gives one process per socket.  There that process's descriptor leads to the inode, by
which `observe.owners` finds all holders; a socket whose first process is hidden stays without.
"""

from __future__ import annotations

import os
from socket import AF_INET6

from portcheck.addresses import parse_address
from portcheck.model import BlindSpot, Socket, SocketTable
from portcheck.observe.platform import PLATFORM
from portcheck.value import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any, Literal

    from portcheck.model import PortRange, Protocol, State

_STATES: dict[str, State] = {
    "LISTEN": "LISTEN",
    "SYN_SENT": "SYN-SENT",
    "SYN_RECV": "SYN-RECEIVED",
    "ESTABLISHED": "ESTABLISHED",
    "FIN_WAIT1": "FIN-WAIT-1",
    "FIN_WAIT2": "FIN-WAIT-2",
    "CLOSE_WAIT": "CLOSE-WAIT",
    "CLOSING": "CLOSING",
    "LAST_ACK": "LAST-ACK",
    "TIME_WAIT": "TIME-WAIT",
    "CLOSE": "CLOSED",
    "BOUND": "BOUND",
}


_BOUND_NOT_VISIBLE = BlindSpot(
    "bound-not-visible",
    "TCP sockets that are bound without listening do not show in this system's socket list",
)
_V6ONLY_HIDDEN = BlindSpot(
    "v6only-hidden", "whether an IPv6 wildcard socket takes IPv4 too (dual-stack) does not show here"
)
_ONE_PROCESS = BlindSpot(
    "one-process-per-socket", "only the first process of a socket shows here; others may hold it too"
)


class _WithPid(NamedTuple):
    """A connection of one process, with its pid as in psutil's system-wide list."""

    pid: int
    fd: int
    family: int
    type: int
    laddr: Any
    raddr: Any
    status: str


def table(
    protocol: Protocol, ports: Sequence[PortRange] | None, depth: Literal["listeners", "everything"]
) -> SocketTable:
    """The sockets whose local port is in `ports` (None: all), as `observe.sockets.look` gives them.

    Never raises: what psutil cannot tell here is a blind spot.
    """
    connections, spots = _connections(protocol)
    sockets = tuple(
        _socket(protocol, connection)
        for connection in connections
        if connection.laddr
        and (ports is None or any(connection.laddr.port in wanted for wanted in ports))
        and (depth == "everything" or protocol == "udp" or not connection.raddr)
    )
    if protocol == "tcp":
        spots.append(_BOUND_NOT_VISIBLE)
    if PLATFORM == "linux":
        spots.extend(_hidden_details(sockets))
    return SocketTable(
        protocol,
        sockets,
        depth if protocol == "tcp" else "everything",
        sees_bound_only=protocol == "udp",
        blind_spots=tuple(spots),
    )


def _connections(protocol: Protocol) -> tuple[list[Any], list[BlindSpot]]:
    """psutil's connections, each with the `pid` that it names (or None)."""
    import psutil

    try:
        return psutil.net_connections(protocol), []
    except psutil.AccessDenied:  # macOS asks each process, and stops at the first that it may not ask
        return _process_by_process(protocol)
    except (OSError, RuntimeError, NotImplementedError) as error:
        return [], [BlindSpot("sockets-not-visible", f"the socket list cannot be read: {error}")]


def _process_by_process(protocol: Protocol) -> tuple[list[Any], list[BlindSpot]]:
    import psutil

    found: list[Any] = []
    hidden = 0
    for process in psutil.process_iter():
        try:
            found += (_WithPid(process.pid, *entry) for entry in process.net_connections(protocol))
        except psutil.AccessDenied:
            hidden += 1
        except psutil.Error:
            continue  # it has ended
    if not hidden:
        return found, []
    return found, [
        BlindSpot(
            "processes-hidden",
            f"the sockets of {hidden} other users' processes cannot be seen",
            "run as root",
        )
    ]


def _socket(protocol: Protocol, connection: Any) -> Socket:
    state = _STATES.get(connection.status) if protocol == "tcp" else None
    local, interface = _address(connection.laddr.ip)
    remote = connection.raddr or None
    inode = _inode(connection)
    return Socket(
        protocol=protocol,
        family="ipv6" if connection.family == AF_INET6 else "ipv4",
        local_address=local,
        local_port=connection.laddr.port,
        remote_address=_address(remote.ip)[0] if remote else None,
        remote_port=remote.port if remote else None,
        state=state,
        interface=interface,
        # No process holds what has left its TIME-WAIT to the kernel, on any system.
        pids=() if state == "TIME-WAIT" else (connection.pid,) if connection.pid else None,
        inode=inode,
    )


def _address(text: str) -> tuple[str, str | None]:
    """(canonical text, scope)."""
    address = parse_address(text)
    return (address.text, address.zone) if address else (text, None)


def _inode(connection: Any) -> int | None:
    """The socket's inode on Linux, read from the one file descriptor that psutil names."""
    if PLATFORM != "linux":
        return None
    if connection.status == "TIME_WAIT":
        return 0
    if connection.pid is None:
        return None
    try:
        link = os.readlink(f"/proc/{connection.pid}/fd/{connection.fd}")
    except OSError:
        return None
    return int(link[8:-1]) if link.startswith("socket:[") else None


def _hidden_details(sockets: Sequence[Socket]) -> Iterator[BlindSpot]:
    if any(seen.local_address == "::" and not seen.remote_port for seen in sockets):
        yield _V6ONLY_HIDDEN
    if any(seen.pids and seen.inode is None for seen in sockets):
        yield _ONE_PROCESS
