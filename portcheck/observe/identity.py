"""Looks around the holders of sockets, and says who they really are."""

from __future__ import annotations

from portcheck.identify.cgroup import placement
from portcheck.identify.facts import Facts
from portcheck.identify.managers import Subject
from portcheck.identify.roles import activators, leaders
from portcheck.identify.supervisors import ancestor
from portcheck.identify.systemd import is_manager
from portcheck.identify.who import who_is, who_is_hidden
from portcheck.namedtuple import TYPE_CHECKING, NamedTuple
from portcheck.observe.context import Ancestry, project_files
from portcheck.observe.engines import ask_engines
from portcheck.observe.managers import ask_managers
from portcheck.observe.supervisors import ask_supervisors
from portcheck.observe.system import BACK_END

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from portcheck.identify.cgroup import Placement
    from portcheck.model import Ancestor, BlindSpot, Container, Process, Socket


class Identities(NamedTuple):
    """Who everybody is: processes by PID, the unseen holders of sockets by the sockets' inodes."""

    processes: dict[int, Process]
    hidden: dict[int, Process]
    blind_spots: tuple[BlindSpot, ...]


def identities(processes: Mapping[int, Process], sockets: Sequence[Socket]) -> Identities:
    """Everybody who holds one of the sockets; engines and managers are asked once, where it matters."""
    # what portcheck itself runs in tells nothing of the others there
    own = placement(BACK_END.own_cgroup())
    visible = [_visible(facts) for facts in _facts(processes, sockets, own)]
    inodes = {socket.inode: socket for socket in _placed(sockets) if socket.inode}
    hidden = [_hidden(socket, own.container) for socket in inodes.values()]
    engines = ask_engines([*visible, *hidden])
    managers = ask_managers(engines.subjects)
    supervisors = ask_supervisors(managers.subjects)
    everybody = [subject.process for subject in supervisors.subjects]
    return Identities(
        dict(zip(processes, everybody)),
        dict(zip(inodes, everybody[len(visible) :])),
        engines.blind_spots + managers.blind_spots + supervisors.blind_spots,
    )


def _visible(facts: Facts) -> Subject:
    process = who_is(facts)
    by_root = facts.authorship is None or facts.authorship.of_root(facts.process.cgroup)
    if process.engine_uid is not None:  # that it is in a container is the word of what looks after that
        by_root = process.engine_uid == 0
    return Subject(process, facts.sockets, facts.activator, facts.ancestors, by_root)


def _hidden(socket: Socket, own: Container | None) -> Subject:
    authorship = BACK_END.authorship(socket.cgroup)
    by_root = authorship is None or authorship.of_root(socket.cgroup)
    return Subject(who_is_hidden(socket, own, authorship), (socket,), is_roots_word=by_root)


def _facts(processes: Mapping[int, Process], sockets: Sequence[Socket], own: Placement) -> Iterator[Facts]:
    ancestry = Ancestry(processes)
    ancestors = {pid: ancestry.of(one) for pid, one in processes.items()}
    managers = {pid: one for pid, one in processes.items() if is_manager(one)}
    activated, led = activators(sockets, managers), leaders(sockets, ancestors)
    leading = {leader.pid for leader in led.values()}
    held = _held(sockets)
    lineages = _lineages(ancestors)
    for pid, one in processes.items():
        variables, session = BACK_END.environment(pid), BACK_END.session(pid)
        yield Facts(
            process=one,
            ancestors=ancestors[pid],
            lineage=lineages[pid],
            environment=variables,
            session_id=session.id,
            parent_session_id=BACK_END.session(ancestors[pid][0].pid).id if ancestors[pid] else None,
            terminal=session.terminal,
            sockets=tuple(held.get(pid, ())),
            leader=led.get(pid),
            leads=pid in leading,
            activator=activated.get(pid),
            project=project_files(one, variables.get("HOME")),
            own_container=own.container,
            own_service=own.service,
            authorship=BACK_END.authorship(one.cgroup),
        )


def _lineages(ancestors: Mapping[int, tuple[Process, ...]]) -> dict[int, tuple[Ancestor, ...]]:
    """Each ancestor is judged once: the workers of a server have the same ones."""
    above = {one.pid: one for line in ancestors.values() for one in line}
    judged = {pid: ancestor(one) for pid, one in above.items()}
    return {pid: tuple(judged[one.pid] for one in line) for pid, line in ancestors.items()}


def _held(sockets: Sequence[Socket]) -> dict[int, list[Socket]]:
    """The sockets of each process."""
    held: dict[int, list[Socket]] = {}
    for socket in sockets:
        for pid in socket.pids or ():
            held.setdefault(pid, []).append(socket)
    return held


def _placed(sockets: Sequence[Socket]) -> list[Socket]:
    """Those of hidden holders, with the cgroup in which each was made: it says more of them than anything else."""
    hidden = [socket for socket in sockets if socket.pids is None]
    ids = {socket.cgroup_id for socket in hidden if socket.cgroup is None and socket.cgroup_id is not None}
    paths = BACK_END.cgroup_paths(ids) if ids else {}
    return [
        socket._replace(cgroup=paths.get(socket.cgroup_id)) if socket.cgroup_id in ids else socket for socket in hidden
    ]
