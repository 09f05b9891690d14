"""Who holds a port, for a person who looks for it: by which name, where, and since when."""

from __future__ import annotations

from portcheck.identify.describe import CONDITIONS, ROLES, at_home, container, kept_by, program
from portcheck.identify.holders import groups
from portcheck.namedtuple import TYPE_CHECKING, NamedTuple
from portcheck.render.escape import visible
from portcheck.render.words import age, shortened, user

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from portcheck.identify.holders import Group
    from portcheck.model import Diagnosis, Owner, Process

LONGEST_NAME = 48  # characters of a name, and of anything else that strangers choose
LONGEST_REMARK = 64


class Holder(NamedTuple):
    """One program, or a server with its workers; what is not known is empty."""

    name: str  # the container, unit or program that one would look for
    details: tuple[str, ...]  # which one of that name it is
    place: str  # its project's folder
    age: str
    remarks: tuple[str, ...]  # what keeps it running, and what is odd about it
    pid: int | None
    user: str
    sockets: tuple[int, ...]  # indexes into the diagnosis' sockets


def holders(diagnosis: Diagnosis, now: float) -> list[Holder]:
    """Programs that have nothing to do with each other, in the order of their sockets.

    An engine has a proxy for each address of a container: they are one.
    """
    together: dict[object, list[Group]] = {}
    for group in groups(diagnosis):
        process = group.roots()[0].process
        published = process.container if process.role == "proxy" else None
        together.setdefault(published or group, []).append(group)
    return [_holder(several, now) for several in together.values()]


def _holder(several: Sequence[Group], now: float) -> Holder:
    root = several[0].roots()[0]
    process = root.process
    others = sum(len(group.members) for group in several) - 1
    return Holder(
        shortened(name(process), LONGEST_NAME),
        tuple(shortened(detail, LONGEST_REMARK) for detail in _details(root, others)),
        end_of(place(process), LONGEST_REMARK),
        "" if process.started_at is None else age(now - process.started_at),
        tuple(shortened(remark, LONGEST_REMARK) for remark in _remarks(process)),
        root.pid,
        user(process) or "",
        tuple(sorted(index for group in several for index in group.sockets)),
    )


def name(process: Process) -> str:
    """The best name to look for it by."""
    inside = process.container
    if inside and (inside.name or inside.id or inside.swarm_service):
        return container(inside._replace(image=None, compose_project=None, compose_service=None, pod=None))
    if process.service or process.activation:
        return process.service or process.activation or ""
    if process.pid:
        return name_here(process)
    who = user(process)
    return f"a process of {who}" if who else "an unknown process"


def name_here(process: Process) -> str:
    """`node server.js`, for a script in the folder that is told beside it."""
    folder = process.project_dir or process.cwd
    before, is_there, script = program(process).partition(f" {folder}/")
    return f"{before} {script}" if is_there and folder != "/" else program(process)


def end_of(folder: str, width: int) -> str:
    """A long folder's last parts: `…/deep/shop`, which tell more than its first ones."""
    if len(folder) <= width:
        return visible(folder)
    kept = folder[-(width - 2) :]
    return f"…/{visible(kept.partition('/')[2] or kept)}"


def place(process: Process) -> str:
    """The folder of its project, for what is no service and in no container."""
    if process.service or process.container:
        return ""
    return at_home(process) or ""


def _details(root: Owner, others: int) -> Iterator[str]:
    process = root.process
    inside = process.container
    if inside:
        compose = "/".join(filter(None, (inside.compose_project, inside.compose_service)))
        yield from filter(None, (compose and f"compose {compose}", inside.image, inside.pod and f"pod {inside.pod}"))
    if process.pid and name(process) != program(process):
        yield ROLES.get(process.role, "") + program(process)
    if process.task and not process.service and not inside:
        yield process.task
    if root.pid:
        yield f"PID {root.pid}" + (f" and {others} more" if others else "")
    if user(process) and name(process) != f"a process of {user(process)}":
        yield user(process) or ""
    if not root.pid:
        yield "hidden from here"
    if process.claim:
        yield f"says it is {process.claim}"


def _remarks(process: Process) -> Iterator[str]:
    if process.left_by:
        yield f"left behind by {process.left_by}"
    if process.session and not process.service and not process.container:
        yield process.session
    yield from kept_by(process)
    yield from map(CONDITIONS.__getitem__, process.condition)
