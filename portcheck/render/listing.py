"""`list` at a terminal: the port first, then what runs there, and where that belongs.

PORT  ADDRESS    PROGRAM         PID  USER  AGE     WHERE
3000  127.0.0.1  node server.js  812  ann   12 min  ~/shop (npm run dev)
"""

from __future__ import annotations

from portcheck.identify.describe import container, program
from portcheck.namedtuple import TYPE_CHECKING, NamedTuple
from portcheck.render.escape import visible
from portcheck.render.holder import name_here, place
from portcheck.render.layout import Piece, has_columns, painted, table, wrapped
from portcheck.render.table import NONE, UNSEEN, remote, scoped
from portcheck.render.words import age, shortened, user

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from portcheck.model import Process, Socket
    from portcheck.render.layout import Canvas

LONGEST_USER = 16
LONGEST_COMMAND = 1000  # a JVM has more, most of it its class path
LONGEST_LINK = 48  # of a chain
BELOW = "    "  # what is told below a line is indented by this
COLUMNS = ("PORT", "PROTO", "ADDRESS", "STATE", "PROGRAM", "PID", "USER", "AGE", "REMOTE", "WHERE")
# A column that is shown only where something differs from this.
USUAL = {"PROTO": "tcp", "STATE": "LISTEN", "REMOTE": NONE}
STYLES = {"PORT": "bold", "PROGRAM": "bold", "PROTO": "dim", "STATE": "dim", "AGE": "dim", "WHERE": "dim"}


class Form(NamedTuple):
    """How much of what a few rows have more of is shown, so that all rows keep their columns."""

    addresses: int
    program: int  # characters of its name


FORMS = (Form(2, 26), Form(1, 26), Form(1, 16))  # the widest that fits


class Entry(NamedTuple):
    """Sockets of one port and holder, which share a line."""

    sockets: tuple[Socket, ...]
    process: Process | None  # the one that the other holders come from; None where nobody can be seen
    others: int


def entries(sockets: Iterable[Socket], processes: Mapping[int, Process]) -> list[Entry]:
    """In the order of their first sockets."""
    together: dict[object, list[Socket]] = {}
    for socket in sockets:
        holder = socket.pids or (socket.uid, socket.user, socket.pids)
        alike = socket.protocol, socket.local_port, holder, socket.state, socket.remote_address, socket.remote_port
        together.setdefault(alike, []).append(socket)
    return [_entry(group, processes) for group in together.values()]


def _entry(sockets: Sequence[Socket], processes: Mapping[int, Process]) -> Entry:
    holding = [processes[pid] for pid in sockets[0].pids or () if pid in processes]
    pids = {process.pid for process in holding}
    firsts = [process for process in holding if process.parent_pid not in pids] or holding
    mains = [process for process in firsts if process.role == "main"] or firsts
    return Entry(tuple(sockets), next(iter(mains), None), max(len(holding) - 1, 0))


def listing(listed: Sequence[Entry], canvas: Canvas, *, verbose: bool = False) -> Iterator[str]:
    """A heading and a line for each entry, with its command below it if `verbose`; nothing for nothing."""
    if not listed:
        return
    for form in FORMS:
        shown, cells = _rows(listed, canvas.now, form)
        if has_columns(shown, cells, canvas.width):
            break
    else:
        shown, cells = _rows(listed, canvas.now, FORMS[0])
    for number, lines in enumerate(table(shown, cells, canvas.width)):
        yield from (painted(line, colour=canvas.colour) for line in lines)
        process = listed[number - 1].process if number else None
        if verbose and process and process.command:
            command = [Piece(shortened(" ".join(process.command), LONGEST_COMMAND), "dim")]
            below = wrapped(command, canvas.width, start=[Piece(BELOW)], further=BELOW)
            yield from (painted(line, colour=canvas.colour) for line in below)


def _rows(listed: Sequence[Entry], now: float, form: Form) -> tuple[list[str], list[list[Piece]]]:
    """The headings of the columns that tell something, and the cells below them."""
    rows = [columns(entry, now, form) for entry in listed]
    shown = [column for column in COLUMNS if any(row[column] != USUAL.get(column) for row in rows)]
    return shown, [[Piece(row[column], STYLES.get(column, "")) for column in shown] for row in rows]


def columns(entry: Entry, now: float, form: Form = FORMS[0]) -> Mapping[str, str]:
    """The cells of an entry's line, by their headings."""
    first, process = entry.sockets[0], entry.process
    unseen = UNSEEN if first.pids is None else NONE
    return {
        "PORT": str(first.local_port),
        "PROTO": first.protocol,
        "ADDRESS": _addresses(entry.sockets, form.addresses),
        "STATE": first.state or USUAL["STATE"],  # UDP has none
        "PROGRAM": shortened(name_here(process), form.program) if process else unseen,
        "PID": f"{process.pid}{f' +{entry.others}' if entry.others else ''}" if process else unseen,
        "USER": _user(first, process),
        "AGE": age(now - process.started_at) if process and process.started_at is not None else "",
        "REMOTE": remote(first),
        "WHERE": visible(_where(process)) if process else "",
    }


def _addresses(sockets: Sequence[Socket], most: int) -> str:
    every = list(dict.fromkeys(map(scoped, sockets)))
    more = len(every) - most
    return " ".join(every[:most]) + (f" +{more}" if more > 0 else "")


def _user(socket: Socket, process: Process | None) -> str:
    who = user(socket) or (user(process) if process else None)
    return shortened(who, LONGEST_USER) if who else UNSEEN


def _where(process: Process) -> str:
    """The container, the unit, or the project and what started it there."""
    if process.container:
        compose = "/".join(filter(None, (process.container.compose_project, process.container.compose_service)))
        inside = container(process.container._replace(image=None, compose_project=None, compose_service=None))
        return f"{inside} (compose {compose})" if compose else inside
    if process.service or process.activation:
        return process.service or process.activation or ""
    kept = process.task or (process.supervisor and f"kept running by {process.supervisor}")
    return " ".join(filter(None, (place(process), kept and f"({kept})")))


def chain(links: Sequence[Process], canvas: Canvas) -> Iterator[str]:
    """How a process came to run: `systemd (PID 1, 3 d) → bash (PID 700, 2 h) → node server.js (PID 812, 12 min)`"""
    pieces: list[Piece] = []
    for link in links:
        since = "" if link.started_at is None else f", {age(canvas.now - link.started_at)}".rstrip(", ")
        pieces += [Piece(" → ")] if pieces else []
        pieces += (Piece(shortened(program(link), LONGEST_LINK), "bold"), Piece(f" (PID {link.pid}{since})", "dim"))
    lines = wrapped(pieces, canvas.width, start=[Piece(BELOW)], further=BELOW)
    return (painted(line, colour=canvas.colour) for line in lines)
