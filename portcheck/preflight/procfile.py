"""`Procfile`: the ports that its processes name for certain.

`$PORT` is what foreman, honcho, overmind and hivemind give: the PORT of `.env` or the environment, else 5000,
and 100 more for each process before this one (foreman's `Engine#port_for` and `#base_port`).
"""

from __future__ import annotations

import re
from collections import ChainMap
from pathlib import Path

from portcheck.namedtuple import TYPE_CHECKING, NamedTuple
from portcheck.preflight.commandline import listens, speaks_of_ports
from portcheck.preflight.declarations import Declaration, LeftUnreadError, Reading, Unresolved
from portcheck.preflight.dotenv import assignments, port_number
from portcheck.preflight.files import Grounds, around
from portcheck.preflight.usual_ports import Place, by_itself

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

BASE, STEP = 5000, 100
MAX_LINES, MAX_LINE = 1_000, 4_096  # nobody starts as many processes, and a shell takes no longer line from a terminal
_PROCESS = re.compile(r"([A-Za-z0-9_-]+):\s*(.+)")


class Process(NamedTuple):
    """One line; `port` is the `$PORT` that it is given, None where that is no number."""

    name: str
    command: str
    line: int
    port: int | None
    rule: str  # where `port` comes from


def read_procfile(path: Path, environment: Mapping[str, str], grounds: Grounds | None = None) -> Reading:
    """The ports of every process, `$PORT` and the variables of `.env` filled in.

    Raises PreflightError, LeftUnreadError.
    """
    grounds = grounds or around(path)
    file, lines = str(path), grounds.text(path).replace("\r\n", "\n").split("\n")
    if len(lines) > MAX_LINES:
        raise LeftUnreadError("limit", file, MAX_LINES, f"more than {MAX_LINES:,} lines: not read")
    entries: list[Declaration | Unresolved] = []
    try:
        own = assignments(path.parent / ".env", environment, grounds)
    except LeftUnreadError as left:
        own = {}
        entries.append(left.remark)
    variables = {**environment, **own}  # foreman: the file wins
    base = variables.pop("PORT", str(BASE))
    for process in _processes(lines, base):
        entries += _declared(process, variables, file, grounds)
    for number, line in enumerate(lines, 1):
        if line.strip() and not line.lstrip().startswith("#") and not _PROCESS.match(line):
            entries.append(Unresolved("syntax", "this line is no 'name: command'", file, number))
    declared = tuple(each for each in entries if isinstance(each, Declaration))
    return Reading((file,), declared, tuple(each for each in entries if isinstance(each, Unresolved)))


def _processes(lines: list[str], base: str) -> Iterator[Process]:
    first = port_number(base)
    index = 0
    for line, words in enumerate(lines, 1):
        if match := _PROCESS.match(words):
            rule = f"PORT={first}, and {STEP} more for each process before it, as foreman gives it"
            port = port_number(str(first + STEP * index)) if first else None
            yield Process(match[1], match[2], line, port, rule)
            index += 1


def _declared(
    process: Process, others: dict[str, str], file: str, grounds: Grounds
) -> Iterator[Declaration | Unresolved]:
    """The ports of a process; `others` are the variables beside the PORT that it is given."""
    if len(process.command) > MAX_LINE:
        yield Unresolved("limit", f"longer than {MAX_LINE:,} characters", file, process.line, process.name)
        return
    given = {"PORT": str(process.port)} if process.port else {}
    told = listens(process.command, ChainMap(given, others))
    heeds = any(server.heeds == "PORT" for server in told.servers)
    for host, port in told.ports:
        note = process.rule if port == process.port and (heeds or "PORT" in process.command) else None
        yield Declaration(
            port, "tcp", host, file, process.line, "procfile", process.name, note=note, variables=told.names
        )
    place = Place(grounds, file, process.line, "procfile", process.name)
    usual = [*by_itself(told.unsaid, Path(file).parent, place)]
    yield from usual
    for problem in told.problems or (() if told.ports or usual else _silence(process)):
        yield Unresolved("process", problem, file, process.line, process.name)


def _silence(process: Process) -> tuple[str, ...]:
    """What to say of a process that names no port: nothing, unless it is likely to listen on one."""
    if speaks_of_ports(process.command):
        return ("its command speaks of a port, but names none for certain",)
    if process.name == "web":
        return (f"its command names no port; foreman sets PORT={process.port} for it, which it may use or not",)
    return ()
