"""Files around a process, by their paths: no link is followed, and nothing opened that would block or react."""

from __future__ import annotations

import os
import stat

from portcheck.namedtuple import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# Windows has only the first.
_CAREFULLY = [getattr(os, flag, 0) for flag in ("O_RDONLY", "O_NONBLOCK", "O_NOFOLLOW", "O_CLOEXEC")]


def climb(folder: str, names: Iterable[str], at_most: int) -> Iterator[dict[str, bytes | None]]:
    """This folder, then each above it: those of the names that are there, with the text of regular files."""
    before = ""
    while folder != before:
        yield {name: _text(path, at_most) for name in names if os.path.lexists(path := os.path.join(folder, name))}
        folder, before = os.path.dirname(folder), folder


def _text(path: str, at_most: int) -> bytes | None:
    """Of a regular file of `at_most` bytes: to open anything else can have an effect."""
    try:
        if not _is_small_file(os.lstat(path), at_most):
            return None
        file = os.open(path, sum(_CAREFULLY))
    except OSError:
        return None
    try:
        return os.read(file, at_most) if _is_small_file(os.fstat(file), at_most) else None
    except OSError:
        return None
    finally:
        os.close(file)


def _is_small_file(status: os.stat_result, at_most: int) -> bool:
    return stat.S_ISREG(status.st_mode) and status.st_size <= at_most
