"""Judges who listens on the command's port: its own processes, or strangers.  Pure."""

from __future__ import annotations

from portcheck.addresses import family_of, is_wildcard
from portcheck.identify.describe import spread, who
from portcheck.identify.holders import leader
from portcheck.namedtuple import TYPE_CHECKING, NamedTuple
from portcheck.rules.reachability import answering

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from portcheck.model import Diagnosis, Owner, Socket
    from portcheck.vocabulary import Platform

# Where a client of this host tries first.
PREFERRED = ("127.0.0.1", "::1")


class Proof(NamedTuple):
    """What one look at the port shows."""

    server: Owner | None = None  # the command's process that listens on the port, the first of them
    address: str | None = None  # where a client reaches it; None: nowhere, or not on the address that was asked for
    places: str = ""  # where it listens, in words
    strangers: tuple[str, ...] = ()  # which other processes answer, and where, in words
    hidden: bool = False  # there is a listener whose process cannot be seen


def prove(diagnosis: Diagnosis, mine: Collection[int], host: str | None, platform: Platform, now: float) -> Proof:
    """Judges the listeners of a diagnosis.

    `mine` are the PIDs of the command's tree, `host` is the address that it was to listen on (None: any).
    """
    listening = [index for index, socket in enumerate(diagnosis.sockets) if socket.state == "LISTEN"]
    ours = [index for index in listening if not set(mine).isdisjoint(diagnosis.sockets[index].pids or ())]
    return Proof(
        server=leader([owner for owner in diagnosis.owners if owner.pid in mine], ours[0]) if ours else None,
        address=next(_reached(diagnosis, mine, host, platform), None),
        places=spread(diagnosis.sockets[index] for index in ours),
        strangers=tuple(_strangers(diagnosis, mine, now)),
        hidden=any(diagnosis.sockets[index].pids is None for index in listening),
    )


def _reached(diagnosis: Diagnosis, mine: Collection[int], host: str | None, platform: Platform) -> Iterator[str]:
    """The addresses on which a client reaches the command and nobody else, the best first."""
    if host is not None and not is_wildcard(host):
        indexes = answering(host, family_of(host), None, "tcp", diagnosis.port, diagnosis.sockets, platform)
        if _all_mine((diagnosis.sockets[index] for index in indexes), mine):
            yield host
        return
    answers = {answer.address: answer for answer in diagnosis.answers if answer.address != "localhost"}
    for address in (*PREFERRED, *answers):
        answer = answers.get(address)
        if (
            answer
            and answer.pids is not None
            and _all_mine((diagnosis.sockets[index] for index in answer.sockets), mine)
        ):
            yield address


def _all_mine(sockets: Iterable[Socket], mine: Collection[int]) -> bool:
    pids = [socket.pids for socket in sockets]
    return bool(pids) and all(holders and set(holders) <= set(mine) for holders in pids)


def _strangers(diagnosis: Diagnosis, mine: Collection[int], now: float) -> Iterator[str]:
    """`python3 (PID 99, root) answers on ::1 and localhost`"""
    places: dict[str, list[str]] = {}
    for answer in diagnosis.answers:
        others = [owner for owner in diagnosis.owners if owner.pid in set(answer.pids or ()) - set(mine)]
        stranger = next((owner for index in answer.sockets if (owner := leader(others, index))), None)
        if stranger:
            places.setdefault(who(stranger.process, now), []).append(answer.address)
    for name, addresses in places.items():
        yield f"{name} answers on {', '.join(addresses)}"
