"""What is true and useful, but no part of the verdict.  Pure."""

from __future__ import annotations

from portcheck.addresses import unmapped
from portcheck.identify.describe import who
from portcheck.model import Note, Process
from portcheck.namedtuple import TYPE_CHECKING
from portcheck.traits import TRAITS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from portcheck.model import Family, Protocol, Row, Scene, Socket
    from portcheck.target import Endpoint


def notes(endpoint: Endpoint, rows: Iterable[Row], scene: Scene) -> tuple[Note, ...]:
    """The notes for one port."""
    return (
        *_full_queues(endpoint, scene),
        *_other_protocol(endpoint, scene),
        *_policy(endpoint, scene),
        *_vrfs(endpoint, scene),
        *_unowned(endpoint, scene),
        *_elsewhere(endpoint, scene),
        *_rows(rows),
        *_heirs(endpoint, scene),
        *_other_system(scene),
    )


def _full_queues(endpoint: Endpoint, scene: Scene) -> Iterator[Note]:
    """Linux lets one connection more wait than listen() asked for: a queue is full once it is longer than its limit."""
    for socket in scene.tables[endpoint.protocol].sockets:
        if socket.local_port == endpoint.port and socket.backlog and (socket.queue or 0) > socket.backlog:
            yield Note(
                "queue-full",
                f"the listener on {socket.local_address} takes no new connections off its queue:"
                f" {socket.queue} of {socket.backlog} waiting",
            )


def _other_protocol(endpoint: Endpoint, scene: Scene) -> Iterator[Note]:
    """UDP's holder of the same number does not conflict with TCP, but may be what the user is looking for."""
    if endpoint.protocol == "tcp" and "udp" in scene.tables:
        servers = [socket for socket in scene.tables["udp"].sockets if _is_server(socket, endpoint.port)]
        for holder in dict.fromkeys(_holder(socket, scene) for socket in servers):
            yield Note("udp-holder", f"UDP port {endpoint.port} is held by {holder}; TCP and UDP do not conflict")


def _is_server(socket: Socket, port: int) -> bool:
    return socket.local_port == port and not socket.remote_port


def _holder(socket: Socket, scene: Scene) -> str:
    owner = scene.kernel_owned.get((socket.protocol, socket.local_port))
    if owner and not socket.pids:
        return f"the kernel's {owner}"
    if socket.pids:
        return who(scene.processes.get(socket.pids[0]) or Process(socket.pids[0]), scene.now)
    return (
        f"a process of {socket.user} that cannot be seen from here" if socket.user else "a process that cannot be seen"
    )


def _policy(endpoint: Endpoint, scene: Scene) -> Iterator[Note]:
    if any(endpoint.port in reserved for reserved in scene.policy.reserved):
        yield Note(
            "reserved-from-ephemeral",
            "ip_local_reserved_ports keeps outgoing connections away from this port; a server may bind it",
        )
    redirected = scene.redirected.get((endpoint.protocol, endpoint.port))
    if redirected:
        yield Note("redirected", f"{redirected}: clients may not reach a server that listens here")


def _vrfs(endpoint: Endpoint, scene: Scene) -> Iterator[Note]:
    """Who waits for the clients of a VRF, which is another one than ours."""
    network = scene.network
    own = network.vrf(network.device)
    waiting = [socket for socket in scene.tables[endpoint.protocol].sockets if _is_server(socket, endpoint.port)]
    for socket in waiting if network.vrfs else ():
        vrf = network.vrf(socket.interface)
        if vrf and vrf != own:
            where = f"the VRF {vrf}" if socket.interface == vrf else f"{socket.interface}, which is in the VRF {vrf}"
            yield Note(
                "vrf",
                f"{_holder(socket, scene)} has {socket.local_address} on {where}: only its clients reach that;"
                f" {_ports_of_vrfs(endpoint.protocol, scene)}",
            )


def _ports_of_vrfs(protocol: Protocol, scene: Scene) -> str:
    """Whether it is in the way of servers outside of the VRF."""
    if protocol == "udp":
        return "the ports of UDP are the same for all VRFs"
    shared = scene.network.l3mdev_accept.get(protocol)
    if shared is None:
        return "it is in the way of servers outside only if tcp_l3mdev_accept is set"
    if shared:
        return "as tcp_l3mdev_accept is set, the ports of TCP are the same for all VRFs"
    return "it is in the way of no server outside"


def _unowned(endpoint: Endpoint, scene: Scene) -> Iterator[Note]:
    """Who waits for clients at an address of somebody else, and what allows that."""
    for socket in scene.tables[endpoint.protocol].sockets if scene.unowned else ():
        address = unmapped(socket.local_address)
        if _is_server(socket, endpoint.port) and address in scene.unowned:
            yield Note(
                "unowned-address",
                f"no interface of this host has {address}, where {_holder(socket, scene)} waits for clients:"
                f" {_allowed_by(socket, scene)}",
            )


def _allowed_by(socket: Socket, scene: Scene) -> str:
    family: Family = "ipv6" if ":" in unmapped(socket.local_address) else "ipv4"
    if family in scene.network.nonlocal_bind:
        return f"net.{family}.ip_nonlocal_bind lets every socket have any address"
    if socket.lets:
        return f"{socket.lets[-1]} lets its socket have any address"
    return "this host had the address, or let any be bound, when that was done"


def _elsewhere(endpoint: Endpoint, scene: Scene) -> Iterator[Note]:
    for listener in scene.elsewhere:
        if (listener.protocol, listener.port) == (endpoint.protocol, endpoint.port):
            names = [who(scene.processes.get(pid) or Process(pid), scene.now) for pid in listener.pids[:1]]
            by = f"{names[0]} listens" if names else "a process listens"
            yield Note(
                "other-namespace",
                f"{by} on {listener.address} in another network namespace ({listener.namespace}): no conflict here",
            )


def _rows(rows: Iterable[Row]) -> Iterator[Note]:
    for row in rows:
        if row.disagreement:
            yield Note(
                "rules-disagree",
                f"for {row.bind.address} the rules said {row.disagreement}, the kernel says {row.with_reuseaddr}",
            )


def _heirs(endpoint: Endpoint, scene: Scene) -> Iterator[Note]:
    """Windows names the process that created a socket, even when only a child that inherited its handle is left."""
    for process in scene.processes.values():
        holds = any(
            process.pid in (socket.pids or ()) and socket.local_port == endpoint.port
            for socket in scene.tables[endpoint.protocol].sockets
        )
        if holds and "ended" in process.condition:
            heirs = [who(heir, scene.now) for heir in scene.processes.values() if heir.parent_pid == process.pid]
            children = f"its children live on: {'; '.join(heirs)}" if heirs else "no child of it can be seen"
            yield Note(
                "holder-ended",
                f"PID {process.pid} has ended, but another process inherited its socket and keeps it open; {children}",
            )


def _other_system(scene: Scene) -> Iterator[Note]:
    if not TRAITS[scene.platform].rules_are_known:
        yield Note(
            "psutil-alone",
            "portcheck does not know this system's bind rules, only what psutil shows and whether a bind goes through",
        )
