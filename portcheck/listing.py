"""Every listening or bound socket with its owners: what netstat and lsof are used for."""

from __future__ import annotations

from portcheck.addresses import is_wildcard, unmapped
from portcheck.model import Owner, Process
from portcheck.namedtuple import TYPE_CHECKING, NamedTuple
from portcheck.observe.interfaces import local_addresses
from portcheck.observe.snapshot import ranges_of, survey

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from portcheck.model import BlindSpot, Family, LocalAddress, PortRange, Protocol, Scene, Socket
    from portcheck.requests import SortKey
    from portcheck.target import Endpoint, Host

    Asked = Mapping[tuple[Protocol, int], Sequence[Host]]


class Filter(NamedTuple):
    """Which sockets are wanted; what is None or empty does not filter."""

    protocols: tuple[Protocol, ...] = ("tcp", "udp")
    ports: tuple[int, ...] | None = None
    connections: bool = False
    user: str | None = None  # a name or a number
    pid: int | None = None
    name: str | None = None  # part of the process name, in any case
    uid: int | None = None
    # Further words, of which one is enough: endpoints, and parts of what programs are called.
    endpoints: tuple[Endpoint, ...] = ()
    programs: tuple[str, ...] = ()
    family: Family | None = None


class Listing:
    """Sockets in order of port, the processes that hold them, and what could not be seen.

    Iterating gives the sockets.
    """

    __slots__ = ("blind_spots", "processes", "sockets")

    def __init__(
        self,
        sockets: tuple[Socket, ...],
        processes: Mapping[int, Process],
        blind_spots: tuple[BlindSpot, ...] = (),
    ) -> None:
        self.sockets = sockets
        self.processes = processes
        self.blind_spots = blind_spots

    def __iter__(self) -> Iterator[Socket]:
        return iter(self.sockets)

    def __len__(self) -> int:
        return len(self.sockets)

    def owners(self) -> Iterator[Owner]:
        """Each process with the indexes of its sockets."""
        held: dict[int, list[int]] = {}
        for index, socket in enumerate(self.sockets):
            for pid in socket.pids or ():
                held.setdefault(pid, []).append(index)
        for pid, indexes in sorted(held.items()):
            yield Owner(pid, self.processes.get(pid) or Process(pid), tuple(indexes))


def list_sockets(wanted: Filter) -> Listing:
    """The sockets that exist.  Raises PortcheckError where no socket table can be read."""
    scene = survey(wanted.protocols, ranges(wanted), "everything" if wanted.connections else "listeners")
    sockets = selected(scene, wanted)
    sockets.sort(key=lambda socket: (socket.local_port, socket.protocol, socket.family, socket.local_address))
    return Listing(tuple(sockets), scene.processes, tuple(gaps(sockets, scene)))


def selected(scene: Scene, wanted: Filter) -> list[Socket]:
    """Those sockets of a scene that are wanted."""
    asked = _hosts(wanted)
    by_interface = any(host.kind == "interface" for hosts in asked.values() for host in hosts)
    own = local_addresses() if by_interface else ()
    return [
        socket
        for table in scene.tables.values()
        for socket in table.sockets
        if _wanted(socket, wanted, scene) and _asked_for(socket, asked, own, wanted, scene)
    ]


def _hosts(wanted: Filter) -> Asked:
    """The hosts asked for, by port: there may be several of one."""
    hosts: dict[tuple[Protocol, int], list[Host]] = {}
    for endpoint in wanted.endpoints:
        hosts.setdefault((endpoint.protocol, endpoint.port), []).extend(endpoint.hosts)
    return hosts


def ranges(wanted: Filter) -> tuple[PortRange, ...] | None:
    """The only ports that need to be read; None: all of them."""
    if wanted.ports is not None:
        return ranges_of(wanted.ports)
    if not wanted.endpoints or wanted.programs:
        return None
    return ranges_of(endpoint.port for endpoint in wanted.endpoints)


def _asked_for(socket: Socket, asked: Asked, own: Sequence[LocalAddress], wanted: Filter, scene: Scene) -> bool:
    """Whether it is one of the endpoints, or a program's with one of the names; nothing asked for is everything."""
    if not asked and not wanted.programs:
        return True
    hosts = asked.get((socket.protocol, socket.local_port), ())
    if any(_is_at(socket, host, own) for host in hosts):
        return True
    return any(_is_called(socket, name, scene) for name in wanted.programs)


def _is_at(socket: Socket, host: Host, own: Sequence[LocalAddress]) -> bool:
    """Whether a server of this host, or its clients, would meet the socket.  `list :3000` asks for all of 3000."""
    if host.kind in ("every", "wildcard") or is_wildcard(socket.local_address):
        return True
    if host.kind == "interface":
        return socket.interface == host.text or any(
            local.interface == host.text and local.address == unmapped(socket.local_address) for local in own
        )
    return any(address.text == unmapped(socket.local_address) for address in host.addresses)


def _wanted(socket: Socket, wanted: Filter, scene: Scene) -> bool:
    if socket.protocol == "udp" and socket.remote_port and not wanted.connections:
        return False
    if wanted.family not in (None, socket.family):
        return False
    if wanted.user is not None and wanted.user not in (socket.user, str(socket.uid)):
        return False
    if wanted.uid is not None and wanted.uid != socket.uid:
        return False
    if wanted.pid is not None and wanted.pid not in (socket.pids or ()):
        return False
    return wanted.name is None or _has_name(socket, wanted.name, scene)


def _has_name(socket: Socket, name: str, scene: Scene) -> bool:
    names = (scene.processes[pid].name or "" for pid in socket.pids or () if pid in scene.processes)
    return any(name.casefold() in called.casefold() for called in names)


def _is_called(socket: Socket, name: str, scene: Scene) -> bool:
    """By any of its names, what it runs, its unit or its container."""
    from portcheck.identify.describe import program
    from portcheck.identify.names import names

    processes = [scene.processes[pid] for pid in socket.pids or () if pid in scene.processes]
    every = {called for process in processes for called in (*names(process), program(process), process.service or "")}
    every |= {process.container.name or "" for process in processes if process.container}
    return any(name.casefold() in called.casefold() for called in every)


def in_order(listing: Listing, by: SortKey) -> Listing:
    """The same, sorted by something else than the port."""
    if by == "port":
        return listing

    def key(socket: Socket) -> tuple[object, ...]:
        process = next((listing.processes[pid] for pid in socket.pids or () if pid in listing.processes), None)
        if by == "user":
            return (socket.user is None, socket.user or "")
        if process is None:
            return (True,)
        if by == "pid":
            return (False, process.pid)
        if by == "age":  # the youngest first: it is what somebody has just started
            return (False, -(process.started_at or 0))
        from portcheck.identify.describe import program

        return (False, program(process).casefold())

    return Listing(tuple(sorted(listing.sockets, key=key)), listing.processes, listing.blind_spots)


def origins(process: Process) -> tuple[Process, ...]:
    """How it came to run: the processes above it, the first one first, and itself."""
    from portcheck.identify.interpreters import script
    from portcheck.observe.context import Ancestry

    above = (one._replace(script=script(one)) for one in Ancestry({}).of(process))
    return (*reversed([*above]), process)


def gaps(sockets: Sequence[Socket], scene: Scene, what: str | None = None) -> Iterator[BlindSpot]:
    """What could not be seen of these sockets (which are called `what`), each code once."""
    from portcheck.diagnosis.blind_spots import POSSIBLE_HOLDERS, cut_commands, hidden_owner

    spots = [spot for table in scene.tables.values() for spot in table.blind_spots]
    hidden = [socket for socket in sockets if socket.pids is None and socket.inode != 0]
    spots += [spot for spot in scene.blind_spots if hidden or spot.code not in POSSIBLE_HOLDERS]
    if hidden:
        spots.append(hidden_owner(what or f"{len(hidden)} of these sockets", None, scene))
    held_by = {pid for socket in sockets for pid in socket.pids or ()}
    spots += cut_commands(process for pid, process in scene.processes.items() if pid in held_by)
    yield from {spot.code: spot for spot in spots}.values()
