"""The pipeline, read aloud: target → observe → diagnose → advise.  Rendering is the caller's."""

from __future__ import annotations

from portcheck.examine import explained, unexplained
from portcheck.observe.look import look
from portcheck.servers import ANY_SERVER
from portcheck.summary import speaks_of_ports, together
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
    for endpoint, finding, view in _findings(endpoints, server, probe=probe, verbose=verbose):
        yield view.numbered(finding, endpoint)


def summaries(endpoints: Sequence[Endpoint], *, server: Server = ANY_SERVER, probe: bool = True) -> Iterator[Diagnosis]:
    """The same for people: neighbours that are free and differ in nothing but the port are one, for all of them."""
    first: Diagnosis | None = None
    last, before = 0, None
    for endpoint, finding, view in _findings(endpoints, server, probe=probe):
        if first and finding is before and endpoint.port == last + 1 and speaks_of_ports(first):
            last += 1
            continue
        if first:
            yield together(first, last)
        first, last, before = view.numbered(finding, endpoint), endpoint.port, finding
    if first:
        yield together(first, last)


def _findings(
    endpoints: Sequence[Endpoint], server: Server, *, probe: bool, verbose: bool = False
) -> Iterator[tuple[Endpoint, Diagnosis, View]]:
    """What was found for each, and in which view; one and the same finding for ports that differ in nothing else."""
    view = View(_look(endpoints, server, probe=probe, verbose=verbose), server, probe=probe)
    for endpoint in endpoints:
        if known := view.known(endpoint):
            yield endpoint, known, view
            continue
        rows = view.rows(endpoint)
        if any(row.disagreement for row in rows):
            # Most likely a socket came or went between the two: look again before taking it for the kernel's quirk.
            again = View(_look([endpoint], server, probe=probe, verbose=verbose), server, probe=probe)
            yield endpoint, again.finding(endpoint, again.rows(endpoint)), again
            continue
        closer = _look_closer(view.scene, endpoint) if unexplained(rows) else None
        if closer:
            view = View(closer, server, probe=probe)
            rows = view.rows(endpoint)
        yield endpoint, view.finding(endpoint, rows), view


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
