"""Whose a file is: whether anybody but its owner and root could have put it where it is."""

from __future__ import annotations

import os
import stat


def is_owned_by(path: str, uid: int) -> bool:
    """Whether this file, and every directory down to it, is that user's or root's.

    Links are followed first.  In a directory to which everybody writes only a sticky bit (/tmp) keeps a name its own.
    """
    path = os.path.realpath(path)
    return all(_is_safe(at, uid) for at in _down_to(path))


def _down_to(path: str) -> list[str]:
    """`/`, `/srv`, `/srv/web` for the last of them."""
    parts = path.split("/")
    return ["/".join(parts[:end]) or "/" for end in range(1, len(parts) + 1)]


def _is_safe(path: str, uid: int) -> bool:
    try:
        status = os.lstat(path)
    except OSError:
        return False
    everybodys = status.st_mode & stat.S_IWOTH and not (stat.S_ISDIR(status.st_mode) and status.st_mode & stat.S_ISVTX)
    return status.st_uid in (0, uid) and not everybodys
