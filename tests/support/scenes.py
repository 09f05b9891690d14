"""Hand-made scenes: what a look at a host might have seen, for tests of the pure rooms."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from portcheck.diagnosis.bind_table import examine
from portcheck.diagnosis.verdict import diagnose
from portcheck.model import (
    BindRequest,
    Diagnosis,
    LocalAddress,
    PortPolicy,
    PortRange,
    Probe,
    Process,
    Scene,
    Socket,
    SocketTable,
)
from portcheck.profiles import ANY_SERVER, Question, Server
from portcheck.rules import predict
from portcheck.target import EVERY, Endpoint, Host

LO4 = LocalAddress("127.0.0.1", "ipv4", "lo")
LO6 = LocalAddress("::1", "ipv6", "lo")
ETH4 = LocalAddress("192.0.2.7", "ipv4", "eth0")
LINK = LocalAddress("fe80::1", "ipv6", "eth0")
NOON = 1_795_000_000.0

Prober = Callable[[BindRequest], Probe]


def listener(address: str = "0.0.0.0", port: int = 80, **fields: Any) -> Socket:
    family = "ipv6" if ":" in address else "ipv4"
    known = {"state": "LISTEN", "v6only": False if address == "::" else None, "inode": 7, "pids": (382,)}
    return Socket("tcp", family, address, port, **{**known, **fields})  # type: ignore[arg-type]


def process(pid: int = 382, name: str = "httpd", **fields: Any) -> Process:
    known = {"uid": 0, "user": "root", "started_at": NOON - 3600, "parent_pid": 1}
    return Process(pid, name, **{**known, **fields})


def scene(*sockets: Socket, processes: tuple[Process, ...] = (), **fields: Any) -> Scene:
    """A Linux host with eth0 on which exactly these sockets exist."""
    tables = {
        protocol: SocketTable(protocol, tuple(socket for socket in sockets if socket.protocol == protocol))
        for protocol in ("tcp", "udp")
    }
    known: dict[str, Any] = {
        "platform": "linux",
        "uid": 0,
        "tables": tables,
        "processes": {known.pid: known for known in processes or (process(),)},
        "hidden": {},
        "addresses": (LO4, LO6, ETH4, LINK),
        "families": ("ipv4", "ipv6"),
        "policy": PortPolicy(1024, privileged=True, ephemeral=PortRange(32768, 60999)),
        "localhost": ("::1", "127.0.0.1"),
        "now": NOON,
    }
    return Scene(**{**known, **fields})


def endpoint(port: int = 80, protocol: Any = "tcp", host: Host = EVERY) -> Endpoint:
    return Endpoint(str(port), protocol, port, (host,))


def kernel_of(seen: Scene) -> Prober:
    """A kernel that does what the rules say of these sockets."""

    def probe(request: BindRequest) -> Probe:
        sockets = [socket for socket in seen.tables[request.protocol].sockets if socket.local_port == request.port]
        refused = predict(request, sockets, seen.platform).blocked_by
        return Probe("in-use", "EADDRINUSE") if refused else Probe("free")

    return probe


def diagnosis(
    seen: Scene,
    asked: Endpoint | None = None,
    *,
    server: Server = ANY_SERVER,
    probe: Prober | None = None,
    to_take: bool = False,
) -> Diagnosis:
    """The diagnosis of a port from a scene, by default with a kernel that agrees with the rules."""
    asked = asked or endpoint()
    sockets = [socket for socket in seen.tables[asked.protocol].sockets if socket.local_port == asked.port]
    rows = examine(asked, sockets, seen, Question(server, to_take=to_take), probe or kernel_of(seen))
    return diagnose(asked, rows, sockets, seen, server)
