"""Kinds of holders, as far as they decide what frees a port: one record for each.  Pure.

A manager comes before the process that it manages: the first record that matches counts.
`{fields}` are filled in by fill.py.
"""

from __future__ import annotations

from portcheck.identify.keepers import ASKABLE, NOT_ASKED
from portcheck.identify.managers import engine_of, engine_owner
from portcheck.identify.names import title
from portcheck.identify.tunnels import ssh_user
from portcheck.identify.who import is_named
from portcheck.model import Container
from portcheck.namedtuple import TYPE_CHECKING, NamedTuple
from portcheck.remedies.catalogue import STOP, STOP_CONTAINER, Remedy

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from typing import Literal

    from portcheck.model import Engine, Owner, Process, Supervisor

    # Of a process, for user `uid` (None on systems without user ids).
    Test = Callable[[Process, int | None], bool]

IIS = "W3SVC"  # whose sites are stopped one by one
HOMEBREW = "homebrew.mxcl."  # jobs of launchd that `brew services` makes
RESOLVER = "systemd-resolved.service"
SET_FOR_RESOLVER = (
    "mkdir -p /etc/systemd/resolved.conf.d"
    " && printf '[Resolve]\\n{resolver_option}\\n' >/etc/systemd/resolved.conf.d/{resolver_option}.conf"
    " && systemctl restart {service}"
)
COMPOSE = "docker compose"  # a plugin
# Of what a Procfile names: they end everything else when one of their programs ends.
RUNNERS = frozenset(("foreman", "hivemind", "honcho"))
RELOAD = ("kill", "-HUP", "{pid}")
WSL = ("wslhost.exe", "wslrelay.exe")
# Supervisors that stop a program by a command of their own; every other one starts a single program, and ends with it.
MANAGERS: frozenset[str | None] = frozenset((*ASKABLE, *NOT_ASKED))
# Those that may listen on behalf of the programs that they run.
LISTENING: frozenset[Supervisor | None] = frozenset(("supervisord", "pm2", "circus"))


class Kind(NamedTuple):
    """A kind of holder: how it is recognised, and what frees its port."""

    name: str
    test: Test
    remedies: tuple[Remedy, ...]  # the first one frees the port
    # Whether `stop` leaves it to the command of who manages it, or ends it by a signal.
    stopped_by: Literal["manager", "signal", "nothing"] = "nothing"
    stop: Remedy | None = None  # the command that `stop` takes, where that is not the first remedy's
    apart: bool = False  # stopping it does not end the process that holds the socket


def kind_of(owner: Owner, uid: int | None) -> Kind:
    """What kind of owner this is for user `uid` (None on systems without user ids)."""
    return next(kind for kind in KINDS if kind.test(owner.process, uid))


def _is_contained(process: Process) -> bool:
    """Whether it is stopped with its container: a service of the host that only publishes it is a service."""
    return process.container is not None and (
        process.service is None or process.service_manager == "systemd in a container"
    )


def _contained_by(process: Process, *engines: Engine) -> bool:
    return _is_contained(process) and _container(process).engine in engines


def _container(process: Process) -> Container:
    return process.container or Container("unknown")


def _in_pod(process: Process) -> bool:
    """Kubernetes'; podman stops the containers of its pods one by one."""
    return _container(process).pod is not None and _container(process).engine != "podman"


def _is_of_a_foreign_engine(process: Process, uid: int | None) -> bool:
    """Neither the asker's engine nor root's knows of it, and nobody who could has asked."""
    return _is_contained(process) and engine_of(process, uid) is None and bool(engine_owner(process))


def _is_of_containerd(process: Process) -> bool:
    return _contained_by(process, "containerd") and bool(_container(process).id)


def _is_of_compose(process: Process) -> bool:
    """Of a project that can be commanded: Debian's docker-compose 1.29 wants to read its files first."""
    container = _container(process)
    return bool(container.compose_project and container.compose_service) and COMPOSE not in process.absent


def _is_known_to(process: Process, supervisor: Supervisor) -> bool:
    """Whether this supervisor can be told to stop it by its name."""
    return process.supervisor == supervisor and bool(process.supervised)


def _serves_its_usual_files(process: Process, programs: Collection[str], options: Collection[str]) -> bool:
    """A server with files of its own, by one of these options, is not the one that the plain command would stop."""
    return process.role == "main" and process.name in programs and not set(options) & set(title(process).split())


KINDS: tuple[Kind, ...] = (
    # Whoever would know what it is has not answered: nothing is done on its own word.
    Kind(
        "unanswered",
        lambda process, uid: process.unanswered is not None and not uid,
        (Remedy("{unanswered}: whether it is {claim} is not known"),),
    ),
    Kind(
        "unanswered-to-user",
        lambda process, _: process.unanswered is not None,
        (Remedy("{unanswered}: ask as root whether it is {claim}", STOP, "root"),),
    ),
    # Surroundings that can only be stopped as a whole.
    Kind(
        "engine",
        lambda process, _: process.container is None and process.publisher is not None,
        (Remedy("{name} has it for containers, or for itself: stop what uses the port there, not {name}"),),
    ),
    # On Windows and macOS.
    Kind(
        "windows-port-proxy",
        lambda process, _: process.port_proxy is not None,
        (
            Remedy(
                "Windows forwards it to {forwards}: delete the rule (as administrator)",
                ("netsh", "interface", "portproxy", "delete", "{rule}", "listenport={number}", "{rule_address}"),
            ),
        ),
    ),
    Kind(
        "iis",
        lambda process, _: process.service_manager == "windows" and process.service == IIS,
        (
            Remedy("stop the IIS site that has it (as administrator): Get-Website shows which, Stop-Website stops it"),
            Remedy("or IIS as a whole (as administrator)", ("Stop-Service", "{service}")),
        ),
    ),
    Kind(
        "homebrew",
        lambda process, _: process.service_manager == "launchd" and (process.service or "").startswith(HOMEBREW),
        (Remedy("Homebrew starts it again when it ends: stop it there", ("brew", "services", "stop", "{formula}")),),
        stopped_by="manager",
    ),
    Kind(
        "launchd-job",
        lambda process, _: process.service_manager == "launchd",
        (
            Remedy(
                "launchd starts it again when it ends: remove the job",
                ("launchctl", "bootout", "{supervised}"),
                "owner",
            ),
        ),
        stopped_by="manager",
    ),
    Kind(
        "macos-setting",
        lambda process, _: process.service_manager == "macOS",
        (Remedy("turn {service} off in System Settings, General, AirDrop & Handoff"),),
    ),
    Kind(
        "windows-service",
        lambda process, _: process.service_manager == "windows",
        (Remedy("stop the service (as administrator)", ("Stop-Service", "{service}")),),
    ),
    Kind(
        "windows-services",
        lambda process, _: process.service_manager == "windows, several in one process",
        (Remedy("one of the services {service} has it: stop that one"),),
    ),
    # In a container.
    Kind(
        "nspawn",
        lambda process, _: _contained_by(process, "systemd-nspawn") and bool(_container(process).name),
        (
            Remedy("stop the container {container}", ("machinectl", "poweroff", "{container}"), "root"),
            Remedy(
                "or end it, where its first process is no init that powers off",
                ("machinectl", "terminate", "{container}"),
                "root",
            ),
        ),
        stopped_by="manager",
    ),
    Kind(
        "pod",
        lambda process, _: _is_contained(process) and _in_pod(process),
        (Remedy("it runs in the Kubernetes pod {pod}: scale its workload down, or it is started again"),),
    ),
    Kind(
        "containerd-task",
        lambda process, _: _is_of_containerd(process) and "nerdctl" in process.absent,
        (
            Remedy(
                "end the container {container}",
                ("ctr", "{address}", "{namespace}", "tasks", "kill", "--signal=SIGTERM", "{container}"),
                "root",
            ),
            Remedy(
                "or kill it, where it does not end by that",
                ("ctr", "{address}", "{namespace}", "tasks", "kill", "--signal=SIGKILL", "{container}"),
                "root",
            ),
        ),
        stopped_by="manager",
    ),
    Kind(
        "containerd",
        lambda process, _: _is_of_containerd(process),
        (
            Remedy(
                "stop the container {container}",
                ("nerdctl", "{address}", "{namespace}", "stop", "{container}"),
                "root",
            ),
        ),
        stopped_by="manager",
    ),
    Kind(
        "lxc",
        lambda process, _: (
            _contained_by(process, "lxc") and process.confirmed is True and "lxc-stop" not in process.absent
        ),
        (Remedy("stop the container {container}", ("lxc-stop", "-n", "{container}"), "engine"),),
        stopped_by="manager",
    ),
    Kind(
        "other-container",
        lambda process, _: _is_contained(process) and not _contained_by(process, "docker", "podman"),
        (Remedy("it runs in {contained}: stop that with what manages it"),),
    ),
    Kind(
        "foreign-container",
        _is_of_a_foreign_engine,
        (Remedy("it is {contained} of another user's {engine}: only that user can stop it"),),
    ),
    Kind(
        "swarm",
        lambda process, _: _contained_by(process, "docker") and bool(_container(process).swarm_service),
        (
            Remedy(
                "swarm starts it again when it ends: scale its service {swarm_service} down",
                ("docker", "service", "scale", "{swarm_service}=0"),
                "engine",
            ),
        ),
        stopped_by="manager",
    ),
    Kind(
        "unnamed-container",
        lambda process, _: _is_contained(process) and not is_named(process.container),
        (
            Remedy(
                "{engine} publishes it for a container: find out for which, and stop that", ("{engine}", "ps"), "engine"
            ),
        ),
    ),
    Kind(
        "compose",
        lambda process, _: _contained_by(process, "docker") and _is_of_compose(process),
        (
            Remedy(
                "stop service {compose_service} of the compose project {compose_project}{restarts}",
                ("docker", "compose", "-p", "{compose_project}", "stop", "{compose_service}"),
                "engine",
            ),
            STOP_CONTAINER._replace(text="or only its container {container}"),
        ),
        stopped_by="manager",
        stop=STOP_CONTAINER,  # works without the plugin of compose
    ),
    Kind(
        "container",
        lambda process, _: _is_contained(process),
        (STOP_CONTAINER,),
        stopped_by="manager",
    ),
    # What restarts it; a supervisor may be a service itself, with all its programs in one unit.
    Kind(
        "circus-socket",
        lambda process, _: process.supervises == "circus",
        (
            Remedy(
                "{name} holds it for itself, or as a socket of its programs, which stays when these stop: stop them, "
                "take it out of its configuration, and have that read again",
                ("circusctl", "--endpoint={endpoint}", "reloadconfig"),
                "keeper",
            ),
        ),
    ),
    Kind(
        "supervising",
        lambda process, _: process.supervises in LISTENING,
        (Remedy("{name} runs other programs as well: stop the one that has the port there, not {name}"),),
    ),
    Kind(
        "supervisord",
        lambda process, _: _is_known_to(process, "supervisord"),
        (
            Remedy(
                "supervisord starts it again when it ends: stop it there",
                ("supervisorctl", "{supervisor_config}", "{supervisor_url}", "stop", "{supervised}"),
                "keeper",
            ),
        ),
        stopped_by="manager",
    ),
    Kind(
        "pm2",
        lambda process, _: _is_known_to(process, "pm2"),
        (Remedy("pm2 starts it again when it ends: stop it there", ("pm2", "stop", "{supervised}"), "keeper"),),
        stopped_by="manager",
    ),
    Kind(
        "runit",
        lambda process, _: _is_known_to(process, "runit"),
        (Remedy("runit starts it again when it ends: take it down", ("sv", "down", "{supervised}"), "keeper"),),
        stopped_by="manager",
    ),
    Kind(
        "s6",
        lambda process, _: _is_known_to(process, "s6"),
        (Remedy("s6 starts it again when it ends: take it down", ("s6-svc", "-d", "{supervised}"), "keeper"),),
        stopped_by="manager",
    ),
    Kind(
        "daemontools",
        lambda process, _: _is_known_to(process, "daemontools"),
        (Remedy("daemontools starts it again when it ends: take it down", ("svc", "-d", "{supervised}"), "keeper"),),
        stopped_by="manager",
    ),
    Kind(
        "circus",
        lambda process, _: _is_known_to(process, "circus"),
        (
            Remedy(
                "circus starts it again when it ends: stop it there",
                ("circusctl", "--endpoint={endpoint}", "stop", "{supervised}"),
                "keeper",
            ),
        ),
        stopped_by="manager",
    ),
    Kind(
        "dinit",
        lambda process, _: _is_known_to(process, "dinit"),
        (Remedy("dinit starts it again when it ends: stop it there", ("dinitctl", "stop", "{supervised}"), "keeper"),),
        stopped_by="manager",
    ),
    Kind(
        "OpenRC",
        lambda process, _: _is_known_to(process, "OpenRC") and process.confirmed is True,
        (
            Remedy(
                "OpenRC starts it again when it ends: stop it there", ("rc-service", "{supervised}", "stop"), "keeper"
            ),
        ),
        stopped_by="manager",
    ),
    Kind(
        "monit",
        lambda process, _: _is_known_to(process, "monit"),
        (
            Remedy(
                "monit starts it again when it ends: stop it there",
                ("monit", "{monit_file}", "stop", "{supervised}"),
                "keeper",
            ),
        ),
        stopped_by="manager",
    ),
    Kind(
        "managed",
        lambda process, _: process.supervisor in MANAGERS,
        (Remedy("{supervisor} starts it again when it ends: stop it there"),),
    ),
    # ssh -R, whichever unit that session is counted to.
    Kind(
        "ssh-session",
        lambda process, _: process.role == "forwarder" and ssh_user(process) is not None,
        (
            Remedy(
                "it is a remote forward (ssh -R) of that session: close it at the client; ended from here, the whole "
                "session ends",
                STOP,
                "owner",
            ),
        ),
        stopped_by="signal",
    ),
    # A super-server: whoever ends it ends everything else that it listens for.
    Kind(
        "super-server-unit",
        lambda process, _: process.role == "super-server" and process.service_manager == "systemd",
        (
            Remedy("stop the service, and all that it listens for", ("systemctl", "stop", "{service}"), "root"),
            Remedy("or only take its service out of {services_file}, and have that read again", RELOAD, "owner"),
        ),
        stopped_by="manager",
    ),
    Kind(
        "super-server",
        lambda process, _: process.role == "super-server" and process.service is None,
        (
            Remedy("end {name} from here, and all that it listens for", STOP, "owner"),
            Remedy("or only take its service out of {services_file}, and have that read again", RELOAD, "owner"),
        ),
        stopped_by="signal",
    ),
    Kind(
        "user-socket-unit",
        lambda process, _: process.activation is not None and process.service_manager == "systemd --user",
        (
            Remedy(
                "{manager}'s systemd listens for {service}: stop the socket unit too, or it starts again{along}",
                ("systemctl", "--user", "{machine}", "stop", "{triggers}", "{activation}", "{activated}"),
                "machine",
            ),
        ),
        stopped_by="manager",
        apart=True,
    ),
    Kind(
        "socket-unit",
        lambda process, _: process.activation is not None,
        (
            Remedy(
                "systemd itself listens for {service}: stop the socket unit too, or it starts again{along}",
                ("systemctl", "stop", "{triggers}", "{activation}", "{activated}"),
                "root",
            ),
            Remedy("and keep it from coming back at boot", ("systemctl", "disable", "--now", "{activation}"), "root"),
        ),
        stopped_by="manager",
        apart=True,
    ),
    Kind(
        "user-service",
        lambda process, _: process.service is not None and process.service_manager == "systemd --user",
        (
            Remedy(
                "stop the service, not its process: {manager}'s systemd may start it again{again}{along}",
                ("systemctl", "--user", "{machine}", "stop", "{triggers}", "{service}"),
                "machine",
            ),
        ),
        stopped_by="manager",
    ),
    # Stopped, it would take this host's names along; it can let go of the port instead.
    Kind(
        "resolver",
        lambda process, _: process.service == RESOLVER and process.service_manager == "systemd",
        (
            Remedy(
                "{resolver_use}: have the resolver leave the port alone, it goes on otherwise",
                ("sh", "-c", SET_FOR_RESOLVER),
                "root",
            ),
            Remedy(
                "and where /etc/resolv.conf names {stub}, from then on without an answer, name its servers there",
                ("ln", "-sf", "/run/systemd/resolve/resolv.conf", "/etc/resolv.conf"),
                "root",
            ),
            Remedy(
                "or stop it as a whole: names may not be resolved here until it runs again",
                ("systemctl", "stop", "{triggers}", "{service}"),
                "root",
            ),
        ),
    ),
    Kind(
        "service",
        lambda process, _: process.service is not None,
        (
            Remedy(
                "stop the service, not its process: systemd may start it again{again}{along}",
                ("systemctl", "stop", "{triggers}", "{service}"),
                "root",
            ),
        ),
        stopped_by="manager",
    ),
    # Too little is known.
    Kind(
        "launchd",
        lambda process, _: process.role == "service manager" and process.name == "launchd",
        (Remedy("launchd listens for one of its jobs: find out for which", ("launchctl", "print", "system")),),
    ),
    Kind(
        "manager",
        lambda process, _: process.role == "service manager" and (process.pid == 1 or process.uid == 0),
        (Remedy("{name} holds it for a service: find out for which", ("systemctl", "list-sockets")),),
    ),
    Kind(
        "user-manager",
        lambda process, _: process.role == "service manager",
        (
            Remedy(
                "{manager}'s systemd holds it for a service: find out for which",
                ("systemctl", "--user", "{machine}", "list-sockets"),
                "machine",
            ),
        ),
    ),
    Kind(
        "hidden-by-namespace",
        lambda process, uid: not process.pid and uid == 0,
        (Remedy("root cannot see its process from here: inside a container or sandbox, ask on the host"),),
    ),
    Kind(
        "hidden-from-user",
        lambda process, uid: not process.pid and uid is None,
        (Remedy("only an administrator can see its process and stop it"),),
    ),
    Kind(
        "hidden",
        lambda process, _: not process.pid,
        (Remedy("only root can see its process and stop it", STOP, "root"),),
    ),
    # Nothing but the process itself.
    Kind(
        "windows-http",
        lambda process, _: process.role == "kernel" and process.forwards is not None,
        (Remedy("http.sys listens for {forwards}: stop that"),),
    ),
    Kind(
        "windows-kernel",
        lambda process, _: process.role == "kernel",
        (Remedy("Windows itself has it: turn off the feature that uses it, or take another port"),),
    ),
    Kind(
        "ended",
        lambda process, _: "ended" in process.condition,
        (Remedy("end the child that inherited its socket, or sign out: nothing else closes it"),),
    ),
    Kind(
        "watched",
        lambda process, _: process.supervisor is not None,
        (Remedy("{supervisor} (PID {supervisor_pid}) starts it again when it ends: end both", STOP, "owner"),),
        stopped_by="signal",
    ),
    Kind(
        "ide",
        lambda process, _: process.role == "ide",
        (Remedy("{name} has it for a forwarded port or an extension: close it in the editor (its ports view)"),),
    ),
    Kind(
        "wsl",
        lambda process, _: process.role == "forwarder" and process.name in WSL,
        (Remedy("stop the program inside WSL that listens, or everything there", ("wsl", "--shutdown")),),
    ),
    Kind(
        "forwarder",
        lambda process, _: process.role == "forwarder",
        (Remedy("it is a tunnel to {forwards}: close it where it was opened, or from here", STOP, "owner"),),
        stopped_by="signal",
    ),
    Kind(
        "stopped",
        lambda process, _: "stopped" in process.condition,
        (Remedy("it was stopped (Ctrl-Z?): fg in its terminal and then Ctrl-C, or end it from here", STOP, "owner"),),
        stopped_by="signal",
    ),
    Kind(
        "apache",
        lambda process, _: _serves_its_usual_files(process, ("apache2", "httpd"), ("-d", "-f")),
        (Remedy("stop Apache as a whole, not one of its processes", ("apachectl", "stop"), "owner"),),
        stopped_by="signal",
    ),
    Kind(
        "nginx",
        lambda process, _: _serves_its_usual_files(process, ("nginx",), ("-c", "-p")),
        (Remedy("let nginx finish its requests and end", ("nginx", "-s", "quit"), "owner"),),
        stopped_by="signal",
    ),
    Kind(
        "leftover",
        lambda process, _: process.left_by is not None,
        (
            Remedy(
                "{left_by} has ended and left it running: to stop that does nothing, end it from here", STOP, "owner"
            ),
        ),
        stopped_by="signal",
    ),
    Kind(
        "with-others",
        lambda process, _: process.started_by in RUNNERS,
        (Remedy("end it from here; {started_by} (PID {supervisor_pid}) then ends what else it runs", STOP, "owner"),),
        stopped_by="signal",
    ),
    Kind(
        "orphaned",
        lambda process, _: "orphaned" in process.condition,
        (Remedy("what started it is gone, and no terminal ends it: end it from here", STOP, "owner"),),
        stopped_by="signal",
    ),
    Kind(
        "plain",
        lambda *_: True,
        (Remedy("end it {where}from here", STOP, "owner"),),
        stopped_by="signal",
    ),
)
