"""Which rows of the bind table count for the answer.  Pure."""

from __future__ import annotations

from portcheck.diagnosis.bind_table import refused_by_nobody_seen
from portcheck.namedtuple import TYPE_CHECKING
from portcheck.profiles import attempts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from portcheck.addresses import Address
    from portcheck.model import Bind, Row, Scene, Socket
    from portcheck.profiles import Server
    from portcheck.target import Endpoint

    Rows = tuple[Row, ...]

ABSENT = ("not-available", "unsupported")


def relevant(endpoint: Endpoint, rows: Rows) -> Rows:
    """The rows that count; one that is not available here only if the user named it, or no other row is left."""
    possible = tuple(row for row in rows if row.outcome not in ABSENT)
    return rows if named_addresses(endpoint) else possible or rows


def named_addresses(endpoint: Endpoint) -> tuple[Address, ...]:
    """The addresses that the question names, if it names nothing else; otherwise ()."""
    if any(host.kind != "addresses" for host in endpoint.hosts):
        return ()
    return tuple(address for host in endpoint.hosts for address in host.addresses)


def tried(endpoint: Endpoint, rows: Rows, on_port: Sequence[Socket], scene: Scene, server: Server) -> Rows:
    """The relevant rows of the binds with which the server would start; of those that it prefers, where of none.

    `rows` refer to `on_port`.
    """
    possible = relevant(endpoint, rows)
    if named_addresses(endpoint):
        return possible
    sets = (_of(binds, possible) for binds in attempts(server, scene.families, scene.localhost))
    ways = [way for way in sets if way]
    preferred = ways[0] if ways else possible
    return next((way for way in ways if not any(is_refused(row, on_port) for row in way)), preferred)


def _of(binds: tuple[Bind, ...], rows: Rows) -> Rows:
    return tuple(row for row in rows if row.bind in binds)


def given_up(chosen: Rows, rows: Rows, on_port: Sequence[Socket], server: Server) -> Rows:
    """The refused rows without which the server starts all the same, on those `chosen` among `rows`."""
    if not (server.fallbacks or server.localhost == "any") or any(is_refused(row, on_port) for row in chosen):
        return ()
    possible = (row for row in rows if row.outcome not in ABSENT and row not in chosen)
    return tuple(row for row in possible if is_refused(row, on_port))


def is_refused(row: Row, on_port: Sequence[Socket]) -> bool:
    """Whether something stands in the way of this bind, or somebody would keep a part of its clients."""
    taken = row.outcome not in ("free", "unknown") or row.shadows or refused_by_nobody_seen(row)
    return bool(taken) or bound_by_someone(row, on_port)


def bound_by_someone(row: Row, on_port: Sequence[Socket]) -> bool:
    """A live process has bound the port and is about to listen: in use, even if a bind might get through."""
    return any(on_port[index].state == "BOUND" for index in row.conflicts)
