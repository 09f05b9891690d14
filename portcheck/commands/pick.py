"""portcheck pick CANDIDATE...: the next free port, alone on stdout; the reasons for what was skipped on stderr."""

from __future__ import annotations

import sys

from portcheck import exit_codes
from portcheck.chooser import Choice, NoFreePort, Selection, choose, order
from portcheck.leases.book import Book
from portcheck.namedtuple import TYPE_CHECKING
from portcheck.observe.names import SystemNames
from portcheck.observe.worktree import worktree
from portcheck.profiles import question_for
from portcheck.render import stream
from portcheck.render.pick import drawn, remarks, stable_by
from portcheck.target import EVERY, of_family, parse_host, parse_ports, parse_targets

if TYPE_CHECKING:
    from portcheck.model import Protocol
    from portcheck.requests import PickRequest


def run(request: PickRequest) -> int:
    """Picks, prints, and returns the exit code of the contract."""
    try:
        choice = pick(request)
    except NoFreePort as error:
        _print(Choice((), error.diagnoses), request)
        stream.complain(error.cause, error.remedy, color=request.color)
        return error.exit_code
    _print(choice, request)
    return exit_codes.DONE


def pick(request: PickRequest) -> Choice:
    """The choice that a request asks for.  Raises UsageError or NoFreePort."""
    names = SystemNames()
    protocol: Protocol = "udp" if request.udp else "tcp"
    candidates = parse_targets(request.candidates, names, protocol=protocol, hosts=request.hosts, family=request.family)
    exclude = {port for text in request.exclude for port in parse_ports(text, names, protocol)}
    stable = request.stable
    if stable == "":
        stable = worktree()
        stream.say([stable_by(stable)], sys.stderr, request.color)
    hosts = tuple(parse_host(host, names) for host in request.hosts) or (EVERY,)
    return choose(
        order(candidates, exclude=exclude, random=request.random, stable=stable),
        Selection(request.wanted, request.block, request.any, exclude),
        protocols=("tcp", "udp") if request.both else (protocol,) if request.udp else (),
        hosts=of_family(hosts, request.family),
        family=request.family,
        question=question_for(request.profile, reuseaddr=request.reuseaddr, probe=request.probe),
        leases=Book(request.lease, stable),
    )


def _print(choice: Choice, request: PickRequest) -> None:
    stream.say(remarks(choice), sys.stderr, request.color, lambda canvas: drawn(choice, canvas))
    if request.json:
        from portcheck.render.json_documents import dumps, pick_document

        stream.write([dumps(pick_document(choice))])
    elif choice.ports:
        stream.write(str(port) for port in choice.ports)
