"""Who holds a port, as far as it decides what frees it: what manages a process comes before the process.  Pure."""

from __future__ import annotations

from portcheck.identify.cgroup import INSIDE, USER
from portcheck.identify.containers import proxy
from portcheck.identify.managers import engine_of
from portcheck.identify.names import title
from portcheck.identify.supervisors import supervisor
from portcheck.identify.who import is_named
from portcheck.namedtuple import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Literal

    from portcheck.model import Container, Owner, Process, ServiceManager, Supervisor

    Kind = Literal[
        "socket-unit", "user-socket-unit", "service", "user-service", "launchd", "launchd-job", "homebrew",
        "macos-setting", "windows-service", "windows-services", "windows-port-proxy", "windows-http", "windows-kernel",
        "iis", "wsl", "ended",
        "compose", "container", "containerd", "nspawn", "pod", "other-container", "foreign-container",
        "unnamed-container", "engine", "manager", "user-manager", "supervisord", "pm2", "runit", "s6",
        "managed", "watched", "supervising",
        "apache", "nginx", "forwarder", "ide", "stopped", "orphaned", "plain",
        "hidden", "hidden-from-user", "hidden-by-namespace",
    ]  # fmt: skip

# What `stop` leaves to the command of who manages it.
MANAGED: frozenset[Kind] = frozenset((
    "socket-unit", "user-socket-unit", "service", "user-service", "launchd-job", "homebrew", "compose",
    "container", "containerd", "nspawn", "supervisord", "pm2", "runit", "s6",
))  # fmt: skip
# What it ends by a signal.
SIGNALLED: frozenset[Kind] = frozenset((
    "watched", "apache", "nginx", "forwarder", "stopped", "orphaned", "plain",
))  # fmt: skip
# The words of identify.macos and identify.windows, which need not be imported for them.
BY_OTHER_MANAGERS: dict[ServiceManager | None, Kind] = {
    "launchd": "launchd-job",
    "macOS": "macos-setting",
    "windows": "windows-service",
    "windows, several in one process": "windows-services",
}
IIS = "W3SVC"  # whose sites are stopped one by one
HOMEBREW = "homebrew.mxcl."  # jobs of launchd that `brew services` makes
WSL = ("wslhost.exe", "wslrelay.exe")
# Supervisors that stop a program by their own command, once its name is known.
MANAGERS: dict[Supervisor, Kind] = {"supervisord": "supervisord", "pm2": "pm2", "runit": "runit", "s6": "s6"}
# Those that stop programs by their own commands too; every other one starts a single program, and ends with it.
OTHER_MANAGERS = frozenset(("circus", "daemontools", "dinit", "OpenRC"))
# Those that may listen on behalf of the programs that they run.
OF_SEVERAL = frozenset(("supervisord", "pm2", "circus"))
# Options by which a server runs with files of its own: the plain command would stop another one.
SERVERS: dict[str, Kind] = {"apache2": "apache", "httpd": "apache", "nginx": "nginx"}
APART: dict[Kind, frozenset[str]] = {"apache": frozenset(("-d", "-f")), "nginx": frozenset(("-c", "-p"))}


def kind_of(owner: Owner, uid: int | None) -> Kind:
    """What kind of owner this is for user `uid` (None on systems without user ids)."""
    process = owner.process
    return _by_surroundings(process, uid) or _by_manager(process) or _unseen(owner, uid) or _by_itself(process)


def _by_surroundings(process: Process, uid: int | None) -> Kind | None:
    """Where it runs, as far as that can only be stopped as a whole."""
    if process.container is None and proxy(process):
        return "engine"
    if process.service_manager in BY_OTHER_MANAGERS:
        return _by_other_manager(process)
    if process.container and (process.service is None or process.service_manager == INSIDE):
        return _kind_of_container(process, process.container, uid)
    return None


def _by_other_manager(process: Process) -> Kind:
    """On Windows and macOS."""
    if process.role == "forwarder":
        return "windows-port-proxy"
    if process.service == IIS:
        return "iis"
    if (process.service or "").startswith(HOMEBREW):
        return "homebrew"
    return BY_OTHER_MANAGERS[process.service_manager]


def _by_manager(process: Process) -> Kind | None:
    """What starts it again; a supervisor may be a service itself, with all its programs in one unit."""
    if supervisor(process) in OF_SEVERAL:
        return "supervising"
    if process.supervisor in MANAGERS or process.supervisor in OTHER_MANAGERS:
        return MANAGERS.get(process.supervisor, "managed") if process.supervised else "managed"
    by_user = process.service_manager == USER
    if process.activation:
        return "user-socket-unit" if by_user else "socket-unit"
    if process.service:
        return "user-service" if by_user else "service"
    return None


def _unseen(owner: Owner, uid: int | None) -> Kind | None:
    """Of whom too little is known."""
    process = owner.process
    if process.role == "service manager" and process.name == "launchd":
        return "launchd"
    if process.role == "service manager":
        return "manager" if process.pid == 1 or process.uid == 0 else "user-manager"
    if owner.pid is None:
        return "hidden-by-namespace" if uid == 0 else "hidden-from-user" if uid is None else "hidden"
    return None


def _kind_of_container(process: Process, container: Container, uid: int | None) -> Kind:
    if container.engine == "systemd-nspawn" and container.name:
        return "nspawn"
    if container.pod and container.engine != "podman":
        return "pod"
    if container.engine not in ("docker", "podman"):
        return "containerd" if container.engine == "containerd" and container.id else "other-container"
    if not is_named(container):
        return "unnamed-container"
    if engine_of(process, uid) is None and engine_of(process, 0) is None:
        return "foreign-container"  # neither the asker's engine nor root's knows of it
    in_project = container.compose_project and container.compose_service
    return "compose" if in_project and container.engine == "docker" else "container"


def _by_itself(process: Process) -> Kind:
    if process.role == "kernel":
        return "windows-http" if process.forwards else "windows-kernel"
    if "ended" in process.condition:
        return "ended"
    if process.supervisor:
        return "watched"
    if process.role in ("forwarder", "ide"):
        return "ide" if process.role == "ide" else "wsl" if process.name in WSL else "forwarder"
    return _by_condition(process)


def _by_condition(process: Process) -> Kind:
    if "stopped" in process.condition:
        return "stopped"
    server = SERVERS.get(process.name or "") if process.role == "main" else None
    if server and APART[server].isdisjoint(title(process).split()):
        return server
    return "orphaned" if "orphaned" in process.condition else "plain"
