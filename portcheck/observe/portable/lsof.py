"""lsof as another pair of eyes where psutil shows nobody: on macOS and the BSDs, and only if it is there.

`-F` is the output that is meant for programs (lsof(8), OUTPUT FOR OTHER PROGRAMS): a line for each field, which its
first letter names.  A `p` line begins a process, an `f` line one of its files.
"""

from __future__ import annotations

from portcheck.model import PortRange, Socket
from portcheck.namedtuple import TYPE_CHECKING
from portcheck.observe.portable.sockets import address_and_scope
from portcheck.observe.portable.tcp_states import state_named
from portcheck.observe.subprocesses import NoAnswerError, Patience, ask, is_there
from portcheck.text import number

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from portcheck.model import Protocol, Scene
    from portcheck.observe.portable.sockets import Differences
    from portcheck.target import Endpoint

PATIENCE = 3.0  # seconds
FIELDS = "-FpuLftPnT"
_WILDCARDS = {"ipv4": "0.0.0.0", "ipv6": "::"}


def with_sockets(scene: Scene, endpoint: Endpoint, differences: Differences) -> Scene | None:
    """The scene with what lsof sees on this port and psutil did not; None where that is nothing."""
    table = scene.tables[endpoint.protocol]
    held = {(socket.local_address, socket.local_port) for socket in table.sockets if socket.pids}
    more = [
        socket
        for socket in _sockets(endpoint.protocol, endpoint.port, differences)
        if (socket.local_address, socket.local_port) not in held
    ]
    if not more:
        return None
    table = table._replace(sockets=(*table.sockets, *more))
    return scene._replace(tables={**scene.tables, endpoint.protocol: table})


def _sockets(protocol: Protocol, port: int, differences: Differences) -> tuple[Socket, ...]:
    if not is_there("lsof"):
        return ()
    try:
        # it exits with 1 where it finds nothing, and also where it finds something and could not see everything
        answer = ask(("lsof", "-nP", f"-i{protocol.upper()}:{port}", FIELDS), Patience(PATIENCE))
    except NoAnswerError:
        return ()
    return read_fields(answer.out, [PortRange(port, port)], differences)


def read_fields(text: str, ports: Sequence[PortRange], differences: Differences) -> tuple[Socket, ...]:
    """The sockets whose local port is one of these, each once with all its processes, in lsof's order."""
    holders: dict[Socket, list[int]] = {}
    for pid, socket in _entries(text, differences):
        if any(socket.local_port in wanted for wanted in ports):
            holders.setdefault(socket, []).append(pid)
    return tuple(socket._replace(pids=tuple(dict.fromkeys(pids))) for socket, pids in holders.items())


def _entries(text: str, differences: Differences) -> Iterator[tuple[int, Socket]]:
    process: dict[str, str] = {}
    file: dict[str, str] = {}
    for line in (*text.split("\n"), "p"):
        letter, value = line[:1], line[1:]
        if letter in ("p", "f"):
            socket = _socket(file, process, differences)
            if socket:
                yield int(process["p"]), socket
            file = {}
        if letter == "p":
            process = {letter: value}
        elif letter in ("u", "L"):
            process[letter] = value
        elif letter == "T":
            key, _, state = value.partition("=")
            file[f"T{key}"] = state
        else:
            file[letter] = value


def _socket(file: dict[str, str], process: dict[str, str], differences: Differences) -> Socket | None:
    protocol: Protocol = "udp" if file.get("P") == "UDP" else "tcp"
    family = "ipv6" if file.get("t") == "IPv6" else "ipv4"
    local, arrow, remote = file.get("n", "").partition("->")
    (address, scope), port = _endpoint(local, family, differences)
    if file.get("P") not in ("TCP", "UDP") or not port or number(process.get("p", "")) is None:
        return None
    (remote_address, _), remote_port = _endpoint(remote, family, differences) if arrow else ((None, None), None)
    uid = process.get("u", "")
    return Socket(
        protocol,
        "ipv6" if family == "ipv6" else "ipv4",
        address,
        port,
        remote_address,
        remote_port,
        # TCP's bound-only sockets are CLOSED or without a state
        None if protocol == "udp" else state_named(file.get("TST", "")) or ("CLOSED" if arrow else "BOUND"),
        interface=scope,
        user=process.get("L"),
        uid=number(uid),
    )


def _endpoint(text: str, family: str, differences: Differences) -> tuple[tuple[str, str | None], int | None]:
    """`*:5000`, `127.0.0.1:80`, `[::1]:80`, `[fe80:4::1]:80` → address with scope, and port; `*:*` has none."""
    host, _, port = text.rpartition(":")
    address = _WILDCARDS[family] if host == "*" else host.removeprefix("[").removesuffix("]")
    return address_and_scope(address, differences), number(port)
