"""portcheck list [TARGET|NAME]...: every listening or bound socket with its owners."""

from __future__ import annotations

import os
import sys

from portcheck import exit_codes
from portcheck.listing import Filter, list_sockets
from portcheck.namedtuple import TYPE_CHECKING
from portcheck.observe.names import SystemNames
from portcheck.render import plain, stream
from portcheck.target import parse_wanted

if TYPE_CHECKING:
    from collections.abc import Iterable

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
    if not len(listing) and request.face != "json":
        from portcheck.commands.mistakes import pid_hint

        if hint := pid_hint(request.ports, "list"):
            stream.complain(hint)
    return exit_codes.DONE


def _filter(request: ListRequest) -> Filter:
    endpoints, programs = parse_wanted(request.ports, SystemNames())
    protocols: tuple[Protocol, ...] = ("tcp",) if request.tcp else ("udp",) if request.udp else ("tcp", "udp")
    if request.tcp and request.udp:
        protocols = ("tcp", "udp")
    return Filter(
        protocols,
        connections=request.all and not request.pids,
        user=request.user,
        pid=request.pid,
        name=request.name,
        endpoints=endpoints,
        programs=programs,
        family=request.family,
    )


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
        colour=stream.wants_colour(sys.stdout, os.environ, request.color),
    )
