"""/proc/net read by ourselves: whatever sock_diag tells of real sockets, it tells too, or says that it cannot."""

from __future__ import annotations

import errno
import os
import random
import socket
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, NoReturn

import pytest
from support import real_sockets, seccomp
from support.kernel_lab import SEED, Transport, in_namespace, mptcp_exists, needs_lab
from support.namespaces import Host
from support.patience import PATIENCE
from support.processes import NOBODY, held_by_child, in_child
from support.real_sockets import inode
from support.socket_states import make, olds, open_helpers, some_of_each_state

if sys.platform != "linux":
    pytest.skip("/proc/net is Linux's", allow_module_level=True)

from portcheck.addresses import is_wildcard
from portcheck.model import PortRange, Socket, SocketTable
from portcheck.observe.linux import descriptors, procnet, sock_diag
from portcheck.observe.system import BACK_END

if TYPE_CHECKING:
    from portcheck.model import Protocol

CLOCK_TICK = 0.02  # what is counted in hundredths of a second, and rounded


@pytest.fixture
def _namespace() -> Iterator[None]:
    with Host(["192.0.2.1/24", "2001:db8::1/64", "fe80::99/64"], devices=("v0", "v1")) as made, made.entered():
        yield


def without_untold(seen: Socket) -> Socket:
    """What sock_diag tells, but for what no line of /proc/net has."""
    v6only = None if is_wildcard(seen.local_address) and ":" in seen.local_address else seen.v6only
    if seen.local_address == "::ffff:0.0.0.0" and seen.v6only is False:
        v6only = False
    return seen._replace(v6only=v6only, interface=None, backlog=None, cgroup_id=None, expires_in=None, cookie=None)


def compare(protocol: Protocol, *ports: PortRange) -> tuple[Socket, ...]:
    """The sockets, once both ways have told the same of them."""
    by_netlink = sock_diag.table(protocol, ports or None, "everything", may_bind=False)
    by_file = procnet.table(protocol, ports or None, "everything")
    shown = [seen for seen in by_netlink.sockets if seen.state != "BOUND"]
    untimed = [seen._replace(expires_in=None) for seen in by_file.sockets]
    assert Counter(map(without_untold, shown)) == Counter(untimed)
    for seen in shown:
        (twin,) = [it for it in by_file.sockets if it._replace(expires_in=None) == without_untold(seen)]
        assert (seen.expires_in is None) == (twin.expires_in is None)
        if seen.expires_in is not None and twin.expires_in is not None:
            assert seen.expires_in - PATIENCE <= twin.expires_in <= seen.expires_in + CLOCK_TICK
    return by_file.sockets


@needs_lab
@pytest.mark.parametrize("uid", [0, NOBODY])
@pytest.mark.parametrize("transport", ["tcp", "mptcp", "udp"])
def test_every_state(transport: Transport, uid: int, report: Callable[[str], None]) -> None:
    if transport == "mptcp" and not mptcp_exists():
        pytest.skip("this kernel has no MPTCP")
    compared = in_namespace(compare_states, transport, uid)
    report(f"sock_diag and /proc/net, {transport}, user {uid}: {compared.total():,} specimens alike")
    assert set(compared) == {old.state for old in olds(transport)}


def compare_states(transport: Transport, uid: int) -> Counter[str]:
    """Specimens of every state, one after the other, as this user sees them."""
    open_helpers()
    chosen = some_of_each_state(transport)
    for number, old in enumerate(chosen, 2000):
        specimen = make(old, number)
        port, protocol = specimen.socket.local_port, specimen.socket.protocol
        os.seteuid(uid)
        try:
            seen = compare(protocol, PortRange(port, port))
        finally:
            os.seteuid(0)
        assert seen or specimen.socket.state == "BOUND", old
        specimen.close()
    return Counter(old.state for old in chosen)


@pytest.mark.usefixtures("_namespace")
def test_any_ports_of_many() -> None:
    kept = [real_sockets.listener(number, address) for number in range(1000, 1020) for address in ("127.0.0.1", "::1")]
    kept += [real_sockets.udp(number, "::") for number in range(1000, 1020)]
    chance = random.Random(SEED)
    for count in (0, 1, 2, 40):
        firsts = [chance.randrange(990, 1030) for _ in range(count)]
        wanted = [PortRange(first, first + chance.choice((0, 5))) for first in firsts]
        found = procnet.table("tcp", wanted, "listeners").sockets
        assert len(found) == 2 * sum(any(number in each for each in wanted) for number in range(1000, 1020))
    assert len(compare("tcp")) + len(compare("udp")) == len(kept)


@pytest.mark.usefixtures("_namespace")
def test_listeners_come_without_connections() -> None:
    server = real_sockets.listener(80)
    kept = real_sockets.connected(server)
    found = procnet.table("tcp", [PortRange(80, 80)], "listeners")
    assert ([seen.inode for seen in found.sockets], found.depth) == ([inode(server)], "listeners")
    assert len(procnet.table("tcp", [PortRange(80, 80)], "everything").sockets) == len(kept)


@pytest.mark.usefixtures("_namespace")
def test_time_wait_has_its_seconds() -> None:
    server = real_sockets.listener(80)
    _, remote = real_sockets.time_wait(server)
    server.close()
    (seen,) = procnet.table("tcp", None, "everything").sockets
    assert (seen.state, seen.remote_port, seen.inode, seen.pids) == ("TIME-WAIT", remote, 0, ())
    assert 0 < (seen.expires_in or 0) <= 60


# Where sock_diag is refused


def everything(protocol: Protocol, *ports: int) -> SocketTable:
    ranges = [PortRange(number, number) for number in ports] or None
    return BACK_END.sockets(protocol, ranges, depth="everything", may_bind=False)


@pytest.mark.usefixtures("_namespace")
@pytest.mark.parametrize("error", [errno.EPERM, errno.EACCES, errno.EAFNOSUPPORT, errno.EPROTONOSUPPORT])
def test_a_sandbox_that_refuses_netlink(error: int) -> None:
    """A real seccomp filter."""
    number = seccomp.numbers()["socket"]
    kept = [real_sockets.listener(80, "::"), real_sockets.udp(80, "::1"), real_sockets.bound(81)]

    def refused() -> tuple[SocketTable, SocketTable]:
        seccomp.refuse(number, error, first=socket.AF_NETLINK)
        return everything("tcp", 80, 81), everything("udp", 80)

    tcp, udp = in_child(refused)
    assert [(seen.inode, seen.uid) for seen in tcp.sockets + udp.sockets] == [(inode(made), 0) for made in kept[:2]]
    assert not tcp.sees_bound_only
    assert udp.sees_bound_only
    assert [spot.code for spot in tcp.blind_spots] == ["netlink-refused", "bound-not-visible", "v6only-hidden"]
    assert [spot.code for spot in udp.blind_spots] == ["netlink-refused"]
    remedy = tcp.blind_spots[0].remedy or ""
    assert ("modprobe tcp_diag udp_diag" in remedy) == (error == errno.EPROTONOSUPPORT)


@pytest.mark.usefixtures("_namespace")
@pytest.mark.parametrize("error", [errno.EOPNOTSUPP, errno.ENOENT])
def test_a_kernel_whose_modules_are_missing(error: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> NoReturn:
        raise OSError(error, os.strerror(error))

    monkeypatch.setattr(sock_diag, "dump", refuse)
    made = real_sockets.listener(80)
    found = everything("tcp", 80)
    assert [seen.inode for seen in found.sockets] == [inode(made)]
    assert "modprobe tcp_diag udp_diag" in (found.blind_spots[0].remedy or "")
    assert os.strerror(error) in found.blind_spots[0].message


@pytest.mark.usefixtures("_namespace")
def test_a_server_and_all_its_workers() -> None:
    """The inode leads to every process that holds it."""
    number = seccomp.numbers()["socket"]
    with ExitStack() as stack, real_sockets.listener(80):
        workers = [stack.enter_context(held_by_child(lambda: None)) for _ in range(4)]

        def holders() -> tuple[int, ...]:
            seccomp.refuse(number, first=socket.AF_NETLINK)
            (seen,) = everything("tcp", 80).sockets
            return descriptors.holders([seen.inode or 0]).pids[seen.inode or 0]

        found = in_child(holders)
        assert {os.getpid(), *(worker.pid for worker in workers)} <= set(found)


@pytest.mark.usefixtures("_namespace")
def test_without_such_a_proc_psutil_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> NoReturn:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    made = real_sockets.listener(80)
    monkeypatch.setattr(sock_diag, "dump", refuse)
    monkeypatch.setattr(procnet, "PLACES", ("no/such/place",))
    found = everything("tcp", 80)
    assert [(seen.inode, seen.uid) for seen in found.sockets] == [(inode(made), None)]
    assert "/proc/net" not in found.blind_spots[0].message
