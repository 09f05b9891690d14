"""One line for people: what a process is, as the subject of a sentence.  Escaping is left to the renderer."""

from __future__ import annotations

import time

from portcheck.addresses import is_link_local
from portcheck.identify.names import KERNELS_LENGTH, base, called, names
from portcheck.namedtuple import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from portcheck.model import Condition, Container, Process, Protocol, Role, Socket


SHORT_ID = 12  # what engines themselves show of an id
CONDITIONS: dict[Condition, str] = {
    "orphaned": "its parent is gone",
    "stopped": "stopped",
    "ended": "has ended",
    "zombie-parent": "its parent is a zombie",
    "deleted-executable": "its program file was replaced or deleted",
}
INLINE = (
    "-c",
    "-e",
    "-p",
    "-",
)  # the option says nothing about a program that is given on the command line or by stdin
ROLES: dict[Role | None, str] = {"main": "main process ", "worker": "worker ", "super-server": "super-server "}


def port_named(protocol: Protocol, first: int, last: int | None = None) -> str:
    """`port 80`, `UDP port 53`, `ports 8000-8010`"""
    kind = "UDP port" if protocol == "udp" else "port"
    return f"{kind} {first}" if last is None else f"{kind}s {first}-{last}"


def who(process: Process, now: float) -> str:
    """`apache2.service, main process apache2 (PID 382, root, since 09:00)`; `now`: seconds since epoch."""
    details = ", ".join(_details(process, now))
    place = _place(process)
    if process.pid:
        subject = f"{place}{_program(process)}" if place else _program(process)
        return f"{subject} ({details})"
    if place:
        return f"{place.rstrip(', :')} ({details})" if details else place.rstrip(", :")
    return f"a process of {process.user or f'uid {process.uid}'}" if details else "an unknown process"


def briefly(process: Process) -> str:
    """By the name that one would stop it by: `apache2.service`, `pm2's web`, `node (PID 812)`."""
    if process.container and process.container.swarm_service:
        return f"{process.container.engine} service {process.container.swarm_service}"
    if process.container and (process.container.name or process.container.id):
        return container(process.container._replace(image=None, compose_project=None, compose_service=None))
    if process.supervisor and process.supervised and process.confirmed:
        return f"{process.supervisor}'s {process.supervised}"  # its supervisor may be a service as a whole
    if process.activation or process.service:
        return process.activation or process.service or ""
    if process.pid:
        return by_pid(process)
    return f"a process of {process.user or f'uid {process.uid}'}"


def by_pid(process: Process) -> str:
    """`node s.js (PID 812)`, whatever manages it."""
    return f"{_name(process)} (PID {process.pid})"


def _place(process: Process) -> str:
    """What precedes the program's name: the container, service or socket unit that it works for."""
    if process.role == "proxy" and process.container:
        return container(process.container) + (" through " if process.pid else "")
    inside = f"{container(process.container)}, " if process.container else ""
    if process.role == "service manager" and process.activation:
        return process.activation + (", held by " if process.pid else "")
    return inside + (f"{process.service or process.activation}, " if process.service or process.activation else "")


def container(container: Container) -> str:
    """`docker container web (shop/web, nginx:1.27)`, `docker service web` of a swarm."""
    if container.swarm_service and not container.id:
        return f"{container.engine} service {container.swarm_service}"
    name = container.name or (container.id or "")[:SHORT_ID]
    compose = "/".join(filter(None, (container.compose_project, container.compose_service)))
    remark = ", ".join(filter(None, (compose, container.image, container.pod and f"pod {container.pod}")))
    engine = "" if container.engine == "unknown" else f"{container.engine} "
    return " ".join(filter(None, (f"{engine}container", name, remark and f"({remark})")))


def _program(process: Process) -> str:
    """`main process apache2`, `python3 -m http.server`, `ssh to db:5432 through bastion`"""
    name = f"{_name(process)} to {process.forwards}" if process.forwards else _name(process)
    return ROLES.get(process.role, "") + name


def _name(process: Process) -> str:
    """`python3 -m http.server`; a script that is started by its own name has given that to its process."""
    name = called(process) or "a process"
    if not process.script or process.script in INLINE:
        return name
    program, _, subject = process.script.partition(" ")
    if base(program)[:KERNELS_LENGTH] == name:
        return f"{base(program)} {subject}".rstrip()
    return f"{name} {process.script}"


def program(process: Process) -> str:
    """What runs there, as its user would call it: `vite`, `uvicorn shop:app`, `node server.js`.

    An interpreter is left out where what it runs is a program of a name of its own.
    """
    name = f"{_name(process)} to {process.forwards}" if process.forwards else _name(process)
    script = process.script or ""
    own_name = script.partition(" ")[0]
    if own_name and name == f"{called(process)} {script}" and not set("/\\.") & set(own_name) and own_name[0] != "-":
        return script
    return name


def called_names(process: Process) -> frozenset[str]:
    """Every name under which somebody could ask for it."""
    runs = program(process)
    every = {*names(process), called(process) or "", runs, runs.partition(" ")[0], base(process.script or "")}
    return frozenset(every - {"", "a process"})


def at_home(process: Process) -> str | None:
    """Where its project is, or where it was started: `~/shop`; None where that says nothing."""
    directory = process.project_dir or process.cwd
    if not directory or directory == "/" or directory[1:] == ":\\":
        return None
    return _at_home(directory, process.user)


def _details(process: Process, now: float) -> Iterator[str]:
    if process.pid:
        yield f"PID {process.pid}"
    if process.user or process.uid is not None:
        yield process.user or f"uid {process.uid}"
    if process.claim:
        yield f"says it is {process.claim}"
    if not process.service and not process.container:
        yield from _origin(process)
    if process.started_at is not None:
        yield f"since {since(process.started_at, now)}"
    yield from map(CONDITIONS.__getitem__, process.condition)


def _origin(process: Process) -> Iterator[str]:
    """Where it was started, and what keeps it running."""
    if directory := at_home(process):
        yield f"in {directory}"
    if process.left_by:
        yield f"left behind by {process.left_by}"
    if process.task:
        yield f"by {process.task}"
    if process.session:
        yield process.session
    yield from kept_by(process)


def kept_by(process: Process) -> Iterator[str]:
    """What keeps it running, or has started it."""
    if process.supervisor and process.supervisor_pid == process.pid:
        yield f"for its {process.supervised}"
    elif process.supervisor:
        yield f"kept running by {process.supervisor}"
    elif process.started_by:
        yield f"child of {process.started_by}"


def _at_home(directory: str, user: str | None) -> str:
    """/home/ann/shop → ~/shop, for ann's process; on macOS her home is /Users/ann."""
    for home in ("/root",) if user == "root" else (f"/home/{user}", f"/Users/{user}"):
        if (directory + "/").startswith(home + "/"):
            return "~" + directory[len(home) :]
    return directory


def since(started_at: float, now: float) -> str:
    """On this machine's clock: `09:00` today, else `2026-11-19`."""
    start, today = time.localtime(started_at), time.localtime(now)
    return time.strftime("%H:%M" if start[:3] == today[:3] else "%Y-%m-%d", start)


NAMED_AT_MOST = 3


def spread(sockets: Iterable[Socket]) -> str:
    """The addresses of sockets, in words: `every IPv4 and IPv6 address`, `127.0.0.1 and ::1`."""
    addresses = list(dict.fromkeys(_place_of_socket(socket) for socket in sockets))
    dual = any(
        socket.local_address == "::" and socket.v6only is False and socket.interface is None for socket in sockets
    )
    plain = {socket.local_address for socket in sockets if socket.interface is None}
    if dual or {"0.0.0.0", "::"} <= plain:
        return "every IPv4 and IPv6 address"
    if "0.0.0.0" in plain:
        return "every IPv4 address"
    if "::" in plain:
        return "every IPv6 address"
    return listed(addresses)


def _place_of_socket(socket: Socket) -> str:
    if socket.interface and socket.local_address in ("0.0.0.0", "::"):
        return f"every address of {socket.interface}"
    return _scoped(socket)


def _scoped(socket: Socket) -> str:
    """Its address, with the interface that a link-local one needs: `fe80::1%eth0`."""
    address, interface = socket.local_address, socket.interface
    return f"{address}%{interface}" if interface and is_link_local(address) else address


def listed(names: Iterable[str], most: int = NAMED_AT_MOST) -> str:
    """`a`, `a and b`, `a, b and c`; a long list is cut."""
    shown = list(names)
    if len(shown) > most:
        shown = [*shown[:most], f"{len(shown) - most} more"]
    return " and ".join([", ".join(shown[:-1]), shown[-1]] if len(shown) > 1 else shown)
