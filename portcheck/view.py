"""One look at a host, asked about port by port."""

from __future__ import annotations

from portcheck.diagnose import diagnose, relevant
from portcheck.examine import examine
from portcheck.message import message
from portcheck.observe.probe import try_bind
from portcheck.value import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from portcheck.model import Diagnosis, Protocol, Row, Scene, Socket
    from portcheck.servers import Server
    from portcheck.target import Endpoint

    Sockets = dict[tuple[Protocol, int], list[Socket]]


class View:
    """A scene with its sockets at hand by port.

    On most ports of a range there is nothing: they differ in nothing but the number, and share one finding.
    """

    def __init__(self, scene: Scene, server: Server, *, probe: bool) -> None:
        self.scene = scene
        self.server = server
        self.probe = try_bind if probe else None
        self.sockets = by_port(scene)
        # of either protocol: a UDP holder is a note for TCP
        self.busy = {port for _, port in self.sockets}
        # of which something is known besides sockets
        self.special = {port for _, port in scene.redirected} | {found.port for found in scene.elsewhere}
        self.marked = (*scene.policy.reserved, *(excluded.ports for excluded in scene.policy.excluded))
        self.quiet: dict[object, Diagnosis] = {}

    def rows(self, endpoint: Endpoint) -> tuple[Row, ...]:
        """The bind table of one port, with indexes into `on_port`."""
        return examine(endpoint, self.on_port(endpoint), self.scene, self.server, self.probe)

    def known(self, endpoint: Endpoint) -> Diagnosis | None:
        """What was found for a port like this one, where neither a socket nor the kernel can say otherwise."""
        if self.probe or endpoint.port in self.busy:
            return None
        return self.quiet.get((self._kind(endpoint), None))

    def finding(self, endpoint: Endpoint, rows: tuple[Row, ...]) -> Diagnosis:
        """The whole answer, of this port or of a quiet one that differs in nothing but the number."""
        if endpoint.port in self.busy:
            return self._diagnosed(endpoint, rows)
        kind = self._kind(endpoint), rows if self.probe else None
        if kind not in self.quiet:
            self.quiet[kind] = self._diagnosed(endpoint, rows)
        return self.quiet[kind]

    def numbered(self, finding: Diagnosis, endpoint: Endpoint) -> Diagnosis:
        """A finding as the answer for this very port."""
        found = finding._replace(target=endpoint.target, port=endpoint.port)
        if finding.port == endpoint.port:
            return found
        return found._replace(message=message(found, relevant(endpoint, found.binds), self.scene, self.server))

    def on_port(self, endpoint: Endpoint) -> Sequence[Socket]:
        """The sockets of the endpoint's protocol on its port."""
        return self.sockets.get((endpoint.protocol, endpoint.port), [])

    def _diagnosed(self, endpoint: Endpoint, rows: tuple[Row, ...]) -> Diagnosis:
        finding = diagnose(endpoint, rows, self.on_port(endpoint), self.scene, self.server)
        if finding.cause is None:
            return finding  # nothing is in the way of any server: no advice
        from portcheck.advise import advise

        return advise(finding, self.scene)

    def _kind(self, endpoint: Endpoint) -> object:
        """What an endpoint without sockets depends on, besides its number."""
        port, policy = endpoint.port, self.scene.policy
        alone = port in self.special or (self.marked and any(port in ports for ports in self.marked))
        needs_privilege = port < policy.unprivileged_from and not policy.privileged
        return endpoint.protocol, endpoint.hosts, needs_privilege, port if alone else None


def by_port(scene: Scene) -> Sockets:
    """The sockets of every table by protocol and port."""
    found: Sockets = {}
    for table in scene.tables.values():
        for socket in table.sockets:
            found.setdefault((socket.protocol, socket.local_port), []).append(socket)
    return found
