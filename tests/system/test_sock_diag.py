"""Sockets of every kind as sock_diag shows them, in a network namespace of their own."""

from __future__ import annotations

import os
import random
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import pytest
from support import real_sockets
from support.namespaces import Host
from support.processes import NOBODY, held_by_child, in_child
from support.real_sockets import inode, port

from portcheck.model import PortRange, Socket, SocketTable
from portcheck.observe.linux import cgroups, procnet, sock_diag
from portcheck.observe.portable import sockets as portable_sockets
from portcheck.observe.system import BACK_END

if TYPE_CHECKING:
    from portcheck.model import Protocol

if sys.platform != "linux":
    pytest.skip("sock_diag is Linux's", allow_module_level=True)

LINK_LOCAL = "fe80::99"
needs_bound_only = pytest.mark.skipif(
    not sock_diag.sees_bound_only(may_bind=True), reason="this kernel does not list bound-only sockets"
)


@pytest.fixture
def namespace() -> Iterator[Host]:
    with Host(["192.0.2.1/24", "2001:db8::1/64", f"{LINK_LOCAL}/64"], devices=("v0", "v1")) as made, made.entered():
        yield made


def everything(protocol: Protocol = "tcp", *ports: int) -> SocketTable:
    ranges = [PortRange(number, number) for number in ports] or None
    return BACK_END.sockets(protocol, ranges, depth="everything", may_bind=False)


def only(table: SocketTable) -> Socket:
    (found,) = table.sockets
    return found


def shown(made: socket.socket, protocol: Protocol = "tcp") -> Socket:
    """What the table has about a socket."""
    (found,) = [seen for seen in everything(protocol, port(made)).sockets if seen.inode == inode(made)]
    return found


# What a socket is


def test_a_listener(namespace: Host) -> None:
    made = real_sockets.listener(80, "0.0.0.0", backlog=5)
    assert shown(made)._replace(cookie=None) == Socket(
        protocol="tcp", family="ipv4", local_address="0.0.0.0", local_port=80, state="LISTEN", uid=0, queue=0,
        backlog=5, inode=inode(made), cgroup_id=shown(made).cgroup_id,
    )  # fmt: skip


@pytest.mark.parametrize("v6only", [True, False])
def test_an_ipv6_listener_tells_whether_it_takes_ipv4(namespace: Host, v6only: bool) -> None:
    made = shown(real_sockets.listener(80, "::", v6only=v6only))
    assert (made.family, made.local_address, made.v6only) == ("ipv6", "::", v6only)


@needs_bound_only
@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0", "::1", "::", "2001:db8::1", "::ffff:127.0.0.1"])
def test_a_bound_socket(namespace: Host, address: str) -> None:
    made = shown(real_sockets.bound(80, address))
    assert (made.state, made.local_address, made.queue, made.uid) == ("BOUND", address, None, 0)
    assert made.v6only == (None if "." in address and ":" not in address else address in ("::1", "2001:db8::1"))


@needs_bound_only
def test_a_listener_that_was_shut_down_is_bound_again(namespace: Host) -> None:
    made = real_sockets.listener(80)
    made.shutdown(socket.SHUT_RDWR)
    assert shown(made).state == "BOUND"


@needs_bound_only
def test_a_refused_client_stays_bound(namespace: Host) -> None:
    made = real_sockets.bound(80)
    with pytest.raises(ConnectionRefusedError):
        made.connect(("127.0.0.1", 81))
    assert shown(made).state == "BOUND"


def test_queue_and_backlog(namespace: Host) -> None:
    server = real_sockets.listener(80, backlog=3)
    waiting = [real_sockets.client(server) for _ in range(4)]
    assert (shown(server).queue, shown(server).backlog) == (len(waiting), 3)
    real_sockets.accepted(server).close()
    assert shown(server).queue == 3


def test_what_waits_for_accept_has_no_holder_of_its_own(namespace: Host) -> None:
    server = real_sockets.listener(80)
    waiting = real_sockets.client(server)
    (child,) = [seen for seen in everything("tcp", 80).sockets if seen.state == "ESTABLISHED"]
    assert (child.remote_port, child.inode, child.pids) == (port(waiting), 0, ())


def test_both_ends_of_a_connection(namespace: Host) -> None:
    client, accepted = real_sockets.connected(real_sockets.listener(80))
    for near, far in ((client, accepted), (accepted, client)):
        seen = shown(near)
        assert (seen.state, seen.local_port) == ("ESTABLISHED", port(near))
        assert (seen.remote_address, seen.remote_port) == ("127.0.0.1", port(far))


def test_ipv4_clients_of_a_dual_stack_listener_have_mapped_addresses(namespace: Host) -> None:
    server = real_sockets.listener(80, "::")
    client = real_sockets.client(("127.0.0.1", 80))
    seen = shown(real_sockets.accepted(server))
    assert (seen.family, seen.local_address, seen.remote_address) == (
        "ipv6", "::ffff:127.0.0.1", "::ffff:127.0.0.1",
    )  # fmt: skip
    assert shown(client).family == "ipv4"


def test_time_wait(namespace: Host) -> None:
    server = real_sockets.listener(80)
    _, remote = real_sockets.time_wait(server)
    server.close()
    seen = only(everything("tcp", 80))
    assert (seen.state, seen.remote_port, seen.inode, seen.pids) == ("TIME-WAIT", remote, 0, ())
    assert seen.expires_in is not None
    assert 0 < seen.expires_in <= 60
    assert not seen.minisocket


def test_an_orphan_in_fin_wait_2_is_a_minisocket(namespace: Host) -> None:
    server = real_sockets.listener(80)
    kept = real_sockets.fin_wait_orphan(server)
    server.close()
    seen = only(everything("tcp", 80))
    assert (seen.state, seen.minisocket, seen.inode, seen.pids) == ("FIN-WAIT-2", True, 0, ())
    assert seen.remote_port == port(kept)
    assert seen.expires_in is not None


def test_an_orphan_that_waits_longer_is_not(namespace: Host) -> None:
    server = real_sockets.listener(80)
    server.setsockopt(socket.IPPROTO_TCP, socket.TCP_LINGER2, 100)
    kept = real_sockets.fin_wait_orphan(server)
    server.close()
    seen = only(everything("tcp", 80))
    assert (seen.state, seen.minisocket, seen.expires_in) == ("FIN-WAIT-2", False, None)
    assert seen.remote_port == port(kept)


def test_close_wait(namespace: Host) -> None:
    assert shown(real_sockets.close_wait(real_sockets.listener(80))).state == "CLOSE-WAIT"


@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0", "::1", "::", "::ffff:127.0.0.1"])
def test_udp(namespace: Host, address: str) -> None:
    made = shown(real_sockets.udp(80, address), "udp")
    assert (made.protocol, made.local_address, made.state, made.remote_port) == ("udp", address, None, None)


def test_connected_udp(namespace: Host) -> None:
    made = real_sockets.udp(80)
    made.connect(("127.0.0.2", 81))
    seen = shown(made, "udp")
    assert (seen.state, seen.remote_address, seen.remote_port) == (None, "127.0.0.2", 81)


def test_the_device_it_is_bound_to(namespace: Host) -> None:
    assert shown(real_sockets.listener(80, "0.0.0.0", device="v0")).interface == "v0"
    scoped = real_sockets.keep(socket.socket(socket.AF_INET6))
    scoped.bind((LINK_LOCAL, 81, 0, socket.if_nametoindex("v0")))
    scoped.listen()
    assert (shown(scoped).local_address, shown(scoped).interface) == (LINK_LOCAL, "v0")


def test_another_users_socket_shows_its_user(namespace: Host) -> None:
    with held_by_child(lambda: real_sockets.listener(8080), uid=NOBODY) as child:
        seen = only(everything("tcp", 8080))
        assert (seen.uid, seen.inode) == (NOBODY, child.inodes[0])


def test_an_ordinary_user_sees_the_same(namespace: Host) -> None:
    kept = [
        real_sockets.listener(80),
        real_sockets.bound(81),
        real_sockets.udp(82),
        *real_sockets.connected(real_sockets.listener(83)),
    ]
    ours = everything(), everything("udp")
    theirs = in_child(lambda: (everything(), everything("udp")), uid=NOBODY)
    assert [set(table.sockets) for table in theirs] == [set(table.sockets) for table in ours]
    assert sum(len(table.sockets) for table in ours) >= len(kept)


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_multipath_sockets_are_known(namespace: Host, address: str) -> None:
    server = real_sockets.listener(80, address, protocol=real_sockets.IPPROTO_MPTCP)
    plain = real_sockets.listener(81, address)
    kept = real_sockets.udp(82)
    assert {inode(server), inode(plain)} <= {seen.inode for seen in everything().sockets}
    assert sock_diag.multipath(everything()) == frozenset([inode(server)])
    assert sock_diag.multipath(everything("udp", port(kept))) is None


@pytest.mark.skipif(sock_diag.release() < (6, 2), reason="this kernel does not count its multipath sockets")
def test_where_the_kernel_counts_no_multipath_socket_none_is_asked_for(
    namespace: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object) -> NoReturn:
        raise AssertionError("was asked for")

    if not Path("/proc/sys/net/mptcp/enabled").exists():
        pytest.skip("this kernel has no MPTCP")
    plain = real_sockets.listener(80)
    table = everything()
    with monkeypatch.context() as patched:
        patched.setattr(sock_diag, "mptcp_inodes", never)
        assert (sock_diag.multipath(table), len(table.sockets)) == (frozenset(), 1)
    patched.setattr(sock_diag, "_FIRST_WITH_MPTCP_COUNTED", (99, 0))
    with patched.context() as older, pytest.raises(AssertionError):
        older.setattr(sock_diag, "mptcp_inodes", never)
        sock_diag.multipath(table)
    assert plain.fileno() >= 0


def test_listeners_are_completed_without_reading_them_again(namespace: Host) -> None:
    bound = real_sockets.bound(80)
    server = real_sockets.listener(81)
    listeners = BACK_END.sockets("tcp", None, depth="listeners", may_bind=False)
    kept = real_sockets.connected(server)
    whole = BACK_END.with_connections(listeners, None)
    assert whole.depth == "everything"
    assert sorted(whole.sockets, key=str) == sorted(everything().sockets, key=str)
    assert {inode(made) for made in (server, *kept)} <= {seen.inode for seen in whole.sockets}
    bound.connect(server.getsockname())  # seen before as bound, and now as connected: it is one socket
    states = [seen.state for seen in BACK_END.with_connections(listeners, None).sockets if seen.inode == inode(bound)]
    assert states == ["ESTABLISHED"]


def test_multipath_lists_nothing_that_tcp_does_not(namespace: Host) -> None:
    server = real_sockets.listener(80, protocol=real_sockets.IPPROTO_MPTCP)
    client = real_sockets.keep(socket.socket(socket.AF_INET, socket.SOCK_STREAM, real_sockets.IPPROTO_MPTCP))
    client.connect(("127.0.0.1", 80))
    kept = [client, real_sockets.accepted(server), real_sockets.bound(81, protocol=real_sockets.IPPROTO_MPTCP)]
    found = sock_diag.mptcp_inodes(None)
    assert found >= {inode(made) for made in (server, *kept[:2])}
    assert found <= {seen.inode for seen in everything().sockets}


def test_the_cgroup_in_which_it_was_made(namespace: Host) -> None:
    place = cgroups.find_hierarchy(Path("/proc/self/mountinfo").read_bytes())
    if not place:
        pytest.skip("no cgroup v2 hierarchy here")
    group = Path(place[0], f"portcheck-test-{os.getpid()}", "inner one")
    try:
        group.mkdir(parents=True)
    except OSError as error:
        pytest.skip(f"no cgroup can be made: {error}")
    try:

        def listener_in_group() -> socket.socket:
            (group / "cgroup.procs").write_text("0")
            return real_sockets.listener(80)

        with held_by_child(listener_in_group):
            found = only(everything("tcp", 80)).cgroup_id
            assert found is not None
            path = place[1].rstrip("/") + f"/{group.parent.name}/{group.name}"
            assert cgroups.cgroup_paths([found]) == {found: path}
    finally:
        group.rmdir()
        group.parent.rmdir()


def test_a_cgroup_that_is_gone_has_no_path() -> None:
    assert cgroups.cgroup_paths([2**60]) == {2**60: None}


# Which sockets are listed


def test_the_kernel_filters_by_port(namespace: Host) -> None:
    """Every port set that was tried gives the same as filtering the whole table."""
    kept = [real_sockets.listener(number, address) for number in range(1000, 1040) for address in ("127.0.0.1", "::1")]
    kept += [real_sockets.bound(number) for number in range(1040, 1080)]
    kept += [real_sockets.udp(number, address) for number in range(1000, 1040) for address in ("127.0.0.1", "::1")]
    whole: dict[Protocol, tuple[Socket, ...]]
    whole = {"tcp": everything("tcp").sockets, "udp": everything("udp").sockets}
    assert sum(map(len, whole.values())) == len(kept) or not sock_diag.sees_bound_only(may_bind=True)
    chance = random.Random(80)
    for count in (1, 2, 3, 10, 64, 256, 257, 600):
        firsts = [chance.randrange(990, 1090) for _ in range(count)]
        wanted = [PortRange(first, first + chance.choice((0, 0, 0, 1, 5))) for first in firsts]
        for protocol, sockets_of_all in whole.items():
            found = BACK_END.sockets(protocol, wanted, depth="everything", may_bind=False).sockets
            assert set(found) == {seen for seen in sockets_of_all if any(seen.local_port in r for r in wanted)}
            assert len(found) == len(set(found))


def test_the_last_and_the_first_port(namespace: Host) -> None:
    made = [real_sockets.listener(1), real_sockets.listener(65535)]
    wanted = [PortRange(1, 1), PortRange(65535, 65535)]
    found = BACK_END.sockets("tcp", wanted, depth="listeners", may_bind=False).sockets
    assert {seen.inode for seen in found} == {inode(each) for each in made}


def test_no_ports_have_no_sockets(namespace: Host) -> None:
    kept = [real_sockets.listener(80), real_sockets.udp(80)]
    protocols: tuple[Protocol, ...] = ("tcp", "udp")
    for protocol in protocols:
        assert BACK_END.sockets(protocol, [], depth="everything", may_bind=False).sockets == ()
    assert len(kept) == 2


def test_listeners_come_without_connections(namespace: Host) -> None:
    server = real_sockets.listener(80)
    kept = real_sockets.connected(server)
    found = BACK_END.sockets("tcp", [PortRange(80, 80)], depth="listeners", may_bind=False)
    assert (only(found).state, found.depth) == ("LISTEN", "listeners")
    assert len(everything("tcp", 80).sockets) == len(kept)


@needs_bound_only
def test_a_server_that_starts_between_two_dumps_is_seen(namespace: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    server = real_sockets.bound(80)
    real = sock_diag.dump
    asked: list[object] = []

    def dump(*arguments: Any) -> list[Socket]:
        if asked:
            server.listen()
        asked.append(arguments)
        return real(*arguments)

    monkeypatch.setattr(sock_diag, "dump", dump)
    assert only(everything("tcp", 80)).state == "LISTEN"
    assert len(asked) == 2


# Whether bound-only sockets show


@pytest.mark.parametrize("loopback_up", [True, False])
def test_whether_bound_only_sockets_show_is_found_out_and_leaves_nothing(namespace: Host, loopback_up: bool) -> None:
    if not loopback_up:
        namespace.ip("link set lo down", "addr flush dev lo")
    before = everything().sockets
    for may_bind in (True, False):
        assert sock_diag.sees_bound_only.__wrapped__(may_bind=may_bind) == _bound_only_shows()
    assert everything().sockets == before


def _bound_only_shows() -> bool:
    with real_sockets.bound(0, "0.0.0.0") as made:
        return any(seen.inode == inode(made) for seen in sock_diag.dump("tcp", None, sock_diag.BOUND_ONLY))


def test_a_kernel_that_does_not_show_them_is_a_blind_spot(namespace: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sock_diag, "BOUND_ONLY", 1 << 31)  # a state that no kernel knows
    sock_diag.sees_bound_only.cache_clear()
    try:
        found = BACK_END.sockets("tcp", None, depth="listeners", may_bind=True)
    finally:
        sock_diag.sees_bound_only.cache_clear()
    assert not found.sees_bound_only
    assert [spot.code for spot in found.blind_spots] == ["bound-not-visible"]


# Where the kernel refuses


def test_where_everything_is_refused_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> NoReturn:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(sock_diag, "dump", refuse)
    monkeypatch.setattr(procnet, "PLACES", ("no/such/place",))
    monkeypatch.setattr("psutil.net_connections", refuse)
    found = everything()
    assert found.sockets == ()
    assert [spot.code for spot in found.blind_spots] == [
        "netlink-refused", "sockets-not-visible", "bound-not-visible",
    ]  # fmt: skip
    assert not portable_sockets.table("tcp", None, "listeners", portable_sockets.LINUX).sees_bound_only


# No harm


@pytest.mark.skipif(not shutil.which("strace"), reason="needs strace")
@pytest.mark.parametrize("may_bind", [False, True])
def test_looking_only_asks(tmp_path: Path, may_bind: bool) -> None:
    """By its system calls: nothing is connected, listened on or set, and bound only where that is allowed."""
    program = f"""
from portcheck.observe import interfaces
from portcheck.observe.system import BACK_END
from portcheck.observe.linux import descriptors, kernel_ports
for protocol in ("tcp", "udp"):
    for depth in ("listeners", "everything"):
        table = BACK_END.sockets(protocol, None, depth=depth, may_bind={may_bind})
        descriptors.holders([1, *(seen.inode for seen in table.sockets)])
interfaces.local_addresses(), interfaces.is_local("192.0.2.77"), kernel_ports.kernel_owned()
"""
    log = tmp_path / "trace"
    done = subprocess.run(
        [
            "strace",
            "-f",
            "-qq",
            "-e",
            "trace=%network,kill,tgkill,ptrace",
            "-o",
            str(log),
            sys.executable,
            "-c",
            program,
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    if "Operation not permitted" in done.stderr:
        pytest.skip("strace is not allowed here")
    assert done.returncode == 0, done.stderr
    calls = [line.split(maxsplit=1)[1] for line in log.read_text().splitlines()]
    names = {call.partition("(")[0] for call in calls}
    binds = [call for call in calls if call.startswith("bind(")]
    assert names - {"bind", "getsockname"} <= {"socket", "sendto", "recvmsg"}
    assert all("nlmsg_len" in call for call in calls if call.startswith("sendto("))
    assert len(binds) == may_bind
    assert all('sin_port=htons(0), sin_addr=inet_addr("127.0.0.1")' in call for call in binds)
