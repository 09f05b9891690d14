"""Which processes hold a port in their own right, which have inherited it, which are strangers to each other.  Pure.

Any process can give its descriptor to any other (SCM_RIGHTS), and root's programs leak theirs to other users' children:
that two processes hold one socket proves nothing.  Only the kernel's word does: who descends from whom, and whose
they are.
"""

from __future__ import annotations

from portcheck.model import Ancestor
from portcheck.namedtuple import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from portcheck.model import Diagnosis, Owner, Process

ROOT = 0


class Group(NamedTuple):
    """Processes of one family that hold the same sockets: one program, or a server with its workers."""

    members: tuple[Owner, ...]
    sockets: frozenset[int]  # indexes into the diagnosis' sockets

    def roots(self) -> tuple[Owner, ...]:
        """Those that the others inherited their sockets from: several where a main process died before its workers."""
        holders = _by_pid(self.members)
        firsts = [owner for owner in self.members if not any(_holding_ancestors(owner.process, holders))]
        firsts = firsts or list(self.members)  # on Windows a parent's PID may be another process's, and lead back
        return tuple([owner for owner in firsts if owner.process.role != "worker"] or firsts)


def serves(finding: Diagnosis, index: int) -> bool:
    """Whether a socket holds the port, rather than being one end of a connection, or in a VRF and in nobody's way."""
    socket = finding.sockets[index]
    if socket.interface and not any(index in row.conflicts or index in row.blocked_by for row in finding.binds):
        return False
    return socket.state in ("LISTEN", "BOUND") or (socket.protocol == "udp" and socket.remote_port is None)


def groups(finding: Diagnosis) -> tuple[Group, ...]:
    """The holders of the port, in the order of its sockets, without those that are merely connected.

    Strangers that hold one socket are in groups of their own, which both have it.
    """
    joined: list[Group] = []
    for index in range(len(finding.sockets)):
        members = [owner for owner in finding.owners if index in owner.sockets] if serves(finding, index) else []
        if members:
            joined = _joined(joined, Group(tuple(members), frozenset((index,))))
    return tuple(family for group in joined for family in _families(group, finding))


def sharers(finding: Diagnosis) -> tuple[Group, ...]:
    """Servers that have nothing to do with each other and listen at one address: they take turns with its clients.

    Only SO_REUSEPORT lets them, and only of one user.  Workers that each have a socket of their own are one server.
    """
    places: dict[object, set[int]] = {}
    for index, socket in enumerate(finding.sockets):
        if socket.state == "LISTEN" and serves(finding, index):
            places.setdefault((socket.local_address, socket.v6only, socket.interface), set()).add(index)
    for sockets in places.values():
        members = tuple(owner for owner in finding.owners if owner.pid and not sockets.isdisjoint(owner.sockets))
        families = tuple(_families(Group(members, frozenset(sockets)), finding)) if len(members) > 1 else ()
        if len(families) > 1 and sum(len(family.sockets) for family in families) == len(sockets):
            return families
    return ()


def _joined(groups: Sequence[Group], new: Group) -> list[Group]:
    """With the new group, which absorbs those that share a member with it."""
    apart = []
    for group in groups:
        if set(group.members).isdisjoint(new.members):
            apart.append(group)
        else:
            new = Group(tuple(dict.fromkeys(group.members + new.members)), group.sockets | new.sockets)
    return [*apart, new]


def _families(group: Group, finding: Diagnosis) -> Iterator[Group]:
    """Those of the members that are related: by a tie to one of the family a process belongs to all of it."""
    if len(group.members) == 1:
        yield group
        return
    holders = _by_pid(group.members)
    families: list[tuple[set[tuple[object, ...]], list[Owner]]] = []
    for owner in group.members:
        ties, family, apart = set(_ties(owner, holders, finding)), [owner], []
        for its_ties, members in families:
            if ties.isdisjoint(its_ties):
                apart.append((its_ties, members))
            else:
                ties, family = ties | its_ties, members + family
        families = [*apart, (ties, family)]
    for _, members in sorted(families, key=lambda family: group.members.index(family[1][0])):
        yield Group(tuple(members), group.sockets & {index for owner in members for index in owner.sockets})


def _ties(owner: Owner, holders: Mapping[int, Owner], finding: Diagnosis) -> Iterator[tuple[object, ...]]:
    """What makes another holder a relative: to have one of these too.

    Command lines and sessions tie only what is one user's: anybody can choose them.
    """
    process = owner.process
    yield "is", owner.pid
    for ancestor in _holding_ancestors(process, holders):
        if _passes_on(holders[ancestor.pid], owner, finding):
            yield "is", ancestor.pid
    above = lineage(process)
    for ancestor in above:
        if ancestor.is_host:
            break
        if may_speak_for(ancestor.uid, process.uid) and ancestor.pid not in holders:
            yield "started by", ancestor.pid, process.uid
    # Workers whose main process is gone: no ancestor is left that could tell.
    if process.session_id and process.session_id not in {ancestor.pid for ancestor in above}:
        yield "session", process.session_id, process.uid
    if process.command and (not above or above[0].is_host):
        yield "command", process.command, process.uid


def _passes_on(ancestor: Owner, heir: Owner, finding: Diagnosis) -> bool:
    """Whether the heir may have its socket from there: root's main process makes it, and its workers are others'.

    A socket that another user made has come to root's process by some other way.
    """
    if not may_speak_for(ancestor.process.uid, heir.process.uid):
        return False
    shared = {finding.sockets[index].uid for index in ancestor.sockets if index in heir.sockets}
    return ancestor.process.uid == heir.process.uid or not shared.isdisjoint((ancestor.process.uid, None))


def may_speak_for(above: int | None, below: int | None) -> bool:
    """Whether a process of one user may be what stands for a process of another: its own user's, or root's."""
    return above in (ROOT, None) or above == below


def lineage(process: Process) -> tuple[Ancestor, ...]:
    """Its ancestors as far as they are known, its parent first."""
    if process.ancestors or not process.parent_pid:
        return process.ancestors
    return (Ancestor(process.parent_pid, is_host=process.parent_pid == 1),)


def _holding_ancestors(process: Process, holders: Mapping[int, Owner]) -> Iterator[Ancestor]:
    """Those of its ancestors that hold a socket of the port too."""
    for ancestor in lineage(process):
        same = holders.get(ancestor.pid)
        if same and same.pid != process.pid and ancestor.born in (same.process.born, None):
            yield ancestor


def _by_pid(owners: Iterable[Owner]) -> dict[int, Owner]:
    return {owner.pid: owner for owner in owners if owner.pid}


def leader(owners: Sequence[Owner], socket: int) -> Owner | None:
    """Of the processes that hold a socket, the one that the others come from: main before worker, then the parent."""
    holders = [owner for owner in owners if socket in owner.sockets]
    pids = {owner.pid for owner in holders}
    firsts = [owner for owner in holders if owner.process.parent_pid not in pids]
    mains = [owner for owner in holders if owner.process.role == "main"]
    return next(iter(mains or firsts or holders), None)
