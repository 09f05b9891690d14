"""What really holds a port on Windows: the service in a shared process, and what is behind the kernel's http.sys."""

from __future__ import annotations

from portcheck.identify.managers import confirmed
from portcheck.identify.systemd import is_host
from portcheck.model import PortProxyRule
from portcheck.namedtuple import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from portcheck.model import Process, ServiceManager, Socket

WINDOWS: ServiceManager = "windows"
SEVERAL: ServiceManager = "windows, several in one process"
KERNEL = 4  # the PID of "System", always
SHARED_HOST = "svchost.exe"
IP_HELPER = "iphlpsvc"
IIS, IIS_WORKER = "W3SVC", "w3wp.exe"
IIS_SERVICES = frozenset((IIS, "WAS"))  # in one process: WAS makes the queues and starts the workers
HOSTS = frozenset(("Schedule", "Appinfo", "seclogon"))  # their children are other people's programs


class PortProxy(NamedTuple):
    """A rule of `netsh interface portproxy`."""

    direction: str  # v4tov4, v4tov6, v6tov4, v6tov6
    address: str  # where it listens, as netsh takes it: an address, a name, or *
    port: int
    target: str  # address:port


class RequestQueue(NamedTuple):
    """A queue of http.sys: the processes that serve it, and the ports of its URLs."""

    name: str | None  # None: it has none
    pids: tuple[int, ...]
    ports: frozenset[int]
    numbers: tuple[int, ...] = ()  # any other numbers of it, among them its controller's PID


class Known(NamedTuple):
    """What Windows' own tools report."""

    services: Mapping[int, tuple[str, ...]] = {}  # PID → the services that run in it
    queues: tuple[RequestQueue, ...] = ()
    rules: tuple[PortProxy, ...] = ()
    programs: Mapping[int, str] = {}  # PID → name, of those that serve a queue


def recognised(process: Process, parent: Process | None, sockets: Sequence[Socket], tools: Known) -> Process:
    """The process with its service, or with what it listens for; `sockets` are those that it holds."""
    if process.pid == KERNEL:
        return _behind_http_sys(process._replace(role="kernel"), sockets, tools)
    services = tools.services.get(process.pid) or _of_parent(parent, tools.services)
    rule = _rule(sockets, tools.rules) if IP_HELPER in services else None
    if rule:
        return confirmed(
            process,
            role="forwarder",
            service=IP_HELPER,
            service_manager=WINDOWS,
            forwards=rule.target,
            supervised=f"{rule.direction} listenaddress={rule.address}",
            port_proxy=PortProxyRule(rule.direction, rule.address),
        )
    return _in_service(process, services)


def _in_service(process: Process, services: Sequence[str]) -> Process:
    """The service manager itself has told which services run in which process."""
    if not services:
        return process
    return confirmed(process, service=", ".join(services), service_manager=WINDOWS if len(services) == 1 else SEVERAL)


def _of_parent(parent: Process | None, services: Mapping[int, tuple[str, ...]]) -> tuple[str, ...]:
    """A service's program may start another that listens (pg_ctl.exe, nssm.exe); other people's are no part of it."""
    if parent is None or (parent.name or "").lower() == SHARED_HOST:
        return ()
    return tuple(name for name in services.get(parent.pid, ()) if name not in HOSTS and not is_host(name))


def _rule(sockets: Iterable[Socket], rules: Iterable[PortProxy]) -> PortProxy | None:
    ports = {socket.local_port for socket in sockets if socket.state == "LISTEN"}
    return next((rule for rule in rules if rule.port in ports), None)


def _behind_http_sys(system: Process, sockets: Iterable[Socket], tools: Known) -> Process:
    """The programs that registered URLs on these ports; the kernel's other listeners (file sharing) remain its own."""
    ports = {socket.local_port for socket in sockets if socket.state == "LISTEN"}
    queues = [queue for queue in tools.queues if queue.ports & ports]
    if not queues:
        return system
    services = dict.fromkeys(name for queue in queues for name in _services(queue, tools))
    programs = dict.fromkeys(program for queue in queues for program in _programs(queue, tools))
    if services and not programs:
        return _in_service(system, tuple(services))
    return system._replace(forwards=", ".join((*services, *programs)))


def _services(queue: RequestQueue, tools: Known) -> Iterable[str]:
    """The services that serve a queue; IIS also where no worker runs, by the process that made the queue."""
    controlled = any(IIS_SERVICES & set(tools.services.get(number, ())) for number in queue.numbers)
    workers = any(tools.programs.get(pid, "").lower() == IIS_WORKER for pid in queue.pids)
    if workers or (controlled and not queue.pids):
        return (IIS,)
    return [name for pid in queue.pids for name in tools.services.get(pid, ())]


def _programs(queue: RequestQueue, tools: Known) -> Iterable[str]:
    """Programs that serve it without being services, and the queue's own name where none does right now."""
    if _services(queue, tools):
        return ()
    if not queue.pids:
        return (f"the request queue {queue.name}" if queue.name else "a request queue without a process",)
    return [f"{tools.programs.get(pid, 'a process')} (PID {pid})" for pid in queue.pids]
