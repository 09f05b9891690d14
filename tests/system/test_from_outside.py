"""portcheck from outside: random situations on a port, asked through the API, and then the kernel for every row.

Without probing nothing may be falsely free, at most 0.2% falsely in use, and `unknown` only for a reason that is named;
with probing every TCP row is right, or open for servers without SO_REUSEADDR where the kernel does not list what is
only bound, or options of a seen socket decide; whoever asks about such a server gets the right answer there too.  As
root the exact holders are known.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import random
import socket
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest
from support.kernel_lab import SEED, SHARE, Transport, Way, in_namespace, mptcp_exists, needs_lab
from support.older_kernels import bound_only_hidden
from support.processes import NOBODY
from support.socket_states import OPEN_PORT, Old, Specimen, make, olds, open_helpers

from portcheck.api import check
from portcheck.model import Diagnosis, Row

pytestmark = needs_lab

SITUATIONS, OLDER_SITUATIONS, LONG_SITUATIONS = 300 // SHARE, 100, 2_500  # for each asker
MOST_SOCKETS = 4
FIRST_PORT = 2_000
IMPATIENCE = 0.5  # seconds
FALSELY_IN_USE_AT_MOST = 0.002
REASONS = {"flags-unreadable", "bound-not-visible"}


class Tally(NamedTuple):
    """What was compared: what portcheck said without probing and what the kernel did, and what was wrong."""

    rows: Counter[tuple[str, str]]
    probed: Counter[tuple[str, str]]
    reasons: Counter[str]
    sockets: Counter[str]
    wrong: list[str]


@pytest.mark.parametrize("older", [False, True], ids=["", "bound-only sockets hidden"])
@pytest.mark.parametrize("uid", [0, NOBODY], ids=["root", "an ordinary user"])
def test_random_situations(uid: int, older: bool, long: bool, report: Callable[[str], None]) -> None:
    count = LONG_SITUATIONS if long else OLDER_SITUATIONS if older else SITUATIONS
    with bound_only_hidden() if older else contextlib.nullcontext():
        tally = in_namespace(compare, uid, count, SEED)
    asked = sum(tally.rows.values())
    falsely_in_use = tally.rows["in-use", "free"]
    hidden = ", bound-only sockets hidden" if older else ""
    unknown = sum(number for (said, _), number in tally.rows.items() if said == "unknown")
    report(
        f"outside, uid {uid}{hidden} (seed {SEED}): {count} situations with {sum(tally.sockets.values())} sockets,"
        f" {asked} rows without probing: 0 falsely free, {falsely_in_use} falsely in use, {unknown} unknown"
        f" {dict(tally.reasons)}; {sum(tally.probed.values())} rows probed, all right"
    )
    assert not tally.wrong, "\n".join(tally.wrong[:5])
    assert asked >= 10 * count
    assert not tally.rows["free", "in-use"]
    assert falsely_in_use <= asked * FALSELY_IN_USE_AT_MOST
    assert set(tally.reasons) <= REASONS
    assert len(tally.sockets) > 15


def compare(uid: int, count: int, seed: int) -> Tally:
    """Runs in a namespace: makes situations, lets an asker of that user look at each, and the kernel decide."""
    rng = random.Random(f"{seed} {uid}")
    tally = Tally(Counter(), Counter(), Counter(), Counter(), [])
    transports: list[Transport] = ["tcp", "udp", *(["mptcp"] if mptcp_exists() else [])]  # type: ignore[list-item]
    possible = {transport: olds(transport) for transport in transports}
    open_helpers()
    with asker(uid) as ask:
        for number in range(count):
            port = FIRST_PORT + number
            made = list(situation(rng, possible, port, tally))
            answers = {protocol: ask(port, protocol) for protocol in ("tcp", "udp")}
            for protocol, (unprobed, probed, plainly, kernel) in answers.items():
                judge(tally, unprobed, probed, plainly, kernel)
                if not uid and protocol == "tcp":
                    owners(tally, unprobed, made)
            for specimen in made:
                specimen.close()
    return tally


def situation(rng: random.Random, possible: dict[Transport, list[Old]], port: int, tally: Tally) -> Iterator[Specimen]:
    """Up to four sockets in random states; what the kernel refuses beside the others is left out."""
    for _ in range(rng.randint(0, MOST_SOCKETS)):
        old = rng.choice(possible[rng.choice(list(possible))])
        try:
            with impatient():
                specimen = make(old, port)
        except OSError:
            continue
        tally.sockets[old.state] += 1
        yield specimen


@contextlib.contextmanager
def impatient() -> Iterator[None]:
    """A client may reach another socket than the specimen that waits for it: then there is no such specimen."""
    socket.setdefaulttimeout(IMPATIENCE)
    try:
        yield
    finally:
        socket.setdefaulttimeout(None)


def judge(
    tally: Tally, unprobed: Diagnosis, probed: Diagnosis, plainly: Diagnosis, kernel: dict[Any, tuple[str, str]]
) -> None:
    for row in unprobed.binds:
        for said, truth in zip((row.with_reuseaddr, row.without_reuseaddr), kernel[row.bind], strict=True):
            tally.rows[said, truth] += 1
            if said == "free" and truth != "free":
                tally.wrong.append(f"falsely free: {row}\n  {unprobed.sockets}")
    if any(row.outcome == "unknown" for row in unprobed.binds):
        named = {spot.code for spot in unprobed.blind_spots} & REASONS
        tally.reasons.update(named)
        if not named:
            tally.wrong.append(f"unknown without a reason: {unprobed}")
    if probed.protocol == "tcp":
        judge_probed(tally, probed, plainly, kernel)


def judge_probed(tally: Tally, probed: Diagnosis, plainly: Diagnosis, kernel: dict[Any, tuple[str, str]]) -> None:
    may_be_open = "bound-not-visible" in {spot.code for spot in probed.blind_spots}
    for row in probed.binds:
        told, answer = (row.with_reuseaddr, row.without_reuseaddr), kernel[row.bind]
        tally.probed.update(zip(told, answer, strict=True))
        is_open = told == (answer[0], "unknown") and (may_be_open or row.conflicts)
        if told != answer and not is_open:
            tally.wrong.append(f"probed {told}, kernel {answer}: {row}\n  {probed.sockets}")
    for row in plainly.binds:
        if row.without_reuseaddr != kernel[row.bind][1]:
            tally.wrong.append(f"asked plainly, kernel {kernel[row.bind]}: {row}\n  {plainly.sockets}")


def owners(tally: Tally, found: Diagnosis, made: list[Specimen]) -> None:
    """Every socket that a process holds is held by this one, every other by none."""
    for held in found.sockets:
        expected = (os.getpid(),) if held.inode else ()
        if held.pids != expected:
            tally.wrong.append(f"held by {held.pids}, not {expected}: {held} of {made}")


Answer = tuple[Diagnosis, Diagnosis, Diagnosis, dict[Any, tuple[str, str]]]


@contextlib.contextmanager
def asker(uid: int) -> Iterator[Callable[[int, str], Answer]]:
    """A process of that user which asks portcheck about a port, and then binds every row for real."""
    ours, theirs = socket.socketpair()
    pid = os.fork()
    if pid == 0:
        ours.close()
        serve(theirs, uid)
        os._exit(0)
    theirs.close()
    stream = ours.makefile("rwb")

    def ask(port: int, protocol: str) -> Answer:
        pickle.dump((port, protocol), stream)
        stream.flush()
        answer: Answer = pickle.load(stream)
        assert isinstance(answer, tuple), answer
        return answer

    try:
        yield ask
    finally:
        stream.close()
        ours.close()
        os.waitpid(pid, 0)


def serve(channel: socket.socket, uid: int) -> None:
    check(OPEN_PORT)  # that user may not be able to read, and so to import, what this one can
    if uid:
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
    stream = channel.makefile("rwb")
    with contextlib.suppress(EOFError):
        while True:
            port, protocol = pickle.load(stream)
            try:
                unprobed = check(port, protocol=protocol, probe=False)
                probed = check(port, protocol=protocol)
                plainly = check(port, protocol=protocol, reuseaddr=False)
                kernel = {row.bind: truth(row, port, protocol) for row in unprobed.binds}
                answer: object = (unprobed, probed, plainly, kernel)
            except Exception as error:  # the other side shows it
                answer = repr(error)
            pickle.dump(answer, stream)
            stream.flush()


def truth(row: Row, port: int, protocol: str) -> tuple[str, str]:
    """What the kernel says to both servers, with the words of the contract."""
    said = []
    address, _, zone = row.bind.address.partition("%")
    for reuseaddr in (True, False):
        way = Way("udp" if protocol == "udp" else "tcp", address, bool(row.bind.v6only), zone or None, reuseaddr)
        try:
            way.bind(port).close()
            said.append("free")
        except OSError as error:
            said.append("in-use" if "EADDRINUSE" in (os.strerror(error.errno or 0), errno_name(error)) else str(error))
    return said[0], said[1]


def errno_name(error: OSError) -> str:
    import errno

    return errno.errorcode.get(error.errno or 0, "")
