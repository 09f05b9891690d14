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


@lru_cache(maxsize=64)  # the workers of a server are all in the same
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
    """None where the file is broken or has no name, or is TOML that this Python cannot read."""
    try:
        name = read(text.decode("utf-8-sig"))
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError, ModuleNotFoundError):
        return None
    return name if isinstance(name, str) and name.strip() else None


def _json(text: str) -> object:
    import json

    return json.loads(text)["name"]


def _pyproject(text: str) -> object:
    from portcheck.toml import loads

    document = loads(text)
    return document.get("project", {}).get("name") or document["tool"]["poetry"]["name"]


def _cargo(text: str) -> object:
    from portcheck.toml import loads

    return loads(text)["package"]["name"]


def _go(text: str) -> object:
    """`module example.org/shop`"""
    return next((line.split()[1] for line in text.splitlines() if line.startswith("module ")), None)


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
