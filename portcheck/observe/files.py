"""Small files of strangers: no link is followed, and nothing opened that would block or react."""

from __future__ import annotations

import os
import stat

# Windows has only the first.
_CAREFULLY = [getattr(os, flag, 0) for flag in ("O_RDONLY", "O_NONBLOCK", "O_NOFOLLOW", "O_CLOEXEC")]


def small_file(path: str, at_most: int) -> bytes | None:
    """The text of a regular file of at most so many bytes: to open anything else can have an effect."""
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
