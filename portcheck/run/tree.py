"""The processes that a command has started, children's children too, found by descent from portcheck.

By descent and not by process group: a command that shares portcheck's terminal shares its group with others, and a
daemon leaves the group and the session.
"""

from __future__ import annotations

import os

from portcheck.namedtuple import TYPE_CHECKING, NamedTuple
from portcheck.observe.system import descendants, process_now
from portcheck.stop.terminate import is_alive

if TYPE_CHECKING:
    from portcheck.model import Process


class Tree:
    """The processes of one command.

    Where portcheck adopts orphans everything that descends from it is the command's.  Elsewhere a process that has
    lost its parent is recognised if it has been seen before that: `remember()` is worth calling then.
    """

    def __init__(self, command: int, *, adopts: bool) -> None:
        self.adopts = adopts
        root = process_now(os.getpid() if adopts else command)
        self._root = (root,) if root else ()
        self._members: tuple[Process, ...] = () if adopts else self._root

    def members(self) -> tuple[Process, ...]:
        """Those that run at this moment, the command too."""
        if self.adopts:
            return descendants(self._root)
        alive = [process for process in self._members if is_alive(process)]
        self._members = (*alive, *descendants(alive))
        return self._members

    def remember(self) -> None:
        """Sees who is there, where that is of use later."""
        if not self.adopts:
            self.members()


class Left(NamedTuple):
    """What is left of a tree that was to be ended."""

    processes: tuple[Process, ...] = ()
    hidden: bool = False  # something that cannot be seen

    def __bool__(self) -> bool:
        return self.hidden or bool(self.processes)


NOTHING = Left()
