"""JSON, with comments or without, as a value; and the lines of what stands in it."""

from __future__ import annotations

import re

from portcheck.namedtuple import TYPE_CHECKING
from portcheck.preflight.declarations import LeftUnreadError, PreflightError
from portcheck.preflight.files import needs

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

_WORD = re.compile(r'"(?:\\.|[^"\\])*"|//[^\n]*|/\*.*?\*/|[{}\[\],:]|[^\s{}\[\],:"/]+', re.DOTALL)


def parsed(text: str, file: str) -> Mapping[str, Any]:
    """The object that a file holds.  Raises PreflightError with the line, LeftUnreadError."""
    with needs("pyjson5", file):
        import pyjson5
    try:
        config = pyjson5.decode(text)
    except pyjson5.Json5DecoderException as error:
        message = str(error.args[0])
        near = re.search(r"near (\d+)", message)  # the number of the character, from 1
        line = text.count("\n", 0, int(near[1]) - 1) + 1 if near else None
        if isinstance(error, pyjson5.Json5NestingTooDeep):
            raise LeftUnreadError("limit", file, line, "nested too deep") from None
        raise PreflightError(file, line, f"broken JSON: {message}") from None
    if not isinstance(config, dict):
        raise PreflightError(file, 1, "an object ({...}) is expected here")
    return config


def strict(text: str, file: str) -> Mapping[str, Any]:
    """The object that a file of plain JSON holds: no library is needed.  Raises PreflightError, LeftUnreadError."""
    import json

    try:
        config = json.loads(text)
    except json.JSONDecodeError as error:
        raise PreflightError(file, error.lineno, f"broken JSON: {error.msg}") from None
    except ValueError:  # a number of more digits than int() takes
        raise PreflightError(file, None, "broken JSON: a number is too long") from None
    except RecursionError:
        raise LeftUnreadError("limit", file, None, "nested too deep") from None
    if not isinstance(config, dict):
        raise PreflightError(file, 1, "an object ({...}) is expected here")
    return config


def words(text: str) -> list[tuple[str, int]]:
    """The words of JSON that was parsed before, comments left out, with their lines."""
    found: list[tuple[str, int]] = []
    line, counted = 1, 0
    for word in _WORD.finditer(text):
        line, counted = line + text.count("\n", counted, word.start()), word.start()
        if word[0][:2] not in ("//", "/*"):
            found.append((word[0], line))
    return found


def line_of_key(text: str, key: str) -> int:
    """The line of the first key of this name, at any depth."""
    every = words(text)
    pairs = zip(every, every[1:])
    return next((line for (word, line), (after, _) in pairs if word == f'"{key}"' and after == ":"), 1)


def lines_of_keys(text: str, section: str) -> dict[str, int]:
    """Key → line, of the object that a top-level property is."""
    depth, inside = 0, False
    lines: dict[str, int] = {}
    every = words(text)
    for (word, line), (following, _) in zip(every, [*every[1:], ("", 0)]):
        depth += (word in "{[") - (word in "}]")
        if depth == 1 and following == ":":
            inside = word == f'"{section}"'
        elif inside and depth == 2 and following == ":" and word[0] == '"':
            lines.setdefault(word[1:-1], line)
    return lines
