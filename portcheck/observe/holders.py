"""From sockets to those who hold them: one walk of /proc for all, then each process once."""

from __future__ import annotations

from portcheck.addresses import is_wildcard
from portcheck.namedtuple import TYPE_CHECKING
from portcheck.observe.linux import descriptors, processes
from portcheck.observe.names import SystemNames
from portcheck.observe.sockets import multipath
from portcheck.observe.system import PLATFORM, process

if TYPE_CHECKING:
    from collections.abc import Collection

    from portcheck.model import Scene, Socket, SocketTable
    from portcheck.observe.linux.descriptors import Holders


def with_holders(scene: Scene) -> Scene:
    """The scene with the holders of its sockets, who they are, and what could not be seen of them."""
    found = _sockets(scene)
    if found and PLATFORM == "linux":
        inodes = {socket.inode for socket in found if socket.inode and socket.pids is None}
        holders = descriptors.holders(inodes)
        tables = {name: _with_pids(table, holders) for name, table in scene.tables.items()}
        scene = _with_kernel_owned(scene._replace(tables=tables))
    if found:
        scene = scene._replace(localhost=_localhost())
    if found or scene.elsewhere:
        scene = _as_known_here(_with_processes(scene))
    return scene


def _as_known_here(scene: Scene) -> Scene:
    """With what only this system's own service manager and tools can tell of the holders."""
    if PLATFORM == "windows":
        from portcheck.observe.windows import services

        return services.recognised(scene)
    if PLATFORM == "macos":
        from portcheck.observe.macos import launchd

        return launchd.recognised(scene)
    return scene


def _with_kernel_owned(scene: Scene) -> Scene:
    """On positive evidence alone: a wildcard socket without a known process, on a port that a device says it has."""
    if not any(_without_process(socket) for socket in _sockets(scene)):
        return scene
    from portcheck.observe.linux.kernel_ports import kernel_owned

    owned = kernel_owned()
    tables = {
        name: table._replace(
            sockets=tuple(
                socket._replace(pids=())
                if _without_process(socket) and (socket.protocol, socket.local_port) in owned
                else socket
                for socket in table.sockets
            )
        )
        for name, table in scene.tables.items()
    }
    return scene._replace(tables=tables, kernel_owned=owned)


def _without_process(socket: Socket) -> bool:
    return not socket.pids and bool(socket.inode) and is_wildcard(socket.local_address)


def _sockets(scene: Scene) -> list[Socket]:
    return [socket for table in scene.tables.values() for socket in table.sockets]


def _with_pids(table: SocketTable, holders: Holders) -> SocketTable:
    multipaths = multipath(table)
    return table._replace(sockets=tuple(_held(socket, holders, multipaths) for socket in table.sockets))


def _held(socket: Socket, holders: Holders, multipaths: Collection[int] | None) -> Socket:
    pids, user, mptcp = socket.pids, socket.user, None
    if multipaths is not None and socket.state != "BOUND":  # one that is only bound is in no such list
        mptcp = socket.inode in multipaths
    if pids is None and socket.inode is not None:
        pids = holders.pids.get(socket.inode, ()) or (() if holders.complete else None)
    if user is None and socket.uid is not None:
        user = processes.user_name(socket.uid)
    return socket.held(user, pids, mptcp=mptcp)


def _with_processes(scene: Scene) -> Scene:
    from portcheck.observe.identity import identities

    sockets = _sockets(scene)
    pids = {pid for socket in sockets for pid in socket.pids or ()}
    pids |= {pid for listener in scene.elsewhere for pid in listener.pids}
    seen = {pid: found for pid in sorted(pids) if (found := process(pid))}
    known = identities(seen, sockets)
    return scene._replace(
        processes=known.processes, hidden=known.hidden, blind_spots=(*scene.blind_spots, *known.blind_spots)
    )


def _localhost() -> tuple[str, ...]:
    return tuple(str(address) for address in SystemNames().resolve("localhost"))
