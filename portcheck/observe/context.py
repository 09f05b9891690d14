"""What surrounds a process: its ancestors, and the files of the project that it was started in."""

from __future__ import annotations

import os
from itertools import islice

from portcheck.identify.facts import ProjectFile
from portcheck.identify.project import MARKS
from portcheck.namedtuple import TYPE_CHECKING
from portcheck.observe.system import BACK_END

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from portcheck.model import Process

MOST_ANCESTORS = 32
MOST_LEVELS = 12  # from a working directory upwards
MOST_BYTES = 1 << 16  # of a project file; whatever is in them is read in 2 ms


class Ancestry:
    """Ancestors of processes, each process read once."""

    def __init__(self, known: Mapping[int, Process]) -> None:
        self._known: dict[int, Process | None] = dict(known)

    def of(self, process: Process) -> tuple[Process, ...]:
        """Its parent first, as far as they can be seen."""
        return tuple(self._climb(process))

    def _climb(self, process: Process) -> Iterator[Process]:
        for _ in range(MOST_ANCESTORS):
            parent = self._get(process.parent_pid) if process.parent_pid else None
            if parent is None or _is_younger(parent, process):
                return
            yield parent
            process = parent

    def _get(self, pid: int) -> Process | None:
        if pid not in self._known:
            self._known[pid] = BACK_END.process(pid)
        return self._known[pid]


def _is_younger(parent: Process, child: Process) -> bool:
    """Windows lets a dead parent's PID be another process's."""
    if BACK_END.orphans_are_adopted or parent.started_at is None or child.started_at is None:
        return False
    return parent.started_at > child.started_at


def project_files(process: Process, home: str | None) -> tuple[ProjectFile, ...]:
    """The project files of the nearest directory that has any, from the working directory upwards.

    A home directory is nobody's project, nor is what is above it.
    """
    directory = process.cwd or "/"
    if not _can_be_a_project(directory, home):  # most services are in /
        return ()
    for files in islice(BACK_END.folders(process, MARKS, MOST_BYTES), MOST_LEVELS):
        if files:
            return tuple(ProjectFile(directory, name, text) for name, text in files.items())
        directory = os.path.dirname(directory)
        if not _can_be_a_project(directory, home):
            return ()
    return ()


def _can_be_a_project(directory: str, home: str | None) -> bool:
    return os.path.isabs(directory) and directory not in (os.path.dirname(directory), home)
