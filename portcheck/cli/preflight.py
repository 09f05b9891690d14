"""portcheck preflight [FILE...]"""

from __future__ import annotations

from typing import Annotated, Any

import typer

from portcheck.cli.options import Json, NoProbe, Quiet, exclusive
from portcheck.errors import UsageError
from portcheck.requests import PreflightRequest

FORMATS = ("text", "json", "github", "junit")


def preflight(
    files: Annotated[
        list[str] | None, typer.Argument(metavar="FILE", help="Only these files, or what these directories hold.")
    ] = None,
    directory: Annotated[
        str | None, typer.Option("--directory", "-C", metavar="DIR", help="The project; the current one unless named.")
    ] = None,
    format_: Annotated[
        str | None, typer.Option("--format", metavar="FORMAT", help=f"One of {', '.join(FORMATS)}.")
    ] = None,
    json: Json = False,
    no_docker: Annotated[
        bool, typer.Option("--no-docker", help="Do not ask `docker compose config` to resolve Compose files.")
    ] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit 3 where anything was left open, such as a variable without a value.")
    ] = False,
    no_probe: NoProbe = False,
    quiet: Quiet = False,
) -> PreflightRequest:
    """Check every port that a project's files declare, in one go.

    Compose files, .env, Procfile, devcontainer.json and [tool.portcheck] in pyproject.toml.

    Examples: portcheck preflight, portcheck preflight compose.yaml --format github
    """
    exclusive("--json", json, f"--format {format_}", format_ not in (None, "json"))
    exclusive("--directory", directory is not None, "files", bool(files))
    return PreflightRequest(
        tuple(files or ()),
        directory or ".",
        "json" if json else _format(format_ or "text"),
        docker=not no_docker,
        strict=strict,
        probe=not no_probe,
        quiet=quiet,
    )


def _format(name: str) -> Any:
    if name not in FORMATS:
        raise UsageError(f"unknown format '{name}'; accepted: {', '.join(FORMATS)}")
    return name
