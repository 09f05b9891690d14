"""How what the project already runs is known: by its directories, and by what Compose calls it."""

from __future__ import annotations

import os
from pathlib import Path

from portcheck.namedtuple import TYPE_CHECKING
from portcheck.preflight.files import above
from portcheck.preflight.judge import Project

if TYPE_CHECKING:
    from collections.abc import Iterable

    from portcheck.preflight.declarations import Declaration


def project_of(files: Iterable[str], directory: Path, declarations: Iterable[Declaration]) -> Project:
    """The project of the files that were named, or else of the directory."""
    named = [Path(file) for file in files]
    places = [path if path.is_dir() else above(path) for path in named] or [directory]
    # Everything runs somewhere below the one, and much of what a user runs below the other.
    too_wide = {os.path.realpath("/"), os.path.realpath(Path.home())}
    directories = dict.fromkeys(os.path.realpath(place) for place in places)
    return Project(
        tuple(path for path in directories if path not in too_wide),
        frozenset(each.compose_project for each in declarations if each.compose_project),
    )
