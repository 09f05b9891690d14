"""Who holds a port, as far as it decides what frees it: what manages a process comes before the process itself.  Pure."""

from __future__ import annotations

from portcheck.identify.cgroup import INSIDE, USER
from portcheck.identify.lookups import engine_of
from portcheck.identify.names import title
from portcheck.identify.proxies import proxy
from portcheck.identify.supervisors import supervisor
from portcheck.identify.who import is_named
from portcheck.value import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Literal

    from portcheck.model import Container, Owner, Process

    Kind = Literal[
        "socket-unit", "user-socket-unit", "service", "user-service", "launchd", "windows-service",
        "compose", "container", "containerd", "nspawn", "pod", "other-container", "foreign-container",
        "unnamed-container", "engine", "manager", "user-manager", "supervisord", "pm2", "runit", "s6", "supervised",
        "supervising", "apache", "nginx", "forwarder", "ide", "stopped", "orphaned", "plain",
        "hidden", "hidden-by-namespace",
    ]  # fmt: skip

# What `stop` leaves to the command of who manages it; a container that is not known by name has none.
MANAGED: frozenset[Kind] = frozenset((
    "socket-unit", "user-socket-unit", "service", "user-service", "launchd", "compose", "container", "containerd",
    "nspawn", "supervisord", "pm2", "runit", "s6",
))  # fmt: skip
# What it ends by a signal.
SIGNALLED: frozenset[Kind] = frozenset((
    "apache", "nginx", "forwarder", "stopped", "orphaned", "plain", "supervised",
))  # fmt: skip
SUPERVISORS: dict[str, Kind] = {"supervisord": "supervisord", "pm2": "pm2", "runit": "runit", "s6": "s6"}
# Supervisors that run several programs, some of them listening on behalf of those.
OF_SEVERAL = frozenset(("supervisord", "pm2", "circus", "god"))
# Options by which a server runs with files of its own: its plain command would stop another one.
APART = {"apache": ("-d", "-f"), "nginx": ("-c", "-p")}


def kind_of(owner: Owner, uid: int | None) -> Kind:
    """What kind of owner this is for user `uid` (None on systems without user ids)."""
    process = owner.process
    if process.container is None and proxy(process):
        return "engine"
    if process.service_manager != INSIDE and (process.activation or process.service):
        return _kind_of_unit(process)
    if process.container:
        return _kind_of_container(process, process.container, uid)
    if process.role == "service manager":
        return "manager" if process.pid == 1 or process.uid == 0 else "user-manager"
    if owner.pid is None:
        return "hidden-by-namespace" if uid == 0 else "hidden"
    return _kind_of_process(process)


def _kind_of_unit(process: Process) -> Kind:
    by_user = process.service_manager == USER
    if process.activation:
        return "user-socket-unit" if by_user else "socket-unit"
    if process.service_manager in ("launchd", "windows"):
        return "launchd" if process.service_manager == "launchd" else "windows-service"
    return "user-service" if by_user else "service"


def _kind_of_container(process: Process, container: Container, uid: int | None) -> Kind:
    if container.engine == "systemd-nspawn" and container.name:
        return "nspawn"
    if container.engine not in ("docker", "podman"):
        return _kind_of_other_container(container)
    if container.pod and container.engine == "docker":
        return "pod"
    if not is_named(container):
        return "unnamed-container"
    if engine_of(process, uid) is None and engine_of(process, 0) is None:
        return "foreign-container"  # neither the asker's engine nor root's knows of it
    in_project = container.compose_project and container.compose_service
    return "compose" if in_project and container.engine == "docker" else "container"


def _kind_of_other_container(container: Container) -> Kind:
    if container.pod:
        return "pod"
    return "containerd" if container.engine == "containerd" and container.id else "other-container"


def _kind_of_process(process: Process) -> Kind:
    if supervisor(process) in OF_SEVERAL:
        return "supervising"
    if process.supervisor:
        known = SUPERVISORS.get(process.supervisor) if process.supervised else None
        return known or "supervised"
    if process.role in ("forwarder", "ide"):
        return "ide" if process.role == "ide" else "forwarder"
    return _kind_of_condition(process)


def _kind_of_condition(process: Process) -> Kind:
    if "stopped" in process.condition:
        return "stopped"
    known: dict[str, Kind] = {"apache2": "apache", "httpd": "apache", "nginx": "nginx"}
    server = known.get(process.name or "") if process.role == "main" else None
    if server and not set(title(process).split()) & set(APART[server]):
        return server
    return "orphaned" if "orphaned" in process.condition else "plain"
