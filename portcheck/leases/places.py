"""Where leases are kept: in directories that do not outlive a boot, and that nobody may have laid out as a trap.

A user's own is in /run/user/UID, root's is /run/portcheck, which everybody reads.  Where an administrator has made that
one open to everybody and sticky (tmpfiles.d: `d /run/portcheck 1777 root root`), all users of the host lease there.
"""

from __future__ import annotations

import os
import stat

from portcheck.namedtuple import TYPE_CHECKING, NamedTuple
from portcheck.traits import HERE

if TYPE_CHECKING:
    from collections.abc import Iterator

NAME = "portcheck"
HOSTS_OWN = f"/run/{NAME}"
USERS = "/run/user"
ROOT = 0


class Place(NamedTuple):
    """A directory of leases."""

    path: str
    is_shared: bool  # others lease there too


def uid() -> int:
    """Whose leases are made here; Windows has no number for that, and directories that are private by themselves."""
    return os.geteuid() if HERE.has_uids else ROOT


def own() -> Place | None:
    """Where leases of this user are made; the directory is, if there is none.  None where it cannot be had."""
    if _is_open_to_all(HOSTS_OWN):
        return Place(HOSTS_OWN, is_shared=True)
    for path, mode in _candidates():
        try:
            os.mkdir(path, mode)
        except FileExistsError:
            pass
        except OSError:
            continue
        if is_of(path, uid()):
            return Place(path, is_shared=False)
    return None


def others(place: Place | None) -> Iterator[Place]:
    """Where else leases may be that count for this user: root's, and its own of other sessions."""
    owners = {path: uid() for path, _ in _candidates()}
    for path, owner in {**owners, HOSTS_OWN: ROOT}.items():
        if (place is None or path != place.path) and is_of(path, owner):
            yield Place(path, is_shared=True)


def is_of(path: str, owner: int) -> bool:
    """Whether it is a directory of that user's, in which nobody else can make or exchange anything."""
    try:
        found = os.lstat(path)
    except OSError:
        return False
    if not stat.S_ISDIR(found.st_mode):
        return False
    apart = not found.st_mode & 0o022 or bool(found.st_mode & stat.S_ISVTX)
    return not HERE.has_uids or (found.st_uid == owner and apart)


def _candidates() -> Iterator[tuple[str, int]]:
    """In order of preference; not by the environment first, so that all sessions of a user come to the same."""
    if not HERE.has_uids:
        yield os.path.join(os.environ.get("LOCALAPPDATA") or ".", f"{NAME}-leases"), 0o700
        return
    if uid() == ROOT:
        yield HOSTS_OWN, 0o755
    for base in (f"{USERS}/{uid()}", os.environ.get("XDG_RUNTIME_DIR") or ""):
        if base and is_of(base, uid()):
            yield f"{base}/{NAME}", 0o700
    yield f"/tmp/{NAME}-{uid()}", 0o700  # noqa: S108 - whoever made it, is_of() asks


def _is_open_to_all(path: str) -> bool:
    try:
        mode = os.lstat(path).st_mode
    except OSError:
        return False
    return is_of(path, ROOT) and bool(mode & stat.S_ISVTX and mode & stat.S_IWOTH)
