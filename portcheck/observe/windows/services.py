"""What only Windows can tell about holders: services, http.sys, the port proxy, and the children of a dead holder."""

from __future__ import annotations

from portcheck.identify.windows import IP_HELPER, KERNEL, SHARED_HOST, Known
from portcheck.identify.windows import recognised as recognised_process
from portcheck.model import BlindSpot, Process
from portcheck.namedtuple import TYPE_CHECKING
from portcheck.observe.portable import sockets as by_psutil
from portcheck.observe.portable.processes import process

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from portcheck.model import Scene, Socket

SERVICE_MANAGER = "services.exe"  # the parent of every service's process
QUEUES_UNKNOWN = BlindSpot(
    "http-queues-unknown",
    "netsh does not tell for whom the kernel's http.sys listens",
    "netsh http show servicestate view=requestq",
)


def recognised(scene: Scene) -> Scene:
    """The scene with its processes as they are known here."""
    held = _held(scene)
    parents = {pid: process(one.parent_pid) if one.parent_pid else None for pid, one in scene.processes.items()}
    known, spots = _known(scene.processes, parents, held)
    processes = {
        pid: recognised_process(one, parents[pid], held.get(pid, ()), known) for pid, one in scene.processes.items()
    }
    ended = {pid for pid in held if pid not in processes and _still_holds(pid, held[pid])}
    return scene._replace(
        processes={**processes, **_with_heirs(ended)},
        blind_spots=(*scene.blind_spots, *spots),
    )


def _held(scene: Scene) -> dict[int, tuple[Socket, ...]]:
    held: dict[int, tuple[Socket, ...]] = {}
    for table in scene.tables.values():
        for socket in table.sockets:
            for pid in socket.pids or ():
                held[pid] = (*held.get(pid, ()), socket)
    return held


def _known(
    processes: Mapping[int, Process], parents: Mapping[int, Process | None], held: Mapping[int, tuple[Socket, ...]]
) -> tuple[Known, tuple[BlindSpot, ...]]:
    """Asks only what may matter: the service manager takes some 0.2 s for all services, netsh as long."""
    from portcheck.observe.windows import netsh

    listens = any(socket.state == "LISTEN" for socket in held.get(KERNEL, ()))
    if not listens and not any(_may_be_service(one, parents[pid]) for pid, one in processes.items()):
        return Known(), ()
    known = Known(_services())
    queues = netsh.queues() if listens else ()
    programs = {pid: _name(pid) for queue in queues or () for pid in queue.pids}
    if any(IP_HELPER in known.services.get(pid, ()) for pid in processes):
        known = known._replace(rules=netsh.proxy_rules())
    return known._replace(queues=queues or (), programs=programs), (QUEUES_UNKNOWN,) if queues is None else ()


def _may_be_service(one: Process, parent: Process | None) -> bool:
    """A service's process, or the child of one."""
    if (one.name or "").lower() == SHARED_HOST or parent is None:
        return True
    above = process(parent.parent_pid) if parent.parent_pid else None
    return SERVICE_MANAGER in ((parent.name or "").lower(), ((above and above.name) or "").lower())


def _services() -> dict[int, tuple[str, ...]]:
    """The running services by PID; one that cannot be read is left out."""
    import psutil

    services: dict[int, tuple[str, ...]] = {}
    for service in psutil.win_service_iter():  # type: ignore[attr-defined]  # Windows only
        try:
            pid = service.pid()
        except (psutil.Error, OSError):
            continue
        if pid:
            services[pid] = (*services.get(pid, ()), service.name())
    return services


def _name(pid: int) -> str:
    holder = process(pid)
    return (holder.name if holder else None) or "a process"


def _still_holds(pid: int, sockets: Collection[Socket]) -> bool:
    """Whether the table still names a process that is not there: it may have ended in between, and its sockets too."""
    from portcheck.model import PortRange

    return any(
        pid in (again.pids or ())
        for socket in sockets
        for again in by_psutil.table(
            socket.protocol, [PortRange(socket.local_port, socket.local_port)], "listeners", by_psutil.WINDOWS
        ).sockets
    )


def _with_heirs(ended: Collection[int]) -> dict[int, Process]:
    """Holders that have ended, and their children: a child keeps a socket open whose handle it inherited."""
    import psutil

    processes = {pid: Process(pid, condition=("ended",)) for pid in ended}
    for child in psutil.process_iter(["ppid"]) if ended else ():
        heir = process(child.pid) if child.info["ppid"] in ended else None
        if heir:
            processes[heir.pid] = heir
    return processes
