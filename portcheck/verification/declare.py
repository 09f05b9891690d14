"""What listens now → a portcheck.toml that says so.  Pure.

Names come from strangers: they are written as TOML strings in ASCII, and a name counts only where the declaration that
it makes is true of what was seen.
"""

from __future__ import annotations

from portcheck.addresses import unmapped
from portcheck.identify.names import called
from portcheck.namedtuple import TYPE_CHECKING, NamedTuple
from portcheck.preflight.declarations import Expected
from portcheck.preflight.portcheck_toml import MAX_NAME, MAX_TEXT
from portcheck.text import utc, utf8
from portcheck.verification.by_whom import UNIT, Who, holders, is_held_by, leading
from portcheck.verification.undeclared import is_dynamic, listening, reason_apart

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from typing import Any

    from portcheck.model import Process, Protocol, Scene, Socket

BARE = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-")


class Server(NamedTuple):
    """Sockets of one port that the same processes hold."""

    protocol: Protocol
    port: int
    sockets: tuple[Socket, ...]


def declaration(scene: Scene) -> Iterator[str]:
    """The lines of a portcheck.toml, of which `verify` finds everything as declared."""
    sockets = listening(scene)
    lasting = [socket for socket in sockets if _lasts(socket, scene)]
    named: dict[str, list[str]] = {}
    for server in _servers(lasting):
        named.setdefault(_name(server, scene), []).append(_inline(server, scene))
    yield f"# What listened here at {utc(scene.now)}, as portcheck verify --write saw it."
    if len(lasting) < len(sockets):
        yield f"# Left out: {len(sockets) - len(lasting)} with a port that nobody has chosen (clients, RPC, loopback)."
    yield ""
    yield "[ports]"
    for name, tables in named.items():
        key = name if BARE.issuperset(name) else quoted(name)
        if len(tables) == 1:
            yield f"{key} = {tables[0]}"
        else:
            yield f"{key} = ["
            yield from (f"  {table}," for table in tables)
            yield "]"


def _lasts(socket: Socket, scene: Scene) -> bool:
    """Whether its port will be the same tomorrow, as far as that can be told."""
    reason = reason_apart(socket, scene)
    return reason is None or (reason == "loopback" and not is_dynamic(socket, scene.policy.ephemeral))


def _servers(sockets: Sequence[Socket]) -> list[Server]:
    """Those that share an address of a port are one server, whoever holds them: each would be in the other's place."""
    by_port: dict[tuple[Protocol, int], list[list[Socket]]] = {}
    for socket in sockets:
        groups = by_port.setdefault((socket.protocol, socket.local_port), [])
        near = [group for group in groups if any(_belong_together(socket, other) for other in group)]
        apart = [group for group in groups if group not in near]
        groups[:] = [*apart, [other for group in near for other in group] + [socket]]
    return [Server(protocol, port, tuple(group)) for (protocol, port), groups in by_port.items() for group in groups]


def _belong_together(one: Socket, other: Socket) -> bool:
    same_holder = one.pids == other.pids and (bool(one.pids) or one.uid == other.uid)
    return same_holder or unmapped(one.local_address) == unmapped(other.local_address)


def _name(server: Server, scene: Scene) -> str:
    """What its processes are called; `port-22` where nobody can be seen."""
    kernels = scene.kernel_owned.get((server.protocol, server.port))
    processes = holders(server.sockets[0], scene).processes
    process = leading(processes) if processes else None
    name = kernels if kernels and not processes else process and _called(process)
    return utf8(name)[:MAX_TEXT] if name else f"port-{server.port}"


def _called(process: Process) -> str | None:
    if process.container and process.container.name:
        return process.container.name
    unit = process.service or process.activation
    return unit.removesuffix(UNIT) if unit else called(process) if process.pid else None


def _inline(server: Server, scene: Scene) -> str:
    hosts = list(dict.fromkeys(_host(socket) for socket in server.sockets))
    written = [f"port = {server.port}"]
    if server.protocol == "udp":
        written.append('protocol = "udp"')
    listed = ", ".join(map(quoted, hosts))
    written.append(f"host = {listed}" if len(hosts) == 1 else f"host = [{listed}]")
    expected = _expected(server, scene)
    written += (f"{key} = {quoted(value)}" for key, value in expected.by_whom().items())
    return f"{{ {', '.join(written)} }}"


def _host(socket: Socket) -> str:
    """Its address, with the scope that a link-local one has."""
    address = unmapped(socket.local_address)
    return f"{address}%{socket.interface}" if socket.interface and address.startswith("fe80:") else address


def _expected(server: Server, scene: Scene) -> Expected:
    """All that is true of whoever holds its sockets, the best known first."""
    true = Expected()
    for candidate in _candidates(server, scene):
        together = true._replace(**candidate)
        if all(is_held_by(Who(together), socket, scene) for socket in server.sockets):
            true = together
        if true.container:
            break
    return true


def _candidates(server: Server, scene: Scene) -> Iterator[dict[str, Any]]:
    """One thing at a time: the container, else the service or the program, and the user."""
    processes = holders(server.sockets[0], scene).processes
    if not processes:
        return
    process = leading(processes)
    unit = process.service or process.activation
    names = {
        "container": process.container.name if process.container else None,
        "service": unit,
        "process": called(process) if process.pid and not unit else None,
        "user": process.user,
    }
    for key, name in names.items():
        if name and len(name) <= MAX_NAME:
            yield {key: name}


def quoted(text: str) -> str:
    """A TOML basic string in ASCII, whatever the text holds; what cannot be encoded is U+FFFD."""
    return '"' + "".join(_escaped(utf8(text))) + '"'


def _escaped(text: Iterable[str]) -> Iterator[str]:
    for character in text:
        code = ord(character)
        if character in '"\\':
            yield f"\\{character}"
        elif 0x20 <= code < 0x7F:
            yield character
        else:
            yield f"\\u{code:04X}" if code < 0x10000 else f"\\U{code:08X}"
