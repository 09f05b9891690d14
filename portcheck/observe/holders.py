"""Finds the processes that hold the sockets, reads each once, and says who they are."""

from __future__ import annotations

from portcheck.errors import UnresolvedError
from portcheck.namedtuple import TYPE_CHECKING
from portcheck.observe.databases import resolve
from portcheck.observe.identity import identities
from portcheck.observe.system import BACK_END

if TYPE_CHECKING:
    from portcheck.model import Scene

PATIENCE = 1.0  # seconds, for localhost: /etc/hosts has it


def with_holders(scene: Scene) -> Scene:
    """The scene with the holders of its sockets, who they are, and what could not be seen of them."""
    if any(table.sockets for table in scene.tables.values()):
        scene = BACK_END.with_pids(scene)._replace(localhost=_localhost())
    elif not scene.elsewhere:
        return scene
    return BACK_END.recognised(_with_processes(scene))


def _localhost() -> tuple[str, ...]:
    """Its addresses; of none that is in no file of this host, and of which no name server tells, nothing is said."""
    try:
        return tuple(str(address) for address in resolve("localhost", PATIENCE))
    except UnresolvedError:
        return ()


def _with_processes(scene: Scene) -> Scene:
    sockets = [socket for table in scene.tables.values() for socket in table.sockets]
    pids = {pid for socket in sockets for pid in socket.pids or ()}
    pids |= {pid for listener in scene.elsewhere for pid in listener.pids}
    processes = {pid: process for pid in sorted(pids) if (process := BACK_END.process(pid))}
    who = identities(processes, sockets)
    return scene._replace(
        processes=who.processes, hidden=who.hidden, blind_spots=(*scene.blind_spots, *who.blind_spots)
    )
