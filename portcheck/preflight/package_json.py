"""`package.json`: the ports of the servers that its scripts start.

A script may be run, in place of another one: `dev`, `start` and `preview` of one port are no conflict.
"""

from __future__ import annotations

from collections import ChainMap

from portcheck.namedtuple import TYPE_CHECKING
from portcheck.preflight.commandline import listens, speaks_of_ports
from portcheck.preflight.declarations import Declaration, LeftUnreadError, Reading, Unresolved
from portcheck.preflight.files import Grounds, around
from portcheck.preflight.json_text import lines_of_keys, strict
from portcheck.preflight.usual_ports import Place, by_itself

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

MAX_SCRIPTS, MAX_LENGTH = 500, 4_096  # characters of one
# What is run before and after others, or by tools, and starts no server to be used.
ASIDE = ("pre", "post")


def read_package(path: Path, environment: Mapping[str, str], grounds: Grounds | None = None) -> Reading:
    """The servers of every script, with `$PORT` and the like of the environment.

    Raises PreflightError, LeftUnreadError.
    """
    grounds = grounds or around(path)
    file, text = str(path), grounds.text(path)
    scripts = strict(text, file).get("scripts")
    named = {str(name): command for name, command in scripts.items()} if isinstance(scripts, dict) else {}
    if len(named) > MAX_SCRIPTS:
        raise LeftUnreadError("limit", file, None, f"more than {MAX_SCRIPTS} scripts: not read")
    lines = lines_of_keys(text, "scripts")
    entries: list[Declaration | Unresolved] = []
    for name, command in named.items():
        if isinstance(command, str) and not _is_aside(name, named):
            place = Place(grounds, file, lines.get(name, 1), "package", name)
            entries += _declared(command, path, place, environment)
    declared = tuple(each for each in entries if isinstance(each, Declaration))
    return Reading((file,), declared, tuple(each for each in entries if isinstance(each, Unresolved)))


def _is_aside(name: str, scripts: Mapping[str, object]) -> bool:
    """`predev` is run before `dev`."""
    return any(name.startswith(prefix) and name[len(prefix) :] in scripts for prefix in ASIDE)


def _declared(
    command: str, path: Path, place: Place, environment: Mapping[str, str]
) -> Iterator[Declaration | Unresolved]:
    if len(command) > MAX_LENGTH:
        yield Unresolved("limit", f"longer than {MAX_LENGTH:,} characters", place.file, place.line, place.name)
        return
    told = listens(command, ChainMap({}, dict(environment)))
    profiles = {server.profile for server in told.servers}
    for host, port in told.ports:
        profile = profiles.pop() if len(profiles) == 1 and host is None and len(told.ports) == 1 else None
        yield Declaration(
            port, "tcp", host, place.file, place.line, "package", place.name, profile=profile, variables=told.names
        )
    usual = [*by_itself(told.unsaid, path.parent, place)]
    yield from usual
    problems = told.problems
    if not (told.ports or usual or problems) and (told.unsaid or speaks_of_ports(command)):
        problems = ("it speaks of a port, or starts a server, but names no port for certain",)
    for problem in problems:
        yield Unresolved("process", problem, place.file, place.line, place.name)
