"""Whether the holders of a socket are those that a declaration names: yes, no, or not to be told.  Pure.

One of the processes that hold the socket has to be all that is named, because a server's workers have its socket too.
What a container is, its engine has to say, and what a service is, its manager: a claim that nobody has confirmed
proves nothing.
"""

from __future__ import annotations

from portcheck.identify.describe import called_names
from portcheck.identify.names import DELETED
from portcheck.model import Process
from portcheck.namedtuple import TYPE_CHECKING, NamedTuple
from portcheck.preflight.declarations import ANYBODY
from portcheck.preflight.judge import is_own
from portcheck.rules.three_valued import all_of, any_of
from portcheck.text import utf8

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from portcheck.model import Scene, Socket
    from portcheck.preflight.declarations import Declaration, Expected
    from portcheck.preflight.judge import Project

UNIT = ".service"


class Who(NamedTuple):
    """By whom a port is to be listened on; nothing set is anybody."""

    expected: Expected = ANYBODY
    compose: tuple[str | None, str | None] | None = None  # project and service
    own: tuple[Declaration, Project] | None = None  # a process of this project
    private: bool = False  # the Compose project's name is the value of a variable

    def words(self) -> str:
        """`nginx of root`, `web.service`, `the container of shop's web`"""
        expected = self.expected
        program = f"{expected.process or 'a process'} of {expected.user}" if expected.user else expected.process
        project, service = self.compose or (None, None)
        is_told = project and not self.private
        composed = f"the container of {project}'s {service}" if is_told else f"the container of the service {service}"
        words = (
            expected.container and f"container {expected.container}",
            composed if self.compose else None,
            expected.service,
            program,
            "a process of this project" if self.own else None,
        )
        return ", ".join(filter(None, words))

    @property
    def is_anybody(self) -> bool:
        """Whether nobody is named."""
        return not (self.expected.by_whom() or self.compose or self.own)


def who_of(declaration: Declaration, project: Project) -> Who:
    """Whom a declaration names; a file that belongs to a project speaks of the project's own processes."""
    if declaration.kind == "compose":
        labels = (declaration.compose_project, declaration.service)
        return Who(declaration.expected, compose=labels, private=declaration.private)
    is_editors = declaration.kind in ("portcheck", "devcontainer")
    knows_the_project = bool(project.directories or project.compose_projects)
    return Who(declaration.expected, own=None if is_editors or not knows_the_project else (declaration, project))


class Holders(NamedTuple):
    """The processes that hold a socket; of one that cannot be seen the PID is 0."""

    processes: tuple[Process, ...]
    seen: bool  # whether there can be nobody else


def holders(socket: Socket, scene: Scene) -> Holders:
    """Everybody who holds it, as far as that can be told."""
    if socket.pids is None:
        unseen = scene.hidden.get(socket.inode or 0) or Process(0, uid=socket.uid, user=socket.user)
        return Holders((unseen,), seen=False)
    is_kernels = (socket.protocol, socket.local_port) in scene.kernel_owned
    processes = tuple(scene.processes.get(pid) or Process(pid) for pid in socket.pids)
    return Holders(processes, seen=bool(processes) or is_kernels)


def leading(processes: Sequence[Process]) -> Process:
    """Of the processes that hold a socket, one that the others come from."""
    pids = {process.pid for process in processes}
    return next((process for process in processes if process.parent_pid not in pids), processes[0])


def is_held_by(who: Who, socket: Socket, scene: Scene) -> bool | None:
    """Whether one of them is all that is named; None where that cannot be told."""
    if who.is_anybody:
        return True
    held = holders(socket, scene)
    answers = (all_of(*_answers(who, process)) for process in held.processes)
    return any_of(*answers, *(() if held.seen else (None,)))


def _answers(who: Who, process: Process) -> Iterator[bool | None]:
    expected = who.expected
    if expected.process:
        yield _is_program(process, expected.process)
    if expected.user:
        yield _is_of_user(process, expected.user)
    if expected.service:
        yield _is_unit(process, expected.service)
    if expected.container:
        yield _is_container(process, expected.container)
    if who.compose:
        yield _is_composed(process, *who.compose)
    if who.own:
        yield _is_the_projects(process, *who.own)


def _is_program(process: Process, wanted: str) -> bool | None:
    """A path is that of its file, by the kernel's word; a name is any that it goes by."""
    if not process.pid:
        return None
    if "/" in wanted or "\\" in wanted:
        executable = process.executable
        return None if executable is None else utf8(executable.removesuffix(DELETED)) == utf8(wanted)
    called = {utf8(name) for name in called_names(process)}
    return utf8(wanted) in called if called else None


def _is_of_user(process: Process, wanted: str) -> bool | None:
    """Of a process that cannot be seen only who made its socket is known: it may have become another user since."""
    if process.user is None and process.uid is None:
        return None
    names = {utf8(process.user or ""), str(process.uid)}
    return True if utf8(wanted) in names else False if process.pid else None


def _is_unit(process: Process, wanted: str) -> bool | None:
    """The service, or the socket unit that holds its port for it; the manager that answers decides."""
    units = {utf8(unit) for unit in (process.service, process.activation) if unit}
    named = not units.isdisjoint((utf8(wanted), utf8(wanted) + UNIT))
    return _confirmed(process, named=named)


def _is_container(process: Process, wanted: str) -> bool | None:
    container = process.container
    return _confirmed(process, named=container is not None and utf8(container.name or "") == utf8(wanted))


def _is_composed(process: Process, project: str | None, service: str | None) -> bool | None:
    container = process.container
    if container is None:
        return _confirmed(process, named=False)
    is_of_project = project is None or container.compose_project == project
    return _confirmed(process, named=is_of_project and container.compose_service == service)


def _confirmed(process: Process, *, named: bool) -> bool | None:
    """What a manager has said of it; where it gave no answer, or its process cannot be seen, that stays open."""
    if named:
        return True if process.confirmed is not False else None
    open_ended = not process.pid or process.unanswered or (process.publisher and not process.container)
    return None if open_ended else False


def _is_the_projects(process: Process, declaration: Declaration, project: Project) -> bool | None:
    if not process.pid:
        return None
    if is_own(process, declaration, project):
        return True
    return None if process.cwd is None and process.container is None else False
