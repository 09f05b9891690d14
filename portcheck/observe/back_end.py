"""What a back end tells of its operating system: `system` chooses one, and a type checker holds each to `BackEnd`."""

from __future__ import annotations

from portcheck.namedtuple import TYPE_CHECKING

if TYPE_CHECKING:
    import typing
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from typing import Literal

    from portcheck.identify.cgroup import Authorship
    from portcheck.identify.facts import Session
    from portcheck.model import (
        Family,
        LocalAddress,
        Network,
        PortPolicy,
        PortRange,
        Process,
        Protocol,
        Scene,
        Socket,
        SocketTable,
    )
    from portcheck.target import Endpoint

    Depth = Literal["listeners", "everything"]
    Ranges = Mapping[Protocol, Sequence[PortRange]]

    class Departures(typing.Protocol):
        """Listening or bound sockets that are gone, told by the kernel as they go."""

        def drain(self) -> tuple[Sequence[Socket], bool]:
            """Those since the last time, and whether there were more than could be told.  Raises OSError."""

        def close(self) -> None:
            """No more of them."""

    class BackEnd(typing.Protocol):
        """What concerns the whole look takes a scene, and returns it with more in it.

        Unless it says otherwise a function does not raise: what cannot be seen is a blind spot, or None.
        """

        # Whether listeners alone are told for less than everything: a busy server has 50,000 connections.
        listeners_come_first: bool
        # Whether a process whose parent ends gets another one at once; else its parent's PID may be a stranger's.
        orphans_are_adopted: bool

        def sockets(
            self, protocol: Protocol, ports: Sequence[PortRange] | None, *, depth: Depth, may_bind: bool
        ) -> SocketTable:
            """The sockets of a protocol whose local port is in `ports` (None: all of them).

            Depth "listeners" leaves out TCP connections: enough where a listener explains everything.  UDP is whole.
            With `may_bind` a socket of our own may be bound (loopback, port 0) to see whether bound-only ones show.
            """

        def with_connections(self, table: SocketTable, ports: Sequence[PortRange] | None) -> SocketTable:
            """A table of listeners with every other state, of the same ports."""

        def past_sockets(self, scene: Scene, asked: Ranges, *, verbose: bool) -> Scene:
            """With what no socket shows: packet-filter rules; if `verbose`, other network namespaces too."""

        def before_rules(self, scene: Scene) -> Scene:
            """With what has to be asked beforehand where no bind is going to tell."""

        def second_look(self, scene: Scene, endpoint: Endpoint) -> Scene | None:
            """With what only slow tools tell, asked where a refused bind is not explained; None if nothing is new."""

        def with_pids(self, scene: Scene) -> Scene:
            """With the processes of its sockets, where those did not come with the table."""

        def recognised(self, scene: Scene) -> Scene:
            """With what only this system's own service manager and tools can tell of the processes."""

        def process(self, pid: int) -> Process | None:
            """A process as it is at this moment; None if there is none."""

        def parents(self) -> dict[int, int]:
            """PID → parent's PID, of every process that can be seen."""

        def pids(self) -> Collection[int]:
            """The PIDs of every process, for next to nothing; one that has just ended may be among them."""

        def departures(self, protocols: Collection[Protocol]) -> Departures | None:
            """From now on the kernel tells of sockets that are gone.  None where no kernel does; raises OSError."""

        def residents(self) -> Mapping[int, Process]:
            """Every process of this host by its PID: its name, its parent, when it started, and its cgroup."""

        def session(self, pid: int) -> Session:
            """Its session and terminal; unknown where there is no such process."""

        def environment(self, pid: int) -> dict[str, str]:
            """Those variables that decide something, as the program was started with them; {} if not readable."""

        def folders(self, process: Process, names: Sequence[str], at_most: int) -> Iterator[dict[str, bytes | None]]:
            """Its working directory, then each above it: those of the names that are there.

            With the text of regular files of `at_most` bytes.  Nothing is opened that would block or react.
            """

        def own_cgroup(self) -> str | None:
            """The cgroup of portcheck itself, which tells nothing of others that are in it too."""

        def cgroup_paths(self, ids: Collection[int]) -> Mapping[int, str | None]:
            """The paths of cgroups that a socket table names by their ids."""

        def authorship(self, cgroup: str | None) -> Authorship | None:
            """By whom the names in a cgroup's path were given; None where there are no cgroups."""

        def policy(self) -> PortPolicy:
            """What this host allows, apart from its sockets."""

        def confined(self) -> bool:
            """Whether sudo would give this process no right over the host."""

        def addresses(self) -> tuple[LocalAddress, ...]:
            """Every address of every interface, loopback included.  Raises OSError if none is told."""

        def admits(self, family: Family, address: str, zone: str | None) -> bool | None:
            """Whether a socket can have an address that no interface lists; None where that cannot be told."""

        def delivers_here(self, address: str) -> bool:
            """Whether a client of this host reaches this host by an address that no interface lists."""

        def network(self) -> Network:
            """What of Linux's network decides about sockets besides themselves."""

        def interface_names(self) -> tuple[str, ...]:
            """The names by which people know the interfaces."""
