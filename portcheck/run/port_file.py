"""Writes a file with nothing but the port in it, for scripts: complete, or not there at all."""

from __future__ import annotations

from portcheck.errors import PortcheckError
from portcheck.namedtuple import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import TracebackType


class PortFile:
    """The file that `--port-file` names (None: there is none).

    A file left by an earlier run is removed at once, and the new one at the end unless `keep` is set.
    """

    def __init__(self, path: str | None) -> None:
        self._path = None if path is None else _path(path)
        self.keep = False

    def __enter__(self) -> None:
        """Raises PortcheckError where no file can be made there, before anything is started."""
        if self._path is not None:
            if self._path.is_symlink() or (self._path.exists() and not self._path.is_file()):
                raise PortcheckError(f"--port-file {self._path} is there already, and is no regular file")
            self._remove()
            self._change(self._new.touch)
            self._change(self._new.unlink)

    def write(self, port: int) -> None:
        """Never leaves a reader with half of the number.  Raises PortcheckError."""
        if self._path is not None:
            path = self._path
            self._change(lambda: self._new.write_text(f"{port}\n", encoding="ascii"))
            self._change(lambda: self._new.replace(path))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self.keep:
            self._remove()

    @property
    def _new(self) -> Path:
        return _path(f"{self._path}.new")

    def _remove(self) -> None:
        if self._path is not None:
            path = self._path
            self._change(lambda: path.unlink(missing_ok=True))

    def _change(self, change: Callable[[], object]) -> None:
        try:
            change()
        except OSError as error:
            raise PortcheckError(f"--port-file {self._path}: {error.strerror}") from error


def _path(text: str) -> Path:
    """pathlib takes a third of `python3 -c pass`, and most runs name no file."""
    from pathlib import Path

    return Path(text)
