"""Which processes hold a socket: one walk over the file descriptors of every process (proc_pid_fd(5)).

Only visiting every descriptor proves that there is no other holder, so nothing stops early.  The kernel alone
takes some 3 µs for each; what is added here is kept in C (a set's intersection with a map) and small.
"""

from __future__ import annotations

import os
from functools import partial

from portcheck.observe import procfs
from portcheck.observe.processors import may_spread, spread
from portcheck.value import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, MutableMapping

# An io_uring: a socket that is registered with one needs no descriptor of its own.
RING = "anon_inode:[io_uring]"
_KTHREADD = 2
WORTH_A_FORK = 15_000  # descriptors: below, a fork and its end take longer than it saves


class Holders(NamedTuple):
    """Who holds the sockets that were asked for, and what the walk could not see.

    A socket without a holder is in flight (SCM_RIGHTS) or the kernel's own if `complete`; else nobody knows.
    """

    pids: Mapping[int, tuple[int, ...]]  # inode → processes, ascending; () where none was found
    hidden: int = 0  # processes whose descriptors may not be read
    unlisted: bool = False  # /proc does not list every process (hidepid), or is not there
    pid_namespace: bool = False  # processes outside of this PID namespace cannot be seen

    @property
    def complete(self) -> bool:
        """Whether every process of this host was looked at."""
        return not (self.hidden or self.unlisted or self.pid_namespace)


def holders(inodes: Collection[int]) -> Holders:
    """The processes that hold sockets of these inodes (0, which no file has, is left out).

    Sockets that nobody seems to hold are then looked for in rarer places (see `observe.rare_holders`).
    """
    links = {f"socket:[{inode}]": inode for inode in inodes if inode}
    found: dict[str, tuple[int, ...]] = dict.fromkeys(links, ())
    if not links:
        return Holders({})
    pids = _without_kernel_threads(procfs.process_ids())
    rings, hidden = _walk(pids, found)
    if not all(found.values()):
        from portcheck.observe import rare_holders

        # What was left out, and what has begun since: a holder may have handed over to it and ended.
        others = procfs.process_ids() - pids
        more_rings, more_hidden = _walk(others, found)
        rare_holders.search(pids | others, rings + more_rings, found)
        hidden += more_hidden
    return Holders(
        {inode: _ascending(found[link]) for link, inode in links.items()},
        hidden,
        unlisted=1 not in pids,
        pid_namespace=procfs.in_pid_namespace(),
    )


def _ascending(pids: tuple[int, ...]) -> tuple[int, ...]:
    return pids if len(pids) < 2 else tuple(sorted(set(pids)))


def _walk(pids: Iterable[int], found: MutableMapping[str, tuple[int, ...]]) -> tuple[list[int], int]:
    """Notes who holds a wanted socket; returns who holds an io_uring, and how many processes are hidden."""
    wanted = frozenset([*found, RING])
    rings: list[int] = []
    hidden = 0
    for held, unseen in spread(_shares(pids), partial(_walk_share, wanted=wanted)):
        hidden += unseen
        for pid, link in held:
            if link == RING:
                rings.append(pid)
            else:
                found[link] += (pid,)
    return rings, hidden


def _shares(pids: Iterable[int]) -> list[list[int]]:
    """The processes in shares of about as many descriptors each, where that is worth a fork.

    Since Linux 6.2 the size of /proc/PID/fd is the number of its entries; before, and for whom it may not be asked, 0.
    """
    if not may_spread():
        return [list(pids)]
    sizes = sorted(((_descriptors(pid), pid) for pid in pids), reverse=True)
    if sum(size for size, _ in sizes) < WORTH_A_FORK:
        return [[pid for _, pid in sizes]]
    return [[pid for _, pid in sizes[start::2]] for start in (0, 1)]


def _descriptors(pid: int) -> int:
    try:
        return os.stat(f"/proc/{pid}/fd").st_size
    except OSError:
        return 0


def _walk_share(pids: Iterable[int], wanted: frozenset[str]) -> tuple[list[tuple[int, str]], int]:
    """Which of these processes hold what is wanted, and how many are hidden."""
    found: list[tuple[int, str]] = []
    hidden = 0
    for pid in pids:
        try:
            held = held_links(f"{pid}/fd", wanted)
        except PermissionError:
            hidden += _may_hold_files(pid)
            continue
        except OSError:
            continue  # it has ended
        found.extend((pid, link) for link in held)
    return found, hidden


def held_links(table: str, wanted: frozenset[str]) -> frozenset[str]:
    """The wanted ones among the links of a table of descriptors (`382/fd`, below /proc).  Raises OSError.

    Links are read relative to the open directory: 8 % slower than after a chdir into it, which would move
    all threads of a program that uses portcheck as a library, and 7 % faster than by whole paths.
    """
    descriptor = os.open(f"/proc/{table}", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        names = os.listdir(descriptor)
        read = partial(os.readlink, dir_fd=descriptor)
        try:
            return wanted.intersection(map(read, names))
        except FileNotFoundError:  # one was closed in between (in our own process: the listing's own)
            return wanted.intersection(_still_there(read, names))
    finally:
        os.close(descriptor)


def _still_there(read: Callable[[str], str], names: Iterable[str]) -> Iterator[str]:
    for name in names:
        try:
            yield read(name)
        except FileNotFoundError:
            continue


def _without_kernel_threads(pids: set[int]) -> set[int]:
    """Leaves out kthreadd and its children, which have no descriptors: most processes of an idle host.

    In a PID namespace 2 is a process like any other, and without CONFIG_PROC_CHILDREN nothing is left out.
    """
    kthreadd = procfs.stat(_KTHREADD)
    if kthreadd is None or not kthreadd.is_kernel_thread:
        return pids
    children = procfs.read(f"{_KTHREADD}/task/{_KTHREADD}/children") or b""
    return pids.difference(map(int, children.split()), [_KTHREADD])


def _may_hold_files(pid: int) -> bool:
    """Whether a process that may not be looked at matters: zombies and kernel threads hold nothing."""
    stat = procfs.stat(pid)
    return stat is not None and stat.state != "Z" and not stat.is_kernel_thread
