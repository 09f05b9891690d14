"""Files around a process, which a stranger may have laid out as traps: looked at without any effect (open(2), O_PATH).

To look a name up can hang already, where somebody answers for the file system (FUSE, a server that is gone), and so
can to read what says it is a regular file (/proc/kmsg).  So first, without asking the file system anything, the mount
has to be of a kind that answers by itself.  Opened for reading is only what is known to be a regular file of it: to
open a FIFO or a device can have an effect.
"""

from __future__ import annotations

import os
import stat

from portcheck.lean_functools import lru_cache
from portcheck.namedtuple import TYPE_CHECKING
from portcheck.observe.linux import procfs

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


def _flags(*names: str) -> int:
    """Not every system on which this can be imported has them."""
    return sum(getattr(os, name, 0) for name in names)


_FOLDER = _flags("O_PATH", "O_DIRECTORY", "O_CLOEXEC")
_ENTRY = _flags("O_PATH", "O_NOFOLLOW", "O_CLOEXEC")
_READ = _flags("O_RDONLY", "O_NONBLOCK", "O_CLOEXEC")  # nor waiting for who holds a lease (fcntl(2), F_SETLEASE)
# Kinds of file systems that answer by themselves; of the last two it is the host of this virtual machine (WSL, Docker
# Desktop) that answers.
_PLAIN = frozenset((
    b"aufs", b"bcachefs", b"btrfs", b"erofs", b"exfat", b"ext2", b"ext3", b"ext4", b"f2fs", b"jfs", b"nilfs2", b"ntfs3",
    b"overlay", b"ramfs", b"reiserfs", b"rootfs", b"squashfs", b"tmpfs", b"vfat", b"xfs", b"zfs", b"9p", b"virtiofs",
))  # fmt: skip


def climb(pid: int, names: Iterable[str], at_most: int) -> Iterator[dict[str, bytes | None]]:
    """The working directory of a process, then each above it: those of the names that are there.

    With the text of regular files of `at_most` bytes.  It ends where a directory may not be looked at.
    """
    mounts = _Mounts(pid)
    try:
        folder = os.open(f"/proc/{pid}/cwd", _FOLDER)
    except OSError:
        return
    try:
        while mounts.are_plain(folder):
            yield dict(_entries(folder, names, mounts, at_most))
            above = os.open("..", _FOLDER, dir_fd=folder)
            os.close(folder)
            folder = above
    except OSError:
        return
    finally:
        os.close(folder)


def _entries(folder: int, names: Iterable[str], mounts: _Mounts, at_most: int) -> Iterator[tuple[str, bytes | None]]:
    for name in names:
        try:
            entry = os.open(name, _ENTRY, dir_fd=folder)
        except OSError:
            continue
        try:
            yield name, _text(entry, at_most) if mounts.are_plain(entry) else None
        except OSError:
            yield name, None
        finally:
            os.close(entry)


def _text(entry: int, at_most: int) -> bytes | None:
    status = os.fstat(entry)
    if not stat.S_ISREG(status.st_mode) or status.st_size > at_most:
        return None
    file = os.open(f"/proc/self/fd/{entry}", _READ)
    try:
        return os.read(file, at_most)
    finally:
        os.close(file)


class _Mounts:
    """The mounts of a process's namespace; each is judged once."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._plain: dict[int | None, bool] = {}

    def are_plain(self, descriptor: int) -> bool:
        """Whether this file is in a file system that answers by itself."""
        mount = mount_id(procfs.read(f"self/fdinfo/{descriptor}") or b"")
        if mount not in self._plain:
            self._plain[mount] = mount is not None and self._is_plain(mount)
        return self._plain[mount]

    def _is_plain(self, mount: int) -> bool:
        """It has to be mounted here too, where only root can: a stranger's own overlay may have FUSE below it.

        A container's root is: under another number and path, but it is the same device.
        """
        here = procfs.read("self/mountinfo") or b""
        device = device_of(here, mount) or device_of(procfs.read(f"{self._pid}/mountinfo") or b"", mount)
        return device in plain_devices(here)


def mount_id(fdinfo: bytes) -> int | None:
    """The mount of an open file, by proc_pid_fdinfo(5)."""
    for line in fdinfo.split(b"\n"):
        key, _, value = line.partition(b":")
        if key == b"mnt_id" and value.strip().isdigit():
            return int(value)
    return None


def device_of(mountinfo: bytes, mount: int) -> bytes | None:
    """`0:29` of a mount in /proc/PID/mountinfo; None where it is not there."""
    line = (b"\n" + mountinfo).partition(b"\n%d " % mount)[2]
    return b"".join(line[:_LONGEST_START].split(b" ")[1:2]) or None


_LONGEST_START = 64  # bytes, of a line's first fields: three numbers


@lru_cache(maxsize=1)
def plain_devices(mountinfo: bytes) -> frozenset[bytes]:
    """The devices in /proc/self/mountinfo whose file systems answer by themselves."""
    pairs = (line.partition(b" - ")[::2] for line in mountinfo.split(b"\n"))
    return frozenset(
        mount.split(b" ")[2] for mount, kind in pairs if kind.partition(b" ")[0] in _PLAIN and mount.count(b" ") > 2
    )
