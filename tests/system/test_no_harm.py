"""Looking changes nothing: no server fails to start because of it, and nothing is left behind."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Callable, Iterator
from typing import NamedTuple

import pytest
from support.kernel_lab import in_namespace, needs_lab

from portcheck.api import check
from portcheck.observe.linux import sock_diag

pytestmark = needs_lab

STARTS = 10_000
QUESTIONS = 300
PORT = 8_000
EVERY_STATE = 0x2FFF  # and the bound-only sockets


class Seen(NamedTuple):
    starts: int
    failures: list[str]
    questions: int
    before: list[str]
    after: list[str]


@pytest.mark.parametrize("probe", [True, False], ids=["by default", "with --no-probe"])
def test_a_server_that_restarts_all_the_time_never_fails(probe: bool, report: Callable[[str], None]) -> None:
    seen = in_namespace(restart_while_asking, probe)
    report(
        f"no harm, {'probing' if probe else 'without probing'}: {seen.starts} starts of a server while portcheck asked"
        f" {seen.questions} times: {len(seen.failures)} failed"
    )
    assert seen.failures == []
    assert (seen.starts >= STARTS, seen.questions >= QUESTIONS) == (True, True)
    assert seen.before == seen.after


def restart_while_asking(probe: bool) -> Seen:
    before = sockets()
    failures = []
    starts = 0
    with asking(probe) as count:
        while starts < STARTS or count() < QUESTIONS:
            starts += 1
            with socket.socket() as server:
                server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    server.bind(("0.0.0.0", PORT))
                    server.listen(16)
                except OSError as error:
                    failures.append(f"start {starts}: {error}")
    return Seen(starts, failures, count(), before, sockets())


@contextlib.contextmanager
def asking(probe: bool) -> Iterator[Callable[[], int]]:
    """A process that asks portcheck about the port until the end; how often it has asked so far."""
    import mmap

    shared = mmap.mmap(-1, 16)
    pid = os.fork()
    if pid == 0:
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
