"""What only an engine, a service manager or a supervisor knows: whom to ask, and what the answer means.  Pure.

Nothing that leads to a manager's command is believed before that manager has named this very process, or its socket.
What it does not confirm is kept as a claim, in words; where it gives no answer, that is known too.
"""

from __future__ import annotations

from portcheck.identify.cgroup import SYSTEM, USER, container_path, placement
from portcheck.identify.containers import by_id, publishers
from portcheck.identify.describe import container as called_container
from portcheck.identify.keepers import ASKABLE, LISTENING, NOT_ASKED, for_whom, is_itself, monit_file
from portcheck.identify.names import base
from portcheck.identify.systemd import is_host, is_manager, starting_again, stopped_with, unit_of
from portcheck.identify.who import is_named
from portcheck.model import Hands
from portcheck.namedtuple import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any

    from portcheck.identify.containers import Inspected
    from portcheck.identify.keepers import Inquiry
    from portcheck.identify.systemd import SocketUnit, Unit
    from portcheck.model import Container, Engine, Process, Socket


class Subject(NamedTuple):
    """A process, or whoever is behind a hidden socket, with the sockets of the question that it holds."""

    process: Process
    sockets: tuple[Socket, ...]
    activator: Process | None = None  # the service manager that holds one of them too
    ancestors: tuple[Process, ...] = ()  # its parent first
    is_roots_word: bool = True  # what its cgroup says; else a user has given the names there, or nobody knows who


class Manager(NamedTuple):
    """A service manager: the system's, or that of a user."""

    user_id: int | None = None


def confirmed(process: Process, **known: Any) -> Process:
    """As its manager has named it; another claim of it may stand unconfirmed."""
    return process._replace(confirmed=process.confirmed is not False, **known)


def claiming(process: Process, claim: str | None, **known: Any) -> Process:
    """With words that nobody has confirmed in the place of what they claim."""
    return process._replace(confirmed=False, claim=process.claim or claim, **known)


# Containers

# Engines with a command of their own; the tool that takes it.
TOOLS: Mapping[Engine, str] = {
    "docker": "docker",
    "podman": "podman",
    "containerd": "ctr",  # which comes with it; nerdctl may be there too
    "systemd-nspawn": "machinectl",
    "lxc": "lxc-info",
}


def engine_of(process: Process, uid: int | None) -> Engine | None:
    """The engine whose tool may know more about it when user `uid` asks; usually None.

    Root may ask as anybody.  No tool is run in vain: docker's could start an engine of somebody else's (docker.socket),
    podman's creates directories when a user calls it for the first time.
    """
    container, owner = process.container, engine_owner(process)
    engine = container.engine if container else process.publisher
    if engine in ("containerd", "systemd-nspawn"):
        return engine if container and container.pod is None and is_named(container) else None
    if engine == "podman":
        return "podman" if uid in (0, owner) else None
    return "docker" if engine in ("docker", "unknown") and (owner in (0, uid, None) or uid == 0) else None


def engine_owner(process: Process) -> int | None:
    """The user whose engine it is: a rootless one lives below its user's manager, and its proxies are that user's."""
    if process.role != "proxy" and process.container:
        return placement(process.cgroup).user_id or 0 if process.engine_uid is None else process.engine_uid
    return process.uid


def engine_hands(process: Process, uid: int | None) -> Hands:
    """As whom user `uid` asks its engine: as the engine's user, or as oneself where that is root's, or one's own."""
    owner = engine_owner(process)
    if not owner or owner == uid:
        return Hands()
    # a rootless docker listens there; root's would answer at the usual place
    address = (("DOCKER_HOST", f"unix:///run/user/{owner}/docker.sock"),)
    engine = process.container.engine if process.container else process.publisher
    is_dockers = engine in ("docker", "unknown")
    return Hands(owner, process.user if process.uid == owner else None, address if is_dockers else ())


def with_container(subject: Subject, inspected: Iterable[Inspected], hands: Hands) -> Process:
    """With what the engine knows of its container; of one that it publishes only where there is a single one."""
    process, keeper = subject.process, hands if hands.uid is not None else None
    container = process.container
    if container and is_named(container):
        own = by_id(inspected, container.id) if container.id else next(iter(inspected), None)
        if own and _is_of(subject, own):
            return confirmed(process, container=_merged(container, own.container), keeper=keeper)
        return process if container.engine == "unknown" else without_container(process)  # perhaps of another engine
    publishing = publishers(inspected, subject.sockets)
    if len(publishing) != 1:
        return without_container(process) if keeper else process
    process = confirmed(process, role="proxy", container=publishing[0].container, keeper=keeper)
    return process._replace(service=None, service_manager=None) if is_host(process.service or "") else process


def _is_of(subject: Subject, own: Inspected) -> bool:
    """Whether the process is in the cgroup of the container's first process, or holds what the container publishes.

    Where its cgroup names no container, it is that first process or one that comes from it.
    """
    process = subject.process
    if process.role == "proxy":
        return own.monitor == process.pid or any(own.publishes(socket) for socket in subject.sockets)
    inside = container_path(process.cgroup)
    if inside is None:
        return own.pid in (process.pid, *(ancestor.pid for ancestor in subject.ancestors))
    return inside == container_path(own.cgroup)


def _merged(by_cgroup: Container, by_engine: Container) -> Container:
    """The pod in the cgroup's path is that of Kubernetes, which the engine does not know."""
    return by_engine._replace(pod=by_cgroup.pod or by_engine.pod)


def without_container(process: Process) -> Process:
    """As far as it is known without its engine: what it says of a container is a claim."""
    claim = called_container(process.container) if process.container else f"{process.publisher}'s"
    without: dict[str, object] = {"container": None, "publisher": None}
    if process.role == "proxy":
        without["role"] = None
    if process.service_manager == "systemd in a container":
        without.update(service=None, service_manager=None)
    return claiming(process, claim, **without)


def container_unknown(subject: Subject, reason: str, hands: Hands) -> Process:
    """As its engine leaves it by giving no answer.  Root's proxies stand for some container, as root says."""
    process, named = subject.process, is_named(subject.process.container)
    if named and (subject.is_roots_word or process.role == "proxy"):
        return process._replace(confirmed=False, unanswered=reason)
    if named or hands.uid is not None:
        return without_container(process)._replace(unanswered=reason)
    return process


def may_be_dockers(process: Process) -> bool:
    """Whether it may be a proxy of an engine that is no service, which only shows as a process of root."""
    named = process.container or process.service or process.activation or process.role or process.claim
    return process.pid == 0 and process.uid == 0 and not named


def unasked(subject: Subject, uid: int | None) -> Process:
    """As whoever no engine is asked about: what a user's own cgroups say of containers is that user's claim."""
    process = subject.process
    container = process.container
    if container is None or engine_of(process, uid) or engine_owner(process) == uid:
        return process
    if container.engine in ("docker", "podman") and is_named(container):
        return container_unknown(subject, f"{container.engine} answers its own user and root alone", Hands())
    return process if subject.is_roots_word else without_container(process)


# Units


def units_of(subject: Subject) -> tuple[Manager, str] | None:
    """The unit that its manager has to confirm: its service's, or for a user's manager the one that this runs in."""
    process = subject.process
    if is_manager(process) and process.pid > 1:
        return None if process.container else (Manager(), f"user@{process.uid}.service")
    if process.service is None or process.service_manager not in (SYSTEM, USER) or process.role == "service manager":
        return None  # a manager that holds a socket unit's socket is not the service that it would start
    return Manager(None if process.service_manager == SYSTEM else placement(process.cgroup).user_id), process.service


def with_unit(subject: Subject, unit: Unit | None, manager: Manager, hands: Hands) -> Process:
    """With its service where that unit has its cgroup; a user's manager is the main process of its unit."""
    process = subject.process
    if is_manager(process):
        is_it = unit is not None and unit.main_pid == process.pid
        keeper = Hands(process.uid, process.user)
        return confirmed(process, keeper=keeper) if is_it else without_unit(process)
    # newer versions of systemd forget the cgroup of a unit that has ended: then root's word for it counts
    if unit is not None and not unit.runs and (subject.is_roots_word or unit.contains(process.cgroup)):
        return confirmed(process, service=None, service_manager=None, left_by=process.service)
    if unit is None or not unit.has(process.cgroup):
        return without_unit(process)
    return confirmed(process, keeper=hands if manager.user_id is not None else None)


def stopping(process: Process) -> tuple[Manager, tuple[str, ...]] | None:
    """The units that are stopped to stop it, and whose they are; None where none has been confirmed."""
    if process.container or process.service_manager not in (SYSTEM, USER) or process.confirmed is not True:
        return None
    user_id = None if process.service_manager == SYSTEM else (process.keeper or Hands(process.uid)).uid
    return Manager(user_id), tuple(unit for unit in (process.activation, process.service) if unit)


def with_surroundings(process: Process, names: Sequence[str], units: Mapping[str, Unit]) -> Process:
    """With the units that would start it again, and those that are stopped with it."""
    triggers = tuple(unit for unit in starting_again(names, units) if unit not in names)
    return process._replace(triggered_by=triggers, required_by=stopped_with(names, units))


def without_unit(process: Process) -> Process:
    """As far as it is known without a service manager: what its cgroup says of a unit is a claim."""
    if is_manager(process):
        return claiming(process, f"the systemd of {process.user or f'uid {process.uid}'}", role=None)
    # whose socket unit it is, is known all the same: the system's may have one of that name too
    manager = process.service_manager if process.activation else None
    return claiming(process, process.service, service=None, service_manager=manager)


def unit_unknown(subject: Subject, reason: str) -> Process:
    """As its service manager leaves it by giving no answer: what root says of it is told, and not acted upon."""
    process = subject.process if subject.is_roots_word else without_unit(subject.process)
    return process._replace(confirmed=False, unanswered=process.unanswered or reason)


def manager_of(subject: Subject) -> Manager | None:
    """The service manager to ask for its .socket unit; None where there is none, or everything is known."""
    process = subject.process
    if process.container or (process.activation and process.service):
        return None
    if process.pid == 0:
        held = process.activation or process.role == "service manager"
        return Manager(placement(process.cgroup).user_id) if held else None
    holder = process if is_manager(process) else subject.activator
    return None if holder is None else Manager(None if holder.pid == 1 else holder.uid)


def with_activation(subject: Subject, units: Iterable[SocketUnit], manager: Manager, hands: Hands) -> Process:
    """With the one .socket unit that listens for it; a manager stands for the service that it starts.

    $LISTEN_FDNAMES would tell a unit too, but that is what the process says.
    """
    process = subject.process
    candidates = dict.fromkeys(unit_of(socket, units) for socket in subject.sockets)
    matching = [unit for unit in candidates if unit is not None]
    if len(matching) != 1:
        return claiming(process, process.activation, activation=None) if process.activation else process
    return confirmed(
        process,
        activation=matching[0].name,
        service=process.service or matching[0].triggers,
        service_manager=SYSTEM if manager.user_id is None else USER,
        keeper=None if manager.user_id is None else hands,
    )


def activation_unknown(subject: Subject, reason: str) -> Process:
    """As a service manager leaves it by giving no answer: the socket unit of its cgroup, if any, is not acted upon."""
    process = subject.process
    return process._replace(confirmed=False, unanswered=reason) if process.activation else process


# Supervisors


def keeper_of(subject: Subject) -> Process | None:
    """The supervisor that has to name it back: an ancestor of it, or itself; None where there is none to be asked."""
    process = subject.process
    if process.container:
        return None
    if process.supervisor in ASKABLE and process.supervisor_pid != process.pid:
        return next((one for one in subject.ancestors if one.pid == process.supervisor_pid), None)
    return process if process.supervises in LISTENING else None


def unkept(subject: Subject) -> Process:
    """As whoever has no supervisor to be asked: one that cannot be is believed by nobody."""
    process = subject.process
    if any(_is_roots_openrc(ancestor) for ancestor in subject.ancestors if ancestor.pid == process.supervisor_pid):
        return confirmed(process, keeper=Hands(0, "root"))
    is_claimed = process.supervisor in NOT_ASKED or process.supervises in NOT_ASKED
    return process._replace(confirmed=False) if is_claimed and not process.container else process


def _is_roots_openrc(keeper: Process) -> bool:
    """Root has started it, with the service's name as an argument: `supervise-daemon web --start ...`."""
    return keeper.uid == 0 and base(keeper.executable or "") == "supervise-daemon"


def with_monit(subject: Subject, monit: Process, names: Mapping[int, str], hands: Hands) -> Process:
    """With the name that monit has for it, or for what it came from: that is no child of monit's."""
    process = subject.process
    pids = (process.pid, *(ancestor.pid for ancestor in subject.ancestors if ancestor.pid != 1))
    name = next((names[pid] for pid in pids if pid in names), None)
    if name is None or process.container or process.supervisor:
        return process
    keeping: dict[str, Any] = {"supervisor": "monit", "supervisor_pid": monit.pid, "started_by": None}
    return confirmed(process, supervised=name, supervisor_config=monit_file(monit), keeper=hands, **keeping)


def below(subject: Subject, keeper: Process) -> tuple[int, ...]:
    """The process and its ancestors below its supervisor, which knows one of them."""
    pids = (subject.process.pid, *(ancestor.pid for ancestor in subject.ancestors))
    return pids[: pids.index(keeper.pid)]


def with_keeper(process: Process, name: str | None, question: Inquiry, hands: Hands) -> Process:
    """With the name that its supervisor has for it; None where that has no such program."""
    if name is None:
        return without_keeper(process)
    return confirmed(
        process,
        supervised=name,
        keeper=hands,
        supervisor_config=question.configuration,
        supervisor_url=question.server_url,
        triggered_by=(),  # the supervisor's own unit goes on
        required_by=(),
    )


def as_keeper(subject: Subject, answer: str, question: Inquiry, hands: Hands) -> Process:
    """A supervisor that holds the port itself: for whom, if that can be told."""
    process = subject.process
    if not is_itself(process, answer):
        return without_keeper(process)
    sharing = {pid for socket in subject.sockets for pid in socket.pids or ()}
    name = for_whom(process, answer, sharing)
    if name is None:
        return confirmed(process, keeper=hands, supervisor_url=question.server_url)
    itself = process._replace(supervisor=process.supervises, supervisor_pid=process.pid, supervises=None)
    return with_keeper(itself, name, question, hands)


def without_keeper(process: Process) -> Process:
    """As far as it is known without a supervisor: nothing keeps it that would know of it, nor does it keep anything."""
    without = dict.fromkeys(("supervisor", "supervisor_pid", "supervised", "supervisor_url", "supervises"))
    return claiming(process, _kept(process), **without)


def keeper_unknown(process: Process, reason: str) -> Process:
    """As its supervisor leaves it by giving no answer."""
    process = claiming(process, _kept(process), supervised=None, supervisor_url=None)
    return process._replace(unanswered=process.unanswered or reason)


def _kept(process: Process) -> str:
    """`supervisord's shop:web`, or a supervisor itself."""
    if process.supervisor is None or process.supervisor_pid == process.pid:
        return str(process.supervises)
    return f"{process.supervisor}'s {process.supervised}" if process.supervised else f"kept by {process.supervisor}"
