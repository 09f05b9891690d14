"""`rules` against the kernel, pair by pair: a socket in every state, and every way to bind beside it."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import product
from typing import NamedTuple

import pytest
from support.kernel_lab import (
    DEVICES,
    SEED,
    SHARE,
    Transport,
    Way,
    in_namespace,
    may_overlook,
    mptcp_exists,
    needs_lab,
    this_kernel,
)
from support.namespaces import run_ip
from support.processes import NOBODY
from support.socket_states import (
    ADDRESSES,
    CLIENT_STATES,
    LONE_STATES,
    SERVER_STATES,
    Old,
    Specimen,
    make,
    olds,
    open_helpers,
    some_of_each_state,
    ways,
)

from portcheck.model import Socket
from portcheck.rules import predict

pytestmark = needs_lab

SHORT_FORM = 8 * SHARE  # one pair in so many
SPECIMENS_PER_NAMESPACE = 100
Question = tuple[Old, list[Way]]


class Tally(NamedTuple):
    """What a part of the matrix showed."""

    pairs: Counter[tuple[str, str]]  # (state, what the kernel did)
    unreadable: Counter[str]  # what was said where flags could not be read
    wrong: list[str]


@pytest.mark.parametrize("transport", ["tcp", "mptcp", "udp"])
def test_every_pair_agrees_with_the_kernel(transport: Transport, long: bool, report: Callable[[str], None]) -> None:
    if transport == "mptcp" and not mptcp_exists():
        pytest.skip("this kernel has no MPTCP")
    specimens, binds = olds(transport), news(transport)
    share = 1 if long else SHORT_FORM
    rng = random.Random(SEED)
    questions = [(old, rng.sample(binds, len(binds) // share)) for old in specimens]

    tally = add(in_namespace(examine, part) for part in parts(questions))

    asked = len(specimens) * (len(binds) // share)
    report(
        f"matrix {transport}: {asked:,} of {len(specimens) * len(binds):,} pairs (seed {SEED}), "
        f"{len(tally.wrong)} not as the kernel; "
        f"with unreadable flags {tally.unreadable['unknown']:,} unknown, {tally.unreadable['wrong']} wrong"
    )
    for state in states(transport):
        free, refused = tally.pairs[state, "free"], tally.pairs[state, "in-use"]
        report(f"  {state}: {refused:,} refused, {free:,} free")
        assert free
        assert refused or state == "half-open request"
    assert not tally.wrong
    assert tally.pairs.total() == asked
    assert tally.unreadable["wrong"] == 0
    assert tally.unreadable["unknown"] < asked * 0.3


def states(transport: Transport) -> tuple[str, ...]:
    return LONE_STATES[transport] + SERVER_STATES[transport] + CLIENT_STATES[transport]


def news(transport: Transport) -> list[Way]:
    """Every bind of the same protocol, by both users, and a plain one of the other protocol on each address."""
    uids = (0, NOBODY)
    if transport == "udp":
        return ways("udp", uids=uids) + [Way("tcp", address) for address in ADDRESSES]
    other = [Way("udp", address) for address in ADDRESSES]
    return ways("tcp", uids=uids) + (ways("mptcp", uids=uids) if mptcp_exists() else []) + other


def parts(questions: list[Question]) -> list[list[Question]]:
    size = SPECIMENS_PER_NAMESPACE
    return [questions[start : start + size] for start in range(0, len(questions), size)]


def add(tallies: Iterable[Tally]) -> Tally:
    total = Tally(Counter(), Counter(), [])
    for tally in tallies:
        total.pairs.update(tally.pairs)
        total.unreadable.update(tally.unreadable)
        total.wrong.extend(tally.wrong)
    return total


def examine(questions: list[Question]) -> Tally:
    """Asks rules and kernel the same questions, in the namespace that this runs in."""
    open_helpers()
    tally = Tally(Counter(), Counter(), [])
    ports = iter(range(1024, 60_000))
    for old, binds in questions:
        for new, held in beside(old, binds, ports):
            compare(old, new, held, tally)
    return tally


def beside(old: Old, binds: list[Way], ports: Iterator[int]) -> Iterator[tuple[Way, Socket]]:
    """Each bind with the specimen to ask about, which is made anew after a bind that the port's bucket remembers."""
    specimen: Specimen | None = None
    for new in binds:
        specimen = specimen or make(old, next(ports))
        yield new, specimen.socket
        if new.reuseport:
            specimen.close()
            specimen = None
    if specimen:
        specimen.close()


def compare(old: Old, new: Way, held: Socket, tally: Tally) -> None:
    request = new.request(held.local_port)
    said = predict(request, [held], "linux", network=this_kernel()).outcome
    error = new.refused(held.local_port)
    truth = "in-use" if error else "free"
    tally.pairs[old.state, truth] += 1
    possible = (truth, "unknown") if may_overlook(request, held) else (truth,)
    if said not in possible or error not in (None, "EADDRINUSE from bind"):
        tally.wrong.append(f"{new} beside {old}: said {said}, was {error}")
    guess = predict(request, [as_seen(held)], "linux", network=this_kernel()).outcome
    tally.unreadable["unknown" if guess == "unknown" else "right" if guess == truth else "wrong"] += 1


def as_seen(held: Socket) -> Socket:
    """What sock_diag tells of it: no reuse flags, and v6only of unconnected sockets alone."""
    shown = held.state in ("LISTEN", "BOUND") or (held.protocol == "udp" and held.remote_address is None)
    return held._replace(reuseaddr=None, reuseport=None, v6only=held.v6only if shown else None)


def test_a_wildcards_bind_meets_whatever_one_of_an_address_meets(report: Callable[[str], None]) -> None:
    """So of the ports of a range that are alike only the wildcards are asked (`bind_table.telling`)."""
    outcomes = Counter(in_namespace(ask_wildcards_first))
    report(f"wildcards first: {outcomes['free', 'free']:,} free, {outcomes['in-use', 'in-use']:,} refused as they were")
    assert outcomes["free", "free"]
    assert outcomes["in-use", "in-use"]
    assert not outcomes["free", "in-use"]


def ask_wildcards_first() -> list[tuple[str, str]]:
    """What a probe of the wildcard is told beside a socket, and one of each address and device of its family."""
    open_helpers()
    outcomes = []
    for port, old in enumerate(some_of_each_state("tcp"), 2000):
        specimen = make(old, port)
        for wildcard in (Way("tcp", "0.0.0.0", reuseaddr=True), Way("tcp", "::", reuseaddr=True)):
            wide = probed(wildcard, port)
            outcomes += [
                (wide, probed(narrow, port))
                for narrow in ways("tcp")
                if narrow.family == wildcard.family and narrow.reuseaddr and not narrow.reuseport
            ]
        specimen.close()
    return outcomes


def probed(way: Way, port: int) -> str:
    """As `observe/probe.py` asks: without listening."""
    try:
        way.bind(port).close()
    except OSError:
        return "in-use"
    return "free"


def test_a_link_local_address_belongs_to_its_device(report: Callable[[str], None]) -> None:
    outcomes = in_namespace(ask_link_local)
    report(f"matrix link-local: {len(outcomes)} pairs, {Counter(truth for _, truth in outcomes)['in-use']} refused")
    assert len(outcomes) == 64
    assert {truth for _, truth in outcomes} == {"free", "in-use"}
    assert [said for said, _ in outcomes] == [truth for _, truth in outcomes]


def ask_link_local() -> list[tuple[str, str]]:
    """Rules and kernel on fe80:: addresses that are on two devices, bound by scope alone."""
    addresses = ("fe80::1", "fe80::2")
    run_ip(*(f"addr add {address}/64 dev {device} nodad" for address in addresses for device in DEVICES[1:]))
    binds = [Way("tcp", address, device=device) for address in (*addresses, "::", "0.0.0.0") for device in DEVICES[1:]]
    return [ask_pair(old, new, port) for port, (old, new) in enumerate(product(binds, binds), 2000)]


def ask_pair(old: Way, new: Way, port: int) -> tuple[str, str]:
    specimen = make(Old("listening", old), port)
    said = predict(new.request(port), [specimen.socket], "linux", network=this_kernel()).outcome
    truth = "in-use" if new.refused(port) else "free"
    specimen.close()
    return said, truth
