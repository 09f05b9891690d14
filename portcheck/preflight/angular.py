"""`angular.json`: the port of a workspace's `serve` targets."""

from __future__ import annotations

from portcheck.namedtuple import TYPE_CHECKING
from portcheck.preflight.declarations import LeftUnreadError, PreflightError
from portcheck.preflight.javascript import Literal, NotLiteralError
from portcheck.preflight.json_text import line_of_key, parsed, strict

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path
    from typing import Any

    from portcheck.preflight.files import Grounds


def port_of(path: Path, grounds: Grounds) -> Literal | None:
    """The only port that its projects are served on; None where there is no such file, or it names none.

    Raises NotLiteralError: several, or what cannot be read.  Raises LeftUnreadError.
    """
    if not grounds.has(path):
        return None
    file, text = str(path), grounds.text(path)
    try:
        ports = set(_ports(_workspace(text, file)))
    except LeftUnreadError:
        raise
    except PreflightError as error:
        raise NotLiteralError(file, error.line or 1, error.why) from None
    if len(ports) > 1:
        raise NotLiteralError(file, 1, "has several projects with ports of their own")
    return next((Literal(file, line_of_key(text, "port"), port) for port in ports), None)


def _workspace(text: str, file: str) -> Mapping[str, Any]:
    """It may have comments, and hardly ever has.  Raises PreflightError, LeftUnreadError."""
    try:
        return strict(text, file)
    except LeftUnreadError:
        raise
    except PreflightError:
        return parsed(text, file)


def _ports(workspace: Mapping[str, Any]) -> Iterator[int]:
    for project in _tables(workspace.get("projects")):
        targets = project.get("architect") or project.get("targets")
        serve = targets.get("serve") if isinstance(targets, dict) else None
        options = serve.get("options") if isinstance(serve, dict) else None
        port = options.get("port") if isinstance(options, dict) else None
        if isinstance(port, int) and not isinstance(port, bool) and 1 <= port <= 65535:
            yield port


def _tables(value: Any) -> Iterator[Mapping[str, Any]]:
    yield from (each for each in (value.values() if isinstance(value, dict) else ()) if isinstance(each, dict))
