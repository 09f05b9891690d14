"""Runs all readers: paths or a directory → one Reading."""

from __future__ import annotations

from pathlib import Path

from portcheck.namedtuple import TYPE_CHECKING
from portcheck.preflight.declarations import (
    Declaration,
    LeftUnreadError,
    PreflightError,
    Reading,
    Unresolved,
    together,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from portcheck.preflight.discover import Source
    from portcheck.preflight.files import Grounds


MAX_REMARKS = 1_000


def read(
    paths: Iterable[str | Path] = (),
    *,
    directory: str | Path = ".",
    environment: Mapping[str, str] | None = None,
    docker: bool = True,
    allow_outside: bool = False,
) -> Reading:
    """What files declare: those of `paths` (files or directories), or without any those found in `directory`.

    `environment`: the variables that hold beside `.env` (the process's own by default).  `docker`: let
    `docker compose config` resolve Compose files where it is installed.  `allow_outside`: follow links and includes
    that leave the project.  Nothing is changed or connected to.

    Raises PreflightError for a file that cannot be read (`file:line: why`, or which library is missing),
    UsageError for a path that does not exist or is no kind of file that declares ports.
    """
    from os import environ
    from os.path import isdir, normpath

    from portcheck.preflight.discover import find, from_environment, named
    from portcheck.preflight.files import grounds_of

    variables = environ if environment is None else environment
    chosen = [Path(path) for path in paths]
    places = chosen or [Path(directory)]
    by_variables = [
        file for place in places for file in from_environment(place if isdir(place) else place.parent, variables)
    ]
    grounds = grounds_of(places, by_variables, everywhere=allow_outside)
    sources = named(chosen, variables, grounds) if chosen else find(Path(directory), variables, grounds)
    read_anyway = frozenset(normpath(file.absolute()) for source in sources for file in source.files)
    readings = [_one(source, variables, read_anyway, grounds, docker=docker) for source in sources]
    return _published_alone(together(readings))


def _one(
    source: Source, environment: Mapping[str, str], read_anyway: frozenset[str], grounds: Grounds, *, docker: bool
) -> Reading:
    """One source; what is left unread of it, or is too much, is a blind spot among the answers about the others."""
    if source.left_open:
        return Reading((), (), (source.left_open,))
    try:
        reading = _read(source, environment, read_anyway, grounds, docker=docker)
    except LeftUnreadError as left:
        return Reading((), (), (left.remark,))
    except PreflightError as error:
        if grounds.hold(error.file):
            raise
        raise PreflightError(error.file, error.line, UNTOLD, error.remedy) from None
    declarations = tuple(_untold_names(each, environment, grounds) for each in reading.declarations)
    remarks = tuple(_untold(each, grounds) for each in reading.unresolved)
    return reading._replace(declarations=declarations, unresolved=_bounded(remarks))


# Of a file outside of the project only what the answer is about is printed: services, ports and addresses.
UNTOLD = "not understood; what it says is not repeated, because the file lies outside of the project"


def _untold(remark: Unresolved, grounds: Grounds) -> Unresolved:
    if remark.code in ("outside", "limit") or grounds.hold(remark.file):
        return remark
    return remark._replace(message=UNTOLD)


def _untold_names(declaration: Declaration, environment: Mapping[str, str], grounds: Grounds) -> Declaration:
    """With the variables that come from the environment alone; a file says itself what it sets."""
    variables = tuple(name for name in declaration.variables if name in environment)
    if grounds.hold(declaration.file):
        return declaration._replace(variables=variables)
    profiles = tuple("(not repeated)" for _ in declaration.compose_profiles)
    return declaration._replace(variables=variables, compose_profiles=profiles, private=True)


def _bounded(remarks: tuple[Unresolved, ...]) -> tuple[Unresolved, ...]:
    if len(remarks) <= MAX_REMARKS:
        return remarks
    first, more = remarks[0], len(remarks) - MAX_REMARKS
    return (*remarks[:MAX_REMARKS], Unresolved("limit", f"{more:,} more entries could not be resolved", first.file, 1))


def _read(
    source: Source, environment: Mapping[str, str], read_anyway: frozenset[str], grounds: Grounds, *, docker: bool
) -> Reading:
    file = source.files[0]
    if source.kind == "compose":
        from portcheck.preflight.compose.read import read_compose

        return read_compose(source.files, environment, grounds, docker=docker)
    if source.kind == "procfile":
        from portcheck.preflight.procfile import read_procfile

        return read_procfile(file, environment, grounds)
    if source.kind == "package":
        from portcheck.preflight.package_json import read_package

        return read_package(file, environment, grounds)
    if source.kind == "devcontainer":
        from portcheck.preflight.devcontainer import read_devcontainer

        return read_devcontainer(file, read_anyway, grounds)
    if source.kind == "env":
        from portcheck.preflight.dotenv import read_env

        return read_env(file, environment, grounds)
    from portcheck.preflight.portcheck_toml import read_own

    return read_own(file, grounds)


def _published_alone(reading: Reading) -> Reading:
    """Without the numbers of a `.env`, which say nothing of whose ports they are.

    `PORT=3000` is where `"${PORT}:80"` or `--port $PORT` take the number from; what a service of another file declares
    is told there.  Whatever else may be a server's here is named and not judged.
    """
    others = [each for each in reading.declarations if each.kind != "env"]
    serving = (each for each in others if each.enabled and each.protocol == "tcp")
    published = {port for each in serving for port in (each.port, *each.fallback)}
    remarks = [
        Unresolved("not-judged", f"{each.service} names a port, and no command or Compose file here publishes it: "
                   "not judged", each.file, each.line)
        for each in reading.declarations
        if each.kind == "env" and each.port not in published
    ]  # fmt: skip
    return reading._replace(declarations=tuple(others), unresolved=(*reading.unresolved, *_bounded(tuple(remarks))))
