"""Processes as psutil tells them, for systems without Linux's /proc."""

from __future__ import annotations

from portcheck.identify.facts import ENVIRONMENT, Session
from portcheck.model import Process
from portcheck.namedtuple import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import TypeVar

    import psutil

    T = TypeVar("T")


_DECISIVE = {name: name for name in ENVIRONMENT}
# psutil's words for a state → the letters of ps(1); what is merely idle or waiting sleeps.
_LETTERS = {
    "running": "R",
    "sleeping": "S",
    "idle": "I",
    "waiting": "S",
    "parked": "S",
    "wake-kill": "D",
    "disk-sleep": "D",
    "stopped": "T",
    "tracing-stop": "t",
    "zombie": "Z",
    "dead": "X",
}


def process(pid: int) -> Process | None:
    """What psutil tells of a process; None if there is none.  Fields that may not be read are None."""
    import psutil

    try:
        process = psutil.Process(pid)
        with process.oneshot():
            return _read(process)
    except psutil.NoSuchProcess:
        return None


def pids() -> list[int]:
    """Of every process that psutil lists."""
    import psutil

    return psutil.pids()


def residents() -> dict[int, Process]:
    """Every process by its PID, with no more than what tells who belongs together."""
    import psutil

    told = (each.info for each in psutil.process_iter(["pid", "name", "ppid", "create_time"]))
    return {
        one["pid"]: Process(one["pid"], one["name"], parent_pid=one["ppid"], started_at=one["create_time"])
        for one in told
    }


def _read(process: psutil.Process) -> Process:
    command = _allowed(process.cmdline)
    uids = _allowed(process.uids) if hasattr(process, "uids") else None  # Windows has none
    return Process(
        pid=process.pid,
        name=_allowed(process.name),
        uid=None if uids is None else uids.real,
        user=_allowed(process.username),
        command=None if command is None else tuple(command),
        cwd=_allowed(process.cwd),
        started_at=_allowed(process.create_time),
        parent_pid=_allowed(process.ppid),
        state=_LETTERS.get(_allowed(process.status) or ""),
        executable=_allowed(process.exe),
    )


def parents() -> dict[int, int]:
    """PID → parent's PID; on Windows that of a process whose parent has ended may be a stranger's by now."""
    import psutil

    processes = psutil.process_iter(["ppid"])
    return {process.pid: parent for process in processes if (parent := process.info["ppid"]) is not None}


def session(pid: int) -> Session:
    """Its controlling terminal (`ttys003`; Windows has none that could be told); psutil knows no sessions."""
    import psutil

    try:
        process = psutil.Process(pid)
        path = _allowed(process.terminal) if hasattr(process, "terminal") else None
    except psutil.NoSuchProcess:
        return Session()
    return Session(None, path.removeprefix("/dev/") if path else None)


def environment(pid: int, decisive: Mapping[str, str] = _DECISIVE) -> dict[str, str]:
    """Those variables that decide something; {} where they may not be read (other users' on macOS and Windows).

    `decisive`: the names as psutil spells them → as they are known here.
    """
    import psutil

    try:
        process = psutil.Process(pid)
        variables = (_allowed(process.environ) or {}) if hasattr(process, "environ") else {}
    except psutil.NoSuchProcess:
        return {}
    return {decisive[name]: value for name, value in variables.items() if name in decisive}


def _allowed(question: Callable[[], T]) -> T | None:
    """None where psutil may not answer; raises psutil.NoSuchProcess."""
    import psutil

    try:
        return question()
    except psutil.ZombieProcess:
        return None
    except psutil.NoSuchProcess:
        raise
    except (psutil.Error, OSError, NotImplementedError):
        return None
