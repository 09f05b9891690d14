"""Asks container engines which containers processes run in, or publish: each once, and within a time limit."""

from __future__ import annotations

from portcheck.identify.containers import Inspected, read_inspected
from portcheck.identify.managers import (
    TOOLS,
    container_unknown,
    engine_hands,
    engine_of,
    unasked,
    with_container,
)
from portcheck.identify.who import is_named
from portcheck.model import BlindSpot, Container
from portcheck.namedtuple import TYPE_CHECKING
from portcheck.observe.asking import Asked, Patiences, answer_of, named, own_uid
from portcheck.observe.system import process_now
from portcheck.text import number

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from portcheck.identify.managers import Subject
    from portcheck.model import Engine, Hands
    from portcheck.observe.subprocesses import Patience

PATIENCE = 1.0  # seconds, for all engines together


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
            replies = [with_container(subject, inspected, hands) for subject in asked]
        for index, reply in zip(members, replies):
            everybody[index] = everybody[index]._replace(process=reply)
    return Asked(tuple(everybody), tuple(spots))


def _by_engine(subjects: Sequence[Subject]) -> dict[tuple[Engine, Hands], list[int]]:
    """Indexes of those about whom an engine is asked; whose tool is missing is none, unless its container is named."""
    from portcheck.observe.subprocesses import is_there

    groups: dict[tuple[Engine, Hands], list[int]] = {}
    for index, subject in enumerate(subjects):
        engine, container = engine_of(subject.process, own_uid()), subject.process.container
        names_its_own = container is not None and container.engine == engine and is_named(container)
        is_strangers = engine_hands(subject.process, own_uid()).uid is not None
        if engine and (names_its_own or is_strangers or is_there(TOOLS[engine])):
            groups.setdefault((engine, named(engine_hands(subject.process, own_uid()))), []).append(index)
    return groups


def _engine_silent(engine: Engine, error: Exception) -> BlindSpot:
    return BlindSpot(
        "engine-no-answer",
        f"{TOOLS[engine]} {error}: which container it is stays unknown",
        None if engine == "systemd-nspawn" else f"see whether '{TOOLS[engine]} ps' answers",
    )


def containers(engine: Engine, subjects: Iterable[Subject], patience: Patience, hands: Hands) -> tuple[Inspected, ...]:
    """The containers that these are in, or whose ports they publish.  Raises NoAnswerError."""
    if engine == "systemd-nspawn":
        names = {subject.process.container.name: None for subject in subjects if subject.process.container}
        return tuple(_machine(name, patience) for name in names if name)
    ids: dict[str, None] = {}
    ports: dict[str, None] = {}
    for process, sockets, *_ in subjects:
        if process.container and process.container.id:
            ids[process.container.id] = None
        else:
            held = (socket for socket in sockets if socket.remote_port is None)
            ports.update((f"{socket.local_port}/{socket.protocol}", None) for socket in held)
    ids |= dict.fromkeys(_publishing(engine, ports, patience, hands))
    return _inspected(engine, ids, patience, hands) if ids else ()


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


def _inspected(engine: Engine, ids: Iterable[str], patience: Patience, hands: Hands) -> tuple[Inspected, ...]:
    from portcheck.observe.subprocesses import NoAnswerError, ask, reason

    answer = ask((TOOLS[engine], "container", "inspect", *ids), patience, hands)
    inspected = read_inspected(engine, answer.out)
    # A container that has ended meanwhile is no failure: the others are told all the same.
    if not answer.ok and not inspected and "no such" not in answer.err.lower():
        raise NoAnswerError(f"gave no answer ({reason(answer.err)})")
    return tuple(one._replace(cgroup=_cgroup_of(one.pid)) for one in inspected)


def _machine(name: str, patience: Patience) -> Inspected:
    """A container of systemd-nspawn, by its leader; without a cgroup where there is no such machine."""
    from portcheck.observe.subprocesses import ask

    leader = ask(("machinectl", "show", "--property=Leader", "--value", "--", name), patience).out.strip()
    container = Container("systemd-nspawn", name=name)
    return Inspected(container, cgroup=_cgroup_of(number(leader)))


def _cgroup_of(pid: int | None) -> str | None:
    process = process_now(pid) if pid else None
    return process.cgroup if process else None
