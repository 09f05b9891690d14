"""`devcontainer.json`: the ports that an editor forwards to this host, or that its container publishes.

JSON with comments, read with pyjson5: it bounds nesting by itself and says where an error is.
"""

from __future__ import annotations

import re
from os.path import normpath

from portcheck.namedtuple import TYPE_CHECKING, NamedTuple
from portcheck.preflight.compose.ports import PortSyntaxError, Published, declared, short
from portcheck.preflight.declarations import Declaration, PreflightError, Reading, Unresolved, shown
from portcheck.preflight.dotenv import port_number
from portcheck.preflight.files import Allowance, Grounds, around
from portcheck.preflight.json_text import parsed, words

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path
    from typing import Any

# The Dev Containers CLI publishes a number as 127.0.0.1:N:N, and editors forward to the loopback address.
LOOPBACK = "127.0.0.1"


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
    config = parsed(text, file)
    allowance = Allowance()
    entries: list[Declaration | Unresolved] = []
    entries += [_forwarded(place, file, config) for place in _places(config, "forwardPorts", text)]
    for place in _places(config, "appPort", text):
        entries += _published(place, file, config, allowance)
    entries += _of_arguments([*_places(config, "runArgs", text)], file, config, allowance)
    composed = _places(config, "dockerComposeFile", text)
    entries += _in_other_files((each for each in composed if _absolute(path, each) not in known), file)
    ports = tuple(each for each in entries if isinstance(each, Declaration))
    return Reading((file,), ports, tuple(each for each in entries if isinstance(each, Unresolved)))


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
    every = words(text)
    for (word, line), (following, _) in zip(every, [*every[1:], ("", 0)]):
        depth += (word in "{[") - (word in "}]")
        if depth == 1 and following == ":":
            inside = word == f'"{key}"'
        elif inside and word not in "[]{},:":
            lines.append(line)
    return lines


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
    yield from _mapped(ports, place, file, config, allowance)


PUBLISH = re.compile(r"(-p|--publish)(?:=(.*))?", re.DOTALL)
ATTACHED = re.compile(r"-p(?!=)(.+)", re.DOTALL)


def _of_arguments(
    places: list[Place], file: str, config: Mapping[str, Any], allowance: Allowance
) -> Iterator[Declaration | Unresolved]:
    """`runArgs`: what `docker run` is given besides; of it what opens ports on this host."""
    for place, following in zip(places, [*places[1:], Place("", 1)]):
        argument = str(place.value)
        attached = ATTACHED.fullmatch(argument)
        option = PUBLISH.fullmatch(argument)
        if re.match(r"--net(work)?=host$", argument) or (
            argument in ("--net", "--network") and following.value == "host"
        ):
            message = f"runArgs has {shown(argument)}: it listens on this host's ports, and no file says on which"
            yield Unresolved("host-network", message, file, place.line)
        elif attached:
            yield from _argument(attached[1], place, file, config, allowance)
        elif option:
            text = str(following.value) if option[2] is None else option[2]
            yield from _argument(text, place, file, config, allowance)


def _argument(
    text: str, place: Place, file: str, config: Mapping[str, Any], allowance: Allowance
) -> Iterator[Declaration | Unresolved]:
    """What is given to `-p`; the variables of an editor (`${localEnv:PORT}`) are not known here."""
    try:
        yield from _mapped(short(text), place, file, config, allowance)
    except PortSyntaxError as error:
        yield Unresolved("syntax", f"runArgs: {error}", file, place.line)


def _mapped(
    ports: list[Published], place: Place, file: str, config: Mapping[str, Any], allowance: Allowance
) -> Iterator[Declaration | Unresolved]:
    for port in ports:
        allowance.spend(1 + len(port.fallback), file, place.line)
        yield declared(port, "devcontainer", file, place.line, _label(_attributes(port.target, config)))


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
