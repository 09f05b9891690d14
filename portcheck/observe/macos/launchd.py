"""What only macOS can tell about holders: launchd's jobs, and the jobs for which launchd itself listens."""

from __future__ import annotations

import os

from portcheck.identify.launchd import LAUNCHD_PID, SYSTEM, Job, Known, read_jobs, read_sockets
from portcheck.identify.launchd import recognised as recognised_process
from portcheck.model import BlindSpot
from portcheck.namedtuple import TYPE_CHECKING
from portcheck.observe.databases import service_port
from portcheck.observe.subprocesses import NoAnswerError, Patience, ask

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from portcheck.model import Process, Protocol, Scene, Socket, SocketTable

PATIENCE = 2.0  # seconds, for all of launchctl's answers
DAEMONS = ("/System/Library/LaunchDaemons", "/Library/LaunchDaemons")
AGENTS = ("/System/Library/LaunchAgents", "/Library/LaunchAgents", "~/Library/LaunchAgents")


def recognised(scene: Scene) -> Scene:
    """The scene with its processes as they are known here, and its sockets with their processes' users."""
    held: dict[int, tuple[Socket, ...]] = {}
    for table in scene.tables.values():
        for socket in table.sockets:
            for pid in socket.pids or ():
                held[pid] = (*held.get(pid, ()), socket)
    jobs, spots = _jobs(scene.processes)
    known = Known(jobs, _listening() if LAUNCHD_PID in held else {})
    processes = {
        pid: recognised_process(one, scene.processes, held.get(pid, ()), known) for pid, one in scene.processes.items()
    }
    return scene._replace(
        processes=processes,
        tables={name: _with_users(table, processes) for name, table in scene.tables.items()},
        blind_spots=(*scene.blind_spots, *spots),
    )


def _with_users(table: SocketTable, processes: Mapping[int, Process]) -> SocketTable:
    """A socket belongs to the user of the process that made it; a worker that has changed its user holds it too."""
    return table._replace(sockets=tuple(_with_user(socket, processes) for socket in table.sockets))


def _with_user(socket: Socket, processes: Mapping[int, Process]) -> Socket:
    makers = [processes[pid] for pid in socket.pids or () if pid in processes]
    first = next((one for one in makers if one.parent_pid not in (socket.pids or ())), None)
    if socket.uid is not None or first is None:
        return socket
    return socket._replace(uid=first.uid, user=first.user)


def _jobs(processes: Mapping[int, Process]) -> tuple[dict[int, Job], tuple[BlindSpot, ...]]:
    """The jobs among these: children of launchd.  Nobody is asked where there is none."""
    users = {one.uid for one in processes.values() if one.parent_pid == LAUNCHD_PID}
    jobs: dict[int, Job] = {}
    patience = Patience(PATIENCE)
    try:
        for domain in _domains(users) if users else ():
            jobs |= _in_domain(domain, patience)
    except NoAnswerError as error:
        return jobs, (
            BlindSpot("service-manager-no-answer", f"launchctl {error}: which job of launchd it is stays unknown"),
        )
    return jobs, ()


def _domains(users: set[int | None]) -> Iterator[str]:
    """Where jobs of these users can be: a daemon runs as any user, an agent as the one who has logged in."""
    yield SYSTEM
    for uid in sorted(uid for uid in users if uid):
        yield f"gui/{uid}"


def _in_domain(domain: str, patience: Patience) -> dict[int, Job]:
    """`list` tells of the asker's own domain, in every version; `print` of each, to everybody (launchctl(1))."""
    own = SYSTEM if os.getuid() == 0 else f"gui/{os.getuid()}"
    answer = ask(("launchctl", "list") if domain == own else ("launchctl", "print", domain), patience)
    return read_jobs(answer.out, domain)


def _listening() -> dict[tuple[Protocol, int], Job]:
    """The jobs that have launchd make their sockets, by port, from their property lists."""
    jobs: dict[tuple[Protocol, int], Job] = {}
    for domain, folders in ((SYSTEM, DAEMONS), (f"gui/{os.getuid()}", AGENTS)):
        for path in _plists(folders):
            label, sockets = read_sockets(_plist(path))
            for protocol, name in sockets:
                port = int(name) if name.isdecimal() else service_port(name, protocol)
                if port and label:
                    jobs.setdefault((protocol, port), Job(label, f"{domain}/{label}"))
    return jobs


def _plists(folders: tuple[str, ...]) -> Iterator[str]:
    for folder in folders:
        try:
            names = sorted(os.listdir(os.path.expanduser(folder)))
        except OSError:
            continue
        yield from (os.path.join(os.path.expanduser(folder), name) for name in names if name.endswith(".plist"))


def _plist(path: str) -> dict[str, object]:
    """{} for what cannot be read, or is none."""
    import plistlib
    from xml.parsers.expat import ExpatError

    try:
        with open(path, "rb") as file:
            content = plistlib.load(file)
    except (OSError, ValueError, ExpatError, plistlib.InvalidFileException):
        return {}
    return content if isinstance(content, dict) else {}
