"""Linux: the kernel's own lists by netlink, and /proc (see `observe.back_end`)."""

from __future__ import annotations

from portcheck.namedtuple import TYPE_CHECKING
from portcheck.observe.linux import sock_diag
from portcheck.observe.linux.packet_filter import with_redirections
from portcheck.observe.linux.policy import linux_policy, network

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

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
        SocketTable,
    )
    from portcheck.observe.back_end import Departures, Depth, Ranges
    from portcheck.target import Endpoint


class Linux:
    """Sees every socket of this network namespace, whoever holds it."""

    listeners_come_first = True
    orphans_are_adopted = True

    def sockets(
        self, protocol: Protocol, ports: Sequence[PortRange] | None, *, depth: Depth, may_bind: bool
    ) -> SocketTable:
        """By sock_diag; where that is not to be had by /proc/net, and where there is no such /proc by psutil."""
        try:
            return sock_diag.table(protocol, ports, depth, may_bind=may_bind)
        except OSError as refusal:
            from portcheck.observe.linux import without_sock_diag

            return without_sock_diag.table(protocol, ports, depth, refusal)

    def with_connections(self, table: SocketTable, ports: Sequence[PortRange] | None) -> SocketTable:
        """Nothing that was read is read again."""
        try:
            return sock_diag.with_connections(table, ports)
        except OSError:
            return self.sockets(table.protocol, ports, depth="everything", may_bind=False)

    def past_sockets(self, scene: Scene, asked: Ranges, *, verbose: bool) -> Scene:
        """Redirections, lookup programs, addresses of nobody; for `verbose` the listeners of other namespaces."""
        scene = with_redirections(scene, asked)._replace(unowned=self._unowned(scene))
        if not verbose:
            return scene
        from portcheck.observe.linux.namespaces import listeners_elsewhere

        return scene._replace(elsewhere=listeners_elsewhere(asked))

    def _unowned(self, scene: Scene) -> tuple[str, ...]:
        """Most sockets are on a wildcard address or on one of this host's, and cost nothing."""
        here = {"0.0.0.0", "::", *(local.address for local in scene.addresses)}
        if all(sock.local_address in here for table in scene.tables.values() for sock in table.sockets):
            return ()
        from portcheck.observe.linux import local_routes

        return local_routes.unowned(scene)

    def before_rules(self, scene: Scene) -> Scene:
        """The tables tell everything."""
        return scene

    def second_look(self, scene: Scene, endpoint: Endpoint) -> Scene | None:  # noqa: ARG002
        """No tool sees more than the kernel's own lists."""
        return None

    def with_pids(self, scene: Scene) -> Scene:
        """One walk over all processes' descriptors, for all sockets; then what the kernel says that it holds itself."""
        from portcheck.observe.linux import holders

        return holders.with_pids(scene)

    def recognised(self, scene: Scene) -> Scene:
        """cgroups and ancestors tell it of each process by itself."""
        return scene

    def process(self, pid: int) -> Process | None:
        """What /proc tells of it."""
        from portcheck.observe.linux import processes

        return processes.process(pid)

    def parents(self) -> dict[int, int]:
        """One walk over /proc."""
        from portcheck.observe.linux import processes

        return processes.parents()

    def pids(self) -> Collection[int]:
        """The names in /proc."""
        from portcheck.observe.linux import procfs

        return procfs.process_ids()

    def departures(self, protocols: Collection[Protocol]) -> Departures | None:
        """By sock_diag's own notices."""
        from portcheck.observe.linux.departures import SockDiagNotices

        return SockDiagNotices(protocols)

    def residents(self) -> dict[int, Process]:
        """What /proc tells of them in a few lines each."""
        from portcheck.observe.linux import processes

        return processes.residents()

    def session(self, pid: int) -> Session:
        """What /proc/PID/stat tells of it."""
        from portcheck.observe.linux import processes

        return processes.session(pid)

    def environment(self, pid: int) -> dict[str, str]:
        """What /proc/PID/environ tells of it."""
        from portcheck.observe.linux import processes

        return processes.environment(pid)

    def folders(self, process: Process, names: Sequence[str], at_most: int) -> Iterator[dict[str, bytes | None]]:
        """Through /proc, so that a container's are looked at in the container."""
        from portcheck.observe.linux import folders

        return folders.climb(process.pid, names, at_most)

    def own_cgroup(self) -> str | None:
        """What /proc/self/cgroup tells."""
        from portcheck.observe.linux import processes

        return processes.cgroup("self")

    def cgroup_paths(self, ids: Collection[int]) -> Mapping[int, str | None]:
        """The directories of the cgroup v2 hierarchy that have these ids."""
        from portcheck.observe.linux import cgroups

        return cgroups.cgroup_paths(ids)

    def authorship(self, cgroup: str | None) -> Authorship | None:
        """By the owners of the cgroup's directories."""
        from portcheck.observe.linux import cgroups

        return cgroups.authorship(cgroup) if cgroup else None

    def policy(self) -> PortPolicy:
        """By sysctl and this process's capabilities."""
        return linux_policy()

    def confined(self) -> bool:
        """By no_new_privs and the user namespace."""
        from portcheck.observe.linux import user_namespace

        return user_namespace.confined()

    def addresses(self) -> tuple[LocalAddress, ...]:
        """By rtnetlink; where a sandbox refuses that, by an older way."""
        from portcheck.observe.linux import rtnetlink

        try:
            return tuple(rtnetlink.addresses())
        except OSError:
            from portcheck.observe.linux import addresses

            return addresses.addresses()

    def admits(self, family: Family, address: str, zone: str | None) -> bool | None:
        """By the kernel's own reasons, such as a local route or ip_nonlocal_bind."""
        from portcheck.observe.linux import local_routes

        return local_routes.admits(family, address, zone)

    def delivers_here(self, address: str) -> bool:
        """By the routing table, for IPv4."""
        from portcheck.observe.linux import local_routes

        return local_routes.delivers_here(address)

    def network(self) -> Network:
        """By sysctl and rtnetlink."""
        return network()

    def interface_names(self) -> tuple[str, ...]:
        """if_nameindex(3), or /proc where netlink is refused."""
        from portcheck.observe.linux import local_routes

        return local_routes.interface_names()
