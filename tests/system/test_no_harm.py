"""Looking changes nothing: no server fails to start because of it, and nothing is left behind.

One thing is the kernel's: while somebody reads /proc/PID/fd it holds each file for a moment, so a socket that is closed
at that very instant is let go a little later.  `ls /proc/PID/fd` in a loop makes about one of 10,000 restarts in a
tight loop fail once.  So root, who may read that, may cost a server one try here and there; an ordinary user none.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Callable, Iterator
from typing import NamedTuple

import pytest
from support.kernel_lab import in_namespace, needs_lab
from support.processes import NOBODY, become

from portcheck.api import check
from portcheck.observe.linux import sock_diag

pytestmark = needs_lab

STARTS = 10_000
QUESTIONS = 300
PORT = 8_000
ROOT = 0
REFUSED_ONCE_AT_MOST = 1 / 5_000  # of the starts while root asks; see above
EVERY_STATE = 0x2FFF  # and the bound-only sockets


class Seen(NamedTuple):
    starts: int
    refused_once: int  # and started at the next try
    failures: list[str]
    questions: int
    before: list[str]
    after: list[str]


@pytest.mark.parametrize(
    ("uid", "probe"),
    [(ROOT, True), (ROOT, False), (NOBODY, True)],
    ids=["root", "root with --no-probe", "an ordinary user"],
)
def test_a_server_that_restarts_all_the_time_never_fails(uid: int, probe: bool, report: Callable[[str], None]) -> None:
    seen = in_namespace(restart_while_asking, uid, probe)
    report(
        f"no harm, uid {uid} {'probing' if probe else 'without probing'}: {seen.starts} starts of a server while"
        f" portcheck asked {seen.questions} times: {seen.refused_once} refused once, {len(seen.failures)} failed"
    )
    assert seen.failures == []
    assert seen.refused_once <= (seen.starts * REFUSED_ONCE_AT_MOST if uid == ROOT else 0)
    assert (seen.starts >= STARTS, seen.questions >= QUESTIONS) == (True, True)
    assert seen.before == seen.after


def restart_while_asking(uid: int, probe: bool) -> Seen:
    before = sockets()
    failures: list[str] = []
    starts = refused_once = 0
    with asking(uid, probe) as count:
        while starts < STARTS or count() < QUESTIONS:
            starts += 1
            if refusal():
                refused_once += 1
                failures += [f"start {starts}: {again}" for again in [refusal()] if again]
    return Seen(starts, refused_once, failures, count(), before, sockets())


def refusal() -> OSError | None:
    """Why a server cannot be started; it ends at once."""
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            server.bind(("0.0.0.0", PORT))
            server.listen(16)
        except OSError as error:
            return error
    return None


@contextlib.contextmanager
def asking(uid: int, probe: bool) -> Iterator[Callable[[], int]]:
    """A process of this user that asks portcheck about the port until the end; how often it has asked so far."""
    import mmap

    shared = mmap.mmap(-1, 16)
    pid = os.fork()
    if pid == 0:
        check(PORT, probe=probe)  # imports what this user could not
        if uid:
            become(uid)
        while not shared[0]:
            check(PORT, probe=probe)
            shared[8:16] = (int.from_bytes(shared[8:16], "little") + 1).to_bytes(8, "little")
        os._exit(0)
    try:
        yield lambda: int.from_bytes(shared[8:16], "little")
    finally:
        shared[0] = 1
        assert os.waitpid(pid, 0)[1] == 0, "the asker failed"


def sockets() -> list[str]:
    """Every socket of the namespace, as the kernel lists them."""
    found = [*sock_diag.dump("tcp", None, EVERY_STATE & ~(1 << 13)), *sock_diag.dump("tcp", None, 1 << 13)]
    return sorted(map(str, [*found, *sock_diag.dump("udp", None, EVERY_STATE)]))
