"""`.env`: variables for others, and those of them that name a port.

Read with python-dotenv's parser, which keeps line numbers; variables are filled in by the rules of Compose.
"""

from __future__ import annotations

from portcheck.namedtuple import TYPE_CHECKING, NamedTuple
from portcheck.preflight.declarations import Declaration, LeftUnreadError, Reading, Unresolved
from portcheck.preflight.files import Grounds, around, needs
from portcheck.preflight.interpolate import BadTemplateError, Filled, TooLongError, interpolate

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from dotenv.parser import Binding


MAX_VALUES = 1 << 20  # characters of all values together, once variables are filled in


class Variable(NamedTuple):
    """One assignment; `name` is None where a line that speaks of PORT is no assignment."""

    name: str | None
    value: Filled
    line: int


def variables(path: Path, environment: Mapping[str, str], grounds: Grounds) -> Iterator[Variable]:
    """Every assignment of the file in order, `${OTHER}` filled in from `environment` and the lines before.

    Raises PreflightError (see `Grounds.text`; python-dotenv not installed), LeftUnreadError.
    """
    from io import StringIO

    file = str(path)
    with needs("python-dotenv", file):
        from dotenv.parser import parse_stream
    valid, length = dict(environment), 0
    for binding in parse_stream(StringIO(grounds.text(path))):
        if binding.error and "PORT" in binding.original.string:
            yield Variable(None, Filled(""), _line(binding))
        elif binding.key and binding.value is not None:
            try:
                value = _filled(binding, valid)
            except TooLongError as error:
                raise LeftUnreadError("limit", file, _line(binding), str(error)) from None
            length += len(value.text)
            if length > MAX_VALUES:
                raise LeftUnreadError("limit", file, _line(binding), f"more than {MAX_VALUES:,} characters of values")
            if binding.key not in environment:
                valid[binding.key] = value.text
            yield Variable(binding.key, value, _line(binding))


def with_file(path: Path, environment: Mapping[str, str], grounds: Grounds | None = None) -> dict[str, str]:
    """`environment` over what the file sets: the process's own variables win, as in Compose."""
    return {**assignments(path, environment, grounds), **environment}


def assignments(path: Path, environment: Mapping[str, str], grounds: Grounds | None = None) -> dict[str, str]:
    """What the file itself sets, the last assignment of a name winning; {} where there is no file."""
    grounds = grounds or around(path)
    if not grounds.has(path):
        return {}
    return {each.name: each.value.text for each in variables(path, environment, grounds) if each.name}


def read_env(path: Path, environment: Mapping[str, str], grounds: Grounds | None = None) -> Reading:
    """`PORT` and `*_PORT`, which another file may publish.  No value is repeated: secrets are kept here."""
    file = str(path)
    declared: dict[str, Declaration | None] = {}
    unresolved: list[Unresolved] = []
    for each in variables(path, environment, grounds or around(path)):
        if each.name is None:
            unresolved.append(Unresolved("syntax", "this line is no NAME=value", file, each.line))
        elif each.name == "PORT" or each.name.endswith("_PORT"):
            declared[each.name] = _declared(each, file)
        if each.name == "PORT":
            if each.value.text and not declared["PORT"] and not each.value.problems:
                message = "the value of PORT is no port from 1 to 65535"
                unresolved.append(Unresolved("variable", message, file, each.line))
            unresolved += [Unresolved("variable", problem, file, each.line) for problem in each.value.problems]
    port = declared.get("PORT")
    if port and environment.get("PORT", str(port.port)) != str(port.port):
        message = "the environment sets another PORT, which most programs prefer to this file"
        unresolved.append(Unresolved("variable", message, file, port.line))
    return Reading((file,), tuple(each for each in declared.values() if each), tuple(unresolved))


def _declared(variable: Variable, file: str) -> Declaration | None:
    port = None if variable.value.problems else port_number(variable.value.text)
    if not port:
        return None
    return Declaration(port, "tcp", None, file, variable.line, "env", variable.name, variables=variable.value.names)


def port_number(text: str) -> int | None:
    """A port from 1 to 65535 in decimal digits, or None."""
    number = int(text) if text.isascii() and text.isdigit() and len(text) <= 5 else 0
    return number if 1 <= number <= 65535 else None


def _filled(binding: Binding, variables: Mapping[str, str]) -> Filled:
    """A value with its variables; in single quotes, and where a '$' starts none, it stays as written."""
    value = binding.value or ""
    _, _, written = binding.original.string.partition("=")
    if "$" not in value or written.lstrip().startswith("'"):
        return Filled(value)
    try:
        return interpolate(value, variables)
    except TooLongError:
        raise
    except BadTemplateError:
        return Filled(value)


def _line(binding: Binding) -> int:
    """python-dotenv counts the blank lines before an assignment to it; its own line comes after them."""
    written = binding.original.string
    return binding.original.line + written[: len(written) - len(written.lstrip())].count("\n")
