"""What only a container engine or a service manager knows: when to ask it, and what its answer means."""

from __future__ import annotations

from portcheck.identify.cgroup import SYSTEM, USER, placement
from portcheck.identify.containers import by_id, publishers
from portcheck.identify.systemd import is_host, is_manager, unit_of
from portcheck.namedtuple import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

    from portcheck.identify.containers import Inspected
    from portcheck.identify.systemd import SocketUnit
    from portcheck.model import Container, Engine, Process, Socket


class Subject(NamedTuple):
    """A process, or whoever is behind a hidden socket, with the sockets of the question that it holds."""

    process: Process
    sockets: tuple[Socket, ...]
    activator: Process | None = None  # the service manager that holds one of them too


class Manager(NamedTuple):
    """A service manager: the system's, or that of a user."""

    user_id: int | None = None


def engine_of(process: Process, uid: int | None) -> Engine | None:
    """The engine whose tool may know more about it when user `uid` runs it; usually None.

    No tool is run in vain: docker's could start an engine of somebody else's (docker.socket), podman's creates
    directories when a user calls it for the first time.
    """
    engine = process.container.engine if process.container else process.publisher
    owner = _owner(process)
    if engine == "podman":
        return "podman" if owner == uid else None
    return "docker" if engine in ("docker", "unknown") and owner in (0, uid, None) else None


def _owner(process: Process) -> int | None:
    """The user whose engine it is: a rootless one lives below its user's manager, and its proxies are that user's."""
    if process.role != "proxy" and process.container:
        return placement(process.cgroup).user_id or 0
    return process.uid


def with_container(subject: Subject, inspected: Iterable[Inspected]) -> Process:
    """With what the engines know of its container; of one that it publishes only where there is a single one."""
    process = subject.process
    container = process.container
    if container is not None and container.id:
        own = by_id(inspected, container.id)
        return process._replace(container=_merged(container, own.container)) if own else process
    publishing = publishers(inspected, subject.sockets)
    if len(publishing) != 1:
        return process
    process = process._replace(role="proxy", container=publishing[0].container)
    return process._replace(service=None, service_manager=None) if is_host(process.service or "") else process


def _merged(by_cgroup: Container, by_engine: Container) -> Container:
    """The pod in the cgroup's path is that of Kubernetes, which the engine does not know."""
    return by_engine._replace(pod=by_cgroup.pod or by_engine.pod)


def manager_of(subject: Subject) -> Manager | None:
    """The service manager to ask for its .socket unit; None where there is none, or everything is known."""
    process = subject.process
    if process.container or (process.activation and process.service):
        return None
    if process.pid == 0:
        held = process.activation or process.role == "service manager"
        return Manager(placement(process.cgroup).user_id) if held else None
    holder = process if is_manager(process) else subject.activator
    return None if holder is None else Manager(None if holder.pid == 1 else holder.uid)


def with_activation(subject: Subject, units: Iterable[SocketUnit], manager: Manager) -> Process:
    """With the one .socket unit that listens for it; a manager stands for the service that it starts."""
    process = subject.process
    candidates = dict.fromkeys(unit_of(socket, units) for socket in subject.sockets)
    matching = [unit for unit in candidates if unit is not None]
    if len(matching) != 1:
        return process
    return process._replace(
        activation=matching[0].name,
        service=process.service or matching[0].triggers,
        service_manager=SYSTEM if manager.user_id is None else USER,
    )
