"""portcheck list [PORT|RANGE]...: every listening or bound socket with its owners."""

from __future__ import annotations

import os
import sys

from portcheck import exit_codes
from portcheck.listing import Filter, list_sockets
from portcheck.namedtuple import TYPE_CHECKING
from portcheck.observe.names import SystemNames
from portcheck.render import plain, stream
from portcheck.target import parse_ports

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from portcheck.listing import Listing
    from portcheck.model import Protocol
    from portcheck.requests import ListRequest


def run(request: ListRequest) -> int:
    """Lists, prints, and returns 0: nothing that matches is an answer too."""
    from portcheck.render.progress import Progress

    wanted = _filter(request)
    with Progress("reading the socket table"):
        listing = list_sockets(wanted)
    _print(listing, request)
    if request.ports and not (listing.sockets or wanted.connections or request.pids or request.face == "json"):
        stream.write_to(sys.stderr, _hint(wanted))
    return exit_codes.DONE


def _hint(wanted: Filter) -> Iterator[str]:
    """A port on which nobody listens is not free yet where connections have it."""
    connections = len(list_sockets(wanted._replace(connections=True)))
    if connections:
        have = "connection has" if connections == 1 else "connections have"
        yield f"nothing listens there, but {connections} {have} such a port: --all shows them too"


def _filter(request: ListRequest) -> Filter:
    names = SystemNames()
    protocols: tuple[Protocol, ...] = ("tcp",) if request.tcp else ("udp",) if request.udp else ("tcp", "udp")
    if request.tcp and request.udp:
        protocols = ("tcp", "udp")
    ports = tuple(port for text in request.ports for port in parse_ports(text, names)) if request.ports else None
    return Filter(protocols, ports, request.all and not request.pids, request.user, request.pid, request.name)


def _print(listing: Listing, request: ListRequest) -> None:
    stream.write(_lines(listing, request))
    if request.face != "json":
        from portcheck.render.words import unseen

        stream.write_to(sys.stderr, unseen(listing.blind_spots))


def _lines(listing: Listing, request: ListRequest) -> Iterable[str]:
    if request.pids:
        return plain.pids(socket for socket in listing.sockets if socket.state in ("LISTEN", None))
    if request.face == "json":
        from portcheck.render.json_documents import dumps, list_document

        return [dumps(list_document(listing.sockets, listing.owners(), listing.blind_spots))]
    if request.face == "plain" or not stream.can_be_drawn_on(sys.stdout):
        return plain.listing(listing.sockets, listing.processes, remote=request.all)
    from portcheck.render import terminal

    return terminal.listing(
        listing.sockets,
        listing.processes,
        remote=request.all,
        width=stream.width(sys.stdout, os.environ),
        colour=stream.wants_colour(sys.stdout, os.environ, allowed=request.color),
    )
