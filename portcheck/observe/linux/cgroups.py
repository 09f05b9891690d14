"""cgroup v2 directories by their id: the service or container in which a socket was made.

sock_diag tells INET_DIAG_CGROUP_ID to everybody, even where the process that holds the socket is hidden.  The
id is the inode of the directory, so walking the hierarchy names it (0.1-0.4 ms on an ordinary host).  Limits:
a process that moved to another cgroup since it made the socket, and a cgroup that has been removed.
"""

from __future__ import annotations

import os

from portcheck.namedtuple import TYPE_CHECKING
from portcheck.observe.linux import procfs

if TYPE_CHECKING:
    from collections.abc import Iterator

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
    """(mount point, path of what is mounted there) of cgroup v2, by proc_pid_mountinfo(5).

    Hybrid systems mount it at /sys/fs/cgroup/unified; in a container it may begin at a sub-directory.
    """
    for line in mountinfo.splitlines():
        mount, _, filesystem = line.partition(b" - ")
        if filesystem.startswith(b"cgroup2 "):
            root, mount_point = mount.split(b" ")[3:5]
            return _unescaped(mount_point), _unescaped(root)
    return None


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
