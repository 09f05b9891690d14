"""Processes as Linux tells them in /proc (proc_pid_stat(5) and its siblings)."""

from __future__ import annotations

import os
import time
from os.path import basename

from portcheck.identify.facts import ENVIRONMENT, Session
from portcheck.lean_functools import cache
from portcheck.model import Process
from portcheck.namedtuple import TYPE_CHECKING
from portcheck.observe.linux import procfs, user_namespace

if TYPE_CHECKING:
    from collections.abc import Iterable

# /proc/PID/stat after the name, counted from the state (field 3 in proc_pid_stat(5)).
_SESSION, _TERMINAL = 3, 4
_LONGEST_UID = 10  # digits: 2**32 - 2
_PTS, _TTY = range(136, 144), 4  # major device numbers (Documentation/admin-guide/devices.txt)
# Its main thread alone has ended (pthread_exit(3)), for which the kernel calls the whole process a zombie.
RUNS_ON = "S"
_NAME_LENGTH = 15  # the kernel keeps that many bytes of a name (TASK_COMM_LEN - 1)
# The kernel reads arguments and variables wherever the process says that they are (PR_SET_MM_ARG_END ...), and makes
# the pages for it: 128 MiB of them took 1.3 GiB and 18 s here.
MOST_OF_A_COMMAND = 1 << 16  # bytes
MOST_OF_AN_ENVIRONMENT = 1 << 17


def process(pid: int) -> Process | None:
    """What /proc tells of a process; None if there is none.  Fields that may not be read are None.

    `uid` is the real one: who started it and may signal it, even where a set-user-ID program acts as another.
    `executable` ends in " (deleted)" where the file is gone.
    """
    stat = procfs.stat(pid)
    if stat is None:
        return None
    uid = real_uid(procfs.read(f"{pid}/status", procfs.MOST_OF_A_PROCESS))
    if uid == user_namespace.strangers_uid():
        uid = None
    cmdline = procfs.read(f"{pid}/cmdline", MOST_OF_A_COMMAND)
    command = read_command(cmdline)
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
        state=RUNS_ON if stat.state == "Z" and stat.threads > 1 else stat.state,
        executable=executable,
        start_ticks=stat.start_ticks,
        cgroup=cgroup(pid),
        command_is_cut=cmdline is not None and len(cmdline) == MOST_OF_A_COMMAND,
    )


def parents() -> dict[int, int]:
    """PID → parent's PID, of every process that /proc lists."""
    return {pid: stat.parent_pid for pid in procfs.process_ids() if (stat := procfs.stat(pid))}


def residents() -> dict[int, Process]:
    """Every process that lives by its PID, with no more than what tells who belongs together."""
    return {
        pid: Process(
            pid,
            stat.name,
            parent_pid=stat.parent_pid or None,
            start_ticks=stat.start_ticks,
            cgroup=cgroup(pid),
        )
        for pid in procfs.process_ids()
        if (stat := procfs.stat(pid)) and not stat.is_kernel_thread and stat.state != "Z"
    }


def cgroup(pid: int | str) -> str | None:
    """The cgroup of a process (`self`: of this one)."""
    return read_cgroup(procfs.read(f"{pid}/cgroup"))


def session(pid: int) -> Session:
    """Its session and terminal; unknown where there is no such process."""
    return read_session(procfs.read(f"{pid}/stat", procfs.MOST_OF_A_PROCESS) or b"")


def read_session(stat: bytes) -> Session:
    """The session and terminal in /proc/PID/stat; unknown in what is not written like that."""
    fields = stat.rpartition(b") ")[2].split()
    try:
        return Session(int(fields[_SESSION]), _terminal(int(fields[_TERMINAL])))
    except (ValueError, IndexError):
        return Session()


def _terminal(number: int) -> str | None:
    """`pts/3`, `tty1` for a device number as the kernel packs it."""
    major, minor = (number >> 8) & 0xFFF, (number & 0xFF) | ((number >> 12) & 0xFFF00)
    if major in _PTS:
        return f"pts/{minor + ((major - _PTS.start) << 8)}"
    return f"tty{minor}" if major == _TTY else None


def environment(pid: int) -> dict[str, str]:
    """Those variables that decide something, as the program was started with them; {} where not readable."""
    return read_environment(procfs.read(f"{pid}/environ", MOST_OF_AN_ENVIRONMENT) or b"")


def read_environment(environ: bytes) -> dict[str, str]:
    """The decisive ones in /proc/PID/environ; of what the bound has cut in two, nothing."""
    variables: dict[str, str] = {}
    entries = environ.split(b"\0")
    for entry in entries[:-1] if len(environ) == MOST_OF_AN_ENVIRONMENT else entries:
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
    # Lines such as `0::/system.slice/ssh.service` and `5:memory:/docker/1234`; a path may hold colons itself, and
    # whatever else str.splitlines() would take for the end of a line: the kernel refuses newlines alone.
    lines = [line.split(":", 2) for line in os.fsdecode(text).split("\n") if line.count(":") >= 2]
    lines.sort(key=lambda line: (line[1] != "", line[1] != "name=systemd"))
    return next((path for _, _, path in lines if path != "/"), "/")


def real_uid(status: bytes | None) -> int | None:
    """Of /proc/PID/status, whose `Uid:` line has four: real, effective, saved, of the file system."""
    for line in (status or b"").split(b"\n"):  # the kernel escapes newlines in a name, and no \r: `\rUid:\t0`
        if line.startswith(b"Uid:"):
            uid = line.split()[1:2]
            return int(uid[0]) if uid and uid[0].isdigit() and len(uid[0]) <= _LONGEST_UID else None
    return None


def _boot_time() -> float:
    """When the clock that start times are told in stood at 0: what `btime` in /proc/stat is rounded from.

    (Reading /proc/stat takes a millisecond and more on machines with many processors.)
    """
    return time.clock_gettime(time.CLOCK_REALTIME) - time.clock_gettime(time.CLOCK_BOOTTIME)
