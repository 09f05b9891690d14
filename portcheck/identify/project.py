"""The project that a process was started in, according to the nearest project file above its working directory."""

from __future__ import annotations

from portcheck.identify.names import base
from portcheck.lean_functools import lru_cache
from portcheck.namedtuple import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from portcheck.identify.facts import ProjectFile

    Reader = Callable[[str], object]


class Project(NamedTuple):
    """Its own name for itself, else its directory's; and the directory."""

    name: str
    directory: str


@lru_cache(maxsize=8)  # the workers of a server are all in the same
def project(files: tuple[ProjectFile, ...]) -> Project | None:
    """The project by the files of one directory, in the order of NAMED; None where there are none."""
    by_name = {file.name: file for file in files}
    for name, read in NAMED.items():
        file = by_name.get(name)
        own_name = _name(read, file.text) if file and file.text else None
        if file and own_name:
            return Project(own_name, file.directory)
    return next((Project(base(file.directory), file.directory) for file in by_name.values()), None)


def _name(read: Reader, text: bytes) -> str | None:
    """None where the file is broken or has no name."""
    try:
        name = read(text.decode("utf-8-sig"))
    except (ValueError, LookupError, TypeError, RecursionError):
        return None
    return name if isinstance(name, str) and name.strip() else None


def _json(text: str) -> object:
    import json

    return json.loads(text)["name"]


def _pyproject(text: str) -> object:
    return toml_name(text, "project") or toml_name(text, "tool.poetry")


def _cargo(text: str) -> object:
    return toml_name(text, "package")


def toml_name(text: str, table: str) -> str | None:
    """The value of `name` in a table's own lines.

    Not by a parser of TOML: tomllib takes quadratic time, 7 s and more for 48 KB of `a.a.a=1`.
    """
    here = False
    for line in map(str.strip, text.split("\n")):
        if line.startswith("["):
            here = "".join(line.partition("]")[0][1:].split()) == table
        elif here:
            key, equals, value = line.partition("=")
            if equals and key.strip() in ("name", '"name"', "'name'"):
                return _string(value.strip())
    return None


def _string(value: str) -> str | None:
    """Of one line and without an escape, which no name has."""
    quote = value[:1]
    text, end, _ = value[1:].partition(quote or " ")
    return text if quote in ('"', "'") and end and "\\" not in text else None


def _go(text: str) -> object:
    """`module example.org/shop`"""
    return next((line.split()[1] for line in text.split("\n") if line.startswith("module ")), None)


NAMED: Mapping[str, Reader] = {
    "package.json": _json,
    "pyproject.toml": _pyproject,
    "Cargo.toml": _cargo,
    "go.mod": _go,
    "composer.json": _json,
    "deno.json": _json,
}
# Directory entries that mark a project's directory; those in NAMED are also read.
MARKS = (*NAMED, ".git")
