"""The modules of the one file, compiled once and kept for the next run (docs/decisions/0016-one-file.md).

A kept file holds the code of every module that runs have needed so far, and is named after the content of the archive
and the Python that compiled it.  It is read and written only in a folder of this user's own that nobody else can enter.
Whatever is wrong with it, the folder or the disk: modules are compiled as if there were none.
"""

from __future__ import annotations

import marshal
import os
import sys
from importlib.util import MAGIC_NUMBER, decode_source, source_hash, spec_from_file_location
from stat import S_IMODE, S_ISREG

TYPE_CHECKING = False

if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from types import CodeType, ModuleType
    from zipimport import zipimporter

    Module = tuple[str, bytes | CodeType]  # its path in the archive; its code, as it is kept or just compiled

FOLDER = "portcheck"
CHECKSUM = 8  # bytes: of what is damaged; that nobody else wrote it is for the file system to say
AT_MOST = 8  # files: of older versions and other Pythons, and of runs that were killed as they wrote
READING = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
WRITING = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0)


def start(archive: zipimporter) -> None:
    """Runs portcheck from this archive."""
    finder = Finder(archive)
    sys.meta_path.insert(0, finder)
    process = os.getpid()
    try:
        from portcheck.__main__ import main

        main()
    finally:
        if os.getpid() == process:
            finder.keep()


class Finder:
    """Finds and loads what is in the archive."""

    def __init__(self, archive: zipimporter) -> None:
        self._archive = archive
        self._name = _name(archive.archive)
        self._modules: dict[str, Module] = _kept(self._name)
        self._has_compiled = False

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        """None for what is not in the archive: the next finder's."""
        if name not in self._modules and not self._compile(name):
            return None
        inside = self._modules[name][0]
        place = os.path.join(self._archive.archive, *inside.split("/"))
        children = [os.path.dirname(place)] if inside.endswith("/__init__.py") else None
        return spec_from_file_location(name, place, loader=self, submodule_search_locations=children)  # type: ignore[arg-type]

    def _compile(self, name: str) -> bool:
        """Whether the archive has this module."""
        base = name.replace(".", "/")
        for path in (f"{base}/__init__.py", f"{base}.py"):
            try:
                source = self._archive.get_data(path)
            except OSError:
                continue
            self._modules[name] = path, compile(source, f"portcheck.pyz/{path}", "exec", dont_inherit=True)
            self._has_compiled = True
            return True
        return False

    def create_module(self, spec: ModuleSpec) -> None:
        """The usual one."""

    def exec_module(self, module: ModuleType) -> None:
        """Runs the code of a module that was found."""
        exec(self.get_code(module.__name__), module.__dict__)

    def get_code(self, name: str) -> CodeType:
        """The code of a module that was found."""
        code = self._modules[name][1]
        return marshal.loads(code) if isinstance(code, bytes) else code

    def get_source(self, name: str) -> str:
        """For tracebacks."""
        return decode_source(self.get_data(self._modules[name][0]))

    def get_data(self, path: str) -> bytes:
        """A file of the archive."""
        return self._archive.get_data(path)

    def keep(self) -> None:
        """Keeps what was compiled, for the next run, if it may and can."""
        if not self._has_compiled or sys.dont_write_bytecode or os.environ.get("PYTHONDONTWRITEBYTECODE"):
            return  # the variable counts under -I too, where Python itself does not look at it
        kept = marshal.dumps(
            {
                name: (path, code if isinstance(code, bytes) else marshal.dumps(code))
                for name, (path, code) in self._modules.items()
            }
        )
        try:
            if _name(self._archive.archive) != self._name:
                return  # it was replaced meanwhile: nobody knows which modules are whose
            folder = _folder(make=True)
        except OSError:
            return
        try:
            _write(folder, self._name, source_hash(kept) + kept)
            _tidy(folder)
        except OSError:  # a full disk, a limit: the next run compiles again
            return
        finally:
            os.close(folder)


def _name(archive: str) -> str:
    """What a kept file is named after: another content, or another Python, has another one."""
    with open(archive, "rb") as file:
        content = source_hash(file.read()).hex()
    python = f"{sys.implementation.cache_tag}-{MAGIC_NUMBER[:2].hex()}-{sys.flags.optimize}"
    return f"{content}-{python}"


def _kept(name: str) -> dict[str, Module]:
    """What an earlier run of this user's has compiled; nothing where that is not beyond doubt."""
    try:
        folder = _folder(make=False)
    except OSError:
        return {}
    try:
        data = _read(folder, name)
    except OSError:
        return {}
    finally:
        os.close(folder)
    if data[:CHECKSUM] != source_hash(data[CHECKSUM:]):
        return {}
    kept: dict[str, Module] = marshal.loads(data[CHECKSUM:])
    return kept


def _folder(*, make: bool) -> int:
    """A descriptor of the folder; everything is done through it, so that nobody can put another in its place.

    Raises OSError where there is none, or where it, or what it is in, is not this user's own.
    """
    if not hasattr(os, "geteuid") or os.geteuid() != os.getuid():
        raise PermissionError
    home = _cache_home()
    if make:
        _make(home)
    outer = os.open(home, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if os.fstat(outer).st_uid != os.geteuid():
            raise PermissionError
        if make:
            _make(FOLDER, outer)
        folder = os.open(FOLDER, READING | os.O_DIRECTORY, dir_fd=outer)
    finally:
        os.close(outer)
    status = os.fstat(folder)
    if status.st_uid != os.geteuid() or S_IMODE(status.st_mode) & 0o077:
        os.close(folder)
        raise PermissionError
    return folder


def _cache_home() -> str:
    """As the XDG base directory specification has it: a relative path does not count."""
    home = os.environ.get("XDG_CACHE_HOME", "")
    if os.path.isabs(home):
        return home
    home = os.environ.get("HOME", "")
    if not os.path.isabs(home):
        raise FileNotFoundError
    return os.path.join(home, ".cache")


def _make(name: str, parent: int | None = None) -> None:
    try:
        os.mkdir(name, 0o700, dir_fd=parent)
    except FileExistsError:
        return


def _read(folder: int, name: str) -> bytes:
    with open(os.open(name, READING, dir_fd=folder), "rb") as file:
        status = os.fstat(file.fileno())
        if (
            not S_ISREG(status.st_mode)
            or status.st_uid != os.geteuid()
            or status.st_nlink != 1
            or status.st_mode & 0o022
        ):
            raise PermissionError
        return file.read()


def _write(folder: int, name: str, data: bytes) -> None:
    """It appears complete or not at all; of two that write at once, one wins."""
    part = f"{name}.{os.urandom(8).hex()}"
    try:
        with open(os.open(part, WRITING, 0o600, dir_fd=folder), "wb") as file:
            file.write(data)
        os.rename(part, name, src_dir_fd=folder, dst_dir_fd=folder)
    except BaseException:
        os.unlink(part, dir_fd=folder)
        raise


def _tidy(folder: int) -> None:
    """The newest stay."""
    written = {name: os.stat(name, dir_fd=folder, follow_symlinks=False).st_mtime_ns for name in os.listdir(folder)}
    for name in sorted(written, key=written.__getitem__, reverse=True)[AT_MOST:]:
        os.unlink(name, dir_fd=folder)
