"""Whatever psutil can see, both back ends report alike; and what it cannot see, it does not invent."""

from __future__ import annotations

import itertools
import os
import socket
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn

import psutil
import pytest
from support import real_sockets
from support.kernel_lab import Transport, in_namespace, mptcp_exists, needs_lab
from support.namespaces import Host
from support.processes import NOBODY, held_by_child
from support.real_sockets import inode
from support.socket_states import make, olds, open_helpers, some_of_each_state

from portcheck.model import PortRange, Socket, SocketTable
from portcheck.observe.linux import descriptors
from portcheck.observe.portable import sockets as portable_sockets
from portcheck.observe.portable.sockets import LINUX
from portcheck.observe.system import BACK_END

if TYPE_CHECKING:
    from portcheck.model import Protocol

if sys.platform != "linux":
    pytest.skip("needs two back ends: Linux", allow_module_level=True)

PROTOCOLS: tuple[Protocol, ...] = ("tcp", "udp")
EVERYWHERE = ("127.0.0.1", "0.0.0.0", "::1", "::", "2001:db8::1", "::ffff:127.0.0.1")
PSUTIL_CANNOT_SEE = "BOUND"


def both(protocol: Protocol, *ports: PortRange) -> tuple[SocketTable, SocketTable]:
    """(by netlink, by psutil), asked one after the other."""
    wanted = ports or None
    table = BACK_END.sockets(protocol, wanted, depth="everything", may_bind=False)
    assert not [spot for spot in table.blind_spots if spot.code == "netlink-refused"]
    return table, portable_sockets.table(protocol, wanted, "everything", LINUX)


def common(seen: Socket) -> tuple[object, ...]:
    """What both back ends tell of every socket."""
    state = seen.state, seen.remote_address, seen.remote_port
    return seen.protocol, seen.family, seen.local_address, seen.local_port, *state


def compare(by_netlink: SocketTable, by_psutil: SocketTable) -> int:
    """How many sockets were compared; AssertionError where the tables differ."""
    shown = [seen for seen in by_netlink.sockets if seen.state != PSUTIL_CANNOT_SEE]
    assert Counter(map(common, shown)) == Counter(map(common, by_psutil.sockets))
    inodes = {seen.inode for seen in shown}
    held = {seen.inode: seen.pids for seen in by_psutil.sockets if seen.inode}
    assert set(held) <= inodes
    found = descriptors.holders(held).pids
    for number, pids in held.items():
        assert pids
        assert number
        assert set(pids) <= set(found[number])
    return len(shown)


@pytest.fixture
def _namespace() -> Iterator[None]:
    with Host(["192.0.2.1/24", "2001:db8::1/64", "fe80::99/64"], devices=("v0", "v1")) as made, made.entered():
        yield


def everything_at(number: int, address: str) -> list[socket.socket]:
    """Sockets in every lasting state, on ten ports from `number` on."""
    server = real_sockets.listener(number, address)
    real_sockets.time_wait(server)
    return [
        server,
        real_sockets.listener(number + 1, address, protocol=real_sockets.IPPROTO_MPTCP),
        real_sockets.bound(number + 2, address),
        *real_sockets.reuseport_group(number + 3, 3, address),
        *real_sockets.connected(server),
        real_sockets.close_wait(server),
        real_sockets.fin_wait_orphan(server),
        real_sockets.client(server),  # nobody accepts it
        real_sockets.udp(number, address),
        *(real_sockets.udp(number + 1, address, reuseaddr=True) for _ in range(2)),
    ]


@pytest.mark.usefixtures("_namespace")
def test_a_zoo_of_two_users(report: Callable[[str], None]) -> None:
    compared = 0
    with ExitStack() as stack:
        for place, (address, uid) in enumerate(itertools.product(EVERYWHERE, (0, NOBODY))):
            make_all = partial(everything_at, 2000 + 10 * place, address)
            stack.enter_context(held_by_child(make_all, uid=uid))
        tables = [both(protocol) for protocol in PROTOCOLS]
        tables += [
            both(protocol, PortRange(first, first + 5), PortRange(first, first))
            for first in range(2000, 2130, 7)
            for protocol in PROTOCOLS
        ]
        compared = sum(compare(*pair) for pair in tables)
    report(f"sock_diag and psutil: {compared:,} sockets of two users alike")
    assert compared > 300


@pytest.mark.usefixtures("_namespace")
def test_without_connections() -> None:
    kept = everything_at(1000, "127.0.0.1")
    by_netlink = BACK_END.sockets("tcp", None, depth="listeners", may_bind=False)
    by_psutil = portable_sockets.table("tcp", None, "listeners", LINUX)
    assert compare(by_netlink, by_psutil) == 5
    assert len(kept) > 5


@needs_lab
@pytest.mark.parametrize("transport", ["tcp", "mptcp", "udp"])
def test_every_state(transport: Transport, report: Callable[[str], None]) -> None:
    if transport == "mptcp" and not mptcp_exists():
        pytest.skip("this kernel has no MPTCP")
    compared = in_namespace(compare_states, transport)
    states = {old.state for old in olds(transport)}
    report(f"sock_diag and psutil, {transport}: {compared.total():,} specimens in {len(states)} states alike")
    assert set(compared) == states


def compare_states(transport: Transport) -> Counter[str]:
    """Specimens of every state, one after the other: both back ends, and what is known of the specimen."""
    open_helpers()
    chosen = some_of_each_state(transport)
    for number, old in enumerate(chosen, 2000):
        specimen = make(old, number)
        port = specimen.socket.local_port
        by_netlink, by_psutil = both(specimen.socket.protocol, PortRange(port, port))
        compare(by_netlink, by_psutil)
        assert [seen for seen in by_netlink.sockets if agrees(seen, specimen.socket)], (old, by_netlink)
        specimen.close()
    return Counter(old.state for old in chosen)


def agrees(seen: Socket, known: Socket) -> bool:
    """Whether what sock_diag shows is the specimen.

    The kernel does not tell v6only of every state, and remembers where a bound socket once tried to connect.
    """
    if seen.state == "BOUND":
        seen = seen._replace(remote_address=None, remote_port=None)
    return (
        common(seen) == common(known)
        and (seen.interface, seen.minisocket, seen.uid) == (known.interface, known.minisocket, known.uid)
        and seen.v6only in (None, known.v6only)
    )


# psutil alone


def test_a_process_that_may_not_be_asked_is_a_blind_spot(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on macOS: the whole list is refused, and each process is asked for itself."""
    server = real_sockets.keep(real_sockets.listener())

    def refuse(*_: object) -> NoReturn:
        raise psutil.AccessDenied

    name = "net_connections" if hasattr(psutil.Process, "net_connections") else "connections"  # before psutil 6
    real = getattr(psutil.Process, name)

    def connections(process: psutil.Process, kind: str) -> Any:
        return real(process, kind) if process.pid == os.getpid() else refuse()

    monkeypatch.setattr(psutil, "net_connections", refuse)
    monkeypatch.setattr(psutil.Process, name, connections)
    found = portable_sockets.table(
        "tcp", [PortRange(real_sockets.port(server), real_sockets.port(server))], "listeners", LINUX
    )
    (seen,) = found.sockets
    assert (seen.pids, seen.state, seen.inode) == ((os.getpid(),), "LISTEN", inode(server))
    codes = [spot.code for spot in found.blind_spots]
    assert codes == ["processes-hidden", "bound-not-visible"]
    assert "other users' processes" in found.blind_spots[0].message
    real_sockets.close_all()


def test_a_socket_of_a_process_that_let_go_may_have_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """psutil names a process and a descriptor; if that is closed by now the inode stays unknown."""
    server = real_sockets.listener()
    (real,) = [seen for seen in psutil.net_connections("tcp") if seen.laddr[1:] == (real_sockets.port(server),)]
    monkeypatch.setattr(psutil, "net_connections", lambda _: [real._replace(fd=99999)])
    found = portable_sockets.table("tcp", None, "everything", LINUX)
    assert [(seen.inode, seen.pids) for seen in found.sockets] == [(None, (os.getpid(),))]
    assert [spot.code for spot in found.blind_spots] == ["bound-not-visible", "one-process-per-socket"]
    real_sockets.close_all()
