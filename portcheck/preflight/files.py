"""Files as text, within bounds: the one place of preflight that opens anything."""

from __future__ import annotations

from contextlib import contextmanager

from portcheck.namedtuple import TYPE_CHECKING
from portcheck.preflight.declarations import PreflightError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MAX_BYTES = 1 << 20  # generous for files that people write, and parsed in seconds at worst
MAX_PORTS = 1 << 17  # every port of both protocols
INSTALL = 'pip install "portcheck[preflight]"'


def read_text(path: Path) -> str:
    """The UTF-8 text of a regular file of at most MAX_BYTES, without a byte order mark.

    Raises PreflightError: no such file, not a regular file (a FIFO would block), too large, not UTF-8.
    """
    file = str(path)
    try:
        if not path.is_file():
            raise PreflightError(file, None, "not a regular file" if path.exists() else "no such file")
        with path.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise PreflightError(file, None, f"cannot be read: {error.strerror or error}") from None
    if len(data) > MAX_BYTES:
        raise PreflightError(file, None, f"larger than {MAX_BYTES:,} bytes")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise PreflightError(file, line, f"byte 0x{data[error.start]:02x} is not UTF-8") from None


def is_file(path: Path) -> bool:
    """True of a regular file; False too of a name that cannot be looked at, being too long for instance."""
    try:
        return path.is_file()
    except OSError:
        return False


@contextmanager
def needs(package: str, file: str) -> Iterator[None]:
    """Around the import of an optional library: its absence becomes a clear line."""
    try:
        yield
    except ModuleNotFoundError:
        raise PreflightError(file, None, f"reading it needs {package}", INSTALL) from None


class Allowance:
    """How many ports a reader may still find: a long list of ranges of all of them is short to write."""

    def __init__(self) -> None:
        self._left = MAX_PORTS

    def spend(self, ports: int, file: str, line: int) -> None:
        """Raises PreflightError when there are more than MAX_PORTS."""
        self._left -= ports
        if self._left < 0:
            raise PreflightError(file, line, f"more than {MAX_PORTS:,} ports up to here")
