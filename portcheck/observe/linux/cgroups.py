"""cgroups' directories: the one with an id, in which a socket was made, and who has given a path its names.

sock_diag tells INET_DIAG_CGROUP_ID to everybody, even where the process that holds the socket is hidden.  The
id is the inode of the directory, so walking the hierarchy names it (0.1-0.4 ms on an ordinary host).  Limits:
a process that moved to another cgroup since it made the socket, and a cgroup that has been removed.

Whoever was given a directory may fill it with any number of others, as deep as he likes: each such gift has a bound
of its own, so that it hides nobody else's.
"""

from __future__ import annotations

import os

from portcheck.identify.cgroup import Authorship
from portcheck.lean_functools import cache
from portcheck.namedtuple import TYPE_CHECKING
from portcheck.observe.linux import procfs

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

# Directories that are looked into, at 15 µs each: of the hierarchy's owner, and of each one given to somebody else.
MOST_DIRECTORIES = 10_000
MOST_OF_A_STRANGER = 1_000
MOST_NAMES = 64  # in a path, that are looked at one by one

_seen: dict[int, str | None] = {}


def cgroup_paths(ids: Collection[int]) -> Mapping[int, str | None]:
    """`/system.slice/foo.service` for ids from sock_diag; None where no directory (any more) has one.

    Walks the hierarchy once, and again only if one of them was not there.
    """
    if not _seen.keys() >= set(ids):
        hierarchy = find_hierarchy(procfs.read("self/mountinfo") or b"")
        if hierarchy:
            _seen.update(walk(*hierarchy))
        for cgroup_id in ids:
            _seen.setdefault(cgroup_id, None)
    return {cgroup_id: _seen[cgroup_id] for cgroup_id in ids}


def find_hierarchy(mountinfo: bytes) -> tuple[str, str] | None:
    """(mount point, path of what is mounted there) of cgroup v2.

    Hybrid systems mount it at /sys/fs/cgroup/unified; in a container it may begin at a sub-directory.
    """
    return next(_hierarchies(mountinfo, (b"cgroup2 ",)), None)


def _hierarchies(mountinfo: bytes, kinds: tuple[bytes, ...]) -> Iterator[tuple[str, str]]:
    """(mount point, path of what is mounted there) of each of these kinds, by proc_pid_mountinfo(5)."""
    for line in mountinfo.split(b"\n"):
        mount, _, filesystem = line.partition(b" - ")
        place = mount.split(b" ")[3:5]
        if filesystem.startswith(kinds) and len(place) == 2:
            root, mount_point = place
            yield _unescaped(mount_point), _unescaped(root)


@cache
def _mounted() -> tuple[tuple[str, str], ...]:
    """Every hierarchy of both versions."""
    return tuple(_hierarchies(procfs.read("self/mountinfo") or b"", (b"cgroup2 ", b"cgroup ")))


def authorship(path: str) -> Authorship:
    """By whom the names in a path were given, as the owners of its directories tell.

    A path of /proc/PID/cgroup does not say in which hierarchy it is: the one that trusts least of it counts.
    """
    everywhere = [found for mount, root in _mounted() if (found := _author(path, mount, root))]
    return min(everywhere, key=lambda found: len(found.trusted), default=Authorship(""))


def _author(path: str, mount: str, root: str) -> Authorship | None:
    """None where the hierarchy has no such path.

    A name is given by the owner of the directory above it, and one that is root's cannot be changed by anybody else:
    each step is taken from where nobody could interfere.
    """
    if not f"{path}/".startswith(f"{root.rstrip('/')}/"):
        return None
    names = [name for name in path[len(root.rstrip("/")) :].split("/") if name]
    directory, trusted = mount, root.rstrip("/")
    if ".." in names:  # outside of our cgroup namespace
        return None
    for depth, name in enumerate(names):
        directory, trusted = f"{directory}/{name}", f"{trusted}/{name}"
        try:
            owner = os.stat(directory, follow_symlinks=False).st_uid
        except OSError:
            return None
        if depth == MOST_NAMES:
            return Authorship(trusted)
        if owner:
            return Authorship(trusted, owner)
    return Authorship(path)


def _unescaped(field: bytes) -> str:
    """mountinfo writes space, tab, newline and backslash as octal escapes."""
    for escape, character in ((b"\\040", b" "), (b"\\011", b"\t"), (b"\\012", b"\n"), (b"\\134", b"\\")):
        field = field.replace(escape, character)
    return os.fsdecode(field)


class _Allowance:
    """How many more directories are looked at."""

    def __init__(self, left: int) -> None:
        self.left = left

    def of(self, entries: Iterator[os.DirEntry[str]]) -> Iterator[os.DirEntry[str]]:
        """As many of these as are left."""
        for entry in entries:
            if self.left <= 0:
                return
            self.left -= 1
            yield entry


def walk(top: str, path: str) -> Iterator[tuple[int, str]]:
    """(id, path) of a cgroup and of those below it, level by level; what cannot be read or vanishes is left out."""
    try:
        status = os.stat(top)
    except OSError:
        return
    yield status.st_ino, path
    own = _Allowance(MOST_DIRECTORIES)
    level = [(top, path.rstrip("/"), own)]
    while level:
        below = []
        for directory, above, allowance in level:
            for entry in allowance.of(_groups(directory)):
                yield entry.inode(), f"{above}/{entry.name}"
                given_away = allowance is own and _owner(entry) != status.st_uid
                allowed = _Allowance(MOST_OF_A_STRANGER) if given_away else allowance
                below.append((entry.path, f"{above}/{entry.name}", allowed))
        level = below


def _groups(directory: str) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(directory) as entries:
            yield from (entry for entry in entries if entry.is_dir(follow_symlinks=False))
    except OSError:  # it is gone, may not be read, or lies too deep for a path
        return


def _owner(entry: os.DirEntry[str]) -> int | None:
    try:
        return entry.stat(follow_symlinks=False).st_uid
    except OSError:
        return None
