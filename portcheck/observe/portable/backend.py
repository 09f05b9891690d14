"""Any system, as psutil and lsof tell of it (see `observe.back_end`): what other back ends do not know better."""

from __future__ import annotations

from portcheck.model import Network
from portcheck.namedtuple import TYPE_CHECKING
from portcheck.observe.portable import addresses as portable_addresses
from portcheck.observe.portable import folders as portable_folders
from portcheck.observe.portable import lsof, processes
from portcheck.observe.portable import sockets as by_psutil
from portcheck.observe.portable.policy import unix_policy

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from portcheck.identify.cgroup import Authorship
    from portcheck.identify.facts import Session
    from portcheck.model import Family, LocalAddress, PortPolicy, PortRange, Process, Protocol, Scene, SocketTable
    from portcheck.observe.back_end import Departures, Depth, Ranges
    from portcheck.target import Endpoint


class Portable:
    """The BSDs and their siblings are seen by this one as it is."""

    listeners_come_first = False
    orphans_are_adopted = False  # they are on Unix, but nobody has looked at every system
    differences = by_psutil.BSD

    def sockets(
        self,
        protocol: Protocol,
        ports: Sequence[PortRange] | None,
        *,
        depth: Depth,
        may_bind: bool,  # noqa: ARG002
    ) -> SocketTable:
        """By psutil."""
        return by_psutil.table(protocol, ports, depth, self.differences)

    def with_connections(self, table: SocketTable, ports: Sequence[PortRange] | None) -> SocketTable:
        """By another look: psutil tells all at once."""
        return self.sockets(table.protocol, ports, depth="everything", may_bind=False)

    def past_sockets(self, scene: Scene, asked: Ranges, *, verbose: bool) -> Scene:  # noqa: ARG002
        """Nothing is known of packet filters here, nor of network namespaces."""
        return scene

    def before_rules(self, scene: Scene) -> Scene:
        """Nobody can be asked."""
        return scene

    def second_look(self, scene: Scene, endpoint: Endpoint) -> Scene | None:
        """By lsof, where it is there."""
        return lsof.with_sockets(scene, endpoint, self.differences)

    def with_pids(self, scene: Scene) -> Scene:
        """They came with the table."""
        return scene

    def recognised(self, scene: Scene) -> Scene:
        """Nobody is known to ask."""
        return scene

    def process(self, pid: int) -> Process | None:
        """By psutil."""
        return processes.process(pid)

    def parents(self) -> dict[int, int]:
        """By psutil."""
        return processes.parents()

    def pids(self) -> Collection[int]:
        """By psutil."""
        return processes.pids()

    def departures(self, protocols: Collection[Protocol]) -> Departures | None:  # noqa: ARG002
        """No kernel but Linux is known to tell."""
        return None

    def residents(self) -> dict[int, Process]:
        """By psutil."""
        return processes.residents()

    def session(self, pid: int) -> Session:
        """Its terminal by psutil, which knows no sessions."""
        return processes.session(pid)

    def environment(self, pid: int) -> dict[str, str]:
        """By psutil."""
        return processes.environment(pid)

    def policy(self) -> PortPolicy:
        """That of every Unix."""
        return unix_policy()

    def confined(self) -> bool:
        """Nothing here tells."""
        return False

    def addresses(self) -> tuple[LocalAddress, ...]:
        """By psutil."""
        return portable_addresses.addresses()

    def network(self) -> Network:
        """Only Linux has what it tells."""
        return Network()

    def interface_names(self) -> tuple[str, ...]:
        """if_nameindex(3)."""
        return portable_addresses.interface_names()

    def folders(self, process: Process, names: Sequence[str], at_most: int) -> Iterator[dict[str, bytes | None]]:
        """From where it says that it is."""
        return portable_folders.climb(process.cwd or "/", names, at_most)

    def own_cgroup(self) -> str | None:
        """There are none."""
        return None

    def cgroup_paths(self, ids: Collection[int]) -> Mapping[int, str | None]:  # noqa: ARG002
        """There are none."""
        return {}

    def authorship(self, cgroup: str | None) -> Authorship | None:  # noqa: ARG002
        """There are none."""
        return None

    def admits(self, family: Family, address: str, zone: str | None) -> bool | None:  # noqa: ARG002
        """Loopback may have more than one address; of others the interfaces tell all."""
        return None if address.startswith("127.") else False

    def delivers_here(self, address: str) -> bool:
        """Loopback does."""
        return address.startswith("127.")
