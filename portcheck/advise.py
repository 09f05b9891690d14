"""Diagnosis → advice: what to do now, from the data in remedies.py.  Pure."""

from __future__ import annotations

from portcheck.holders import groups
from portcheck.identify.describe import container
from portcheck.identify.lookups import engine_of
from portcheck.identify.names import called
from portcheck.kinds import kind_of
from portcheck.model import Advice
from portcheck.remedies import BY_CAUSE, BY_CAUSE_WHILE_FREE, BY_KIND
from portcheck.value import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from portcheck.model import Diagnosis, Owner, Process, Scene
    from portcheck.remedies import Remedy, When

HELD = ("listener", "bound", "udp-socket")  # causes for which it depends on who holds the port
NAMED_AT_MOST = 6
EVERYBODY = ("all", "*")  # what a supervisor's command would not take for one program's name


class Asker(NamedTuple):
    """Who asks, as far as it decides what a command needs: the user id, None where there are none."""

    uid: int | None

    def needs_sudo(self, remedy: Remedy, owner: Owner | None) -> bool:
        """Whether the command would be refused without."""
        if not self.uid or remedy.needs == "nothing":
            return False
        if remedy.needs == "engine":  # it tells names only to those whose commands it takes
            named = owner is not None and owner.process.container is not None and owner.process.container.name
            return not named
        return remedy.needs == "root" or owner is None or owner.process.uid != self.uid


def advise(finding: Diagnosis, scene: Scene) -> Diagnosis:
    """The finding with its remedies, the best first."""
    return finding._replace(advice=tuple(dict.fromkeys(_advice(finding, scene))))
