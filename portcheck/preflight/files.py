"""Files as text, within bounds: the one place of preflight that opens anything.

A repository may be a stranger's, so what its links and includes lead to is opened only where the project lies, and
nothing is opened that would notice it (a FIFO, a device) or never end (`/proc`).
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import contextmanager
from pathlib import Path

from portcheck.namedtuple import TYPE_CHECKING, NamedTuple
from portcheck.observe.ourselves import install_hint
from portcheck.preflight.declarations import LeftUnreadError, PreflightError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MAX_BYTES = 1 << 18  # a thousand services; libyaml takes half a second for the worst of it, Python alone five
MAX_PORTS = 1 << 14  # a telephone exchange publishes 10,000; checked in 1.3 s
ALLOW = "--allow-outside"
# Not the project's: what git keeps beside it, which may hold the token that it was fetched with.
PRIVATE = ".git"
KERNELS = (f"{os.sep}proc{os.sep}", f"{os.sep}sys{os.sep}")


class Grounds(NamedTuple):
    """Where the files of a project lie: below `roots`, which are absolute and without links."""

    roots: tuple[str, ...]
    everywhere: bool = False  # --allow-outside

    def hold(self, path: str | Path) -> bool:
        """Whether a path, its links resolved, is the project's; True of a name that no file can have."""
        try:
            real = os.path.realpath(path)
        except (OSError, ValueError):
            return True
        return any(_lies_below(real, root) for root in self.roots)

    def leave(self, path: str | Path) -> bool:
        """Whether a path leads outside, where it is not followed."""
        return not self.everywhere and not self.hold(path)

    def has(self, path: Path) -> bool:
        """True of a regular file, and of a link that leads outside: that is not nothing."""
        try:
            return os.path.lexists(path) if self.leave(path) else path.is_file()
        except (OSError, ValueError):  # a name that cannot be looked at, being too long for instance
            return False

    def text(self, path: Path) -> str:
        """The UTF-8 text of a regular file of at most MAX_BYTES, without a byte order mark.

        Raises LeftUnreadError: outside, too large.  Raises PreflightError: no such file, not a regular file, not UTF-8.
        """
        file = str(path)
        try:
            with os.fdopen(self._opened(path), "rb") as stream:
                data = stream.read(MAX_BYTES + 1)
        except (FileNotFoundError, NotADirectoryError, ValueError):
            raise PreflightError(file, None, "no such file") from None
        except OSError as error:
            raise PreflightError(file, None, f"cannot be read: {error.strerror or error}") from None
        if len(data) > MAX_BYTES:
            raise LeftUnreadError("limit", file, None, f"larger than {MAX_BYTES:,} bytes: not read")
        try:
            return data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = data.count(b"\n", 0, error.start) + 1
            raise PreflightError(file, line, f"byte 0x{data[error.start]:02x} is not UTF-8") from None

    def _opened(self, path: Path) -> int:
        """A descriptor to read from, of what was judged: nobody can put another file there in between."""
        if self.leave(path):  # before anything is opened, so that even a missing file says nothing of what is there
            raise outside(path)
        if not hasattr(os, "O_PATH") or not os.path.isdir("/proc/self/fd"):
            return self._opened_by_name(path)
        look = os.open(path, os.O_PATH | os.O_CLOEXEC)  # has no effect on a FIFO or a device
        try:
            link = f"/proc/self/fd/{look}"
            self._judge(path, os.readlink(link), os.fstat(look))
            return os.open(link, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        finally:
            os.close(look)

    def _opened_by_name(self, path: Path) -> int:
        real = os.path.realpath(path)
        before = os.lstat(real)
        self._judge(path, real, before)
        flags = ("O_NONBLOCK", "O_NOFOLLOW", "O_BINARY", "O_CLOEXEC", "O_NOINHERIT")
        opened = os.open(real, os.O_RDONLY | sum(getattr(os, flag, 0) for flag in flags))
        if os.path.samestat(before, os.fstat(opened)):
            return opened
        os.close(opened)
        raise OSError(errno.ESTALE, "it was replaced meanwhile")

    def _judge(self, path: Path, real: str, status: os.stat_result) -> None:
        if self.leave(real):
            raise outside(path)
        if not stat.S_ISREG(status.st_mode) or _is_the_kernels(real, status):
            raise PreflightError(str(path), None, "not a regular file")


def _lies_below(real: str, root: str) -> bool:
    real, root = os.path.normcase(real), os.path.normcase(root)
    below = os.path.join(root, "")
    return real == root or (real.startswith(below) and PRIVATE not in real[len(below) :].split(os.sep))


def _is_the_kernels(real: str, status: os.stat_result) -> bool:
    """A file of `/proc` says that it is a regular one, and may block for ever."""
    if real.startswith(KERNELS):
        return True
    try:
        return status.st_dev == os.stat("/proc").st_dev and os.path.ismount("/proc")
    except OSError:
        return False


def outside(path: Path) -> LeftUnreadError:
    """What is said of a file that is not opened."""
    return LeftUnreadError("outside", str(path), None, f"leads outside of the project: not read without {ALLOW}")


def grounds_of(paths: Iterable[str | Path], alone: Iterable[Path] = (), *, everywhere: bool = False) -> Grounds:
    """Around directories, and files with the directories that they lie in, as the user named them; `alone` without."""
    folders = [path if os.path.isdir(path) else above(path) for path in map(Path, paths)]
    roots = [os.path.realpath(path) for path in (*folders, *alone) if not _led_away(path)]
    return Grounds(tuple(dict.fromkeys(roots)), everywhere)


def _led_away(path: Path) -> bool:
    """Whether a path below the current directory leads away from it: the link is whose the repository is."""
    if not _lies_below(os.path.abspath(path), os.path.abspath(".")):
        return False
    return not _lies_below(os.path.realpath(path), os.path.realpath("."))


def around(path: Path) -> Grounds:
    """Around one file, or one directory."""
    return grounds_of([path])


def above(path: Path) -> Path:
    """The directory of the project that a file belongs to."""
    folder = path.absolute().parent
    if folder.parent.name == ".devcontainer":
        folder = folder.parent  # .devcontainer/NAME/devcontainer.json
    return folder.parent if folder.name == ".devcontainer" else folder


def joined(directory: Path, text: str) -> Path:
    """A path that a file names, as Compose joins it: `x/../y` is y, whether x is there or not.

    It is printed when the file exists, so nothing may be left in it that does not lead there.
    """
    return Path(os.path.normpath(directory / text))


@contextmanager
def needs(package: str, file: str) -> Iterator[None]:
    """Around the import of an optional library: its absence becomes a clear line."""
    try:
        yield
    except ModuleNotFoundError:
        raise PreflightError(file, None, f"reading it needs {package}", install_hint(package, "preflight")) from None


class Allowance:
    """How many ports a reader may still find: a long list of ranges of all of them is short to write."""

    def __init__(self) -> None:
        self._left = MAX_PORTS

    def spend(self, ports: int, file: str, line: int) -> None:
        """Raises LeftUnreadError when there are more than MAX_PORTS."""
        self._left -= ports
        if self._left < 0:
            raise LeftUnreadError("limit", file, line, f"more than {MAX_PORTS:,} ports up to here: not checked")
