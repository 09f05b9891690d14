"""What Linux tells of processes in /proc: files and links that may vanish at any moment (proc(5))."""

from __future__ import annotations

import os

from portcheck.namedtuple import NamedTuple

# The PID namespace that all others are inside of (PROC_PID_INIT_INO).
_INITIAL_PID_NAMESPACE = "pid:[4026531836]"
_PF_KTHREAD = 0x00200000


class Stat(NamedTuple):
    """The fields of /proc/PID/stat that matter here."""

    name: str  # the kernel's: at most 15 bytes
    state: str
    parent_pid: int
    is_kernel_thread: bool
    threads: int
    start_ticks: int  # since boot


def process_ids() -> set[int]:
    """The PIDs that /proc lists; none where there is no /proc."""
    try:
        return {int(name) for name in os.listdir("/proc") if name.isdecimal()}
    except OSError:
        return set()


def read(path: str) -> bytes | None:
    """A file below /proc (`1/cmdline`); None where it may not be read, or is gone."""
    try:
        with open(f"/proc/{path}", "rb", buffering=0) as file:
            return file.read()
    except OSError:
        return None


def link(path: str) -> str | None:
    """The target of a link below /proc as the kernel writes it; None where it may not be read, or is gone."""
    try:
        return os.readlink(f"/proc/{path}")
    except OSError:
        return None


def stat(pid: int) -> Stat | None:
    """None if there is no such process."""
    text = read(f"{pid}/stat")
    if not text:
        return None
    # The name stands in parentheses, and may itself hold some.
    name, _, rest = text.partition(b"(")[2].rpartition(b") ")
    fields = rest.split()
    return Stat(
        os.fsdecode(name),
        os.fsdecode(fields[0]),
        int(fields[1]),
        bool(int(fields[6]) & _PF_KTHREAD),
        int(fields[17]),
        int(fields[19]),
    )


def in_pid_namespace() -> bool:
    """Whether this process is in a PID namespace (a container), which hides the processes outside of it."""
    return link("self/ns/pid") != _INITIAL_PID_NAMESPACE
