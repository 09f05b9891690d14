"""Asks container engines and service managers that may know more, each once and within a time limit."""

from __future__ import annotations

import os

from portcheck.identify.containers import read_inspected
from portcheck.identify.managers import engine_of, manager_of, with_activation, with_container
from portcheck.identify.systemd import PROPERTIES, read_units
from portcheck.model import BlindSpot
from portcheck.namedtuple import TYPE_CHECKING, NamedTuple
from portcheck.observe.subprocesses import NoAnswerError, ask

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from portcheck.identify.containers import Inspected
    from portcheck.identify.managers import Manager, Subject
    from portcheck.identify.systemd import SocketUnit
    from portcheck.model import Engine
    from portcheck.observe.subprocesses import Patience


PATIENCE = 1.0  # seconds, for all engines together, and again for all service managers


class Asked(NamedTuple):
    """Everybody, in the order given, with what was learned; and who did not answer."""

    subjects: tuple[Subject, ...]
    blind_spots: tuple[BlindSpot, ...] = ()


def ask_engines(subjects: Sequence[Subject]) -> Asked:
    """With the containers that processes run in or publish, as docker and podman know them."""
    groups: dict[Engine, list[int]] = {}
    for index, subject in enumerate(subjects):
        engine = engine_of(subject.process, _uid())
        if engine:
            groups.setdefault(engine, []).append(index)
    if not groups:
        return Asked(tuple(subjects))
    return _ask_engines(list(subjects), groups)


def _ask_engines(subjects: list[Subject], groups: dict[Engine, list[int]]) -> Asked:
    from portcheck.observe.subprocesses import NoAnswerError, Patience, is_there

    patience, spots = Patience(PATIENCE), []
    for engine, members in groups.items():
        asked = [subjects[index] for index in members]
        if not is_there(engine):
            continue
        try:
            inspected = containers(engine, asked, patience)
        except NoAnswerError as error:
            spots.append(_engine_silent(engine, error))
            continue
        for index in members:
            process = with_container(subjects[index], inspected)
            subjects[index] = subjects[index]._replace(process=process)
    return Asked(tuple(subjects), tuple(spots))


def ask_managers(subjects: Sequence[Subject]) -> Asked:
    """With the .socket units for which service managers hold sockets."""
    groups: dict[Manager, list[int]] = {}
    for index, subject in enumerate(subjects):
        manager = manager_of(subject)
        # Root may ask anybody's, everybody else the system's and their own.
        if manager and (_uid() == 0 or manager.user_id in (None, _uid())):
            groups.setdefault(manager, []).append(index)
    if not groups:
        return Asked(tuple(subjects))
    return _ask_managers(list(subjects), groups)


def _ask_managers(subjects: list[Subject], groups: dict[Manager, list[int]]) -> Asked:
    from portcheck.observe.subprocesses import NoAnswerError, Patience, is_there

    patience, spots = Patience(PATIENCE), []
    for manager, members in groups.items():
        if not is_there("systemctl"):
            break
        try:
            units = socket_units(manager.user_id, patience)
        except NoAnswerError as error:
            spots.append(_manager_silent(error))
            continue
        for index in members:
            process = with_activation(subjects[index], units, manager)
            subjects[index] = subjects[index]._replace(process=process)
    return Asked(tuple(subjects), tuple(spots))


def _engine_silent(engine: Engine, error: Exception) -> BlindSpot:
    return BlindSpot(
        "engine-no-answer",
        f"{engine} {error}: which container it is stays unknown",
        f"see whether '{engine} ps' answers",
    )


def _manager_silent(error: Exception) -> BlindSpot:
    return BlindSpot(
        "service-manager-no-answer",
        f"systemctl {error}: which .socket unit holds the port stays unknown",
        "see whether 'systemctl list-sockets' answers",
    )


def _uid() -> int | None:
    return os.getuid() if hasattr(os, "getuid") else None


def containers(engine: Engine, subjects: Iterable[Subject], patience: Patience) -> tuple[Inspected, ...]:
    """The containers that these are in, or whose ports they publish.  Raises NoAnswerError."""
    ids: dict[str, None] = {}
    ports: dict[str, None] = {}
    for process, sockets, _ in subjects:
        if process.container and process.container.id:
            ids[process.container.id] = None
        else:
            held = (socket for socket in sockets if socket.remote_port is None)
            ports.update((f"{socket.local_port}/{socket.protocol}", None) for socket in held)
    ids |= dict.fromkeys(_publishing(engine, ports, patience))
    return _inspected(engine, ids, patience) if ids else ()


def _publishing(engine: Engine, ports: Iterable[str], patience: Patience) -> list[str]:
    """The ids of the running containers that publish any of these ports.

    podman refuses this filter (4.3.1: "publish is an invalid filter") and names every running container.
    """
    filters = [f"--filter=publish={port}" for port in ports]  # several of one kind are alternatives
    if not filters:
        return []
    if engine == "podman":
        filters = []
    answer = ask((engine, "ps", "--quiet", "--no-trunc", *filters), patience)
    if not answer.ok:
        raise NoAnswerError(_refusal(answer.err))
    return answer.out.split()


def _inspected(engine: Engine, ids: Iterable[str], patience: Patience) -> tuple[Inspected, ...]:
    answer = ask((engine, "container", "inspect", *ids), patience)
    inspected = read_inspected(engine, answer.out)
    # A container that has ended meanwhile is no failure: the others are told all the same.
    if not answer.ok and not inspected and "no such" not in answer.err.lower():
        raise NoAnswerError(_refusal(answer.err))
    return inspected


def _refusal(message: str) -> str:
    """Its own first line of words."""
    line = message.strip().partition("\n")[0] or "no reason given"
    return f"gave no answer ({line[:160]})"


def socket_units(user_id: int | None, patience: Patience) -> tuple[SocketUnit, ...]:
    """The active ones of the system's manager, or of a user's.  Raises NoAnswerError.

    `show` prints `Property=value`, never localized, in every version; `list-sockets` is a table, and its JSON
    (systemd 246 and later) leaves out whether a socket is TCP or UDP.
    """
    properties = f"--property={','.join(PROPERTIES)}"
    answer = ask(("systemctl", *_manager(user_id), "show", "*.socket", properties), patience, _runtime(user_id))
    if not answer.ok:
        raise NoAnswerError(_refusal(answer.err))
    return read_units(answer.out)


def _manager(user_id: int | None) -> tuple[str, ...]:
    """Another user's manager is reached through a login of its own (only root may)."""
    if user_id is None:
        return ()
    return ("--user",) if user_id == os.getuid() else ("--user", f"--machine={user_id}@")


def _runtime(user_id: int | None) -> dict[str, str]:
    """Where one's own manager listens: sudo and cron do not set it."""
    if user_id is None or "XDG_RUNTIME_DIR" in os.environ:
        return {}
    return {"XDG_RUNTIME_DIR": f"/run/user/{user_id}"}
