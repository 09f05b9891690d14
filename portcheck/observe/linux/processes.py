"""Processes as Linux tells them in /proc (proc_pid_stat(5) and its siblings)."""

from __future__ import annotations

import os
import time
from os.path import basename

from portcheck.identify.facts import ENVIRONMENT, Session
from portcheck.lean_functools import cache
from portcheck.model import Process
from portcheck.namedtuple import TYPE_CHECKING
from portcheck.observe.linux import procfs

if TYPE_CHECKING:
    from collections.abc import Iterable

# /proc/PID/stat after the name, counted from the state (field 3 in proc_pid_stat(5)).
_SESSION, _TERMINAL = 3, 4
_PTS, _TTY = range(136, 144), 4  # major device numbers (Documentation/admin-guide/devices.txt)
_NAME_LENGTH = 15  # the kernel keeps that many bytes of a name (TASK_COMM_LEN - 1)


def process(pid: int) -> Process | None:
    """What /proc tells of a process; None if there is none.  Fields that may not be read are None.

    `uid` is the real one: who started it and may signal it, even where a set-user-ID program acts as another.
    `executable` ends in " (deleted)" where the file is gone.
    """
    stat = procfs.stat(pid)
    if stat is None:
        return None
    uid = _real_uid(procfs.read(f"{pid}/status"))
    command = read_command(procfs.read(f"{pid}/cmdline"))
    executable = procfs.link(f"{pid}/exe")
    return Process(
        pid=pid,
        name=full_name(stat.name, (*(command or ())[:1], executable or "")),
        uid=uid,
        user=None if uid is None else user_name(uid),
        command=command,
        cwd=procfs.link(f"{pid}/cwd"),
        started_at=_boot_time() + stat.start_ticks / os.sysconf("SC_CLK_TCK"),
        parent_pid=stat.parent_pid or None,
        state=stat.state,
        executable=executable,
        start_ticks=stat.start_ticks,
        cgroup=cgroup(pid),
    )


def cgroup(pid: int | str) -> str | None:
    """The cgroup of a process (`self`: of this one)."""
    return read_cgroup(procfs.read(f"{pid}/cgroup"))


def session(pid: int) -> Session:
    """Its session and terminal; unknown where there is no such process."""
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
    variables: dict[str, str] = {}
    for entry in (procfs.read(f"{pid}/environ") or b"").split(b"\0"):
        name, equals, value = entry.partition(b"=")
        if equals and (key := os.fsdecode(name)) in ENVIRONMENT:
            variables.setdefault(key, os.fsdecode(value))
    return variables


@cache
def user_name(uid: int) -> str | None:
    """A user's name by the user database; None where it has none."""
    import pwd

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return None


def read_command(cmdline: bytes | None) -> tuple[str, ...] | None:
    """The arguments in /proc/PID/cmdline; () of a process that has none (a zombie, a kernel thread).

    One that rewrote them (setproctitle) left a text that zeros pad.
    """
    if cmdline is None:
        return None
    arguments = cmdline.removesuffix(b"\0").split(b"\0") if cmdline else []
    while len(arguments) > 1 and not arguments[-1]:
        arguments.pop()
    return tuple(map(os.fsdecode, arguments))


def full_name(name: str, paths: Iterable[str]) -> str:
    """The kernel's name, which it cuts after 15 bytes, completed by a path whose file name begins with it."""
    cut = os.fsencode(name)  # perhaps in the middle of a letter
    if len(cut) == _NAME_LENGTH:
        for path in paths:
            if os.fsencode(basename(path)).startswith(cut):
                return basename(path)
    return name


def read_cgroup(text: bytes | None) -> str | None:
    """The path in the unified hierarchy; where that is the root, systemd's own, or any other."""
    if not text:
        return None
    # Lines such as `0::/system.slice/ssh.service` and `5:memory:/docker/1234`; a path may hold colons itself.
    lines = [line.split(":", 2) for line in os.fsdecode(text).split("\n") if line]
    lines.sort(key=lambda line: (line[1] != "", line[1] != "name=systemd"))
    return next((path for _, _, path in lines if path != "/"), "/")


def _real_uid(status: bytes | None) -> int | None:
    for line in (status or b"").split(b"\n"):
        if line.startswith(b"Uid:"):
            return int(line.split()[1])
    return None


def _boot_time() -> float:
    """When the clock that start times are told in stood at 0: what `btime` in /proc/stat is rounded from.

    (Reading /proc/stat takes a millisecond and more on machines with many processors.)
    """
    return time.clock_gettime(time.CLOCK_REALTIME) - time.clock_gettime(time.CLOCK_BOOTTIME)
