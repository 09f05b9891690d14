"""The rows of a listing, as text: one for each socket, however many holders it has."""

from __future__ import annotations

from portcheck.namedtuple import TYPE_CHECKING, NamedTuple
from portcheck.render.escape import visible
from portcheck.render.owners import COMMAND_WIDTH
from portcheck.render.words import shortened, user

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from portcheck.model import Process, Socket

NONE = "-"  # there is none: UDP has no state, no process holds it
UNSEEN = "?"  # there may be one, and it cannot be seen


class Holders(NamedTuple):
    """The processes that hold a socket, in a cell each."""

    pids: str
    names: str
    user: str | None
    command: str


class Listed(NamedTuple):
    """One socket; the fields are the columns, and `remote` is one of `list --all` only."""

    proto: str
    address: str
    port: str
    state: str
    pid: str
    name: str
    user: str
    remote: str
    command: str


def rows(sockets: Iterable[Socket], processes: Mapping[int, Process]) -> Iterator[Listed]:
    """In the given order; only the holders and the users are kept, each once."""
    users: dict[tuple[str | None, int | None], str | None] = {}
    cells: dict[tuple[int, ...] | None, Holders] = {
        None: Holders(UNSEEN, UNSEEN, None, ""),
        (): Holders(NONE, NONE, None, ""),
    }
    for socket in sockets:
        holders = cells.get(socket.pids)
        if holders is None:
            holders = cells[socket.pids] = _holders(socket.pids or (), processes)
        who = socket.user, socket.uid
        if who not in users:
            users[who] = _user(socket)
        yield Listed(
            socket.protocol,
            scoped(socket),
            str(socket.local_port),
            socket.state or NONE,
            holders.pids,
            holders.names,
            users[who] or holders.user or UNSEEN,
            remote(socket),
            holders.command,
        )


def _holders(pids: tuple[int, ...], processes: Mapping[int, Process]) -> Holders:
    holding = [processes[pid] for pid in pids if pid in processes]
    names = dict.fromkeys(visible(process.name) for process in holding if process.name)
    commands = (" ".join(process.command) for process in holding if process.command)
    users = (_user(process) for process in holding)
    return Holders(
        ",".join(map(str, pids)),
        ",".join(names) or UNSEEN,
        next(filter(None, users), None),
        shortened(next(commands, ""), COMMAND_WIDTH),
    )


def _user(of: Process | Socket) -> str | None:
    """As in other listings, the number of a user without a name."""
    return user(of) if of.user else None if of.uid is None else str(of.uid)


def scoped(socket: Socket) -> str:
    """`fe80::1%eth0`"""
    address = visible(socket.local_address)
    return f"{address}%{visible(socket.interface)}" if socket.interface else address


def remote(socket: Socket) -> str:
    """The other end of a connection."""
    if socket.remote_address is None:
        return NONE
    address = visible(socket.remote_address)
    return f"[{address}]:{socket.remote_port}" if ":" in address else f"{address}:{socket.remote_port}"
