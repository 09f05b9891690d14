"""Which processes hold a port in their own right, and which have inherited it.  Pure."""

from __future__ import annotations

from portcheck.namedtuple import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from portcheck.model import Diagnosis, Owner


class Group(NamedTuple):
    """Processes that hold the same sockets: one program, or a server with its workers."""

    members: tuple[Owner, ...]
    sockets: frozenset[int]  # indexes into the diagnosis' sockets

    def roots(self) -> tuple[Owner, ...]:
        """Those that the others inherited their sockets from: several where a main process died before its workers."""
        pids = {owner.pid for owner in self.members if owner.pid}
        firsts = [owner for owner in self.members if owner.process.parent_pid not in pids]
        return tuple([owner for owner in firsts if owner.process.role != "worker"] or firsts)


def serves(finding: Diagnosis, index: int) -> bool:
    """Whether a socket holds the port, rather than being just one end of a connection."""
    socket = finding.sockets[index]
    return socket.state in ("LISTEN", "BOUND") or (socket.protocol == "udp" and socket.remote_port is None)


def groups(finding: Diagnosis) -> tuple[Group, ...]:
    """The holders of the port, in the order of its sockets, without those that are merely connected."""
    joined: list[Group] = []
    for index in range(len(finding.sockets)):
        members = [owner for owner in finding.owners if index in owner.sockets] if serves(finding, index) else []
        if members:
            joined = _joined(joined, Group(tuple(members), frozenset((index,))))
    return tuple(joined)


def _joined(groups: Sequence[Group], new: Group) -> list[Group]:
    """With the new group, which absorbs those that share a member with it."""
    apart = []
    for group in groups:
        if set(group.members).isdisjoint(new.members):
            apart.append(group)
        else:
            new = Group(tuple(dict.fromkeys(group.members + new.members)), group.sockets | new.sockets)
    return [*apart, new]


def leader(owners: Sequence[Owner], socket: int) -> Owner | None:
    """Of the processes that hold a socket, the one that the others come from: main before worker, then the parent."""
    holders = [owner for owner in owners if socket in owner.sockets]
    pids = {owner.pid for owner in holders}
    firsts = [owner for owner in holders if owner.process.parent_pid not in pids]
    mains = [owner for owner in holders if owner.process.role == "main"]
    return next(iter(mains or firsts or holders), None)
