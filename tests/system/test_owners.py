"""Who holds a socket: the exact set of processes, or the reason why none can be named."""

from __future__ import annotations

import errno
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from support import real_sockets
from support.namespaces import Host
from support.patience import wait_for
from support.processes import NOBODY, held_by_child, in_child
from support.real_sockets import Hidden, inode

from portcheck import check_all
from portcheck.observe.linux import descriptors, fd_walk, procfs, rare_holders, sock_diag
from portcheck.observe.linux.descriptors import Holders, holders

if sys.platform != "linux":
    pytest.skip("/proc is Linux's", allow_module_level=True)

NO_SUCH_INODE = 2**40
needs_named_files = pytest.mark.skipif(
    sock_diag.release() < (6, 16), reason="this kernel does not name the files of an io_uring"
)


@pytest.fixture(autouse=True)
def _namespace() -> Iterator[None]:
    with Host() as made, made.entered():
        yield


def pids_of(*inodes: int) -> list[tuple[int, ...]]:
    found = holders(inodes).pids
    return [found[each] for each in inodes]


# Ordinary holders


def test_our_own_socket() -> None:
    assert pids_of(inode(real_sockets.listener())) == [(os.getpid(),)]


def test_another_process() -> None:
    with held_by_child(real_sockets.listener) as child:
        assert pids_of(*child.inodes) == [(child.pid,)]


def test_many_sockets_of_many_processes_in_one_walk() -> None:
    with ExitStack() as stack:
        children = [
            stack.enter_context(held_by_child(lambda: [real_sockets.listener() for _ in range(20)])) for _ in range(5)
        ]
        found = holders([each for child in children for each in child.inodes])
        assert found.pids == {each: (child.pid,) for child in children for each in child.inodes}


def test_a_socket_that_was_inherited_has_every_process() -> None:
    """A server that forked its workers, some of which forked again."""
    shared = real_sockets.listener()
    with held_by_child(lambda: None) as one, held_by_child(lambda: None) as two:
        expected = sorted((os.getpid(), one.pid, two.pid))
        assert pids_of(inode(shared)) == [tuple(expected)]
        shared.close()
        with pytest.raises(OSError, match=os.strerror(errno.EBADF)):
            shared.getsockname()


def test_only_the_processes_that_still_hold_it() -> None:
    shared = real_sockets.listener()
    number = inode(shared)
    with held_by_child(lambda: None) as one:
        shared.close()
        assert pids_of(number) == [(one.pid,)]


def test_each_member_of_a_reuseport_group_has_its_own() -> None:
    with ExitStack() as stack:
        children = [
            stack.enter_context(held_by_child(lambda: real_sockets.listener(80, reuseport=True))) for _ in range(3)
        ]
        inodes = [child.inodes[0] for child in children]
        assert len(set(inodes)) == 3
        assert pids_of(*inodes) == [(child.pid,) for child in children]


def test_a_socket_with_two_descriptors_names_its_process_once() -> None:
    made = real_sockets.listener()
    with made.dup():
        assert pids_of(inode(made)) == [(os.getpid(),)]


def test_udp_and_multipath() -> None:
    made = [real_sockets.udp(), real_sockets.listener(protocol=real_sockets.IPPROTO_MPTCP)]
    assert pids_of(*map(inode, made)) == [(os.getpid(),)] * 2


def test_a_process_is_read_until_everything_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The listener of a busy server comes before its thousands of connections."""
    if sys.implementation.name != "cpython":
        pytest.skip("a set's intersection ends early in CPython")
    server = real_sockets.listener()
    kept = [real_sockets.udp() for _ in range(100)]
    before = sum(int(name) < server.fileno() for name in os.listdir("/proc/self/fd"))
    read: list[str] = []
    real = os.readlink

    def readlink(name: str, *, dir_fd: int) -> str:
        read.append(name)
        return real(name, dir_fd=dir_fd)

    monkeypatch.setattr(os, "readlink", readlink)
    link = f"socket:[{inode(server)}]"
    assert fd_walk.held_links("self/fd", frozenset([link])).links == {link}
    assert len(read) == before + 1 < len(kept)


def test_nothing_asked_nothing_found() -> None:
    assert holders([]) == Holders({})
    assert holders([0]).pids == {}


def test_a_socket_that_does_not_exist_has_nobody() -> None:
    assert pids_of(NO_SUCH_INODE) == [()]


# Rare holders


@needs_named_files
def test_a_socket_that_is_registered_with_an_io_uring() -> None:
    with held_by_child(lambda: real_sockets.in_io_uring(real_sockets.listener())) as child:
        assert pids_of(*child.inodes) == [(child.pid,)]


def test_where_the_kernel_does_not_name_the_files_of_an_io_uring_its_owner_is_only_possible(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Before Linux 6.16, whose lines are made here of those that a younger one writes."""
    real = procfs.read
    monkeypatch.setattr(
        procfs, "read", lambda path, *most: re.sub(rb"socket:\[\d+\]", b"TCP", real(path, *most) or b"")
    )
    with held_by_child(lambda: real_sockets.in_io_uring(real_sockets.listener(8000))) as child:
        found = holders(child.inodes)
        assert found.pids == {child.inodes[0]: ()}
        assert child.pid in found.nameless
        assert not found.complete
        (diagnosis,) = check_all(["8000"])
        assert [owner.pid for owner in diagnosis.owners] == [None]
        spots = {spot.code: spot for spot in diagnosis.blind_spots}
        assert str(child.pid) in spots["io-uring-unnamed"].message
        assert "no-process" not in spots
        assert spots["owner-hidden"].remedy is None or os.getuid()


def test_a_ring_without_sockets_makes_nobody_a_possible_owner() -> None:
    with open(os.devnull) as file, held_by_child(lambda: real_sockets.ring_with(file.fileno())) as child:
        assert child.pid not in holders([NO_SUCH_INODE]).nameless


def test_a_thread_with_its_own_descriptors() -> None:
    with held_by_child(lambda: real_sockets.in_thread_table(real_sockets.listener)) as child:
        assert pids_of(*child.inodes) == [(child.pid,)]


def test_where_threads_cannot_be_compared_each_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rare_holders, "_KCMP_NUMBERS", {})
    with held_by_child(lambda: real_sockets.in_thread_table(real_sockets.listener)) as child:
        assert pids_of(*child.inodes) == [(child.pid,)]


@needs_named_files
def test_a_ring_in_a_threads_own_descriptors() -> None:
    def make() -> Hidden:
        numbers: list[int] = []

        def ring() -> socket.socket:
            kept = real_sockets.in_io_uring(real_sockets.listener())
            numbers.append(kept.inode)
            return real_sockets.udp()

        kept = real_sockets.in_thread_table(ring)
        return Hidden(numbers[0], kept)

    with held_by_child(make) as child:
        assert pids_of(*child.inodes) == [(child.pid,)]


def test_threads_that_share_their_descriptors_are_not_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    if not rare_holders._comparison()(os.getpid(), os.getpid()):
        pytest.skip("this kernel has no kcmp(2)")
    read: list[str] = []
    real = fd_walk.held_links

    def held_links(table: str, wanted: frozenset[str], at_most: int) -> fd_walk.Held:
        read.append(table)
        return real(table, wanted, at_most)

    monkeypatch.setattr(fd_walk, "held_links", held_links)

    def with_threads() -> None:
        import threading

        for _ in range(3):
            threading.Thread(target=threading.Event().wait, daemon=True).start()

    with held_by_child(with_threads) as child:
        assert pids_of(NO_SUCH_INODE) == [()]
        assert len(list(Path(f"/proc/{child.pid}/task").iterdir())) == 4
        assert {table for table in read if table.startswith(f"{child.pid}/")} == {f"{child.pid}/fd"}


def test_a_holder_whose_main_thread_has_ended() -> None:
    """The process shows as a zombie without descriptors; its other threads go on."""
    program = """
import ctypes, os, socket, sys, threading
server = socket.socket(); server.bind(("127.0.0.1", 0)); server.listen()
print(os.fstat(server.fileno()).st_ino, flush=True)
threading.Thread(target=sys.stdin.read).start()
ctypes.CDLL(None).syscall({exit}, 0)
"""
    number = {"x86_64": 60, "aarch64": 93, "riscv64": 93}.get(os.uname().machine)
    if number is None:
        pytest.skip("needs the number of exit(2) here")
    with subprocess.Popen(
        [sys.executable, "-c", program.replace("{exit}", str(number))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout
        assert process.stdin
        found = int(process.stdout.readline())
        wait_for(lambda: _state(process.pid) == "Z", "the main thread ends")
        assert pids_of(found) == [(process.pid,)]
        process.stdin.close()


def _state(pid: int) -> str | None:
    stat = procfs.stat(pid)
    return stat and stat.state


def test_a_socket_in_flight_has_nobody() -> None:
    with held_by_child(lambda: real_sockets.in_flight(real_sockets.listener())) as child:
        assert pids_of(*child.inodes) == [()]


# What cannot be seen


def test_an_ordinary_user_does_not_see_roots_holder() -> None:
    with held_by_child(real_sockets.listener) as child:
        found = in_child(lambda: holders(child.inodes), uid=NOBODY)
        assert found.pids == {child.inodes[0]: ()}
        assert found.hidden
        assert not found.complete


def test_an_ordinary_user_sees_its_own_processes() -> None:
    with held_by_child(real_sockets.listener, uid=NOBODY) as child:
        assert in_child(lambda: holders(child.inodes), uid=NOBODY).pids == {child.inodes[0]: (child.pid,)}


def test_zombies_and_kernel_threads_hide_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """They cannot be looked at either, but there is nothing to see: only the living process counts."""
    kernel_threads = {pid for pid in procfs.process_ids() if (stat := procfs.stat(pid)) and stat.is_kernel_thread}
    with subprocess.Popen(["true"]) as zombie, held_by_child(real_sockets.listener) as living:
        wait_for(lambda: _state(zombie.pid) == "Z", "a zombie")
        monkeypatch.setattr(procfs, "process_ids", lambda: {zombie.pid, living.pid, *kernel_threads})
        assert in_child(lambda: holders([NO_SUCH_INODE]).hidden, uid=NOBODY) == 1
        assert _state(zombie.pid) == "Z"


def test_a_pid_namespace_hides_what_is_outside() -> None:
    made = real_sockets.listener()
    answer = _in_unshared(["--pid", "--fork", "--mount-proc"], inode(made))
    assert answer == Holders({inode(made): ()}, pid_namespace=True)
    assert not answer.complete
    assert not holders([inode(made)]).pid_namespace


def test_hidepid_hides_other_users() -> None:
    made = real_sockets.listener()
    nobody = f"setpriv --reuid={NOBODY} --regid={NOBODY} --clear-groups"  # group 0 would see everything
    before = f"mount -t proc -o hidepid=2 proc /proc && exec {nobody}"
    answer = _in_unshared(["--mount"], inode(made), before=before)
    assert answer.pids == {inode(made): ()}
    assert answer.unlisted
    assert not answer.complete


def _in_unshared(options: list[str], wanted: int, before: str = "exec") -> Holders:
    """What a process in other namespaces finds; run by the system's Python, which every user can read."""
    python = "/usr/bin/python3"
    if not os.access(python, os.X_OK):
        pytest.skip(f"needs {python}")
    root = Path(descriptors.__file__).parents[3]
    program = f"from portcheck.observe.linux.descriptors import holders; print(tuple(holders([{wanted}])))"
    done = subprocess.run(
        ["unshare", *options, "--", "sh", "-c", f'{before} "$@"', "sh", python, "-c", program],
        env={"PYTHONPATH": str(root), "PYTHONDONTWRITEBYTECODE": "1", "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )
    if "unshare:" in done.stderr or "mount:" in done.stderr:
        pytest.skip(f"no such namespace here: {done.stderr}")
    assert done.returncode == 0, done.stderr
    return Holders(*eval(done.stdout, {"__builtins__": {}}))


def test_without_proc_nobody_is_found_and_that_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(procfs, "process_ids", set)
    found = holders([NO_SUCH_INODE])
    assert found.unlisted
    assert not found.complete


def test_complete_is_when_everything_was_seen() -> None:
    assert Holders({}).complete
    assert not any(
        partly.complete
        for partly in (Holders({}, hidden=1), Holders({}, unlisted=True), Holders({}, pid_namespace=True))
    )


# Races


def test_processes_that_come_and_go_are_no_error() -> None:
    """The walk meets processes and descriptors that vanish under it; the lasting holder is always found."""
    with (
        held_by_child(real_sockets.listener) as child,
        subprocess.Popen(["sh", "-c", "while :; do true & : </dev/null & wait; done"], process_group=0) as churn,
    ):
        try:
            for _ in range(60):
                assert pids_of(*child.inodes, NO_SUCH_INODE) == [(child.pid,), ()]
            assert churn.poll() is None
        finally:
            os.killpg(churn.pid, signal.SIGKILL)


def test_a_descriptor_that_closes_in_between_does_not_hide_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = real_sockets.listener()
    real = os.listdir

    def listdir(path: int | str) -> list[str]:
        names = real(path)
        return ["99999", *names] if isinstance(path, int) else names

    monkeypatch.setattr(os, "listdir", listdir)
    assert pids_of(inode(made)) == [(os.getpid(),)]


def test_a_holder_that_handed_over_while_we_looked_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that began after the first listing of /proc."""
    with held_by_child(real_sockets.listener) as child:
        real = procfs.process_ids
        listings = iter([real() - {child.pid}])
        monkeypatch.setattr(procfs, "process_ids", lambda: next(listings, None) or real())
        assert pids_of(*child.inodes) == [(child.pid,)]
