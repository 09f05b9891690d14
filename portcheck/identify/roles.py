"""Main process and workers: by what they call themselves, and by which of them inherited the socket."""

from __future__ import annotations

from portcheck.identify.names import DELETED, title
from portcheck.identify.super_servers import super_server
from portcheck.identify.systemd import is_manager
from portcheck.namedtuple import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from portcheck.identify.facts import Facts
    from portcheck.model import Condition, Process, Role, Socket


# What prefork servers write over their command lines (setproctitle): `nginx: master process /usr/sbin/nginx`,
# `gunicorn: worker [app]`, `php-fpm: pool www`, `unicorn master -c ...`, `puma: cluster worker 0: 12 [shop]`,
# `uWSGI worker 1`.
SERVERS = ("nginx:", "gunicorn:", "php-fpm:", "unicorn ", "puma: ", "uWSGI ")
MAIN_WORDS = frozenset(("master", "main", "Master"))
WORKER_WORDS = frozenset(("worker", "pool", "Worker"))


def role(facts: Facts) -> Role | None:
    """main, worker, super-server or service manager; None for a process that holds its sockets alone."""
    if is_manager(facts.process):
        return "service manager"
    if super_server(facts.process):
        return "super-server"
    titled = by_title(facts.process)
    if titled:
        return titled
    if facts.leader is not None:
        return "worker"
    return "main" if facts.leads else None


def by_title(process: Process) -> Role | None:
    """What a prefork server calls itself; the first telling word counts."""
    text = title(process)
    if not text.startswith(SERVERS):
        return None
    for word in text.split()[1:4]:
        if word in MAIN_WORDS:
            return "main"
        if word in WORKER_WORDS:
            return "worker"
    return None


def leaders(sockets: Iterable[Socket], ancestors: Mapping[int, Sequence[Process]]) -> dict[int, Process]:
    """What each process inherited a socket from: its nearest ancestor that holds it too, but no service manager."""
    led: dict[int, Process] = {}
    for socket in sockets:
        holders = socket.pids or ()
        if len(holders) < 2:
            continue  # a single holder has inherited it from none of the others
        for pid in holders:
            first = next((ancestor for ancestor in ancestors.get(pid, ()) if ancestor.pid in holders), None)
            if first is not None and pid not in led and not is_manager(first):
                led[pid] = first
    return led


def activators(sockets: Iterable[Socket], managers: Mapping[int, Process]) -> dict[int, Process]:
    """The processes that share a socket with the service manager that created it for them."""
    activated: dict[int, Process] = {}
    for socket in sockets:
        holders = socket.pids or ()
        if managers.keys().isdisjoint(holders):
            continue
        manager = next(managers[pid] for pid in holders if pid in managers)
        activated.update((pid, manager) for pid in holders if pid != manager.pid)
    return activated


# Programs that run from memory have no file that could be there: /memfd:runc (deleted)
IN_MEMORY = "/memfd:"
# Where daemons keep what is theirs, and nobody develops.
DAEMONS_FOLDERS = ("/etc/", "/run/", "/var/lib/", "/var/spool/")


def condition(facts: Facts, *, managed: bool = False) -> tuple[Condition, ...]:
    """orphaned, stopped, zombie-parent, deleted-executable; `managed`: a service manager or engine looks after it."""
    return tuple(_conditions(facts, managed=managed))


def _conditions(facts: Facts, *, managed: bool) -> Iterator[Condition]:
    process = facts.process
    if not managed and is_orphaned(facts) and not _is_a_daemon(process):
        yield "orphaned"
    if process.state == "T":
        yield "stopped"
    if facts.ancestors and facts.ancestors[0].state == "Z":
        yield "zombie-parent"
    executable = process.executable or ""
    if executable.endswith(DELETED) and not executable.startswith(IN_MEMORY):
        yield "deleted-executable"


def _is_a_daemon(process: Process) -> bool:
    """Child of nobody by choice: daemon(3) goes to the root directory (dnsmasq, epmd), avahi-daemon to /etc/avahi."""
    return process.cwd == "/" or (process.cwd or "").startswith(DAEMONS_FOLDERS)


def is_orphaned(facts: Facts) -> bool:
    """Whether it was started by a process other than its present parent, which has since ended.

    A child starts in its parent's session.  One that is in neither its parent's session nor one of its own (as a
    deliberate daemon is) was reparented when its first parent died.
    """
    if facts.session_id is None or facts.parent_session_id is None:
        return False
    return facts.session_id not in (facts.process.pid, facts.parent_session_id)
