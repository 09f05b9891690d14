"""`devcontainer.json`: the ports that an editor forwards to this host, or that its container publishes.

JSON with comments, read with pyjson5: it bounds nesting by itself and says where an error is.
"""

from __future__ import annotations

import re
from os.path import normpath

from portcheck.namedtuple import TYPE_CHECKING, NamedTuple
from portcheck.preflight.compose.ports import PortSyntaxError, declared, short
from portcheck.preflight.declarations import Declaration, LeftUnreadError, PreflightError, Reading, Unresolved, shown
from portcheck.preflight.dotenv import port_number
from portcheck.preflight.files import Allowance, Grounds, around, needs

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path
    from typing import Any

# The Dev Containers CLI publishes a number as 127.0.0.1:N:N, and editors forward to the loopback address.
LOOPBACK = "127.0.0.1"
_WORD = re.compile(r'"(?:\\.|[^"\\])*"|//[^\n]*|/\*.*?\*/|[{}\[\],:]|[^\s{}\[\],:"/]+', re.DOTALL)


class Place(NamedTuple):
    """A value of a property, and its line."""

    value: Any
    line: int


def read_devcontainer(path: Path, known: frozenset[str] = frozenset(), grounds: Grounds | None = None) -> Reading:
    """`forwardPorts` and `appPort`, labelled by `portsAttributes`.

    `known`: files (absolute, normal paths) that are read anyway and need no remark.
    Raises PreflightError, LeftUnreadError.
    """
    file = str(path)
    text = (grounds or around(path)).text(path)
    config = _parse(text, file)
    allowance = Allowance()
    entries: list[Declaration | Unresolved] = []
    entries += [_forwarded(place, file, config) for place in _places(config, "forwardPorts", text)]
    for place in _places(config, "appPort", text):
        entries += _published(place, file, config, allowance)
    entries += _opened_by_arguments(_places(config, "runArgs", text), file)
    composed = _places(config, "dockerComposeFile", text)
    entries += _in_other_files((each for each in composed if _absolute(path, each) not in known), file)
    ports = tuple(each for each in entries if isinstance(each, Declaration))
    return Reading((file,), ports, tuple(each for each in entries if isinstance(each, Unresolved)))


def _parse(text: str, file: str) -> Mapping[str, Any]:
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


def _places(config: Mapping[str, Any], key: str, text: str) -> Iterator[Place]:
    """The values of a property that may be one value or a list of them, each with its line."""
    value = config.get(key)
    values = value if isinstance(value, list) else [] if value is None else [value]
    lines = _lines(text, key)
    if len(lines) != len(values):  # something other than plain values: the property's own line
        lines = [lines[0] if lines else 1] * len(values)
    return map(Place, values, lines)


def _lines(text: str, key: str) -> list[int]:
    """The lines of the plain values of a top-level property, in order."""
    depth, inside = 0, False
    lines: list[int] = []
    words = _words(text)
    for (word, line), (following, _) in zip(words, [*words[1:], ("", 0)]):
        depth += (word in "{[") - (word in "}]")
        if depth == 1 and following == ":":
            inside = word == f'"{key}"'
        elif inside and word not in "[]{},:":
            lines.append(line)
    return lines


def _words(text: str) -> list[tuple[str, int]]:
    """The words of JSON that was parsed before, comments left out, with their lines."""
    words: list[tuple[str, int]] = []
    line, counted = 1, 0
    for word in _WORD.finditer(text):
        line, counted = line + text.count("\n", counted, word.start()), word.start()
        if word[0][:2] not in ("//", "/*"):
            words.append((word[0], line))
    return words


def _forwarded(place: Place, file: str, config: Mapping[str, Any]) -> Declaration | Unresolved:
    """A number is the container's own port; `db:5432` is another container's."""
    host, _, number = str(place.value).rpartition(":")
    port = port_number(number)
    if not port or isinstance(place.value, bool):
        return Unresolved("syntax", f"forwardPorts: {shown(str(place.value))} is no port", file, place.line)
    if host not in ("", "localhost", LOOPBACK):
        message = f"{shown(str(place.value))} is another container's port; the editor chooses the local one"
        return Unresolved("forwarded", message, file, place.line)
    attributes = _attributes(port, config)
    note = None if attributes.get("requireLocalPort") is True else "the editor takes another local port if need be"
    return Declaration(port, "tcp", LOOPBACK, file, place.line, "devcontainer", _label(attributes), note=note)


def _published(
    place: Place, file: str, config: Mapping[str, Any], allowance: Allowance
) -> Iterator[Declaration | Unresolved]:
    """`appPort`: what `docker run -p` is given."""
    number = isinstance(place.value, int) and not isinstance(place.value, bool)
    text = f"{LOOPBACK}:{place.value}:{place.value}" if number else str(place.value)
    try:
        ports = short(text)
    except PortSyntaxError as error:
        raise PreflightError(file, place.line, f"appPort: {error}") from None
    for port in ports:
        allowance.spend(1 + len(port.fallback), file, place.line)
        yield declared(port, "devcontainer", file, place.line, _label(_attributes(port.target, config)))


def _opened_by_arguments(places: Iterator[Place], file: str) -> Iterator[Unresolved]:
    for place in places:
        if re.match(r"-p|--publish|--net(work)?=host", str(place.value)):
            message = f"runArgs has {shown(str(place.value))}: the ports that it opens are not read"
            yield Unresolved("syntax", message, file, place.line)


def _in_other_files(places: Iterator[Place], file: str) -> Iterator[Unresolved]:
    for place in places:
        message = f"its services come from {shown(str(place.value))}: name that file to check their ports"
        yield Unresolved("include", message, file, place.line)


def _absolute(path: Path, place: Place) -> str:
    return normpath(path.absolute().parent / str(place.value))


def _attributes(port: int, config: Mapping[str, Any]) -> Mapping[str, Any]:
    """The entry of `portsAttributes` for a port: its number, or a range such as `3000-3010`."""
    table = config.get("portsAttributes")
    for key, value in table.items() if isinstance(table, dict) else ():
        first, _, last = str(key).partition("-")
        low, high = port_number(first), port_number(last or first)
        if low and high and low <= port <= high and isinstance(value, dict):
            return value
    return {}


def _label(attributes: Mapping[str, Any]) -> str | None:
    label = attributes.get("label")
    return label if isinstance(label, str) else None
