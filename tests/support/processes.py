"""Processes that a test starts: children that hold sockets, and programs that end with the test.

    with held_by_child(lambda: listener(80)) as child:
        ...  # child.pid holds a listener with inode child.inodes[0]

A child is forked: it also holds the sockets that its parent has at that moment.
"""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, TypeVar

from support.libc import check, libc
from support.real_sockets import inodes_of

T = TypeVar("T")

NOBODY = 65534
SYSTEM_PYTHON = "/usr/bin/python3"
PR_SET_DUMPABLE = 4

# Holds a port as its arguments say, and prints `ready`: ADDRESS PORT [udp] [bound] [v6only] [reuseaddr] [name NAME]
HOLDER = r"""
import ctypes, socket, sys
address, port, *how = sys.argv[1:]
family = socket.AF_INET6 if ":" in address else socket.AF_INET
held = socket.socket(family, socket.SOCK_DGRAM if "udp" in how else socket.SOCK_STREAM)
if family == socket.AF_INET6:
    held.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, "v6only" in how)
if "reuseaddr" in how:
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
held.bind((address, int(port)))
if "udp" not in how and "bound" not in how:
    held.listen(16)
if "name" in how:
    name = how[how.index("name") + 1].encode("utf-8", "surrogateescape").decode("unicode_escape").encode("latin-1")
    ctypes.CDLL(None).prctl(15, name, 0, 0, 0)
print("ready", flush=True)
sys.stdin.read()
"""


# Programs.


def python(program: str, *args: str) -> list[str]:
    """A command that starts quickly."""
    return [SYSTEM_PYTHON, "-S", "-E", "-c", program, *args]


def child_of(pid: int) -> int:
    """The only child of a process."""
    (child,) = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return int(child)


def is_gone(pid: int) -> bool:
    """Whether a process has ended, even if nobody has asked how."""
    try:
        return "State:\tZ" in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return True


def end(program: subprocess.Popen[bytes]) -> None:
    """Ends a program of ours and everything in its session."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        if program.poll() is None or _group_lives(program.pid):
            try:
                os.killpg(program.pid, signal.SIGCONT)
                os.killpg(program.pid, number)
            except ProcessLookupError:
                break
        try:
            program.wait(3)
        except subprocess.TimeoutExpired:
            continue
    for pipe in (program.stdin, program.stdout, program.stderr):
        if pipe:
            pipe.close()


def _group_lives(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


# Children that run our own code.


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
    """(pid, result) of a process that stays until the end: `task` returns its result, and what to keep."""
    reader, writer = os.pipe()
    stay, leave = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        os.close(leave)
        _be_child(task, uid, writer, stay)
    os.close(writer)
    os.close(stay)
    try:
        with os.fdopen(reader, "rb") as pipe:
            result, failure = pickle.load(pipe)  # EOFError: the child died
        assert failure is None, failure
        yield pid, result
    finally:
        os.close(leave)
        os.waitpid(pid, 0)


def _be_child(task: Callable[[], tuple[object, object]], uid: int, writer: int, stay: int) -> None:
    result = failure = None
    kept = []
    try:
        if uid:
            become(uid)
        result, made = task()
        kept.append(made)
    except BaseException:
        failure = traceback.format_exc()
    try:
        with os.fdopen(writer, "wb") as pipe:
            pickle.dump((result, failure), pipe)
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
