"""Which .socket unit holds a port, by what `systemctl show` tells of every socket unit."""

from __future__ import annotations

from portcheck.addresses import is_wildcard, parse_address, unmapped
from portcheck.value import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from portcheck.model import Protocol, Socket

# systemd 252 prints these in an order of its own, blank lines between the units.
PROPERTIES = ("Id", "Listen", "Triggers", "ActiveState")
KINDS: Mapping[str, Protocol] = {"(Stream)": "tcp", "(Datagram)": "udp"}


class Listening(NamedTuple):
    """One `ListenStream=` or `ListenDatagram=` of a unit."""

    protocol: Protocol
    address: str
    port: int


class SocketUnit(NamedTuple):
    """A unit that listens on behalf of a service; `triggers` is None with Accept=yes (one instance each)."""

    name: str
    triggers: str | None
    listening: tuple[Listening, ...]


def read_units(text: str) -> tuple[SocketUnit, ...]:
    """The active ones of what `systemctl show '*.socket' --property=...` printed."""
    found = []
    for block in text.split("\n\n"):
        pairs = [line.partition("=")[::2] for line in block.splitlines()]
        values = dict(pairs)
        if values.get("ActiveState") == "active" and values.get("Id"):
            listening = tuple(one for key, value in pairs if key == "Listen" and (one := _listening(value)))
            triggers = values.get("Triggers", "").split()
            found.append(SocketUnit(values["Id"], triggers[0] if triggers else None, listening))
    return tuple(found)


def _listening(value: str) -> Listening | None:
    """`[::]:8081 (Stream)`; None for a path, a FIFO, netlink."""
    where, _, kind = value.rpartition(" ")
    host, _, port = where.rpartition(":")
    address = parse_address(host.removeprefix("[").removesuffix("]"))
    if kind not in KINDS or address is None or not port.isdecimal():
        return None
    return Listening(KINDS[kind], address.text, int(port))


def unit_of(socket: Socket, units: Iterable[SocketUnit]) -> SocketUnit | None:
    """The unit that listens where this socket does; `[::]` of a unit is a dual-stack wildcard."""
    return next((unit for unit in units if any(_is(socket, one) for one in unit.listening)), None)


def _is(socket: Socket, one: Listening) -> bool:
    if (socket.protocol, socket.local_port) != (one.protocol, one.port):
        return False
    mine, its = unmapped(socket.local_address), unmapped(one.address)
    return mine == its or (is_wildcard(mine) and is_wildcard(its))


def from_environment(names: str | None) -> str | None:
    """$LISTEN_FDNAMES (sd_listen_fds(3)) of a service as it started: by default the .socket unit's name."""
    units = dict.fromkeys(name for name in (names or "").split(":") if name.endswith(".socket"))
    return next(iter(units)) if len(units) == 1 else None
