"""The pipeline, read aloud: target → observe → diagnose → advise.  Rendering is the caller's."""

from __future__ import annotations

from portcheck.examine import explained, unexplained
from portcheck.observe.look import look
from portcheck.servers import ANY_SERVER
from portcheck.value import TYPE_CHECKING
from portcheck.view import View, by_port

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from portcheck.model import Diagnosis, Scene
    from portcheck.servers import Server
    from portcheck.target import Endpoint


def checks(
    endpoints: Sequence[Endpoint], *, server: Server = ANY_SERVER, probe: bool = True, verbose: bool = False
) -> Iterator[Diagnosis]:
    """A diagnosis for each endpoint, in order, as it is asked for; the host is looked at once for all of them.

    `probe` False asks the kernel for its tables alone.  Raises PortcheckError where nothing can be seen at all.
    """
    view = View(_look(endpoints, server, probe=probe, verbose=verbose), server, probe=probe)
    for endpoint in endpoints:
        rows = view.rows(endpoint)
        if any(row.disagreement for row in rows):
            # Most likely a socket came or went between the two: look again before taking it for the kernel's quirk.
            again = View(_look([endpoint], server, probe=probe, verbose=verbose), server, probe=probe)
            yield again.diagnosis(endpoint, again.rows(endpoint))
            continue
        closer = _look_closer(view.scene, endpoint) if unexplained(rows) else None
        if closer:
            view = View(closer, server, probe=probe)
            rows = view.rows(endpoint)
        yield view.diagnosis(endpoint, rows)


def _look_closer(scene: Scene, endpoint: Endpoint) -> Scene | None:
    from portcheck.observe.closer import look_closer

    return look_closer(scene, endpoint)


def _look(endpoints: Sequence[Endpoint], server: Server, *, probe: bool, verbose: bool) -> Scene:
    def enough(scene: Scene) -> bool:
        sockets = by_port(scene)
        return all(
            explained(endpoint, sockets.get((endpoint.protocol, endpoint.port), []), scene, server)
            for endpoint in endpoints
        )

    return look(endpoints, may_bind=probe, enough=enough, verbose=verbose)
