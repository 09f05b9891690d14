"""Takes and heeds leases.

A lease is a file `NETWORK-tcp-8000-UID` whose text says until when it counts, and for whom.  It counts too as long as
its maker holds a lock on it, which ends with the process, however that ends.  Leases are a courtesy among portchecks,
no protection: whoever can make one for a port of others could bind that port as well.
"""

from __future__ import annotations

import os
import stat
import time
from zlib import crc32

from portcheck.leases import places
from portcheck.namedtuple import TYPE_CHECKING, NamedTuple
from portcheck.observe.network import network
from portcheck.traits import HERE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Literal

    from typing_extensions import Self

    from portcheck.model import Protocol

USUAL = 30.0  # seconds: what a server needs from its command line to its bind
LONGEST = 3600.0  # seconds: what says more was written by another clock, or by somebody who means no good
FIRST_UNPRIVILEGED = 1024
TEXT_AT_MOST = 100  # bytes
MANY = 256
ENTRIES_AT_MOST = 100_000  # of a directory that is looked through
# Somebody else's lock may be that of a moment's look.
ATTEMPTS = 20
A_LOOK_TAKES = 0.001  # seconds, generously
# Not every system has them.
_READ = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
_WRITE = _READ | os.O_RDWR | os.O_CREAT


class Lease(NamedTuple):
    """A port that is somebody else's for now."""

    ends: float  # seconds since the epoch; in the past where it lasts as long as its maker runs
    pid: int | None  # as it says itself
    key: str = ""


class Book:
    """The leases that one request takes.

    `seconds` is how long each is to last (0: none is taken, and none heeded).  `name` says what they are for: who asks
    again under the same name gets the same port again.  With `held` they count as long as this process runs, too.
    """

    __slots__ = ("_held", "_key", "_locks", "_net", "_place", "_seconds", "is_kept", "until")

    def __init__(self, seconds: float = USUAL, name: str | None = None, *, held: bool = False) -> None:
        self._seconds = min(seconds, LONGEST)
        self._key = "" if name is None else f"{crc32(name.encode('utf-8', 'surrogateescape')):08x}"
        self._held = held
        self._locks: dict[tuple[Protocol, int], int] = {}  # the files that are held
        self._place = places.own() if seconds else None
        self._net = network()  # containers' ports are apart even where they share /run
        self.until: float | None = None  # when the last one that was taken ends
        self.is_kept = not seconds or self._place is not None  # False: there is nowhere to keep what is wanted

    def claim(self, protocol: Protocol, port: int) -> Lease | None:
        """Takes the lease of a port; where that is somebody else's already, returns it.

        Where none can be kept (nothing may be written, a disk is full) others' leases are heeded all the same.
        """
        if not self._seconds:
            return None
        if self._place is None:
            return self._of_others(protocol, port)
        file = self._take(self._path(self._place, protocol, port))
        if isinstance(file, Lease):
            return file
        if file is None:
            self.is_kept = False
            return self._of_others(protocol, port)
        # Written first, looked around afterwards: of two users who do so at once at least one sees the other.
        if lease := self._of_others(protocol, port):
            _write(file, "")
            os.close(file)
            return lease
        if self._held:
            self._locks[protocol, port] = file
        else:
            os.close(file)
        _tidy(self._place.path)
        return None

    def whose(self, protocol: Protocol, port: int) -> Lease | None:
        """The lease of somebody else, if there is one; only looks."""
        if not self._seconds:
            return None
        own = self._place and self._valid(self._path(self._place, protocol, port), str(places.uid()), port)
        return own or self._of_others(protocol, port)

    def give_back(self, ports: Iterable[tuple[Protocol, int]]) -> None:
        """What was taken and is not needed after all."""
        for protocol, port in [*ports]:
            file = self._locks.pop((protocol, port), None)
            if file is None and self._place:
                file = _open(self._path(self._place, protocol, port), _WRITE, places.uid())
            if file is not None:
                _write(file, "")
                os.close(file)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Gives back all that is held."""
        self.give_back(self._locks)

    def _path(self, place: places.Place, protocol: Protocol, port: int) -> str:
        return os.path.join(place.path, f"{self._net}-{protocol}-{port}-{places.uid()}")

    def _take(self, path: str) -> int | Lease | None:
        """The file, locked and written; or whose it is; None where there can be none."""
        file = _open(path, _WRITE, places.uid())
        if file is None:
            return None
        for _ in range(ATTEMPTS):
            # Before the lock, as that may be held as long as a command runs, and behind it, where nobody else writes.
            if lease := self._read(file):
                break
            if _lock(file):
                lease = self._read(file)
                break
            lease = Lease(0, None)  # as far as it is known
            time.sleep(A_LOOK_TAKES)
        if not lease and _is_there(path, file):
            self._sign(file)
            return file
        os.close(file)
        return lease or self._take(path)  # it was tidied away after it was opened

    def _sign(self, file: int) -> None:
        until = time.time() + self._seconds
        if _write(file, f"{until:.3f} {os.getpid()} {self._key}\n"):
            self.until = until
        else:
            self.is_kept = False  # and stays so: of several ports one has no lease

    def _read(self, file: int) -> Lease | None:
        """Whose it is, unless this request asks again for the same purpose."""
        lease = _counts(file)
        return None if lease and self._key and lease.key == self._key else lease

    def _of_others(self, protocol: Protocol, port: int) -> Lease | None:
        """A lease of another user's, or of this one's in another place."""
        start = f"{self._net}-{protocol}-{port}-"
        shared = [self._place] if self._place and self._place.is_shared else []
        for place in (*shared, *places.others(self._place)):
            for name in _names(place.path, start):
                if place is self._place and name == f"{start}{places.uid()}":
                    continue
                if lease := self._valid(os.path.join(place.path, name), name[len(start) :], port):
                    return lease
        return None

    def _valid(self, path: str, maker: str, port: int) -> Lease | None:
        """A lease counts for what its maker could do without it: bind the port."""
        if not maker.isdigit() or (port < FIRST_UNPRIVILEGED and int(maker) != places.ROOT):
            return None
        file = _open(path, _READ, int(maker))
        if file is None:
            return None
        try:
            return self._read(file) or (None if _lock(file, "shared") else Lease(0, None))
        finally:
            os.close(file)


def _names(path: str, start: str) -> Iterator[str]:
    try:
        with os.scandir(path) as entries:
            for entry, _ in zip(entries, range(ENTRIES_AT_MOST)):
                if entry.name.startswith(start):
                    yield entry.name
    except OSError:
        return


def _counts(file: int) -> Lease | None:
    """What it says, unless that is nothing, of the past, or of a wild future."""
    try:
        os.lseek(file, 0, os.SEEK_SET)
        ends, pid, *key = os.read(file, TEXT_AT_MOST).decode("ascii").split()
        lease = Lease(float(ends), int(pid), "".join(key))
    except (OSError, ValueError):
        return None
    return lease if time.time() < lease.ends <= time.time() + LONGEST else None


def _tidy(folder: str) -> None:
    """Removes this user's leases whose time is over, once there are many: each keeps a page of memory."""
    mine = [name for name in _names(folder, "") if name.endswith(f"-{places.uid()}")]
    for name in mine if len(mine) > MANY else ():
        path = os.path.join(folder, name)
        file = _open(path, _READ | os.O_RDWR, places.uid())
        if file is not None:
            # Who was faster may have removed it, and somebody may have made another one of that name since.
            if _lock(file) and _is_there(path, file) and not _counts(file):
                _remove(path)
            os.close(file)


def _remove(path: str) -> None:
    try:
        os.unlink(path)
    except OSError:  # Windows: somebody else has it open
        return


def _is_there(path: str, file: int) -> bool:
    try:
        return os.path.samestat(os.stat(path, follow_symlinks=False), os.fstat(file))
    except OSError:
        return False


def _open(path: str, flags: int, owner: int) -> int | None:
    """The file of that user's lease; whatever else has the name was put there by somebody else, and stays as it is."""
    try:
        file = os.open(path, flags, 0o644)
    except OSError:
        return None
    found = os.fstat(file)
    if stat.S_ISREG(found.st_mode) and found.st_nlink == 1 and (not HERE.has_uids or found.st_uid == owner):
        return file
    os.close(file)
    return None


def _write(file: int, text: str) -> bool:
    """Whether it could be: a disk may be full."""
    try:
        os.ftruncate(file, 0)
        os.lseek(file, 0, os.SEEK_SET)
        return os.write(file, text.encode("ascii")) == len(text)
    except OSError:
        return False


def _lock(file: int, kind: Literal["exclusive", "shared"] = "exclusive") -> bool:
    """Whether the lock could be had at once.  It ends with the last descriptor, which no other program inherits."""
    try:
        import fcntl
    except ImportError:
        return _lock_on_windows(file)
    try:
        fcntl.flock(file, (fcntl.LOCK_EX if kind == "exclusive" else fcntl.LOCK_SH) | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _lock_on_windows(file: int) -> bool:
    """The same on one byte past the text, since nobody else could read one that is locked."""
    import msvcrt

    os.lseek(file, TEXT_AT_MOST, os.SEEK_SET)
    try:
        msvcrt.locking(file, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined, unused-ignore]
    except OSError:
        return False
    return True
