"""The walk over tables of file descriptors (proc_pid_fd(5)): which processes have the wanted links.

A process may have half a million descriptors of one file, at no cost: to read them all takes two seconds.  So of a
process no more is read than MOST_DESCRIPTORS and some for each link that is wanted; one that has more is told as one
that was not looked at, unless all that is wanted is among its first (as a busy server's listener is).
"""

from __future__ import annotations

import os
from itertools import islice

from portcheck.lean_functools import partial
from portcheck.namedtuple import TYPE_CHECKING, NamedTuple
from portcheck.observe.linux import procfs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    Table = tuple[int, str]  # a process and the place of a table of its descriptors: (382, "382/fd"), below /proc
    # wanted link → processes that have it; those that may not be looked at; those that have too much to look at
    Seen = tuple[dict[str, tuple[int, ...]], set[int], set[int]]


MOST_DESCRIPTORS = 20_000
MORE_FOR_EACH_LINK = 2


class Held(NamedTuple):
    """What one table has."""

    links: frozenset[str]  # of those wanted
    looked_at: int = 0  # descriptors
    whole: bool = True  # False: there are more, and not all that is wanted was among the first


def joined(parts: Iterable[Seen]) -> Seen:
    """Merges what several walks found."""
    first, *others = parts
    holders, hidden, crowded = first
    for more, more_hidden, more_crowded in others:
        hidden |= more_hidden
        crowded |= more_crowded
        _add(holders, more)
    return holders, hidden, crowded


def _add(holders: dict[str, tuple[int, ...]], more: Mapping[str, tuple[int, ...]]) -> None:
    """Merges more holders into a map of them; the fast path is for sockets that nobody else holds."""
    if holders.keys().isdisjoint(more):
        holders.update(more)
        return
    for link, pids in more.items():
        holders[link] = holders.get(link, ()) + pids


def walk(tables: Iterable[Table], wanted: frozenset[str]) -> Seen:
    """Which processes have the wanted links, and which were not looked at."""
    holders: dict[str, tuple[int, ...]] = {}
    hidden, crowded = set(), set()
    at_most = MOST_DESCRIPTORS + MORE_FOR_EACH_LINK * len(wanted)
    looked_at: dict[int, int] = {}  # threads with tables of their own share what is allowed to their process
    for pid, table in tables:
        before = looked_at.get(pid, 0)
        try:
            held = held_links(table, wanted, at_most - before)
        except PermissionError:
            if _may_hold_files(pid):
                hidden.add(pid)
            continue
        except OSError:
            continue  # it has ended
        looked_at[pid] = before + held.looked_at
        if not held.whole:
            crowded.add(pid)
        _add(holders, dict.fromkeys(held.links, (pid,)))
    return holders, hidden, crowded


def held_links(table: str, wanted: frozenset[str], at_most: int = MOST_DESCRIPTORS) -> Held:
    """The wanted ones among the first links of a table of descriptors (`382/fd`, below /proc).  Raises OSError.

    The intersection ends when it has all that is wanted (CPython's does): a busy server's listener is among its
    first descriptors, and its connections are not looked at.

    Links are read relative to the open directory: 8 % slower than after a chdir into it, which would move
    all threads of a program that uses portcheck as a library, and 7 % faster than by whole paths.
    """
    descriptor = os.open(f"/proc/{table}", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        names, whole = _names(descriptor, at_most)
        read = partial(os.readlink, dir_fd=descriptor)
        try:
            links = wanted.intersection(map(read, names))
        except FileNotFoundError:  # one was closed in between (in our own process: the listing's own)
            links = wanted.intersection(_still_there(read, names))
        return Held(links, len(names), whole or len(links) == len(wanted))
    finally:
        os.close(descriptor)


def _names(descriptor: int, at_most: int) -> tuple[list[str], bool]:
    """The first entries of a directory of descriptors, and whether they are all.

    Since Linux 6.2 its size is the number of its entries; where that is not told they are listed one by one, which is
    8 % slower: for each entry the kernel makes an inode.
    """
    if 0 < os.fstat(descriptor).st_size <= at_most:
        return os.listdir(descriptor), True
    with os.scandir(descriptor) as entries:
        names = [entry.name for entry in islice(entries, at_most + 1)]
    return names[:at_most], len(names) <= at_most


def _still_there(read: Callable[[str], str], names: Iterable[str]) -> Iterator[str]:
    for name in names:
        try:
            yield read(name)
        except FileNotFoundError:
            continue


def _may_hold_files(pid: int) -> bool:
    """Whether a process that may not be looked at matters: zombies and kernel threads hold nothing."""
    stat = procfs.stat(pid)
    return stat is not None and stat.state != "Z" and not stat.is_kernel_thread
