"""Listeners that no file declares: those that others can reach, and those that are no concern.  Pure.

A port that nobody has chosen cannot be declared: the kernel gives out numbers of the dynamic range to whoever asks for
none.  UDP clients have them, and so do the services of RPC, which rpcbind tells its clients.  A TCP listener of that
range is none of these unless it is RPC's.
"""

from __future__ import annotations

from portcheck.addresses import unmapped
from portcheck.identify.names import names
from portcheck.namedtuple import TYPE_CHECKING, NamedTuple
from portcheck.verification.by_whom import holders
from portcheck.verification.judge import is_declared
from portcheck.verification.places import listens

if TYPE_CHECKING:
    from typing import Literal

    from portcheck.model import PortRange, Scene, Socket
    from portcheck.verification.judge import Look

    Reason = Literal["loopback", "allowed", "udp-client", "rpc"]

RPC = frozenset(("rpcbind", "rpc.mountd", "rpc.statd", "rpc.rquotad", "rpc.nfsd", "ypbind", "ypserv"))
RPC_USERS = frozenset(("root", "statd", "_rpc", "rpc", "rpcuser"))
PORTMAPPER, NFS = 111, 2049
RESERVED_FROM, PRIVILEGED = 512, 1024  # bindresvport(3), by which RPC services take a port


class Apart(NamedTuple):
    """A listener that is not declared and is no concern."""

    socket: Socket
    reason: Reason


class Undeclared(NamedTuple):
    """What listens beside all that is declared."""

    open: tuple[Socket, ...] = ()  # to others than this host
    doubtful: tuple[Socket, ...] = ()  # which may be declared, or of a kind that is no concern: that cannot be told
    apart: tuple[Apart, ...] = ()


def undeclared(look: Look) -> Undeclared:
    """Every listener on a port that no declaration is about; on those ports each has been judged already."""
    declared = {(each.found.protocol, each.found.port) for ports in look.asked for each in ports}
    opened: list[Socket] = []
    doubtful: list[Socket] = []
    apart: list[Apart] = []
    for socket in listening(look.scene):
        if (socket.protocol, socket.local_port) in declared or is_declared(socket, look.optional, look):
            continue
        permitted = is_declared(socket, look.allowed, look)
        reason = "allowed" if permitted else reason_apart(socket, look.scene)
        if reason:
            apart.append(Apart(socket, reason))
        elif permitted is None or _may_be_rpc(socket, look.scene):
            doubtful.append(socket)
        else:
            opened.append(socket)
    return Undeclared(tuple(opened), tuple(doubtful), tuple(apart))


def listening(scene: Scene) -> list[Socket]:
    """Whatever takes clients, in order of port."""
    every = (socket for table in scene.tables.values() for socket in table.sockets if listens(socket))
    return sorted(every, key=lambda each: (each.local_port, each.protocol, each.family, each.local_address))


def reason_apart(socket: Socket, scene: Scene) -> Reason | None:
    """Why a listener is no concern; None where it is one."""
    if _is_loopback(socket):
        return "loopback"
    if _is_rpcs(socket, scene):
        return "rpc"
    if is_dynamic(socket, scene.policy.ephemeral):
        held = holders(socket, scene)
        is_kernels = held.seen and not held.processes
        if socket.protocol == "udp" and not is_kernels:
            return "udp-client"
    return None


def is_dynamic(socket: Socket, ephemeral: PortRange | None) -> bool:
    """Whether its port is one that the kernel gives out."""
    return ephemeral is not None and socket.local_port in ephemeral


def _is_loopback(socket: Socket) -> bool:
    address = unmapped(socket.local_address)
    return address == "::1" or address.startswith("127.") or socket.interface in ("lo", "lo0")


def _is_rpcs(socket: Socket, scene: Scene) -> bool:
    """On a port that it was given; the two that everybody knows are declared like any other."""
    if socket.local_port in (PORTMAPPER, NFS) or not _is_given(socket, scene):
        return False
    return any(
        process.user in RPC_USERS and not RPC.isdisjoint(names(process)) for process in holders(socket, scene).processes
    )


def _is_given(socket: Socket, scene: Scene) -> bool:
    return is_dynamic(socket, scene.policy.ephemeral) or RESERVED_FROM <= socket.local_port < PRIVILEGED


def _may_be_rpc(socket: Socket, scene: Scene) -> bool:
    """RPC's listeners, and those that the kernel has for NFS (callbacks, lockd), cannot be told from others of root's
    by who cannot see their process, or where they have none: another PID namespace may have it.
    """
    held = holders(socket, scene)
    is_unseen = not held.seen or not all(process.pid for process in held.processes)
    return is_unseen and socket.uid == 0 and _is_given(socket, scene)
