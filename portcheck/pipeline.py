"""The pipeline, read aloud: target → observe → diagnose → advise.  Rendering is the caller's."""

from __future__ import annotations

from portcheck.diagnose import diagnose
from portcheck.examine import examine, explained
from portcheck.observe.look import look
from portcheck.observe.probe import try_bind
from portcheck.servers import ANY_SERVER
from portcheck.value import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from portcheck.model import Diagnosis, Protocol, Row, Scene, Socket
    from portcheck.servers import Server
    from portcheck.target import Endpoint

    Sockets = dict[tuple[Protocol, int], list[Socket]]


def checks(
    endpoints: Sequence[Endpoint], *, server: Server = ANY_SERVER, probe: bool = True, verbose: bool = False
) -> Iterator[Diagnosis]:
    """A diagnosis for each endpoint, in order, as it is asked for; the host is looked at once for all of them.

    `probe` False asks the kernel for its tables alone.  Raises PortcheckError where nothing can be seen at all.
    """
    view = _View(_look(endpoints, server, probe=probe, verbose=verbose), server, probe=probe)
    for endpoint in endpoints:
        rows = view.rows(endpoint)
        if any(row.disagreement for row in rows):
            # Most likely a socket came or went between the two: look again before taking it for the kernel's quirk.
            again = _View(_look([endpoint], server, probe=probe, verbose=verbose), server, probe=probe)
            yield again.diagnosis(endpoint, again.rows(endpoint))
        else:
            yield view.diagnosis(endpoint, rows)


def _look(endpoints: Sequence[Endpoint], server: Server, *, probe: bool, verbose: bool) -> Scene:
    def enough(scene: Scene) -> bool:
        sockets = _by_port(scene)
        return all(explained(endpoint, sockets.get(_key(endpoint), []), scene, server) for endpoint in endpoints)

    return look(endpoints, may_bind=probe, enough=enough, verbose=verbose)


class _View:
    """A scene with its sockets at hand by port."""

    def __init__(self, scene: Scene, server: Server, *, probe: bool) -> None:
        self.scene = scene
        self.server = server
        self.probe = try_bind if probe else None
        self.sockets = _by_port(scene)

    def rows(self, endpoint: Endpoint) -> tuple[Row, ...]:
        return examine(endpoint, self.on_port(endpoint), self.scene, self.server, self.probe)

    def diagnosis(self, endpoint: Endpoint, rows: tuple[Row, ...]) -> Diagnosis:
        finding = diagnose(endpoint, rows, self.on_port(endpoint), self.scene, self.server)
        if finding.cause is None:
            return finding  # nothing is in the way of any server: no advice
        from portcheck.advise import advise

        return advise(finding, self.scene)

    def on_port(self, endpoint: Endpoint) -> Sequence[Socket]:
        return self.sockets.get(_key(endpoint), [])


def _key(endpoint: Endpoint) -> tuple[Protocol, int]:
    return endpoint.protocol, endpoint.port


def _by_port(scene: Scene) -> Sockets:
    found: Sockets = {}
    for table in scene.tables.values():
        for socket in table.sockets:
            found.setdefault((socket.protocol, socket.local_port), []).append(socket)
    return found
