"""Servers that are told no port → that of their configuration, if a literal stands there, or their usual one."""

from __future__ import annotations

from pathlib import Path

from portcheck.namedtuple import TYPE_CHECKING, NamedTuple
from portcheck.preflight.declarations import Declaration, LeftUnreadError, PreflightError, Unresolved
from portcheck.preflight.dotenv import assignments, port_number
from portcheck.preflight.files import Grounds
from portcheck.preflight.javascript import Literal, NotLiteralError, property_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from portcheck.preflight.commandline import Unsaid
    from portcheck.preflight.declarations import Kind

ENDINGS = (".js", ".ts", ".mjs", ".mts", ".cjs", ".cts")
TRIES = 10  # how many ports after its own a server is expected to try


class Place(NamedTuple):
    """The command that is told no port."""

    grounds: Grounds
    file: str
    line: int
    kind: Kind
    name: str


def by_itself(unsaid: Iterable[Unsaid], folder: Path, place: Place) -> Iterator[Declaration | Unresolved]:
    """The port of each of these servers; a remark where its configuration computes one."""
    for each in unsaid:
        try:
            told = _in_env(each, folder, place.grounds)
            configured = _configured(each, folder, place.grounds)
        except NotLiteralError as error:
            why = f"{each.server.programs[0]} takes its port from {error.file}, which {error.why}: not judged"
            yield Unresolved("process", why, error.file, error.line, place.name)
            continue
        except LeftUnreadError as left:
            yield left.remark._replace(service=place.name)
            continue
        usual = each.server.usual(each.command)
        if told:
            yield _declaration(each, told, place, f"{each.server.heeds} of .env")._replace(fallback=())
        elif configured:
            note = f"the port is that of {configured.file}"
            yield _declaration(each, configured.value, place, note)._replace(file=configured.file, line=configured.line)
        elif usual:
            yield _declaration(each, usual, place, f"the usual port of {each.server.programs[0]}, which is told none")


def _in_env(unsaid: Unsaid, folder: Path, grounds: Grounds) -> int | None:
    """The port in a `.env` that the server reads itself.  Raises LeftUnreadError."""
    server = unsaid.server
    if not (server.reads_env and server.heeds):
        return None
    return port_number(assignments(folder / ".env", {}, grounds).get(server.heeds, ""))


def _declaration(unsaid: Unsaid, port: int, place: Place, note: str) -> Declaration:
    server = unsaid.server
    fallback = tuple(range(port + 1, min(port + 1 + TRIES, 65536))) if server.moves_on else ()
    return Declaration(
        port, "tcp", unsaid.host, place.file, place.line, place.kind, place.name, fallback, note=note,
        profile=None if unsaid.host else server.profile,
    )  # fmt: skip


def _configured(unsaid: Unsaid, folder: Path, grounds: Grounds) -> Literal | None:
    """The port in the server's own configuration.  Raises NotLiteralError, LeftUnreadError."""
    server = unsaid.server
    if "angular.json" in server.files:
        from portcheck.preflight.angular import port_of

        return port_of(folder / "angular.json", grounds)
    key = "preview" if unsaid.command == "preview" and server.config == "server" else server.config
    for name in server.files:
        for ending in ENDINGS:
            path = folder / f"{name}{ending}"
            if key and grounds.has(path):
                try:
                    return property_of(str(path), grounds.text(path), key, "port")
                except LeftUnreadError:
                    raise
                except PreflightError as error:  # it cannot be read as text, so nobody knows what it says
                    raise NotLiteralError(str(path), error.line or 1, error.why) from None
    return None
