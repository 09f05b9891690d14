"""Processes as psutil tells them, for systems without Linux's /proc."""

from __future__ import annotations

from portcheck.identify.facts import ENVIRONMENT
from portcheck.model import Process
from portcheck.namedtuple import TYPE_CHECKING
from portcheck.observe.system import PLATFORM

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    import psutil

    T = TypeVar("T")


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
        seen = psutil.Process(pid)
        with seen.oneshot():
            return _told(seen)
    except psutil.NoSuchProcess:
        return None


def _told(seen: psutil.Process) -> Process:
    command = _allowed(seen.cmdline)
    uids = _allowed(seen.uids) if hasattr(seen, "uids") else None  # Windows has none
    return Process(
        pid=seen.pid,
        name=_allowed(seen.name),
        uid=None if uids is None else uids.real,
        user=_allowed(seen.username),
        command=None if command is None else tuple(command),
        cwd=_allowed(seen.cwd),
        started_at=_allowed(seen.create_time),
        parent_pid=_allowed(seen.ppid),
        state=_LETTERS.get(_allowed(seen.status) or ""),
        executable=_allowed(seen.exe),
    )


def terminal(pid: int) -> str | None:
    """Its controlling terminal: `ttys003`; Windows has none that could be told."""
    import psutil

    try:
        seen = psutil.Process(pid)
        path = _allowed(seen.terminal) if hasattr(seen, "terminal") else None
    except psutil.NoSuchProcess:
        return None
    return path.removeprefix("/dev/") if path else None


def environment(pid: int) -> dict[str, str]:
    """Those variables that decide something; {} where they may not be read (other users' on macOS and Windows)."""
    import psutil

    try:
        seen = psutil.Process(pid)
        variables = (_allowed(seen.environ) or {}) if hasattr(seen, "environ") else {}
    except psutil.NoSuchProcess:
        return {}
    told = _decisive()
    return {told[name]: value for name, value in variables.items() if name in told}


def _decisive() -> dict[str, str]:
    """As psutil spells them → as they are known here.

    Windows' names have no case, and psutil writes them in capitals.  Where no terminal can be told, as there, a
    variable that was inherited from one proves nothing of it.
    """
    if PLATFORM != "windows":
        return {name: name for name in ENVIRONMENT}
    return {name.upper(): name for name in ENVIRONMENT if name.startswith("npm_")}


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
