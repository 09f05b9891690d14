"""cgroup v2 directories by their id: the service or container in which a socket was made.

sock_diag tells INET_DIAG_CGROUP_ID to everybody, even where the process that holds the socket is hidden.  The id is
the inode of the directory, so walking the hierarchy once names it (0.1-0.4 ms on an ordinary host).  Limits: a process
that moved to another cgroup since it made the socket, and a cgroup that has been removed.
"""

from __future__ import annotations

import os
from functools import cache
from os.path import join

from portcheck.value import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


def cgroup_path(cgroup_id: int) -> str | None:
    """`/system.slice/foo.service` for an id from sock_diag; None where no directory (any more) has it."""
    return _paths().get(cgroup_id)


@cache
def _paths() -> dict[int, str]:
    place = _hierarchy()
    return dict(_walk(*place)) if place else {}


def _hierarchy() -> tuple[str, str] | None:
    """(mount point, path of its root in the hierarchy) of cgroup v2, by proc_pid_mountinfo(5).

    Hybrid systems mount it at /sys/fs/cgroup/unified; in a container the root may be a sub-directory.
    """
    try:
        with open("/proc/self/mountinfo", "rb") as lines:
            for line in lines:
                mount, _, filesystem = line.partition(b" - ")
                if filesystem.startswith(b"cgroup2 "):
                    root, mount_point = mount.split(b" ")[3:5]
                    return _unescaped(mount_point), _unescaped(root)
    except OSError:
        pass
    return None


def _unescaped(field: bytes) -> str:
    """mountinfo writes space, tab, newline and backslash as octal escapes."""
    for escape, character in ((b"\\040", b" "), (b"\\011", b"\t"), (b"\\012", b"\n"), (b"\\134", b"\\")):
        field = field.replace(escape, character)
    return os.fsdecode(field)


def _walk(directory: str, path: str) -> Iterator[tuple[int, str]]:
    """(id, path) of a cgroup and all below it; directories that cannot be read or vanish are left out."""
    try:
        yield os.stat(directory).st_ino, path
        with os.scandir(directory) as entries:
            below = [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
    except OSError:
        return
    for name in below:
        yield from _walk(join(directory, name), join(path, name))
