"""portcheck list [TARGET|NAME]...: every listening or bound socket with its owners."""

from __future__ import annotations

import os
import sys

from portcheck import exit_codes
from portcheck.errors import UsageError
from portcheck.listing import Filter, in_order, list_sockets, origins
from portcheck.namedtuple import TYPE_CHECKING
from portcheck.observe.databases import is_user
from portcheck.observe.names import SystemNames
from portcheck.observe.system import own_uid
from portcheck.render import plain, stream
from portcheck.target import parse_wanted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from portcheck.listing import Listing
    from portcheck.model import Protocol
    from portcheck.requests import ListRequest, WatchRequest


def run(request: ListRequest) -> int:
    """Lists, prints, and returns 0: nothing that matches is an answer too."""
    from portcheck.render.progress import Progress

    wanted = _filter(request)
    with Progress("reading the socket table", request.color):
        listing = in_order(list_sockets(wanted), request.sort)
    _refuse_an_unknown_user(request, listing)
    stream.write(_lines(listing, request))
    if request.face != "json":
        stream.say(_remarks(listing, wanted, request), sys.stderr, request.color)
    return exit_codes.DONE


def _filter(request: ListRequest) -> Filter:
    return asked_for(request)._replace(
        connections=request.all and not request.pids,
        user=request.user,
        pid=request.pid,
        name=request.name,
        uid=own_uid() if request.mine else None,
    )


def asked_for(request: ListRequest | WatchRequest) -> Filter:
    """What `list` and `watch` take alike: targets, names, protocols and a family."""
    endpoints, programs = parse_wanted(request.ports, SystemNames())
    protocols: tuple[Protocol, ...] = ("tcp",) if request.tcp else ("udp",) if request.udp else ("tcp", "udp")
    if request.tcp and request.udp:
        protocols = ("tcp", "udp")
    return Filter(protocols, endpoints=endpoints, programs=programs, family=request.family)


def _refuse_an_unknown_user(request: ListRequest, listing: Listing) -> None:
    """Raises UsageError: an empty list for a name that was mistyped would say that all is well."""
    user = request.user
    if user and not listing.sockets and not user.isdecimal() and not is_user(user):
        raise UsageError(f"unknown user '{user}'")


def _lines(listing: Listing, request: ListRequest) -> Iterable[str]:
    if request.pids:
        return plain.pids(socket for socket in listing.sockets if socket.state in ("LISTEN", None))
    if request.face == "json":
        from portcheck.render.json_documents import dumps, list_document

        return [dumps(list_document(listing.sockets, listing.owners(), listing.blind_spots))]
    if request.face == "plain" or not stream.is_drawn(sys.stdout, request.color):
        return plain.listing(listing.sockets, listing.processes, remote=request.all)
    return _drawn(listing, request)


def _drawn(listing: Listing, request: ListRequest) -> Iterator[str]:
    from portcheck.render.listing import chain, entries
    from portcheck.render.listing import listing as table

    canvas = stream.canvas(sys.stdout, os.environ, request.color)
    listed = entries(listing.sockets, listing.processes)
    yield from table(listed, canvas, verbose=request.verbose)
    if request.verbose and len({socket.local_port for socket in listing.sockets}) == 1:
        for process in dict.fromkeys(entry.process for entry in listed if entry.process):
            yield from chain(origins(process), canvas)


def _remarks(listing: Listing, wanted: Filter, request: ListRequest) -> Iterator[str]:
    from portcheck.render.words import nothing_listed, unseen

    if not listing.sockets:
        yield nothing_listed(request.ports, wanted.programs)
        if request.ports and not (wanted.connections or request.pids):
            yield from _connected(wanted)
        from portcheck.commands.mistakes import pid_hint

        if hint := pid_hint(request.ports, "list"):
            yield hint
    yield from unseen(listing.blind_spots)


def _connected(wanted: Filter) -> Iterator[str]:
    """A port on which nobody listens is not free yet where connections have it."""
    connections = len(list_sockets(wanted._replace(connections=True)))
    if connections:
        have = "connection has" if connections == 1 else "connections have"
        yield f"nothing listens there, but {connections} {have} such a port: --all shows them too"
