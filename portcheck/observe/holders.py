"""Finds the processes that hold the sockets, reads each once, and says who they are."""

from __future__ import annotations

from portcheck.namedtuple import TYPE_CHECKING
from portcheck.observe.databases import localhost
from portcheck.observe.identity import identities
from portcheck.observe.system import BACK_END

if TYPE_CHECKING:
    from portcheck.model import Scene


def with_holders(scene: Scene) -> Scene:
    """The scene with the holders of its sockets, who they are, and what could not be seen of them."""
    if any(table.sockets for table in scene.tables.values()):
        scene = with_pids(scene)._replace(localhost=scene.localhost or localhost())
    elif not scene.elsewhere:
        return scene
    return with_processes(scene)


def with_pids(scene: Scene) -> Scene:
    """The scene with the PIDs of its sockets' holders, and no more of them."""
    return BACK_END.with_pids(scene)


def with_processes(scene: Scene) -> Scene:
    """The same for a scene whose sockets have their PIDs already."""
    return BACK_END.recognised(_with_processes(scene))


def _with_processes(scene: Scene) -> Scene:
    sockets = [socket for table in scene.tables.values() for socket in table.sockets]
    pids = {pid for socket in sockets for pid in socket.pids or ()}
    pids |= {pid for listener in scene.elsewhere for pid in listener.pids}
    processes = {pid: process for pid in sorted(pids) if (process := BACK_END.process(pid))}
    who = identities(processes, sockets)
    return scene._replace(
        processes=who.processes, hidden=who.hidden, blind_spots=(*scene.blind_spots, *who.blind_spots)
    )
