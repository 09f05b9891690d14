"""Gives sockets the processes that hold them, their users' names, and what in the kernel holds the rest."""

from __future__ import annotations

from portcheck.addresses import is_wildcard
from portcheck.model import BlindSpot
from portcheck.namedtuple import TYPE_CHECKING
from portcheck.observe.linux import descriptors, processes, sock_diag

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from portcheck.model import Scene, Socket, SocketTable
    from portcheck.observe.linux.descriptors import Holders

NAMED_AT_MOST = 3


def with_pids(scene: Scene) -> Scene:
    """The scene with the holders of its sockets, as far as they can be seen."""
    sockets = [socket for table in scene.tables.values() for socket in table.sockets]
    holders = descriptors.holders({socket.inode for socket in sockets if socket.inode and socket.pids is None})
    tables = {name: _with_pids(table, holders) for name, table in scene.tables.items()}
    spots = (*scene.blind_spots, *_crowded(holders))
    return _with_kernel_owned(scene._replace(tables=tables, blind_spots=spots))


def _crowded(holders: Holders) -> Iterator[BlindSpot]:
    if holders.crowded:
        named = " and ".join(map(str, holders.crowded[:NAMED_AT_MOST]))
        more = len(holders.crowded) - NAMED_AT_MOST
        who = f"PID {named}" + (f" and {more} more" if more > 0 else "")
        yield BlindSpot("too-many-descriptors", f"{who} may hold it among more descriptors than are looked at")


def _with_pids(table: SocketTable, holders: Holders) -> SocketTable:
    multipath = sock_diag.multipath(table)
    return table._replace(sockets=tuple(_held(socket, holders, multipath) for socket in table.sockets))


def _held(socket: Socket, holders: Holders, multipath: Collection[int] | None) -> Socket:
    pids, user, mptcp = socket.pids, socket.user, None
    if multipath is not None and socket.state != "BOUND":  # one that is only bound is in no such list
        mptcp = socket.inode in multipath
    if pids is None and socket.inode is not None:
        pids = holders.pids.get(socket.inode, ()) or (() if holders.complete else None)
    if user is None and socket.uid is not None:
        user = processes.user_name(socket.uid)
    return socket.held(user, pids, mptcp=mptcp)


def _with_kernel_owned(scene: Scene) -> Scene:
    """On positive evidence alone: a socket without a known process, where a part of the kernel says that it is."""
    orphans = [socket for table in scene.tables.values() for socket in table.sockets if _lacks_process(socket)]
    if not orphans:
        return scene
    from portcheck.observe.linux.kernel_ports import kernel_owned, mptcp_owned

    owned = kernel_owned() if any(is_wildcard(socket.local_address) for socket in orphans) else {}
    concrete = [socket for socket in orphans if not is_wildcard(socket.local_address)]
    if concrete:
        owned = {**mptcp_owned(concrete), **owned}
    tables = {
        name: table._replace(
            sockets=tuple(
                socket._replace(pids=())
                if _lacks_process(socket) and (socket.protocol, socket.local_port) in owned
                else socket
                for socket in table.sockets
            )
        )
        for name, table in scene.tables.items()
    }
    return scene._replace(tables=tables, kernel_owned=owned)


def _lacks_process(socket: Socket) -> bool:
    """Tunnels have wildcard addresses, MPTCP's endpoints one of this host's."""
    waits = is_wildcard(socket.local_address) or socket.state == "LISTEN"
    return not socket.pids and bool(socket.inode) and waits
