"""Asks service managers for the units that hold sockets, and whether services are really theirs."""

from __future__ import annotations

from portcheck.identify.managers import (
    activation_unknown,
    manager_of,
    stopping,
    unit_unknown,
    units_of,
    with_activation,
    with_surroundings,
    with_unit,
)
from portcheck.identify.systemd import PROPERTIES, UNIT_PROPERTIES, read_control_groups, read_units, unheard_of
from portcheck.model import BlindSpot, Hands
from portcheck.namedtuple import TYPE_CHECKING
from portcheck.observe.asking import Asked, Patiences, answer_of, named
from portcheck.observe.system import own_uid

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from portcheck.identify.managers import Manager, Subject
    from portcheck.identify.systemd import SocketUnit, Unit
    from portcheck.model import Process
    from portcheck.observe.subprocesses import Patience

PATIENCE = 1.0  # seconds, for all service managers together
UNITS_AT_ONCE = 200  # on a command line
ROUNDS = 5  # of questions about what needs what needs a unit


def ask_managers(subjects: Sequence[Subject]) -> Asked:
    """With the .socket units for which service managers hold sockets, and the services that they have confirmed."""
    asking = Asking(subjects)
    asking.about_activations()
    asking.about_units()
    asking.about_surroundings()
    return Asked(tuple(asking.everybody), tuple(asking.blind_spots))


class Asking:
    """Questions to service managers: one after the other makes everybody better known."""

    def __init__(self, subjects: Sequence[Subject]) -> None:
        self.everybody = list(subjects)
        self.blind_spots: dict[BlindSpot, None] = {}
        self._patience = Patiences(PATIENCE)
        self._units: dict[Manager, dict[str, Unit]] = {}  # what has been learned

    def about_activations(self) -> None:
        """For which .socket units they hold sockets."""
        for manager, members in _by_activation(self.everybody).items():
            hands = _hands_of(manager)
            reply = _socket_units(manager, self._patience.with_(hands), hands)
            for index in members:
                subject = self.everybody[index]
                if isinstance(reply, BlindSpot):
                    self.blind_spots[reply] = None
                    self._now(index, activation_unknown(subject, reply.message.partition(":")[0]))
                else:
                    self._now(index, with_activation(subject, reply, manager, hands))

    def about_units(self) -> None:
        """Whether what runs in a unit's cgroup is theirs."""
        for manager, units in _by_unit(self.everybody).items():
            silent = self._learn(manager, units.values())
            for index, name in units.items():
                subject = self.everybody[index]
                if silent:
                    self._now(index, unit_unknown(subject, silent.message.partition(":")[0]))
                else:
                    unit = self._units[manager].get(name)
                    self._now(index, with_unit(subject, unit, manager, _hands_of(manager)))

    def about_surroundings(self) -> None:
        """What starts units again, and what is stopped with them; all that was heard of counts."""
        for manager, stopped in _by_stopping(self.everybody).items():
            names = [name for some in stopped.values() for name in some]
            for _ in range(ROUNDS):
                asked = unheard_of(names, self._units.setdefault(manager, {}))
                if not asked or self._learn(manager, asked):
                    break
            for index, some in stopped.items():
                process = self.everybody[index].process
                self._now(index, with_surroundings(process, some, self._units[manager]))

    def _learn(self, manager: Manager, names: Collection[str]) -> BlindSpot | None:
        """Asks about units; None where it has answered."""
        hands = _hands_of(manager)
        answer = _units(manager, names, self._patience.with_(hands), hands)
        if isinstance(answer, BlindSpot):
            self.blind_spots[answer] = None
            return answer
        self._units.setdefault(manager, {}).update(answer)
        return None

    def _now(self, index: int, process: Process) -> None:
        self.everybody[index] = self.everybody[index]._replace(process=process)


def _hands_of(manager: Manager) -> Hands:
    return named(Hands(manager.user_id))


def _by_activation(subjects: Sequence[Subject]) -> dict[Manager, list[int]]:
    groups: dict[Manager, list[int]] = {}
    for index, subject in enumerate(subjects):
        manager = manager_of(subject)
        # Root may ask anybody's, everybody else the system's and their own; others are named, and do not answer.
        may_ask = manager and (own_uid() == 0 or manager.user_id in (None, own_uid()))
        if manager and (may_ask or subject.process.activation):
            groups.setdefault(manager, []).append(index)
    return groups


def _by_unit(subjects: Sequence[Subject]) -> dict[Manager, dict[int, str]]:
    groups: dict[Manager, dict[int, str]] = {}
    for index, subject in enumerate(subjects):
        asked = units_of(subject)
        if asked:
            groups.setdefault(asked[0], {})[index] = asked[1]
    return groups


def _by_stopping(subjects: Sequence[Subject]) -> dict[Manager, dict[int, tuple[str, ...]]]:
    groups: dict[Manager, dict[int, tuple[str, ...]]] = {}
    for index, subject in enumerate(subjects):
        stopped = stopping(subject.process)
        if stopped:
            groups.setdefault(stopped[0], {})[index] = stopped[1]
    return groups


def _manager_silent(error: Exception, what: str) -> BlindSpot:
    return BlindSpot(
        "service-manager-no-answer",
        f"systemctl {error}: {what} stays unknown",
        "see whether 'systemctl list-sockets' answers",
    )


def _socket_units(manager: Manager, patience: Patience, hands: Hands) -> tuple[SocketUnit, ...] | BlindSpot:
    """The active ones of the system's manager, or of a user's.

    `show` prints `Property=value`, never localized, in every version; `list-sockets` is a table, and its JSON
    (systemd 246 and later) leaves out whether a socket is TCP or UDP.
    """
    from portcheck.observe.subprocesses import NoAnswerError

    properties = f"--property={','.join(PROPERTIES)}"
    try:
        return read_units(answer_of((*_systemctl(manager), "show", properties, "*.socket"), patience, hands).out)
    except NoAnswerError as error:
        return _manager_silent(error, "which .socket unit holds the port")


def _units(manager: Manager, names: Collection[str], patience: Patience, hands: Hands) -> dict[str, Unit] | BlindSpot:
    """What a manager has of these units, as many at once as a command line holds."""
    from portcheck.observe.subprocesses import NoAnswerError

    properties, asked, units = f"--property={','.join(UNIT_PROPERTIES)}", sorted(set(names)), dict[str, "Unit"]()
    try:
        for start in range(0, len(asked), UNITS_AT_ONCE):
            some = asked[start : start + UNITS_AT_ONCE]
            argv = (*_systemctl(manager), "show", properties, "--", *some)
            units.update(read_control_groups(answer_of(argv, patience, hands).out))
    except NoAnswerError as error:
        return _manager_silent(error, "which of its units it is")
    return units


def _systemctl(manager: Manager) -> tuple[str, ...]:
    return ("systemctl",) if manager.user_id is None else ("systemctl", "--user")
