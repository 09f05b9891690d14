"""Runs all readers: paths or a directory → one Reading."""

from __future__ import annotations

from pathlib import Path

from portcheck.namedtuple import TYPE_CHECKING
from portcheck.preflight.declarations import Reading, together

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from portcheck.preflight.discover import Source


def read(
    paths: Iterable[str | Path] = (),
    *,
    directory: str | Path = ".",
    environment: Mapping[str, str] | None = None,
    docker: bool = True,
) -> Reading:
    """What files declare: those of `paths` (files or directories), or without any those found in `directory`.

    `environment`: the variables that hold beside `.env` (the process's own by default).  `docker`: let
    `docker compose config` resolve Compose files where it is installed.  Nothing is changed or connected to.

    Raises PreflightError for a file that cannot be read (`file:line: why`, or which library is missing),
    UsageError for a path that does not exist or is no kind of file that declares ports.
    """
    from os import environ
    from os.path import normpath

    from portcheck.preflight.discover import find, named

    variables = environ if environment is None else environment
    chosen = [Path(path) for path in paths]
    sources = named(chosen, variables) if chosen else find(Path(directory), variables)
    read_anyway = frozenset(normpath(file.absolute()) for source in sources for file in source.files)
    return _without_echoes(together([_read(source, variables, read_anyway, docker=docker) for source in sources]))


def _read(source: Source, environment: Mapping[str, str], read_anyway: frozenset[str], *, docker: bool) -> Reading:
    file = source.files[0]
    if source.kind == "compose":
        from portcheck.preflight.compose.read import read_compose

        return read_compose(source.files, environment, docker=docker)
    if source.kind == "procfile":
        from portcheck.preflight.procfile import read_procfile

        return read_procfile(file, environment)
    if source.kind == "devcontainer":
        from portcheck.preflight.devcontainer import read_devcontainer

        return read_devcontainer(file, read_anyway)
    if source.kind == "env":
        from portcheck.preflight.dotenv import read_env

        return read_env(file, environment)
    from portcheck.preflight.portcheck_toml import read_own

    return read_own(file)


def _without_echoes(reading: Reading) -> Reading:
    """Without the PORT of a `.env` where a service of another file, switched on, declares the same port.

    `PORT` names no server of its own: it is where `"${PORT}:80"` or `--port $PORT` took the number from.
    """
    services = {(each.port, each.protocol) for each in reading.declarations if each.service and each.enabled}
    kept = [each for each in reading.declarations if each.kind != "env" or (each.port, each.protocol) not in services]
    return reading._replace(declarations=tuple(kept))
