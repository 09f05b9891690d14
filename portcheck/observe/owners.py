"""Which processes hold a socket: one walk over the file descriptors of every process (proc_pid_fd(5)).

Only visiting every process proves that there is no other holder, so the walk never stops early; of one process'
descriptors it reads no more than it takes to find all that is wanted.  The kernel alone takes some 3 µs for each;
what is added here is kept in C (a set's intersection with a map) and small.
"""

from __future__ import annotations

import os
from functools import partial

from portcheck.observe import procfs
from portcheck.observe.processors import may_spread, spread
from portcheck.value import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

    Table = tuple[int, str]  # a process and the place of a table of its descriptors: (382, "382/fd"), below /proc
    Seen = tuple[dict[str, tuple[int, ...]], set[int]]  # wanted link → processes that have it; those hidden

_KTHREADD = 2
WORTH_A_FORK = 5_000  # descriptors: with 3,000 a fork and its end take as long as it saves, with 7,000 a third of that


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
    if not links:
        return Holders({})
    pids = procfs.process_ids()
    seen = _joined(spread(_shares(_without_kernel_threads(pids)), partial(walk, wanted=frozenset(links))))
    missing = links.keys() - seen[0].keys()
    if missing:
        from portcheck.observe import rare_holders

        seen = _joined([seen, rare_holders.search(frozenset(missing))])
    found, hidden = seen
    return Holders(
        {inode: _ascending(found.get(link, ())) for link, inode in links.items()},
        len(hidden),
        unlisted=1 not in pids,
        pid_namespace=procfs.in_pid_namespace(),
    )


def _ascending(pids: tuple[int, ...]) -> tuple[int, ...]:
    return pids if len(pids) < 2 else tuple(sorted(set(pids)))


def _joined(parts: Iterable[Seen]) -> Seen:
    first, *others = parts
    found, hidden = first
    for more_found, more_hidden in others:
        hidden |= more_hidden
        _add(found, more_found)
    return found, hidden


def _add(found: dict[str, tuple[int, ...]], more: Mapping[str, tuple[int, ...]]) -> None:
    """Adds holders to holders; at once where, as mostly, no socket is held by several."""
    if found.keys().isdisjoint(more):
        found.update(more)
        return
    for link, pids in more.items():
        found[link] = found.get(link, ()) + pids


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


def walk(tables: Iterable[Table], wanted: frozenset[str]) -> Seen:
    """Which processes have the wanted links, and which may not be looked at."""
    found: dict[str, tuple[int, ...]] = {}
    hidden = set()
    for pid, table in tables:
        try:
            held = held_links(table, wanted)
        except PermissionError:
            if _may_hold_files(pid):
                hidden.add(pid)
            continue
        except OSError:
            continue  # it has ended
        _add(found, dict.fromkeys(held, (pid,)))
    return found, hidden


def held_links(table: str, wanted: frozenset[str]) -> frozenset[str]:
    """The wanted ones among the links of a table of descriptors (`382/fd`, below /proc).  Raises OSError.

    The intersection ends when it has all that is wanted (CPython's does): a busy server's listener is among its
    first descriptors, and its connections are not looked at.

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
