"""`rules` against the kernel with several sockets on one port, which came, changed and went in random order.

What the rules may get wrong is known: once SO_REUSEPORT was used on a port the kernel remembers it, and may accept
another such socket that they refuse.  They never call free what the kernel refuses.
"""

from __future__ import annotations

import random
import select
import socket
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import pytest
from kernel_lab import DEVICES, OTHER_USER, SEED, Transport, Way, acting_as, in_namespace, mptcp_exists, needs_lab
from socket_states import (
    ADDRESSES,
    OPEN_PORT,
    Specimen,
    acknowledge,
    answer,
    automatic_port,
    describe,
    open_helpers,
    reached,
    wait_for_state,
    ways,
)

from portcheck.model import Socket
from portcheck.rules import predict

if TYPE_CHECKING:
    from portcheck.model import State

pytestmark = needs_lab

HISTORIES, LONG_HISTORIES = 4_000, 100_000
HISTORIES_PER_NAMESPACE = 1_000
STEPS = 20
MOST_SOCKETS = 6
PEERS = ("127.0.0.1", "127.0.0.2", "127.0.0.6", "::1", "fd00::1")


class Tally(NamedTuple):
    """What a part of the histories showed."""

    asked: Counter[str]
    sockets: Counter[int]  # how many were there when it was asked
    states: Counter[str]  # and in which states
    wrong: list[str]


@dataclass
class Holder:
    """A socket that has the port, as it is now."""

    way: Way
    held: Socket
    made: socket.socket | None  # None: only the kernel has it
    peer: socket.socket | None = None


@dataclass
class History:
    """The sockets of one port; every step asks the rules and then the kernel."""

    port: int
    rng: random.Random
    binds: list[Way]
    tally: Tally
    holders: list[Holder] = field(default_factory=list)
    shared: bool = False  # a socket with SO_REUSEPORT was admitted
    steps: list[str] = field(default_factory=list)

    def run(self) -> None:
        for _ in range(STEPS):
            if len(self.holders) < MOST_SOCKETS and self.rng.random() < 0.5:
                self.bind()
            else:
                self.rng.choice(CHANGES)(self)
        for holder in self.holders:
            Specimen(holder.held, tuple(filter(None, (holder.made, holder.peer)))).close()

    def bind(self) -> None:
        new = self.rng.choice(self.binds)
        said = predict(new.request(self.port), [holder.held for holder in self.holders], "linux").outcome
        with acting_as(new.uid):
            try:
                made = new.bind(self.port)
            except OSError:
                made = None
        self.compare(f"bind {new}", new, said, accepted=made is not None)
        if made:
            state: State | None = None if new.transport == "udp" else "BOUND"
            self.holders.append(Holder(new, describe(made, new, state), made))

    def listen(self) -> None:
        if holder := self.some("BOUND"):
            others = [other.held for other in self.holders if other is not holder]
            said = predict(holder.way.request(self.port), others, "linux").outcome
            try:
                holder.made.listen(8)
            except OSError:
                return self.compare(f"listen {holder.way}", holder.way, said, accepted=False)
            self.compare(f"listen {holder.way}", holder.way, said, accepted=True)
            self.become(holder, "LISTEN")
