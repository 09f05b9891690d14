"""`${VAR:-default}`: the variables of the Compose specification, which are those of a POSIX shell.  Pure."""

from __future__ import annotations

import re

from portcheck.namedtuple import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_DEPTH = 16
MAX_LENGTH = 1 << 16  # `A=${A}${A}` forty times over would be a terabyte
MAX_MESSAGE = 200
_START = re.compile(
    r"\$ (?: (?P<named>[A-Za-z_]\w*) | \{(?P<braced>[A-Za-z_]\w*) | (?P<plain>\$ | (?!\{)) )",
    re.ASCII | re.VERBOSE,
)
_OPERATOR = re.compile(r":?[-?+]")
_BRACE = re.compile(r"\$\{|\}")


class Filled(NamedTuple):
    """Text with its variables filled in; `problems` says which had no value (they read as empty).

    `names` are the variables whose values it holds.  With any, the text may be a secret: it is never printed.
    """

    text: str
    problems: tuple[str, ...] = ()
    names: tuple[str, ...] = ()


class BadTemplateError(ValueError):
    """A `${` that holds no variable, or does not end."""


class TooLongError(BadTemplateError):
    """More than MAX_LENGTH characters with the variables filled in."""


def interpolate(text: str, variables: Mapping[str, str], depth: int = 0) -> Filled:
    """Fills in `$V`, `${V}`, `${V-d}`, `${V:-d}`, `${V?e}`, `${V:?e}`, `${V+a}`, `${V:+a}`, nested.

    `$$` is a `$`; a `$` before anything else stays, as for Compose.  A default is read where needed.

    Raises BadTemplateError where Compose refuses the text too, or where defaults nest deeper than MAX_DEPTH;
    TooLongError.
    """
    if depth > MAX_DEPTH:
        raise BadTemplateError(f"variables nest more than {MAX_DEPTH} deep")
    pieces: list[str] = []
    problems: dict[str, None] = {}
    names: dict[str, None] = {}
    position = length = 0
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
        length += len(filled.text)
        if length > MAX_LENGTH:
            raise TooLongError(f"variables make it longer than {MAX_LENGTH:,} characters")
        pieces.append(filled.text)
        problems.update(dict.fromkeys(filled.problems))
        names.update(dict.fromkeys(filled.names))
    return Filled("".join([*pieces, text[position:]]), tuple(problems), tuple(names))


def blamed(names: tuple[str, ...]) -> str:
    """`the value of PORT is`, `the values of HOST and PORT are`"""
    *first, last = names
    return f"the values of {', '.join(first)} and {last} are" if first else f"the value of {last} is"


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
        return Filled(value or "", (), (name,) if value else ())
    if sign.endswith("-"):
        return interpolate(argument, variables, depth + 1)
    if sign.endswith("?"):
        # As written, and not as Compose says it: `${X:?$TOKEN}` would print the token.
        return Filled("", (f"{name} is required" + (f": {argument[:MAX_MESSAGE]}" if argument else ""),))
    return Filled("", (f"{name} is not set and has no default",))
