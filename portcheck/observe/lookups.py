"""Asks the container engines and service managers that may know more: each once, within a time limit."""

from __future__ import annotations

import os

from portcheck.identify.lookups import engine_of, manager_of, with_activation, with_container
from portcheck.model import BlindSpot
from portcheck.value import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from portcheck.identify.lookups import Manager, Subject

PATIENCE = 1.0  # seconds, for all engines together, and again for all service managers


class Asked(NamedTuple):
    """Everybody, in the order given, with what was learned; and who did not answer."""

    subjects: tuple[Subject, ...]
    blind_spots: tuple[BlindSpot, ...] = ()


def ask_engines(subjects: Sequence[Subject]) -> Asked:
    """With the containers that processes run in or publish, as docker and podman know them."""
    groups: dict[str, list[int]] = {}
    for index, subject in enumerate(subjects):
        engine = engine_of(subject.process, _uid())
        if engine:
            groups.setdefault(engine, []).append(index)
    if not groups:
        return Asked(tuple(subjects))
    return _ask_engines(list(subjects), groups)


def _ask_engines(subjects: list[Subject], groups: dict[str, list[int]]) -> Asked:
    from portcheck.observe.asking import NoAnswerError, Patience, is_there
    from portcheck.observe.engines import containers

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
            found = with_container(subjects[index], inspected)
            subjects[index] = subjects[index]._replace(process=found)
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
    from portcheck.observe.asking import NoAnswerError, Patience, is_there
    from portcheck.observe.units import socket_units

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
            found = with_activation(subjects[index], units, manager)
            subjects[index] = subjects[index]._replace(process=found)
    return Asked(tuple(subjects), tuple(spots))


def _engine_silent(engine: str, error: Exception) -> BlindSpot:
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
