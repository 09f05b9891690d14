"""The registry of operating systems: the back end of each.

A system without one is seen by the portable back end (psutil).  A new one is a folder with a module `backend`, a line
here, its record in `traits` and, if they differ from those of every other system, its bind rules in `rules`.
"""

from __future__ import annotations

import os

from portcheck.model import INFINITY
from portcheck.namedtuple import TYPE_CHECKING
from portcheck.traits import PLATFORM

if TYPE_CHECKING:
    from collections.abc import Iterable

    from portcheck.model import Process
    from portcheck.observe.back_end import BackEnd


def _back_end() -> BackEnd:
    """Only the one that is needed is imported: on Linux nothing that knows psutil."""
    if PLATFORM == "linux":
        from portcheck.observe.linux.backend import Linux

        return Linux()
    if PLATFORM == "windows":
        from portcheck.observe.windows.backend import Windows

        return Windows()
    if PLATFORM == "macos":
        from portcheck.observe.macos.backend import MacOS

        return MacOS()
    from portcheck.observe.portable.backend import Portable

    return Portable()


BACK_END = _back_end()


def own_uid() -> int | None:
    """Who asks; None on systems without user ids."""
    return os.getuid() if hasattr(os, "getuid") else None


def process_now(pid: int) -> Process | None:
    """A process as it is at this moment; None if there is none."""
    return BACK_END.process(pid)


MOST_GENERATIONS = 256  # a stranger may have as many as there are processes, at 0.1 ms each


def descends(pid: int, ancestor: int) -> bool:
    """Whether `pid` is a child of `ancestor`, or a child's child, and so on; not of itself."""
    for _ in range(MOST_GENERATIONS):
        process = process_now(pid)
        if process is None or not process.parent_pid:
            return False
        if process.parent_pid == ancestor:
            return True
        pid = process.parent_pid
    return False


def descendants(ancestors: Iterable[Process]) -> tuple[Process, ...]:
    """The running processes that descend from these, not these themselves; each comes after its parent."""
    children: dict[int, list[int]] = {}
    for child, its_parent in BACK_END.parents().items():
        children.setdefault(its_parent, []).append(child)
    family = list(ancestors)
    first, pids = len(family), {process.pid for process in family}
    for parent in family:  # which grows
        for pid in children.get(parent.pid, ()):
            process = None if pid in pids else process_now(pid)
            if process and process.state != "Z" and process.parent_pid in pids and _is_younger(process, parent):
                family.append(process)
                pids.add(pid)
    return tuple(family[first:])


def _is_younger(child: Process, parent: Process) -> bool:
    """Whether it may be a child: on Windows the PID of a parent that has ended can be somebody else's by now."""
    if child.start_ticks is not None and parent.start_ticks is not None:
        return child.start_ticks >= parent.start_ticks
    return (child.started_at or 0.0) >= (parent.started_at or INFINITY)
