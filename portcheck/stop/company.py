"""Who ends with what is stopped: workers, children, members of a unit or container, a runner's programs.  Pure.

What a person agrees to has to be the whole of it.
"""

from __future__ import annotations

from portcheck.namedtuple import TYPE_CHECKING
from portcheck.stop.plan import Ending

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    from portcheck.model import Ancestor, Diagnosis, Process, Socket
    from portcheck.stop.plan import Part, Plan, Step

    Residents = Mapping[int, Process]
    Parts = Mapping[int, Part]
    Read = Callable[[int], Process]

PROXY_TO = "-container-ip"  # docker-proxy's option: whom it listens for


def parts(plan: Plan, residents: Residents, read: Read, asking: Collection[int] = ()) -> tuple[Parts, ...]:
    """For each step the PIDs of those that it ends; who is part of two counts where he is signalled, or first.

    `read`: a process in full.  `asking`: portcheck and its ancestors, which go on.
    """
    children = _children(residents)
    told = {process.pid for step in plan.steps for process in step.signalled}
    every: list[Parts] = []
    for step in plan.steps:
        wanted = _parts(step, residents, children, read, asking)
        first = {process.pid: wanted[process.pid] for process in step.signalled}
        others = {pid: part for pid, part in wanted.items() if pid not in told}
        told |= others.keys()
        every.append({**first, **others})
    return tuple(every)


def _parts(
    step: Step, residents: Residents, children: Mapping[int, Sequence[int]], read: Read, asking: Collection[int]
) -> Parts:
    """The surest word about a process comes last."""
    own = [owner.process for owner in step.members if owner.pid and owner.process.role != "service manager"]
    own += [process for process in step.signalled if process not in own]
    pids = [process.pid for process in own]
    home = _home(step)
    ended = () if step.command else own  # what a manager stops has that for its starter, and that goes on
    above = [ancestor.pid for ancestor in _starters(ended, asking) if _is_there(ancestor, residents)]
    runners = [runner.pid for process in ended if (runner := _runner(process)) and _is_there(runner, residents)]
    maybe: Iterable[int] = () if home else [*_descendants(pids, children), *above, *_descendants(above, children)]
    surely = [*pids, *runners, *_descendants(runners, children), *_of_container(own, residents, read)]
    surely += [pid for pid, one in residents.items() if home and _is_below(one.cgroup, home)]
    return {
        **dict.fromkeys(maybe, "may end with it"),
        **dict.fromkeys(surely, "ends with it"),
        **{process.pid: "signalled" for process in step.signalled},
    }


def _children(residents: Residents) -> dict[int, list[int]]:
    """Of each process; a parent that is younger has been given the PID of another one since (on Windows)."""
    children: dict[int, list[int]] = {}
    for pid, process in residents.items():
        parent = residents.get(process.parent_pid or 0)
        if parent and (parent.born or 0) <= (process.born or 0):
            children.setdefault(parent.pid, []).append(pid)
    return children


def _descendants(pids: Iterable[int], children: Mapping[int, Sequence[int]]) -> list[int]:
    """Without these themselves; a loop, which a stranger's tree of processes may be too deep for recursion."""
    above = list(pids)
    below: dict[int, None] = {}
    while above:
        for child in children.get(above.pop(), ()):
            if child not in below:
                below[child] = None
                above.append(child)
    return list(below)


def _is_there(ancestor: Ancestor, residents: Residents) -> bool:
    return ancestor.pid in residents and residents[ancestor.pid].born == ancestor.born


def _runner(process: Process) -> Ancestor | None:
    """The topmost of its ancestors that end everything together: honcho forks before it starts a program."""
    return next((ancestor for ancestor in reversed(process.ancestors) if ancestor.ends_together), None)


def _starters(processes: Iterable[Process], asking: Collection[int]) -> Iterator[Ancestor]:
    """What has started a process: npm, `sh -c` and such, which have nothing to do without it, and the first program.

    That may be a runner of several programs which nobody knows as one.
    """
    for process in processes:
        for ancestor in process.ancestors:
            if ancestor.is_host or ancestor.pid in asking:
                break
            yield ancestor
            if not ancestor.is_launcher:
                break


def _home(step: Step) -> str | None:
    """The cgroup that is emptied with a unit or container; None where the command stops a single program."""
    for owner in step.members:
        path = (owner.process.cgroup or "").split("/")
        for depth, part in enumerate(path):
            if _is_named(part, owner.process, step.command or ()):
                return "/".join(path[: depth + 1])
    return None


def _is_named(part: str, process: Process, command: Sequence[str]) -> bool:
    """Whether a part of a cgroup's path is that of the unit or container that the command stops.

    Engines write the id into the name (`docker-4c4c.scope`), systemd-nspawn the machine's.
    """
    if process.service in command:
        return part == process.service
    box = process.container
    if box is None or {box.id, box.name}.isdisjoint(command):
        return False
    return box.id in part if box.id else part in (f"machine-{box.name}.scope", f"systemd-nspawn@{box.name}.service")


def _is_below(cgroup: str | None, home: str) -> bool:
    return f"{cgroup}/".startswith(f"{home}/")


def _of_container(own: Iterable[Process], residents: Residents, read: Read) -> Iterator[int]:
    """Where a proxy holds the port: what runs in its container, and the proxies of the container's other ports."""
    for proxy in own:
        box = proxy.container
        if proxy.role != "proxy" or not box or not box.id:
            continue
        yield from (pid for pid, one in residents.items() if box.id in (one.cgroup or ""))
        for pid, one in residents.items():
            alike = one.parent_pid == proxy.parent_pid and one.name == proxy.name
            if alike and _target(proxy) and _target(read(pid)) == _target(proxy):
                yield pid


def _target(proxy: Process) -> str | None:
    """Whom docker-proxy listens for."""
    command = proxy.command or ()
    return command[command.index(PROXY_TO) + 1] if PROXY_TO in command[:-1] else None


def endings(those: Parts, read: Read, held: Mapping[int, Sequence[Socket]], finding: Diagnosis) -> tuple[Ending, ...]:
    """Signalled ones first, then those that a person would not expect: what serves other ports, what is another's."""
    every = [Ending(read(pid), part, _also(held.get(pid, ()), finding)) for pid, part in those.items()]
    first = every[0].process.uid if every else None
    return tuple(sorted(every, key=lambda one: (_rank(one.role), not one.also_serves, one.process.uid == first)))


def _rank(part: Part) -> int:
    return ("signalled", "ends with it", "may end with it").index(part)


def _also(sockets: Iterable[Socket], finding: Diagnosis) -> tuple[int | str, ...]:
    """The ports that these listen on, as targets; not what is known already to hold the port in question."""
    known = {(socket.protocol, socket.local_port, socket.local_address) for socket in finding.sockets}
    others = {
        (socket.local_port, socket.protocol)
        for socket in sockets
        if socket.remote_port is None and (socket.protocol, socket.local_port, socket.local_address) not in known
    }
    return tuple(port if protocol == "tcp" else f"{port}/{protocol}" for port, protocol in sorted(others))
