"""Asks container engines which containers processes run in, or publish: each once, and within a time limit."""

from __future__ import annotations

import os

from portcheck.identify.containers import Inspected, read_inspected, read_services, read_task
from portcheck.identify.managers import (
    TOOLS,
    container_unknown,
    engine_hands,
    engine_of,
    may_be_dockers,
    unasked,
    with_container,
)
from portcheck.identify.names import names
from portcheck.identify.who import is_named
from portcheck.model import BlindSpot
from portcheck.namedtuple import TYPE_CHECKING
from portcheck.observe.asking import Asked, Patiences, answer_of, named
from portcheck.observe.system import own_uid, process_now
from portcheck.text import number

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from portcheck.identify.managers import Subject
    from portcheck.model import Container, Engine, Hands, Process
    from portcheck.observe.subprocesses import Patience

# What shows whether it answers.
LISTS: Mapping[Engine, str] = {
    "docker": "docker ps",
    "podman": "podman ps",
    "containerd": "ctr containers list",
    "systemd-nspawn": "machinectl list",
    "lxc": "lxc-ls",
}
PATIENCE = 1.0  # seconds, for all engines together
DOCKER_SOCKET = "/var/run/docker.sock"


def ask_engines(subjects: Sequence[Subject]) -> Asked:
    """With the containers that processes run in or publish, as their engines know them."""
    everybody = [subject._replace(process=unasked(subject, own_uid())) for subject in subjects]
    groups = _by_engine(everybody)
    if not groups:
        return Asked(tuple(everybody))
    from portcheck.observe.subprocesses import NoAnswerError

    patience, spots = Patiences(PATIENCE), []
    for (engine, hands), members in groups.items():
        asked = [everybody[index] for index in members]
        try:
            inspected = containers(engine, asked, patience.with_(hands), hands)
        except NoAnswerError as error:
            spots.append(_engine_silent(engine, error))
            reason = f"{TOOLS[engine]} {error}"
            replies = [container_unknown(subject, reason, hands) for subject in asked]
        else:
            replies = [_with_tools(with_container(subject, inspected, hands), hands) for subject in asked]
        for index, reply in zip(members, replies):
            everybody[index] = everybody[index]._replace(process=reply)
    return Asked(tuple(everybody), tuple(spots))


def _with_tools(process: Process, hands: Hands) -> Process:
    """With the commands that would stop its container and are not there."""
    from portcheck.observe.subprocesses import has_docker_plugin, is_there

    container = process.container
    if container is None:
        return process
    wanted = {"containerd": "nerdctl", "lxc": "lxc-stop"}.get(container.engine)
    absent = [wanted] if wanted and not is_there(wanted) else []
    if container.engine == "docker" and container.compose_service and not has_docker_plugin("compose", hands):
        absent.append("docker compose")
    return process._replace(absent=tuple(absent))


def _by_engine(subjects: Sequence[Subject]) -> dict[tuple[Engine, Hands], list[int]]:
    """Indexes of those about whom an engine is asked; whose tool is missing is none, unless its container is named."""
    from portcheck.observe.subprocesses import is_there

    groups: dict[tuple[Engine, Hands], list[int]] = {}
    for index, subject in enumerate(subjects):
        engine, container = _engine_of(subject.process), subject.process.container
        names_its_own = container is not None and container.engine == engine and is_named(container)
        is_strangers = engine_hands(subject.process, own_uid()).uid is not None
        if engine and (names_its_own or is_strangers or is_there(TOOLS[engine])):
            groups.setdefault((engine, named(engine_hands(subject.process, own_uid()))), []).append(index)
    return groups


def _engine_of(process: Process) -> Engine | None:
    """Also LXC, where its tools are (LXD brings its own), and a docker that is no service, where one may command it.

    That one's proxies are hidden from all but root.
    """
    from portcheck.observe.subprocesses import is_there

    if may_be_dockers(process) and os.access(DOCKER_SOCKET, os.W_OK):
        return "docker"
    container = process.container
    if container and container.engine == "lxc" and is_named(container) and is_there(TOOLS["lxc"]):
        return "lxc"
    return engine_of(process, own_uid())


def _engine_silent(engine: Engine, error: Exception) -> BlindSpot:
    return BlindSpot(
        "engine-no-answer",
        f"{TOOLS[engine]} {error}: which container it is stays unknown",
        f"see whether '{LISTS[engine]}' answers",
    )


def containers(engine: Engine, subjects: Iterable[Subject], patience: Patience, hands: Hands) -> tuple[Inspected, ...]:
    """The containers that these are in, or whose ports they publish.  Raises NoAnswerError."""
    if engine in ONE_BY_ONE:
        named = dict.fromkeys(subject.process.container for subject in subjects if subject.process.container)
        return tuple(ONE_BY_ONE[engine](container, patience, hands) for container in named)
    ids: dict[str, None] = {}
    ports: dict[str, None] = {}
    for process, sockets, *_ in subjects:
        if process.container and process.container.id:
            ids[process.container.id] = None
        else:
            held = (socket for socket in sockets if socket.remote_port is None)
            ports.update((f"{socket.local_port}/{socket.protocol}", None) for socket in held)
    ids |= dict.fromkeys(_publishing(engine, ports, patience, hands))
    if not ids and engine == "docker" and any("dockerd" in names(subject.process) for subject in subjects):
        return _services(patience, hands)
    return _inspected(engine, [TOOLS[engine]], ids, patience, hands) if ids else ()


def _publishing(engine: Engine, ports: Iterable[str], patience: Patience, hands: Hands) -> list[str]:
    """The ids of the running containers that publish any of these ports.

    podman refuses this filter (4.3.1: "publish is an invalid filter") and names every running container.
    """
    filters = [f"--filter=publish={port}" for port in ports]  # several of one kind are alternatives
    if not filters:
        return []
    if engine == "podman":
        filters = []
    return answer_of((TOOLS[engine], "ps", "--quiet", "--no-trunc", *filters), patience, hands).out.split()


def _inspected(
    engine: Engine, tool: Sequence[str], ids: Iterable[str], patience: Patience, hands: Hands
) -> tuple[Inspected, ...]:
    from portcheck.observe.subprocesses import NoAnswerError, ask, reason

    answer = ask((*tool, "container", "inspect", *ids), patience, hands)
    inspected = read_inspected(engine, answer.out)
    # A container that has ended meanwhile is no failure: the others are told all the same.
    if not answer.ok and not inspected and "no such" not in answer.err.lower():
        raise NoAnswerError(f"gave no answer ({reason(answer.err)})")
    return tuple(one._replace(cgroup=_cgroup_of(one.pid)) for one in inspected)


def _services(patience: Patience, hands: Hands) -> tuple[Inspected, ...]:
    """The services of a swarm: on every node, dockerd itself listens for those that it spreads (ingress)."""
    from portcheck.observe.subprocesses import ask

    # fails where there is no swarm, or only its managers know
    return read_services(ask((TOOLS["docker"], "service", "ls", "--format={{.Name}} {{.Ports}}"), patience, hands).out)


def _machine(container: Container, patience: Patience, hands: Hands) -> Inspected:
    """A container of systemd-nspawn, by its leader; without a cgroup where there is no such machine."""
    from portcheck.observe.subprocesses import ask

    argv = ("machinectl", "show", "--property=Leader", "--value", "--", container.name or "")
    return _by_first_process(container, number(ask(argv, patience, hands).out.strip()))


def _lxc(container: Container, patience: Patience, hands: Hands) -> Inspected:
    argv = (TOOLS["lxc"], "--pid", "--no-humanize", f"--name={container.name}")
    return _by_first_process(container, number(answer_of(argv, patience, hands).out.strip()))


def _task(container: Container, patience: Patience, hands: Hands) -> Inspected:
    """A container of containerd: nerdctl knows its name, ctr comes with containerd."""
    from portcheck.observe.subprocesses import is_there

    namespace = [f"--namespace={container.namespace}"] if container.namespace else []
    options = [f"--address={container.address}", *namespace] if container.address else namespace
    if is_there("nerdctl"):
        for one in _inspected("containerd", ("nerdctl", *options), [container.id or ""], patience, hands):
            return one._replace(
                container=one.container._replace(namespace=container.namespace, address=container.address)
            )
        return Inspected(container)
    tasks = answer_of((TOOLS["containerd"], *options, "tasks", "list"), patience, hands).out
    return _by_first_process(container, read_task(tasks, container.id))


def _by_first_process(container: Container, pid: int | None) -> Inspected:
    return Inspected(container, pid=pid, cgroup=_cgroup_of(pid))


# Engines whose tools tell of one container at a time.
ONE_BY_ONE: Mapping[Engine, Callable[[Container, Patience, Hands], Inspected]] = {
    "containerd": _task,
    "lxc": _lxc,
    "systemd-nspawn": _machine,
}


def _cgroup_of(pid: int | None) -> str | None:
    process = process_now(pid) if pid else None
    return process.cgroup if process else None
