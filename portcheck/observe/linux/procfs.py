"""What Linux tells of processes in /proc: files and links that may vanish at any moment (proc(5)).

Most of it is written by strangers: an argument list that points at a mapping of gigabytes, a mount for every letter.
So nothing is read further than a bound, in lines that end with \\n alone (names may hold whatever else ends a line).
"""

from __future__ import annotations

import os

from portcheck.namedtuple import NamedTuple

# The PID namespace that all others are inside of (PROC_PID_INIT_INO).
_INITIAL_PID_NAMESPACE = "pid:[4026531836]"
_PF_KTHREAD = 0x00200000
MOST_BYTES = 1 << 20  # of a table: some thousand mounts, or registered files
_PIECE = 1 << 14  # is there without asking the kernel for memory
MOST_OF_A_PROCESS = 1 << 14  # of what is told of one: its state, its user


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


def read(path: str, at_most: int = MOST_BYTES) -> bytes | None:
    """A file below /proc (`1/cmdline`), not further than `at_most` bytes; None where it may not be read, or is gone."""
    try:
        file = os.open(f"/proc/{path}", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        return _read(file, at_most)
    except OSError:
        return None
    finally:
        os.close(file)


def _read(file: int, at_most: int) -> bytes:
    """The kernel hands out a table in pieces, whose end only an empty one shows."""
    text = b""
    while piece := os.read(file, min(_PIECE, at_most - len(text))):
        text += piece
    return text


def link(path: str) -> str | None:
    """The target of a link below /proc as the kernel writes it; None where it may not be read, or is gone."""
    try:
        return os.readlink(f"/proc/{path}")
    except OSError:
        return None


def stat(pid: int) -> Stat | None:
    """None if there is no such process."""
    return read_stat(read(f"{pid}/stat", MOST_OF_A_PROCESS) or b"")


def read_stat(text: bytes) -> Stat | None:
    """What /proc/PID/stat says; None for what is not written like that."""
    # The name stands in parentheses, and may itself hold some.
    name, _, rest = text.partition(b"(")[2].rpartition(b") ")
    fields = rest.split()
    try:
        return Stat(
            os.fsdecode(name),
            os.fsdecode(fields[0]),
            int(fields[1]),
            bool(int(fields[6]) & _PF_KTHREAD),
            int(fields[17]),
            int(fields[19]),
        )
    except (ValueError, IndexError):
        return None


def in_pid_namespace() -> bool:
    """Whether this process is in a PID namespace (a container), which hides the processes outside of it."""
    return link("self/ns/pid") != _INITIAL_PID_NAMESPACE


def may_be_killed() -> bool:
    """Whether a seccomp filter guards this process: it may end it for a system call that few programs make.

    systemd's `SystemCallFilter=@system-service` does so for bpf(2) and kcmp(2), and sends SIGSYS.  Unknown means yes.
    """
    return b"\nSeccomp:\t0\n" not in (read("self/status") or b"")
