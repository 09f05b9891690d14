"""Who answers, predicted and then tried: real clients at every local address, over layouts of listeners."""

from __future__ import annotations

import contextlib
import itertools
import random
import select
import socket
from collections import Counter
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NamedTuple

import pytest
from support.kernel_lab import SEED, SHARE, Transport, Way, in_namespace, needs_lab, this_kernel
from support.namespaces import run_ip
from support.socket_states import describe, reached

from portcheck.addresses import ANY4, ANY6, family_of
from portcheck.model import Socket
from portcheck.rules.reachability import answering

if TYPE_CHECKING:
    from portcheck.model import Protocol, State

pytestmark = needs_lab

# Every local address of the namespace and the interface that has it; on v0, on a second pair w0, and on lo.
LOCAL = (
    ("127.0.0.1", "lo"), ("127.0.0.2", "lo"), ("10.77.0.1", "v0"), ("10.77.0.2", "v0"), ("10.88.0.1", "w0"),
    ("::1", "lo"), ("fd77::1", "v0"), ("fd88::1", "w0"), ("fe80::1", "v0"), ("fe80::1", "w0"),
)  # fmt: skip
BOUND = (
    "0.0.0.0", "127.0.0.1", "10.77.0.1", "::", "::1", "fd77::1", "fe80::1",
    "::ffff:0.0.0.0", "::ffff:127.0.0.1", "::ffff:10.77.0.1",
)  # fmt: skip
PORT = 2000
RANDOM_LAYOUTS, LONG_RANDOM_LAYOUTS = 2_000 // SHARE, 30_000
LAYOUTS_PER_NAMESPACE = 1_000
TURNS = 24  # connections for each member of a group that shares them


class Tally(NamedTuple):
    """What a part of the layouts showed."""

    answers: Counter[str]
    servers: Counter[int]
    wrong: list[str]


class Server(NamedTuple):
    """One that the kernel let in."""

    made: socket.socket
    held: Socket


def every_way(transport: Transport) -> list[Way]:
    return [
        Way(transport, address, v6only, device, reuseaddr=reuseaddr, reuseport=reuseport)
        for address, v6only, device, reuseaddr, reuseport in itertools.product(
            BOUND, (False, True), (None, "lo", "v0", "w0"), (False, True), (False, True)
        )
        if (transport == "udp" or not reuseaddr)
        and (address == "::" or not v6only)
        and (address != "fe80::1" or device in ("v0", "w0"))
        and not (address in ("::1", "fd77::1") and device not in (None, "lo" if address == "::1" else "v0"))
    ]


def layouts(transport: Transport, count: int) -> list[list[Way]]:
    """Every way alone, two ways in either order, and several that share the port."""
    every = every_way(transport)
    rng = random.Random(f"{SEED} {transport}")
    pairs = [list(pair) for pair in itertools.permutations(every, 2)]
    sharing = [way for way in every if way.reuseport]  # else hardly any would stand beside another
    crowds = (rng.choices(rng.sample(sharing, rng.randint(1, 3)), k=rng.randint(2, 5)) for _ in range(count))
    return [*([way] for way in every), *rng.sample(pairs, min(count, len(pairs))), *crowds]


def examine(transport: Transport, asked: list[list[Way]]) -> Tally:
    run_ip(
        "link add w0 type veth peer name w1", "link set w0 up", "link set w1 up",
        "addr add 10.77.0.1/24 dev v0", "addr add 10.77.0.2/24 dev v0", "addr add fd77::1/64 dev v0 nodad",
        "addr add 10.88.0.1/24 dev w0", "addr add fd88::1/64 dev w0 nodad",
        "addr add fe80::1/64 dev v0 nodad", "addr add fe80::1/64 dev w0 nodad",
    )  # fmt: skip
    tally = Tally(Counter(), Counter(), [])
    rng = random.Random(SEED)
    for layout in asked:
        with contextlib.ExitStack() as stack:
            servers = [server for way in layout for server in admitted(way, rng)]
            for server in servers:
                stack.enter_context(server.made)
            tally.servers[len(servers)] += 1
            for address, interface in LOCAL:
                compare(address, interface, servers, tally)
    return tally


def admitted(way: Way, rng: random.Random) -> Iterator[Server]:
    """The server, if the kernel lets it in beside the others; one in six does not take clients."""
    idle = rng.random() < 1 / 6
    with contextlib.suppress(OSError):
        made = way.bind(PORT) if idle or way.transport == "udp" else way.listen(PORT)
        if idle and way.transport == "udp":
            made.connect((reached(way, "127.0.0.1"), 9))
        state: State | None = None if way.transport == "udp" else "BOUND" if idle else "LISTEN"
        yield Server(made, describe(made, way, state))


def compare(address: str, interface: str, servers: list[Server], tally: Tally) -> None:
    table = [server.held for server in servers]
    protocol = table[0].protocol if table else "tcp"
    said = answering(address, family_of(address), interface, protocol, PORT, table, "linux", this_kernel())
    kind = kind_of([table[index] for index in said])
    if kind == "a group" and any(held.remote_address for held in table):
        # once a UDP member has connected, the kernel scores on past the group (reuseport_has_conns): not all take turns
        kind = "whom the order decides"
    turns = TURNS * len(said) if kind == "a group" else 2
    who = {reach(address, interface, protocol, servers) for _ in range(turns)} - {None}
    tally.answers[kind] += 1
    if not (set() < who <= set(said) if kind == "whom the order decides" else who == set(said)):
        tally.wrong.append(f"{address}%{interface} reaches {who}, not {said}, of {table}")
    seen = [held._replace(reuseaddr=None, reuseport=None) for held in table]  # as from outside
    if not who <= set(answering(address, family_of(address), interface, protocol, PORT, seen, "linux", this_kernel())):
        tally.wrong.append(f"{address}%{interface} reaches {who} of {seen}")


def kind_of(answer: list[Socket]) -> str:
    if len(answer) < 2:
        return "one socket" if answer else "nobody"
    names = {(held.family, held.local_address, held.v6only, held.interface) for held in answer}
    shared = len(names) == 1 and all(held.reuseport for held in answer)
    return "a group" if shared else "whom the order decides"


def reach(address: str, interface: str, protocol: Protocol, servers: list[Server]) -> int | None:
    """The index of the server that gets a client of that address, or None if it is refused."""
    plain = Way("udp" if protocol == "udp" else "tcp", ANY6 if ":" in address else ANY4)
    with plain.open() as client:
        try:
            client.connect(plain._replace(address=address, device=interface).endpoint(PORT))
            client.send(b"?")
            waiting = [server.made for server in servers if server.held.state != "BOUND"]
            ready, _, _ = select.select([client, *waiting] if protocol == "udp" else waiting, [], [], 20)
            if protocol == "udp":
                ready[0].recv(1)  # an ICMP error, if it is the client's
            else:
                ready[0].accept()[0].close()
        except ConnectionRefusedError:
            return None
    return [server.made for server in servers].index(ready[0])


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_clients_reach_whom_they_should(transport: Transport, long: bool, report: Callable[[str], None]) -> None:
    asked = layouts(transport, LONG_RANDOM_LAYOUTS if long else RANDOM_LAYOUTS)
    tally = Tally(Counter(), Counter(), [])
    for start in range(0, len(asked), LAYOUTS_PER_NAMESPACE):
        part = in_namespace(examine, transport, asked[start : start + LAYOUTS_PER_NAMESPACE])
        tally.answers.update(part.answers)
        tally.servers.update(part.servers)
        tally.wrong.extend(part.wrong)

    report(
        f"who answers, {transport}: {len(asked):,} layouts (seed {SEED}), {tally.answers.total():,} addresses tried, "
        f"{len(tally.wrong)} not as predicted"
    )
    report("  by answer: " + ", ".join(f"{kind} {count:,}" for kind, count in tally.answers.most_common()))
    report("  by sockets: " + ", ".join(f"{size}: {count:,}" for size, count in sorted(tally.servers.items())))
    assert not tally.wrong, tally.wrong[0]
    assert tally.answers.total() == len(asked) * len(LOCAL)
    assert min(tally.answers.values()) > 100 // SHARE
    assert set(tally.answers) == {"nobody", "one socket", "a group", "whom the order decides"}
