"""portcheck pick CANDIDATE...: the next free port, alone on stdout; the reasons for what was skipped on stderr."""

from __future__ import annotations

import sys

from portcheck.chooser import UNSAFE_IN_BROWSERS, Choice, NoFreePort, choose, order
from portcheck.namedtuple import TYPE_CHECKING
from portcheck.observe.names import SystemNames
from portcheck.observe.system import BACK_END
from portcheck.profiles import server_for
from portcheck.render import stream
from portcheck.render.escape import visible
from portcheck.render.owners import holders
from portcheck.target import EVERY, parse_host, parse_ports

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from portcheck.model import Diagnosis, Protocol
    from portcheck.requests import PickRequest


def run(request: PickRequest) -> int:
    """Picks, prints, and returns the exit code of the contract."""
    try:
        choice = pick(request)
    except NoFreePort as error:
        _print(Choice((), error.diagnoses), request)
        stream.complain(error.cause, error.remedy)
        return error.exit_code
    _print(choice, request)
    return 0


def pick(request: PickRequest) -> Choice:
    """The choice that a request asks for.  Raises UsageError or NoFreePort."""
    names = SystemNames()
    protocol: Protocol = "udp" if request.udp else "tcp"
    ports = [port for text in request.candidates for port in parse_ports(text, names, protocol)]
    exclude = {port for text in request.exclude for port in parse_ports(text, names, protocol)}
    return choose(
        order(ports, exclude=exclude, random=request.random, stable=request.stable),
        count=request.wanted,
        protocol=protocol,
        hosts=tuple(parse_host(host, names) for host in request.hosts) or (EVERY,),
        any_port=request.any,
        exclude=exclude,
        server=server_for(request.profile, reuseaddr=request.reuseaddr),
        probe=request.probe,
    )


def _print(choice: Choice, request: PickRequest) -> None:
    stream.write([*skipped(choice.diagnoses), *_warnings(choice.ports), *_unseen(choice)], sys.stderr)
    if request.json:
        from portcheck.render.json_documents import dumps, pick_document

        stream.write([dumps(pick_document(choice.ports, choice.diagnoses))])
    elif choice.ports:
        stream.write(str(port) for port in choice.ports)


def skipped(diagnoses: Iterable[Diagnosis]) -> Iterator[str]:
    """`20000: in use by Service.exe (PID 5444)`"""
    for diagnosis in diagnoses:
        if diagnosis.verdict != "free":
            owners = holders(diagnosis.owners)
            by = f"in use by {owners}" if diagnosis.verdict == "in-use" and owners else visible(diagnosis.message)
            yield f"{diagnosis.port}: {by}"


def _unseen(choice: Choice) -> Iterator[str]:
    """What could not be seen of the ports that were taken."""
    spots = (spot for found in choice.diagnoses if found.port in choice.ports for spot in found.blind_spots)
    for spot in {spot.code: spot for spot in spots}.values():
        yield f"not seen: {visible(spot.message)}" + (f" ({visible(spot.remedy)})" if spot.remedy else "")


def _warnings(ports: Iterable[int]) -> Iterator[str]:
    """What a user should know of a port that was taken all the same, because the list's order is theirs."""
    rules = BACK_END.policy()
    for port in ports:
        if any(port in reserved for reserved in rules.reserved):
            yield f"note: {port} is reserved on this host (ip_local_reserved_ports)"
        elif rules.ephemeral and port in rules.ephemeral:
            low, high = rules.ephemeral
            yield f"note: {port} lies in the ephemeral range ({low}-{high}): an outgoing connection may take it"
        if port in UNSAFE_IN_BROWSERS:
            yield f"note: browsers refuse to connect to {port} (it is one of the Fetch standard's bad ports)"
