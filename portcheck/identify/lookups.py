"""What only a container engine or a service manager can tell: when to ask it, and what its answer means."""

from __future__ import annotations

from portcheck.identify.activation import unit_of
from portcheck.identify.engines import by_id, publishers
from portcheck.identify.proxies import proxy
from portcheck.identify.services import is_manager
from portcheck.value import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

    from portcheck.identify.activation import SocketUnit
    from portcheck.identify.engines import Inspected
    from portcheck.model import Container, Process, Socket

# Whose containers the tools of docker and podman know.
ASKABLE = ("docker", "podman")
ENGINE_UNITS = {"docker.service": "docker", "snap.docker.dockerd.service": "docker"}


class Subject(NamedTuple):
    """Somebody and the sockets of the question that he holds; one for each process, one for each hidden socket."""

    process: Process
    sockets: tuple[Socket, ...]


def engines_of(subject: Subject) -> tuple[str, ...]:
    """The engines that may know more of him; usually none."""
    container = subject.process.container
    if container is None:
        return _publisher_engines(subject)
    if container.engine == "unknown":
        return ASKABLE if container.id else ()
    return (container.engine,) if container.engine in ASKABLE else ()


def _publisher_engines(subject: Subject) -> tuple[str, ...]:
    """Of a process that may listen for containers, or of a hidden one in an engine's own unit."""
    found = proxy(subject.process)
    if found:
        return (found.container.engine,)
    hidden = subject.process.pid == 0
    engine = ENGINE_UNITS.get(subject.process.service or "") if hidden else None
    return (engine,) if engine else ()


def with_container(subject: Subject, inspected: Iterable[Inspected]) -> Process:
    """With what the engines know of his container; of one that he publishes only where it is a single one."""
    process = subject.process
    container = process.container
    if container is not None and container.id:
        known = by_id(inspected, container.id)
        return process._replace(container=_merged(container, known.container)) if known else process
    found = publishers(inspected, subject.sockets)
    if len(found) != 1:
        return process
    return process._replace(role="proxy", service=None, service_manager=None, container=found[0].container)


def _merged(seen: Container, known: Container) -> Container:
    """The pod that the cgroup tells is kubernetes'; the engine does not know it."""
    return known._replace(pod=seen.pod or known.pod)


def manager_of(subject: Subject, activator: Process | None) -> Process | None:
    """The service manager that knows his .socket unit; None where he has none, or it cannot be asked from here."""
    process = subject.process
    manager = process if is_manager(process) else activator
    if manager is None or manager.container or process.container:
        return None
    return manager


def with_activation(subject: Subject, units: Iterable[SocketUnit], service_manager: str) -> Process:
    """With the one .socket unit that listens for him; a manager is there for the service that it starts."""
    process = subject.process
    units = tuple(units)
    found = {unit for socket in subject.sockets if (unit := unit_of((socket,), units))}
    if len(found) != 1:
        return process
    unit = found.pop()
    service = process.service or unit.triggers
    return process._replace(activation=unit.name, service=service, service_manager=service_manager)
