"""What stands around a process (on Linux in /proc): ancestors, session, a few variables, its project's files."""

from __future__ import annotations

import os
import stat

from portcheck.identify.facts import ENVIRONMENT, ProjectFile
from portcheck.identify.project import MARKS
from portcheck.namedtuple import TYPE_CHECKING, NamedTuple
from portcheck.observe.linux import procfs
from portcheck.observe.system import PLATFORM, process

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from portcheck.model import Process

MOST_ANCESTORS = 32
MOST_LEVELS = 12  # from a working directory upwards
MOST_BYTES = 1 << 18  # of a project file
# /proc/PID/stat after the name, counted from the state (field 3 in proc_pid_stat(5)).
_SESSION, _TERMINAL = 3, 4
_PTS, _TTY = range(136, 144), 4  # major device numbers (Documentation/admin-guide/devices.txt)
# Windows has none of these.
_CAREFULLY = [getattr(os, flag, 0) for flag in ("O_RDONLY", "O_NONBLOCK", "O_NOFOLLOW", "O_CLOEXEC")]


class Session(NamedTuple):
    """A process's session (getsid(2); 0: from outside of this PID namespace) and its controlling terminal."""

    id: int | None = None
    terminal: str | None = None


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
            self._known[pid] = process(pid)
        return self._known[pid]


def _is_younger(parent: Process, child: Process) -> bool:
    """Windows lets a dead parent's PID be another process's."""
    if PLATFORM == "linux" or parent.started_at is None or child.started_at is None:
        return False
    return parent.started_at > child.started_at


def session(pid: int) -> Session:
    """Both unknown where there is no such process."""
    if PLATFORM != "linux":
        from portcheck.observe.portable import processes

        return Session(None, processes.terminal(pid))
    text = procfs.read(f"{pid}/stat")
    if not text:
        return Session()
    fields = text.rpartition(b") ")[2].split()
    return Session(int(fields[_SESSION]), _terminal(int(fields[_TERMINAL])))


def _terminal(number: int) -> str | None:
    """`pts/3`, `tty1` for a device number as the kernel packs it."""
    major, minor = (number >> 8) & 0xFFF, (number & 0xFF) | ((number >> 12) & 0xFFF00)
    if major in _PTS:
        return f"pts/{minor + ((major - _PTS.start) << 8)}"
    return f"tty{minor}" if major == _TTY else None


def environment(pid: int) -> dict[str, str]:
    """Those variables that decide something, as the program was started with them; {} where not readable."""
    if PLATFORM != "linux":
        from portcheck.observe.portable import processes

        return processes.environment(pid)
    found: dict[str, str] = {}
    for entry in (procfs.read(f"{pid}/environ") or b"").split(b"\0"):
        name, equals, value = entry.partition(b"=")
        if equals and (key := os.fsdecode(name)) in ENVIRONMENT:
            found.setdefault(key, os.fsdecode(value))
    return found


def project_files(process: Process, home: str | None) -> tuple[ProjectFile, ...]:
    """The project files of the nearest directory that has any, from the working directory upwards.

    Reached through /proc/PID/cwd, so that a container's paths are looked up in the container.  A home
    directory is nobody's project, nor is what is above it.
    """
    directory = process.cwd or "/"
    path = f"/proc/{process.pid}/cwd" if _is_there("/proc/self/cwd") else directory
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
    """A plain file of reasonable size; no link is followed, and nothing opened that would block or react."""
    try:
        file = os.open(path, sum(_CAREFULLY))
    except OSError:
        return None
    try:
        status = os.fstat(file)
        if not stat.S_ISREG(status.st_mode) or status.st_size > MOST_BYTES:
            return None
        return os.read(file, MOST_BYTES)
    except OSError:
        return None
    finally:
        os.close(file)
