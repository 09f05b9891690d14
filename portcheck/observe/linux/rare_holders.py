"""Where a socket can be held that no process has among its ordinary descriptors.

- A thread may have descriptors of its own (unshare(2), CLONE_FILES): they show in /proc/PID/task/TID/fd only.
- A socket may be registered with an io_uring, its descriptor closed: the ring's fdinfo lists it (UserFiles).  Before
  Linux 6.16 it gives its protocol alone, and whoever has such a ring may hold it.

Not seen even here: a ring of which only the memory mapping is left, a ring that is busy at the moment of each
look (the kernel then prints no list), and sockets in flight in SCM_RIGHTS messages.

How many threads, tables and rings a process has is its own choice: where they are more than what is looked at, it is
told as one that was not looked at.
"""

from __future__ import annotations

import os
import sys
from itertools import islice

from portcheck.namedtuple import TYPE_CHECKING
from portcheck.observe.linux import procfs
from portcheck.observe.linux.fd_walk import MOST_DESCRIPTORS, walk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

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
# A socket's name before Linux 6.16 (sock_alloc_file: that of its protocol); a file may be called like that, too.
_NAMELESS = frozenset(("TCP", "TCPv6", "MPTCP", "MPTCPv6", "UDP", "UDPv6"))
MOST_COMPARISONS = 20_000  # of threads of one process, at 1 µs each; one for each where they share their descriptors
MOST_RINGS = 8  # of one process, with the list of up to a million files each


def search(wanted: frozenset[str]) -> tuple[Seen, set[int]]:
    """Like `fd_walk.walk`, but over every thread and io_uring of every process, which are listed anew.

    So it also finds a process to which a holder handed over before it ended, while the first walk went on.  In
    addition, the processes that have sockets in an io_uring of which the kernel does not tell which ones they are.
    """
    same = _comparison()
    tables: dict[int, list[str]] = {}
    too_much, nameless = set(), set()
    for pid in sorted(procfs.process_ids()):
        tables[pid], whole = _tables(pid, same)
        if not whole:
            too_much.add(pid)
    holders, hidden, crowded = walk(((pid, table) for pid in tables for table in tables[pid]), wanted | {_RING})
    for pid in holders.pop(_RING, ()):
        files, whole = _registered(tables[pid])
        if not whole:
            too_much.add(pid)
        if not files.isdisjoint(_NAMELESS):
            nameless.add(pid)
        for link in wanted & files:
            holders[link] = (*holders.get(link, ()), pid)
    return (holders, hidden, crowded | too_much), nameless


def _tables(pid: int, same: Compare) -> tuple[list[str], bool]:
    """The places of a process' table of descriptors and of those that its threads have; whether these are all."""
    tables, different = [f"{pid}/fd"], [pid]
    comparisons = 0
    for thread in _threads(pid):
        comparisons += len(different)
        if comparisons > MOST_COMPARISONS:
            return tables, False
        if thread != pid and not any(same(other, thread) for other in different):
            different.append(thread)
            tables.append(f"{pid}/task/{thread}/fd")
    return tables, True


def _threads(pid: int) -> list[int]:
    """As many as could matter."""
    try:
        with os.scandir(f"/proc/{pid}/task") as threads:
            return [int(thread.name) for thread in islice(threads, MOST_COMPARISONS + 1)]
    except OSError:
        return []  # it has ended


def _comparison() -> Compare:
    """Whether two threads share their descriptors, by kcmp(2); where that cannot be asked they may not.

    (Not if /proc is another PID namespace's, as its numbers are not ours; not behind a seccomp filter, which may kill
    who asks; nor by a Python that was built without ctypes.)
    """
    number = _KCMP_NUMBERS.get(os.uname().machine) if sys.maxsize > 2**32 else None
    if number is None or procfs.link("self") != str(os.getpid()) or procfs.may_be_killed():
        return lambda _one, _other: False
    try:
        import ctypes

        system_call = ctypes.CDLL(None).syscall
    except (ImportError, OSError):  # a static Python has no dynamic loader
        return lambda _one, _other: False
    return lambda one, other: bool(system_call(number, one, other, _KCMP_FILES, 0, 0) == 0)


def _registered(tables: Iterable[str]) -> tuple[set[str], bool]:
    """The names of the files that are registered with the io_urings of these tables; whether these are all."""
    rings = list(islice((f"{table}info/{ring}" for table in tables for ring in _rings(table)), MOST_RINGS + 1))
    texts = [_ring_info(ring) for ring in rings[:MOST_RINGS]]
    files = {os.fsdecode(line.partition(b": ")[2]) for text in texts for line in _files(text)}
    return files, len(rings) <= MOST_RINGS and all(len(text) < procfs.MOST_BYTES for text in texts)


def _files(text: bytes) -> list[bytes]:
    """The lines of the list of files: `    0: socket:[1234]`."""
    return [line for line in text.split(b"\n") if line.startswith(b" ")]


def _rings(table: str) -> Iterator[str]:
    try:
        with os.scandir(f"/proc/{table}") as descriptors:
            for descriptor in islice(descriptors, MOST_DESCRIPTORS):
                if procfs.link(f"{table}/{descriptor.name}") == _RING:
                    yield descriptor.name
    except OSError:  # it has ended
        return


def _ring_info(path: str) -> bytes:
    """What the kernel tells of an io_uring; asked again where it left out the list, the ring being busy."""
    text = b""
    for _ in range(_RING_LOOKS):
        text = procfs.read(path) or b""
        if b"\nUserFiles:" in text:
            break
    return text
