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

    On most ports of a range there is nothing: they differ in nothing but the number, and share what is found of one.
    """

    def __init__(self, scene: Scene, server: Server, *, probe: bool) -> None:
        self.scene = scene
        self.server = server
        self.probe = try_bind if probe else None
        self.sockets = by_port(scene)
        self.special = {port for _, port in scene.redirected} | {found.port for found in scene.elsewhere}
        self.special = {port for _, port in scene.redirected} | {found.port for found in scene.elsewhere}
        self.quiet_rows: dict[object, tuple[Row, ...]] = {}
        self.quiet: dict[object, Diagnosis] = {}

    def rows(self, endpoint: Endpoint) -> tuple[Row, ...]:
        """The bind table of one port, with indexes into `on_port`."""
        if self.probe or self.on_port(endpoint):
            return self._examined(endpoint)
        kind = self._kind(endpoint)
        if kind not in self.quiet_rows:
            self.quiet_rows[kind] = self._examined(endpoint)
        return self.quiet_rows[kind]

    def diagnosis(self, endpoint: Endpoint, rows: tuple[Row, ...]) -> Diagnosis:
        """The whole answer for one port."""
        if self._has_sockets(endpoint):
            return self._diagnosed(endpoint, rows)
        kind = self._kind(endpoint), rows
        if kind not in self.quiet:
            self.quiet[kind] = self._diagnosed(endpoint, rows)
        like = self.quiet[kind]
        if like.port == endpoint.port:
            return like._replace(target=endpoint.target)
        found = like._replace(target=endpoint.target, port=endpoint.port)
        return found._replace(message=message(found, relevant(endpoint, rows), self.scene, self.server))

    def on_port(self, endpoint: Endpoint) -> Sequence[Socket]:
        """The sockets of the endpoint's protocol on its port."""
        return self.sockets.get((endpoint.protocol, endpoint.port), [])

    def _examined(self, endpoint: Endpoint) -> tuple[Row, ...]:
        return examine(endpoint, self.on_port(endpoint), self.scene, self.server, self.probe)

    def _diagnosed(self, endpoint: Endpoint, rows: tuple[Row, ...]) -> Diagnosis:
        finding = diagnose(endpoint, rows, self.on_port(endpoint), self.scene, self.server)
        if finding.cause is None:
            return finding  # nothing is in the way of any server: no advice
        from portcheck.advise import advise

        return advise(finding, self.scene)

    def _has_sockets(self, endpoint: Endpoint) -> bool:
        """Of either protocol: a UDP holder is a note for TCP."""
        return any((protocol, endpoint.port) in self.sockets for protocol in self.scene.tables)

    def _kind(self, endpoint: Endpoint) -> object:
        """What an endpoint without sockets depends on, besides its number."""
        port = endpoint.port
        alone = port if self._is_special(port) else None
        return endpoint.protocol, endpoint.hosts, port < self.scene.policy.unprivileged_from, alone

    def _is_special(self, port: int) -> bool:
        """Whether something other than a socket is known of this very port."""
        policy = self.scene.policy
        if port in self.special or any(port in reserved for reserved in policy.reserved):
            return True
        return any(port in excluded.ports for excluded in policy.excluded)


def by_port(scene: Scene) -> Sockets:
    """The sockets of every table by protocol and port."""
    found: Sockets = {}
    for table in scene.tables.values():
        for socket in table.sockets:
            found.setdefault((socket.protocol, socket.local_port), []).append(socket)
    return found
