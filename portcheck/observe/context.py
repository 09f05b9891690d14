"""What surrounds a process: its ancestors, and the files of the project that it was started in."""

from __future__ import annotations

import os
import stat

from portcheck.identify.facts import ProjectFile
from portcheck.identify.project import MARKS
from portcheck.namedtuple import TYPE_CHECKING
from portcheck.observe.system import BACK_END

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from portcheck.model import Process

MOST_ANCESTORS = 32
MOST_LEVELS = 12  # from a working directory upwards
MOST_BYTES = 1 << 18  # of a project file
# Windows has none of these.
_CAREFULLY = [getattr(os, flag, 0) for flag in ("O_RDONLY", "O_NONBLOCK", "O_NOFOLLOW", "O_CLOEXEC")]


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
    path = BACK_END.working_directory(process)
    for _ in range(MOST_LEVELS):
        above = os.path.dirname(directory)
        if directory in (above, home) or not os.path.isabs(directory):
            return ()
        names = [name for name in MARKS if _is_there(f"{path}/{name}")]
        if names:
            return tuple(ProjectFile(directory, name, _text(f"{path}/{name}")) for name in names)
        directory, path = above, f"{path}/.."
    return ()


def _is_there(path: str) -> bool:
    try:
        os.lstat(path)
    except OSError:
        return False
    return True


def _text(path: str) -> bytes | None:
    return small_file(path, MOST_BYTES)


def small_file(path: str, most: int) -> bytes | None:
    """A plain file of at most so many bytes; no link is followed, and nothing opened that would block or react."""
    try:
        file = os.open(path, sum(_CAREFULLY))
    except OSError:
        return None
    try:
        status = os.fstat(file)
        if not stat.S_ISREG(status.st_mode) or status.st_size > most:
            return None
        return os.read(file, most)
    except OSError:
        return None
    finally:
        os.close(file)
