"""`.env`: variables for others, and `PORT` as a declaration of its own.

Read with python-dotenv's parser, which keeps line numbers; variables are filled in by the rules of Compose.
"""

from __future__ import annotations

from portcheck.namedtuple import TYPE_CHECKING, NamedTuple
from portcheck.preflight.declarations import Declaration, Reading, Unresolved, shown
from portcheck.preflight.files import is_file, needs, read_text
from portcheck.preflight.interpolate import BadTemplateError, Filled, interpolate

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from dotenv.parser import Binding


class Variable(NamedTuple):
    """One assignment; `name` is None where a line that speaks of PORT is no assignment."""

    name: str | None
    value: Filled
    line: int


def variables(path: Path, environment: Mapping[str, str]) -> Iterator[Variable]:
    """Every assignment of the file in order, `${OTHER}` filled in from `environment` and the lines before.

    Raises PreflightError (see `read_text`; python-dotenv not installed).
    """
    from io import StringIO

    with needs("python-dotenv", str(path)):
        from dotenv.parser import parse_stream
    before: dict[str, str] = {}
    for binding in parse_stream(StringIO(read_text(path))):
        if binding.error and "PORT" in binding.original.string:
            yield Variable(None, Filled(""), _line(binding))
        elif binding.key and binding.value is not None:
            value = _filled(binding, {**before, **environment})
            before[binding.key] = value.text
            yield Variable(binding.key, value, _line(binding))


def with_file(path: Path, environment: Mapping[str, str]) -> dict[str, str]:
    """`environment` over what the file sets: the process's own variables win, as in Compose."""
    if not is_file(path):
        return dict(environment)
    return {**assignments(path, environment), **environment}


def assignments(path: Path, environment: Mapping[str, str]) -> dict[str, str]:
    """What the file itself sets, the last assignment of a name winning; {} where there is no file."""
    if not is_file(path):
        return {}
    return {each.name: each.value.text for each in variables(path, environment) if each.name}


def read_env(path: Path, environment: Mapping[str, str]) -> Reading:
    """`PORT` alone: `DB_PORT` and the like are where others listen."""
    file = str(path)
    declared: Declaration | None = None
    unresolved: list[Unresolved] = []
    for each in variables(path, environment):
        if each.name is None:
            unresolved.append(Unresolved("syntax", "this line is no NAME=value", file, each.line))
        elif each.name == "PORT":
            declared = _declared(each, file)
            if each.value.text and not declared and not each.value.problems:
                unresolved.append(_no_port(each, file))
            unresolved += [Unresolved("variable", problem, file, each.line) for problem in each.value.problems]
    if declared and environment.get("PORT", str(declared.port)) != str(declared.port):
        message = f"the environment sets PORT={shown(environment['PORT'])}, which most programs prefer to this file"
        unresolved.append(Unresolved("variable", message, file, declared.line))
    return Reading((file,), (declared,) if declared else (), tuple(unresolved))


def _declared(variable: Variable, file: str) -> Declaration | None:
    port = None if variable.value.problems else port_number(variable.value.text)
    return Declaration(port, "tcp", None, file, variable.line, "env") if port else None


def _no_port(variable: Variable, file: str) -> Unresolved:
    return Unresolved("variable", f"PORT={shown(variable.value.text)} is no port from 1 to 65535", file, variable.line)


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
    except BadTemplateError:
        return Filled(value)


def _line(binding: Binding) -> int:
    """python-dotenv counts the blank lines before an assignment to it; its own line comes after them."""
    written = binding.original.string
    return binding.original.line + written[: len(written) - len(written.lstrip())].count("\n")
