"""Where a socket can be held that no process has among its ordinary descriptors.

- A thread may have descriptors of its own (unshare(2), CLONE_FILES): they show in /proc/PID/task/TID/fd only.
- A socket may be registered with an io_uring, its descriptor closed: the ring's fdinfo lists it (UserFiles).

Not seen even here: a ring of which only the memory mapping is left, a ring that is busy at the moment of each
look (the kernel then prints no list), and sockets in flight in SCM_RIGHTS messages.
"""

from __future__ import annotations

import os
import sys

from portcheck.namedtuple import TYPE_CHECKING
from portcheck.observe.linux import procfs
from portcheck.observe.linux.fd_walk import walk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from portcheck.observe.linux.fd_walk import Seen

    Compare = Callable[[int, int], bool]

# kcmp(2) has no wrapper in the C library: its number by architecture, 64 bit only.
_KCMP_NUMBERS = {
    "x86_64": 312,
    "aarch64": 272,
    "riscv64": 272,
    "ppc64le": 354,
    "s390x": 343,
}
_KCMP_FILES = 2
_RING = "anon_inode:[io_uring]"
_RING_LOOKS = 3


def search(wanted: frozenset[str]) -> Seen:
    """Like `fd_walk.walk`, but over every thread and io_uring of every process, which are listed anew.

    So it also finds a process to which a holder handed over before it ended, while the first walk went on.
    """
    same = _comparison()
    tables = [(pid, table) for pid in sorted(procfs.process_ids()) for table in _tables(pid, same)]
    holders, hidden = walk(tables, wanted | {_RING})
    with_rings = holders.pop(_RING, ())
    for pid, table in tables:
        if pid in with_rings:
            for link in wanted.intersection(_registered(table)):
                holders[link] = (*holders.get(link, ()), pid)
    return holders, hidden


def _tables(pid: int, same: Compare) -> Iterator[str]:
    """The place of a process' table of descriptors, and of each other one that its threads have."""
    yield f"{pid}/fd"
    different = [pid]
    for thread in _threads(pid):
        if thread != pid and not any(same(other, thread) for other in different):
            different.append(thread)
            yield f"{pid}/task/{thread}/fd"


def _threads(pid: int) -> list[int]:
    try:
        return [int(name) for name in os.listdir(f"/proc/{pid}/task")]
    except OSError:
        return []  # it has ended


def _comparison() -> Compare:
    """Whether two threads share their descriptors, by kcmp(2); where that cannot be asked they may not.

    (Not if /proc is another PID namespace's: its numbers are not ours.)
    """
    number = _KCMP_NUMBERS.get(os.uname().machine) if sys.maxsize > 2**32 else None
    if number is None or procfs.link("self") != str(os.getpid()):
        return lambda _one, _other: False
    import ctypes

    system_call = ctypes.CDLL(None).syscall
    return lambda one, other: bool(system_call(number, one, other, _KCMP_FILES, 0, 0) == 0)


def _registered(table: str) -> Iterator[str]:
    """The links of the sockets that are registered with the io_urings of one table of descriptors."""
    for ring in _rings(table):
        for line in _ring_info(f"{table}info/{ring}").split(b"\n"):
            path = line.partition(b": ")[2]
            if path.startswith(b"socket:["):
                yield os.fsdecode(path)


def _rings(table: str) -> list[str]:
    try:
        names = os.listdir(f"/proc/{table}")
    except OSError:
        return []
    return [name for name in names if procfs.link(f"{table}/{name}") == _RING]


def _ring_info(path: str) -> bytes:
    """What the kernel tells of an io_uring; asked again where it left out the list, the ring being busy."""
    text = b""
    for _ in range(_RING_LOOKS):
        text = procfs.read(path) or b""
        if b"\nUserFiles:" in text:
            break
    return text
