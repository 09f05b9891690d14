"""Which processes hold a socket: one walk over the file descriptors of every process (proc_pid_fd(5)).

Only visiting every process proves that there is no other holder, so the walk never stops early; of one process'
descriptors it reads no more than it takes to find all that is wanted.  The kernel alone takes some 3 µs for each;
what is added here is kept in C (a set's intersection with a map) and small.
"""

from __future__ import annotations

import os

from portcheck.lean_functools import partial
from portcheck.namedtuple import TYPE_CHECKING, NamedTuple
from portcheck.observe.linux import procfs
from portcheck.observe.linux.fd_walk import joined, walk
from portcheck.observe.linux.fork import may_spread, spread

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from portcheck.observe.linux.fd_walk import Table


_KTHREADD = 2
WORTH_A_FORK = 5_000  # descriptors: with 3,000 a fork and its end take as long as it saves, with 7,000 a third of that


class Holders(NamedTuple):
    """Who holds the sockets that were asked for, and what the walk could not see.

    A socket without a holder is in flight (SCM_RIGHTS), or in an io_uring of which nothing but its memory mapping is
    left, or the kernel's own, if `complete`; else nobody knows.
    """

    pids: Mapping[int, tuple[int, ...]]  # inode → processes, ascending; () where none was found
    hidden: int = 0  # processes whose descriptors may not be read
    crowded: tuple[int, ...] = ()  # those who have more of them than are read
    nameless: tuple[int, ...] = ()  # those with sockets in an io_uring; the kernel does not tell which ones
    unlisted: bool = False  # /proc does not list every process (hidepid), or is not there
    pid_namespace: bool = False  # processes outside of this PID namespace cannot be seen

    @property
    def complete(self) -> bool:
        """Whether every process of this host was looked at."""
        return not (self.hidden or self.crowded or self.nameless or self.unlisted or self.pid_namespace)


def holders(inodes: Collection[int]) -> Holders:
    """The processes that hold sockets of these inodes (0, which no file has, is left out).

    Sockets that nobody seems to hold are then looked for in rarer places (see `rare_holders`).
    """
    links = {f"socket:[{inode}]": inode for inode in inodes if inode}
    if not links:
        return Holders({})
    pids = procfs.process_ids()
    walked = joined(spread(_shares(_without_kernel_threads(pids)), partial(walk, wanted=frozenset(links))))
    missing = links.keys() - walked[0].keys()
    nameless: set[int] = set()
    if missing:
        from portcheck.observe.linux import rare_holders

        rarely, nameless = rare_holders.search(frozenset(missing))
        walked = joined([walked, rarely])
    holders_of, hidden, crowded = walked
    return Holders(
        {inode: _ascending(holders_of.get(link, ())) for link, inode in links.items()},
        len(hidden),
        tuple(sorted(crowded)),
        tuple(sorted(nameless)),
        unlisted=1 not in pids,
        pid_namespace=procfs.in_pid_namespace(),
    )


def _ascending(pids: tuple[int, ...]) -> tuple[int, ...]:
    return pids if len(pids) < 2 else tuple(sorted(set(pids)))


def _shares(pids: Iterable[int]) -> list[list[Table]]:
    """The tables of the processes in shares of about as many descriptors each, where that is worth a fork.

    Since Linux 6.2 the size of /proc/PID/fd is the number of its entries; before, and for whom it may not be
    asked, 0.
    """
    tables = [(pid, f"{pid}/fd") for pid in pids]
    if not may_spread():
        return [tables]
    sizes = sorted(((_descriptors(table[1]), table) for table in tables), reverse=True)
    if sum(size for size, _ in sizes) < WORTH_A_FORK:
        return [tables]
    return [[table for _, table in sizes[start::2]] for start in (0, 1)]


def _descriptors(table: str) -> int:
    try:
        return os.stat(f"/proc/{table}").st_size
    except OSError:
        return 0


def _without_kernel_threads(pids: set[int]) -> set[int]:
    """Leaves out kthreadd and its children, which have no descriptors: most processes of an idle host.

    In a PID namespace 2 is a process like any other, and without CONFIG_PROC_CHILDREN nothing is left out.
    """
    kthreadd = procfs.stat(_KTHREADD)
    if kthreadd is None or not kthreadd.is_kernel_thread:
        return pids
    children = procfs.read(f"{_KTHREADD}/task/{_KTHREADD}/children") or b""
    return pids.difference(map(int, children.split()), [_KTHREADD])
