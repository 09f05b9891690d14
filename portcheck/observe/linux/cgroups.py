"""cgroups' directories: the one with an id, in which a socket was made, and who has given a path its names.

sock_diag tells INET_DIAG_CGROUP_ID to everybody, even where the process that holds the socket is hidden.  The
id is the inode of the directory, so walking the hierarchy names it (0.1-0.4 ms on an ordinary host).  Limits:
a process that moved to another cgroup since it made the socket, and a cgroup that has been removed.
"""

from __future__ import annotations

import os

from portcheck.identify.cgroup import Authorship
from portcheck.lean_functools import cache
from portcheck.namedtuple import TYPE_CHECKING
from portcheck.observe.linux import procfs

if TYPE_CHECKING:
    from collections.abc import Iterator

MOST_NAMES = 64  # in a path, that are looked at one by one

_seen: dict[int, str | None] = {}


def cgroup_path(cgroup_id: int) -> str | None:
    """`/system.slice/foo.service` for an id from sock_diag; None where no directory (any more) has it.

    Walks the hierarchy once, and again only for an id that was not there.
    """
    if cgroup_id not in _seen:
        hierarchy = find_hierarchy(procfs.read("self/mountinfo") or b"")
        if hierarchy:
            _seen.update(_walk(*hierarchy))
        _seen.setdefault(cgroup_id, None)
    return _seen[cgroup_id]


def find_hierarchy(mountinfo: bytes) -> tuple[str, str] | None:
    """(mount point, path of what is mounted there) of cgroup v2.

    Hybrid systems mount it at /sys/fs/cgroup/unified; in a container it may begin at a sub-directory.
    """
    return next(_hierarchies(mountinfo, (b"cgroup2 ",)), None)


def _hierarchies(mountinfo: bytes, kinds: tuple[bytes, ...]) -> Iterator[tuple[str, str]]:
    """(mount point, path of what is mounted there) of each of these kinds, by proc_pid_mountinfo(5)."""
    for line in mountinfo.split(b"\n"):
        mount, _, filesystem = line.partition(b" - ")
        if filesystem.startswith(kinds):
            root, mount_point = mount.split(b" ")[3:5]
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


def _walk(directory: str, path: str) -> Iterator[tuple[int, str]]:
    """(id, path) of a cgroup and of all below it; what cannot be read or vanishes is left out."""
    try:
        yield os.stat(directory).st_ino, path
        yield from _below(directory, path.rstrip("/"))
    except OSError:
        return


def _below(directory: str, path: str) -> Iterator[tuple[int, str]]:
    with os.scandir(directory) as entries:
        groups = [entry for entry in entries if entry.is_dir(follow_symlinks=False)]
    for group in groups:
        yield group.inode(), f"{path}/{group.name}"
        try:
            yield from _below(group.path, f"{path}/{group.name}")
        except OSError:
            continue
