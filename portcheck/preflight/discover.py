"""Which files of a directory declare ports, and what kind of file a path is."""

from __future__ import annotations

import os
import re
from pathlib import Path

from portcheck.errors import UsageError
from portcheck.namedtuple import TYPE_CHECKING, NamedTuple
from portcheck.preflight.declarations import LeftUnreadError, PreflightError, Unresolved, shown
from portcheck.preflight.dotenv import with_file
from portcheck.preflight.files import ALLOW, Grounds, around, joined

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from portcheck.preflight.declarations import Kind

# In the order in which Compose prefers them; it reads the first one and the first override.
COMPOSE = ("compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml")
OVERRIDES = (
    "compose.override.yml",
    "compose.override.yaml",
    "docker-compose.override.yml",
    "docker-compose.override.yaml",
)
SINGLE: tuple[tuple[Kind, str], ...] = (
    ("env", ".env"),
    ("procfile", "Procfile"),
    ("package", "package.json"),
    ("devcontainer", ".devcontainer/devcontainer.json"),
    ("devcontainer", ".devcontainer.json"),
    ("portcheck", "pyproject.toml"),
    ("portcheck", "portcheck.toml"),
)
OWN = r"(.+[.-])?portcheck([.-].+)?\.toml"  # portcheck.toml, and one for each of several hosts: db.portcheck.toml
_BY_NAME: tuple[tuple[Kind, str], ...] = (
    ("compose", r".*\.ya?ml"),
    ("env", r"\.env(\..+)?|.+\.env"),
    ("procfile", r"Procfile(\..+)?"),
    ("package", r"package\.json"),
    ("devcontainer", r"\.?devcontainer\.json"),
    ("portcheck", OWN),
    ("portcheck", r"pyproject\.toml"),
)
ACCEPTED = (
    "compose.yaml and other YAML, .env, Procfile, package.json, devcontainer.json, pyproject.toml, portcheck.toml"
)
# Of whatever else is called Procfile, or stands in `.devcontainer`; nobody has more of them.
MOST_OF_A_KIND = 50
NO_PROCFILE = ("bak", "dist", "example", "md", "orig", "sample", "swp", "template")


class Source(NamedTuple):
    """Files that are read together: a Compose project with its overrides, or one file of another kind."""

    kind: Kind
    files: tuple[Path, ...]
    left_open: Unresolved | None = None  # why they are not read


def find(directory: Path, environment: Mapping[str, str], grounds: Grounds | None = None) -> list[Source]:
    """Everything in a directory (not below it) that may declare ports, Compose's choice of files first.

    Raises PreflightError: COMPOSE_FILE names a file that cannot be read.
    """
    grounds = grounds or around(directory)
    compose = _compose(directory, environment, grounds)
    single = [Source(kind, (directory / name,)) for kind, name in SINGLE if grounds.has(directory / name)]
    return [*([compose] if compose else []), *single, *_further(directory, grounds)]


def _further(directory: Path, grounds: Grounds) -> Iterator[Source]:
    """`Procfile.dev` and its like, and `.devcontainer/NAME/devcontainer.json`."""
    procfiles = (path for path in _listed(directory) if re.fullmatch(r"Procfile\.[\w-]+", path.name))
    containers = () if grounds.leave(directory / ".devcontainer") else _listed(directory / ".devcontainer")
    kinds: tuple[tuple[Kind, list[Path]], ...] = (
        ("procfile", [path for path in procfiles if path.suffix[1:] not in NO_PROCFILE]),
        ("devcontainer", [path / "devcontainer.json" for path in containers]),
    )
    for kind, paths in kinds:
        own = [path for path in paths if grounds.has(path)]
        yield from (Source(kind, (path,)) for path in own[:MOST_OF_A_KIND])
        if len(own) > MOST_OF_A_KIND:
            message = f"more than {MOST_OF_A_KIND} files of this kind: not read from here on"
            yield Source(kind, (own[MOST_OF_A_KIND],), Unresolved("limit", message, str(own[MOST_OF_A_KIND]), 1))


def _listed(directory: Path) -> list[Path]:
    try:
        return sorted(directory.iterdir())
    except OSError:
        return []


def named(paths: Iterable[Path], environment: Mapping[str, str], grounds: Grounds | None = None) -> list[Source]:
    """The sources that paths name; a directory stands for what is found in it, an override joins its base.

    Raises UsageError: no such file, or a kind of file that declares no ports.
    """
    sources: list[Source] = []
    for path in paths:
        if _is_directory(path):
            sources += find(path, environment, grounds)
        else:
            sources.append(Source(_kind(path), (path,)))
    return _with_overrides(sources)


def _compose(directory: Path, environment: Mapping[str, str], grounds: Grounds) -> Source | None:
    """COMPOSE_FILE of the environment or `.env`, else the first base and the first override that exist."""
    try:
        variables: Mapping[str, str] = with_file(directory / ".env", environment, grounds)
    except LeftUnreadError:  # said where the file is read for itself
        variables = environment
    if chosen := variables.get("COMPOSE_FILE"):
        separator = variables.get("COMPOSE_PATH_SEPARATOR") or os.pathsep
        files = tuple(joined(directory, name) for name in chosen.split(separator) if name)
        place = str(directory if "COMPOSE_FILE" in environment else directory / ".env")
        return _chosen(files, place, grounds) if files else None
    bases = [directory / name for name in COMPOSE if grounds.has(directory / name)]
    overrides = [directory / name for name in OVERRIDES if grounds.has(directory / name)]
    return Source("compose", (*bases[:1], *overrides[:1])) if bases else None


def _chosen(files: tuple[Path, ...], place: str, grounds: Grounds) -> Source:
    """The files of COMPOSE_FILE, whose value is not repeated where it does not lead to a file of the project."""
    for file in files:
        try:
            grounds.text(file)
        except LeftUnreadError as left:
            if left.code == "outside":
                message = f"COMPOSE_FILE leads outside of the project: not read without {ALLOW}"
                return Source("compose", files, Unresolved("outside", message, place, 1))
        except PreflightError as error:
            raise PreflightError(place, None, f"a file that COMPOSE_FILE names: {error.why}") from None
    return Source("compose", files)


def from_environment(directory: Path, environment: Mapping[str, str]) -> list[Path]:
    """The files that the user named by Compose's own variables, not through `.env`."""
    separator = environment.get("COMPOSE_PATH_SEPARATOR") or os.pathsep
    files = environment.get("COMPOSE_FILE", "").split(separator)
    env_files = environment.get("COMPOSE_ENV_FILES", "").split(",")
    return [directory / name for name in (*files, *env_files) if name]


def _is_directory(path: Path) -> bool:
    try:
        if not path.exists():
            raise UsageError(f"{shown(str(path))}: no such file")
        return path.is_dir()
    except OSError as error:
        raise UsageError(f"{shown(str(path))}: {error.strerror}") from None


def _kind(path: Path) -> Kind:
    for kind, pattern in _BY_NAME:
        if re.fullmatch(pattern, path.name):
            return kind
    raise UsageError(f"{shown(str(path))} is no kind of file that declares ports; accepted: {ACCEPTED}")


def is_own_file(path: Path) -> bool:
    """Whether a path is called as a declaration of portcheck's own is."""
    return bool(re.fullmatch(OWN, path.name))


def _with_overrides(sources: list[Source]) -> list[Source]:
    """`compose.override.yaml` joins the Compose file named before it in the same directory."""
    joined: list[Source] = []
    for source in sources:
        last = joined[-1] if joined else None
        override = source.kind == "compose" and source.files[0].name in OVERRIDES
        if override and last and last.kind == "compose" and last.files[0].parent == source.files[0].parent:
            joined[-1] = last._replace(files=(*last.files, *source.files))
        else:
            joined.append(source)
    return joined
