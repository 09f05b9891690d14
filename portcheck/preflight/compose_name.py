"""What Compose calls a project: the label by which its containers are known."""

from __future__ import annotations

import re
from os.path import abspath, basename

from portcheck.preflight.declare import PreflightError
from portcheck.preflight.interpolate import BadTemplateError, interpolate
from portcheck.preflight.yamlgraph import fields
from portcheck.value import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from portcheck.preflight.compose_model import Model


def project_name(files: tuple[Path, ...], model: Model, variables: Mapping[str, str]) -> str | None:
    """COMPOSE_PROJECT_NAME, else the last `name:` of the files, else the directory's; None where nothing is left of it.

    As compose-go does it (`projectName` and `NormalizeProjectName`); a test compares it with the real binary.
    """
    candidates = (
        variables.get("COMPOSE_PROJECT_NAME", ""),
        _name_of(files, model, variables),
        basename(abspath(files[0].parent)),
    )
    return next(filter(None, map(_normal, candidates)), None)


def _name_of(files: tuple[Path, ...], model: Model, variables: Mapping[str, str]) -> str:
    from yaml import ScalarNode

    written = ""
    try:
        for file in files:
            for document in model.load(file):
                top = fields(str(file), document)
                if "name" in top and isinstance(top["name"].node, ScalarNode):
                    written = top["name"].node.value or written
        return interpolate(written, variables).text
    except (BadTemplateError, PreflightError):
        return ""  # what is wrong with the file has been said by whoever reads its services


def _normal(name: str) -> str:
    """Only lower-case letters, digits, dashes and underscores, none of the last two at the start."""
    return re.sub(r"[^a-z0-9_-]", "", name.lower()).lstrip("_-")
