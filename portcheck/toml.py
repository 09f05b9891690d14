"""TOML, where this Python can read it: `tomllib` from 3.11 on, before that `tomli` if it is installed."""

from __future__ import annotations

import sys

from portcheck.namedtuple import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any


def loads(text: str) -> dict[str, Any]:
    """As `tomllib.loads`.

    Raises ValueError for broken TOML and for numbers of too many digits, ModuleNotFoundError where nothing reads TOML.
    """
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    return tomllib.loads(text)
