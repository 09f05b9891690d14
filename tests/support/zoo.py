"""Network namespaces to throw away, and real sockets of every kind that portcheck must tell apart.

    with netns() as ns, ns.entered():       # this thread is in the namespace: make sockets, call portcheck
        with held_by_child(lambda: listener(80)) as child:
            ...                              # child.pid holds a listener with inode child.inodes[0]
        ns.run(["ss", "-ltn"])               # programs in it, as root or as anybody

A namespace has its own ports, so numbers can be fixed; at its end every socket that was made here is closed.
A child is forked: it also holds the sockets that its parent has at that moment.  What needs root or a kernel
feature skips the test where that is missing.
"""

from __future__ import annotations

import ctypes
import os
import pickle
import socket
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import pytest

T = TypeVar("T")

NOBODY = 65534
IPPROTO_MPTCP = 262
DEADLINE = 30.0  # seconds: for what is certain to happen, on a machine that is busy with something else
CLONE_FILES = 0x400
CLONE_NEWNET = 0x40000000
PR_SET_DUMPABLE = 4
# io_uring has the same numbers on every architecture (they were given after the tables were unified).
IO_URING_SETUP, IO_URING_REGISTER = 425, 427
IORING_REGISTER_FILES = 2

libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def check(result: int, what: str) -> int:
    """The result of a C function; OSError where it is -1."""
    if result == -1:
        raise OSError(ctypes.get_errno(), f"{what}: {os.strerror(ctypes.get_errno())}")
    return result


def wait_until(condition: Callable[[], T], what: str) -> T:
    """The first true result of `condition`, asked again and again until the deadline."""
    deadline = time.monotonic() + DEADLINE
    while not (result := condition()):
        assert time.monotonic() < deadline, f"never happened: {what}"
        time.sleep(0.002)
    return result


# Network namespaces.


class Namespace:
    """A network namespace of its own; `pid` is a process in it that holds it."""

    def __init__(self, pid: int) -> None:
        self.pid = pid

    def command(self, argv: Sequence[str], *, uid: int = 0) -> list[str]:
        """The command that runs `argv` in here, as another user if that is wanted."""
        user = ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", "--"] if uid else []
        return ["nsenter", f"--target={self.pid}", "--net", "--", *user, *argv]

    def run(self, argv: Sequence[str], *, uid: int = 0, **options: Any) -> subprocess.CompletedProcess[str]:
        """Runs a program to its end; its output as text.  Options as for subprocess.run (check is on)."""
        options = {"capture_output": True, "text": True, "timeout": 2 * DEADLINE, **options}
        return subprocess.run(self.command(argv, uid=uid), check=options.pop("check", True), **options)

    @contextmanager
    def popen(self, argv: Sequence[str], *, uid: int = 0, **options: Any) -> Iterator[subprocess.Popen[str]]:
        """Runs a program beside; it is killed at the end.  `pid` is its own (nsenter execs it)."""
        with subprocess.Popen(self.command(argv, uid=uid), text=True, **options) as process:
            try:
                yield process
            finally:
                process.kill()

    def ip(self, *commands: str) -> None:
        """`ip` commands, each as one string."""
        self.run(["ip", "-batch", "-"], input="\n".join(commands))

    @contextmanager
    def entered(self) -> Iterator[None]:
        """This thread is in here: the sockets that it makes, what it asks, and the children that it forks."""
        assert libc
        ours, theirs = Path("/proc/thread-self/ns/net"), Path(f"/proc/{self.pid}/ns/net")
        with ours.open("rb") as home, theirs.open("rb") as here:
            check(libc.setns(here.fileno(), CLONE_NEWNET), "setns")
            try:
                yield
            finally:
                check(libc.setns(home.fileno(), CLONE_NEWNET), "setns")


@contextmanager
def netns(*addresses: str) -> Iterator[Namespace]:
    """A fresh network namespace with lo up, and device v0 (a veth) with these addresses: "192.0.2.1/24"."""
    needs_root()
    with subprocess.Popen(
        ["unshare", "--net", "--", "sh", "-c", "ip link set lo up && echo ready && exec cat"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as keeper:
        assert keeper.stdin
        assert keeper.stdout
        try:
            if keeper.stdout.readline() != "ready\n":
                pytest.skip("no network namespace can be made here")
            namespace = Namespace(keeper.pid)
            if addresses:
                nodad = {True: " nodad", False: ""}
                namespace.ip(
                    "link add v0 type veth peer name v1",
                    "link set v0 up",
                    "link set v1 up",
                    *(f"addr add {address} dev v0{nodad[':' in address]}" for address in addresses),
                )
            yield namespace
        finally:
            close_all()
            keeper.stdin.close()  # cat ends, and with it the namespace, as soon as nobody else is in it


def needs_root() -> None:
    if sys.platform != "linux":
        pytest.skip("network namespaces need Linux")
    if os.geteuid() != 0:
        pytest.skip("a network namespace needs root")


# Processes.


class Child(NamedTuple):
    """A process that holds sockets until the context ends."""

    pid: int
    inodes: tuple[int, ...]


@contextmanager
def held_by_child(make: Callable[[], object], *, uid: int = 0) -> Iterator[Child]:
    """Forks a process that holds what `make` returns: sockets, or lists of them."""

    def hold() -> tuple[tuple[int, ...], object]:
        made = make()
        return tuple(inodes_of(made)), made

    with _forked(hold, uid) as (pid, inodes):
        yield Child(pid, inodes)


def in_child(task: Callable[[], T], *, uid: int = 0) -> T:
    """The result of `task` (anything that pickles), run by a forked process, as another user if wanted."""
    with _forked(lambda: (task(), None), uid) as (_, result):
        return result


@contextmanager
def _forked(task: Callable[[], tuple[T, object]], uid: int) -> Iterator[tuple[int, T]]:
    """(pid, what it told) of a process that stays until the end: `task` returns what to tell, and to keep."""
    told, tell = os.pipe()
    stay, leave = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(told)
        os.close(leave)
        _be_child(task, uid, tell, stay)
    os.close(tell)
    os.close(stay)
    try:
        with os.fdopen(told, "rb") as pipe:
            result, failure = pickle.load(pipe)  # EOFError: the child died
        assert failure is None, failure
        yield pid, result
    finally:
        os.close(leave)
        os.waitpid(pid, 0)


def _be_child(task: Callable[[], tuple[object, object]], uid: int, tell: int, stay: int) -> None:
    told = failure = None
    kept = []
    try:
        if uid:
            become(uid)
        told, made = task()
        kept.append(made)
    except BaseException:
        failure = traceback.format_exc()
    try:
        with os.fdopen(tell, "wb") as pipe:
            pickle.dump((told, failure), pipe)
        os.read(stay, 1)
    finally:
        os._exit(0)


def become(uid: int) -> None:
    """This process is that user's from now on, and visible to it as any that the user started."""
    assert libc
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    check(libc.prctl(PR_SET_DUMPABLE, 1, 0, 0, 0), "prctl")


def inodes_of(made: object) -> Iterator[int]:
    """What names the sockets in what a function made."""
    if isinstance(made, Hidden):
        yield made.inode
    elif isinstance(made, socket.socket):
        yield inode(made)
    elif isinstance(made, Iterable):
        for part in made:
            yield from inodes_of(part)


def inode(made: socket.socket) -> int:
    """What names a socket in sock_diag and in /proc/PID/fd."""
    return os.fstat(made.fileno()).st_ino


def port(made: socket.socket) -> int:
    number: int = made.getsockname()[1]
    return number


# Sockets.

_made: list[socket.socket] = []


def keep(made: socket.socket) -> socket.socket:
    """Sees to it that a socket lives until the namespace's end, or until somebody closes it."""
    _made.append(made)
    return made


def close_all() -> None:
    while _made:
        _made.pop().close()


def bound(
    number: int = 0,
    address: str = "127.0.0.1",
    *,
    kind: int = socket.SOCK_STREAM,
    protocol: int = 0,
    device: str | None = None,
    v6only: bool = False,
    reuseaddr: bool = False,
    reuseport: bool = False,
) -> socket.socket:
    """A socket that is bound, and does nothing else."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        made = keep(socket.socket(family, kind, protocol))
    except OSError as error:
        pytest.skip(f"this kernel makes no such socket: {error}")
    if family == socket.AF_INET6:
        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, v6only)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, reuseaddr)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, reuseport)
    if device:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device.encode())
    made.bind((address, number))
    return made


def udp(number: int = 0, address: str = "127.0.0.1", **options: Any) -> socket.socket:
    return bound(number, address, kind=socket.SOCK_DGRAM, **options)


def listener(number: int = 0, address: str = "127.0.0.1", *, backlog: int = 8, **options: Any) -> socket.socket:
    made = bound(number, address, **options)
    made.listen(backlog)
    return made


def reuseport_group(number: int, members: int, address: str = "127.0.0.1") -> list[socket.socket]:
    """Listeners that share a port by SO_REUSEPORT."""
    return [listener(number, address, reuseport=True) for _ in range(members)]


def client(to: socket.socket | tuple[str, int], number: int = 0, source: str | None = None) -> socket.socket:
    """A connection to a listener, from `source` and port `number` if they are given."""
    target = to.getsockname()[:2] if isinstance(to, socket.socket) else to
    wildcard = {"0.0.0.0": "127.0.0.1", "::": "::1"}
    address = wildcard.get(target[0], target[0])
    if number or source:
        made = bound(number, source or ("::" if ":" in address else "0.0.0.0"))
    else:
        made = keep(socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET))
    made.connect((address, target[1]))
    return made


def connected(server: socket.socket) -> tuple[socket.socket, socket.socket]:
    """(client, accepted) of a new connection to a listener."""
    return client(server), accepted(server)


def accepted(server: socket.socket) -> socket.socket:
    """A connection that waits at a listener."""
    return keep(server.accept()[0])


def close_wait(server: socket.socket) -> socket.socket:
    """An accepted connection whose client has gone: CLOSE_WAIT on the listener's port."""
    made, left = connected(server)
    left.settimeout(DEADLINE)
    made.close()
    assert left.recv(1) == b""  # its end has arrived
    return left


def fin_wait_orphan(server: socket.socket) -> socket.socket:
    """Leaves a FIN_WAIT2 entry without a process on the listener's port; returns the client that keeps it."""
    made, left = connected(server)
    left.close()
    made.settimeout(DEADLINE)
    assert made.recv(1) == b""
    wait_until(lambda: state_of(port(server), port(made)) == 5, "FIN_WAIT2")
    return made


def time_wait(server: socket.socket) -> tuple[int, int]:
    """Leaves a TIME_WAIT entry on the listener's port; returns its (local, remote) port."""
    made = fin_wait_orphan(server)
    ports = port(server), port(made)
    made.close()
    wait_until(lambda: state_of(*ports) == 6, "TIME_WAIT")
    return ports


def state_of(local: int, remote: int) -> int | None:
    """The kernel's number of a TCP connection's state, from /proc/net."""
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/thread-self/net/{table}").read_text().splitlines()[1:]:
            _, here, there, state, *_ = line.split()
            if int(here.rpartition(":")[2], 16) == local and int(there.rpartition(":")[2], 16) == remote:
                return int(state, 16)
    return None


# Sockets that no process has among its ordinary descriptors.


class Hidden(NamedTuple):
    """A socket without an ordinary descriptor, and what keeps it."""

    inode: int
    keeper: object


def in_flight(made: socket.socket) -> Hidden:
    """Sends a socket to nobody (SCM_RIGHTS) and closes it."""
    number = inode(made)
    sender, receiver = map(keep, socket.socketpair())
    socket.send_fds(sender, [b"x"], [made.fileno()])
    made.close()
    return Hidden(number, (sender, receiver))


def in_io_uring(made: socket.socket) -> Hidden:
    """Registers a socket with a new io_uring and closes it."""
    assert libc
    number = inode(made)
    try:
        ring = check(libc.syscall(IO_URING_SETUP, 4, ctypes.create_string_buffer(120)), "io_uring_setup")
    except OSError as error:
        pytest.skip(f"no io_uring here: {error}")
    files = (ctypes.c_int * 1)(made.fileno())
    check(libc.syscall(IO_URING_REGISTER, ring, IORING_REGISTER_FILES, files, 1), "io_uring_register")
    made.close()
    return Hidden(number, ring)


def in_thread_table(make: Callable[[], socket.socket]) -> Hidden:
    """Has a thread with descriptors of its own make a socket; it stays until the process ends."""
    numbers: list[int] = []
    ready = threading.Event()

    def work() -> None:
        assert libc
        check(libc.unshare(CLONE_FILES), "unshare")
        made = make()
        numbers.append(inode(made))
        ready.set()
        threading.Event().wait()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    assert ready.wait(DEADLINE)
    return Hidden(numbers[0], thread)
