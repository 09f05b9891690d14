"""`${VAR:-default}`: the variables of the Compose specification, which are those of a POSIX shell.  Pure."""

from __future__ import annotations

import re

from portcheck.namedtuple import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_DEPTH = 16
_START = re.compile(
    r"\$ (?: (?P<named>[A-Za-z_]\w*) | \{(?P<braced>[A-Za-z_]\w*) | (?P<plain>\$ | (?!\{)) )",
    re.ASCII | re.VERBOSE,
)
_OPERATOR = re.compile(r":?[-?+]")
_BRACE = re.compile(r"\$\{|\}")


class Filled(NamedTuple):
    """Text with its variables filled in; `problems` says which had no value (they read as empty)."""

    text: str
    problems: tuple[str, ...] = ()


class BadTemplateError(ValueError):
    """A `${` that holds no variable, or does not end."""


def interpolate(text: str, variables: Mapping[str, str], depth: int = 0) -> Filled:
    """Fills in `$V`, `${V}`, `${V-d}`, `${V:-d}`, `${V?e}`, `${V:?e}`, `${V+a}`, `${V:+a}`, nested.

    `$$` is a `$`; a `$` before anything else stays, as for Compose.  A default is read where needed.

    Raises BadTemplateError where Compose refuses the text too, or where defaults nest deeper than MAX_DEPTH.
    """
    if depth > MAX_DEPTH:
        raise BadTemplateError(f"variables nest more than {MAX_DEPTH} deep")
    pieces: list[str] = []
    problems: list[str] = []
    position = 0
    while (dollar := text.find("$", position)) >= 0:
        pieces.append(text[position:dollar])
        start = _START.match(text, dollar)
        if not start:
            raise BadTemplateError("'${' without the name of a variable ('$$' is a plain '$')")
        position = start.end()
        if start["plain"] is not None:
            pieces.append("$")
            continue
        rest = ""
        if start["braced"]:
            closing = _closing_brace(text, position)
            rest, position = text[position:closing], closing + 1
        filled = _value(start["named"] or start["braced"], rest, variables, depth)
        pieces.append(filled.text)
        problems.extend(filled.problems)
    return Filled("".join([*pieces, text[position:]]), tuple(problems))


def _closing_brace(text: str, position: int) -> int:
    """Where the brace closes that opened before `position`, over nested `${...}`."""
    depth = 1
    for brace in _BRACE.finditer(text, position):
        depth += 1 if brace[0] == "${" else -1
        if not depth:
            return brace.start()
    raise BadTemplateError("'${' without its '}'")


def _value(name: str, rest: str, variables: Mapping[str, str], depth: int) -> Filled:
    """One variable; `rest` is what stands between its name and the closing brace: operator and argument."""
    operator = _OPERATOR.match(rest)
    if rest and not operator:
        raise BadTemplateError(f"'${{{name}' is followed by neither '}}' nor an operator such as ':-'")
    sign = operator[0] if operator else ""
    argument = rest[len(sign) :]
    value = variables.get(name)
    given = bool(value) if sign.startswith(":") else value is not None
    if sign.endswith("+"):
        return interpolate(argument, variables, depth + 1) if given else Filled("")
    if given or (value is not None and not sign):
        return Filled(value or "")
    if sign.endswith("-"):
        return interpolate(argument, variables, depth + 1)
    if sign.endswith("?"):
        message = interpolate(argument, variables, depth + 1).text
        return Filled("", (f"{name} is required" + (f": {message}" if message else ""),))
    return Filled("", (f"{name} is not set and has no default",))
