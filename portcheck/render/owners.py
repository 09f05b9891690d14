"""The holders of sockets, in words: a process by name and PID, or what is known of one that cannot be seen."""

from __future__ import annotations

from portcheck.namedtuple import TYPE_CHECKING, NamedTuple
from portcheck.render.words import NAME_WIDTH, identity, listed, shortened, user
from portcheck.text import local

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from portcheck.model import Diagnosis, Owner, Socket

SHOWN_PIDS = 1  # the rest is for -v and JSON
SHOWN_NAMES = 3
SHOWN_OWNERS = 8
COMMAND_WIDTH = 100  # enough to know it by; a JVM's has thousands of characters


class OwnerLine(NamedTuple):
    """One line about owners that differ in nothing but their PIDs; None is not known."""

    name: str
    pids: str | None
    user: str | None
    since: str | None
    command: str  # or the program's path, where that is all there is
    identity: str  # empty where it is not wanted, or nothing is known


def name(owner: Owner) -> str:
    """The best available name for a holder of which perhaps only a service, a container or a user is known."""
    from portcheck.identify.names import called

    process = owner.process
    container = process.container
    best = called(process) or process.service or (container and (container.name or container.id))
    if best:
        return shortened(best, NAME_WIDTH)
    who = user(process)
    return f"a process of {who}" if who else "an unknown process"


def pids(owners: Iterable[Owner], shown: int | None = SHOWN_PIDS) -> str | None:
    """`382`, or `382 and 9 more`; None where none can be seen."""
    return listed([str(owner.pid) for owner in owners if owner.pid is not None], shown) or None


def holders(owners: Iterable[Owner]) -> str:
    """`node (PID 812), httpd (PID 382 and 9 more)`."""
    named: dict[str, list[Owner]] = {}
    for owner in owners:
        named.setdefault(name(owner), []).append(owner)
    phrases = [f"{who} (PID {numbers})" if (numbers := pids(group)) else who for who, group in named.items()]
    return listed(phrases, SHOWN_NAMES)


def unowned(sockets: Iterable[Socket]) -> str:
    """Sockets without an owner: `3 TIME-WAIT sockets (55 s left)`."""
    kinds: dict[str, list[Socket]] = {}
    for socket in sockets:
        kinds.setdefault(socket.state or socket.protocol.upper(), []).append(socket)
    return ", ".join(_several(kind, group) for kind, group in kinds.items())


def _several(kind: str, sockets: Sequence[Socket]) -> str:
    left = max((socket.expires_in or 0 for socket in sockets), default=0)
    several = "s" if len(sockets) > 1 else ""
    return f"{len(sockets)} {kind} socket{several}" + (f" ({left:.0f} s left)" if left else "")


def behind(diagnosis: Diagnosis, sockets: Sequence[int]) -> str:
    """The holders of some of a diagnosis' sockets; empty for no sockets."""
    wanted = set(sockets)
    owners = [owner for owner in diagnosis.owners if not wanted.isdisjoint(owner.sockets)]
    owned = {index for owner in owners for index in owner.sockets}
    rest = unowned(diagnosis.sockets[index] for index in sockets if index not in owned)
    return ", ".join(filter(None, (holders(owners), rest)))


def owner_lines(diagnosis: Diagnosis, *, verbose: bool) -> tuple[list[OwnerLine], int]:
    """Who holds one of the sockets, and how many more do.

    Unless `verbose`, the workers of a server share a line, there are at most eight lines, and a holder that cannot be
    seen has none: the message and the blind spot name it already.
    """
    if verbose:
        return [_line([owner], identity(owner.process)) for owner in diagnosis.owners], 0
    groups: dict[object, list[Owner]] = {}
    for owner in diagnosis.owners:
        if owner.pid is not None:
            groups.setdefault(_kind(owner), []).append(owner)
    shown, more = list(groups.values())[:SHOWN_OWNERS], list(groups.values())[SHOWN_OWNERS:]
    return [_line(group) for group in shown], sum(map(len, more))


def _kind(owner: Owner) -> object:
    """Equal for the workers of one server."""
    process = owner.process
    return owner.sockets, name(owner), user(process), process.command, process.service, process.container


def _line(group: Sequence[Owner], identity: str | None = None) -> OwnerLine:
    """With an identity in every detail, without in short."""
    process = group[0].process
    command = " ".join(process.command or ()) or process.executable or ""
    return OwnerLine(
        name(group[0]),
        pids(group),
        user(process),
        local(process.started_at),
        shortened(command, COMMAND_WIDTH if identity is None else None),
        identity or "",
    )
