"""Diagnosis → advice: what to do now, from the data in remedies.py.  Pure."""

from __future__ import annotations

from portcheck.message import leader
from portcheck.model import Advice
from portcheck.remedies import BY_CAUSE, BY_KIND
from portcheck.value import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from portcheck.model import Container, Diagnosis, Owner, Process, Scene
    from portcheck.remedies import Kind, Remedy

# Causes for which somebody holds the port: then it depends on who.
HELD = ("listener", "bound", "udp-socket", "kernel", "connection")
PROGRAMS: dict[str, Kind] = {"apache2": "apache", "httpd": "apache", "nginx": "nginx"}
SUPERVISORS: dict[str, Kind] = {"supervisord": "supervisord", "pm2": "pm2", "runit": "runit"}
ENGINES: dict[str, Kind] = {"lxc": "lxc", "systemd-nspawn": "nspawn"}

# Kinds of owners that something else manages and would bring back: its own command stops them.
MANAGED: tuple[Kind, ...] = (
    "socket-unit", "user-socket-unit", "compose", "container", "lxc", "nspawn", "service", "user-service", "launchd",
    "windows-service", "supervisord", "pm2", "runit",
)  # fmt: skip


def advise(finding: Diagnosis, scene: Scene) -> Diagnosis:
    """The finding with its remedies, the best first."""
    return finding._replace(advice=tuple(dict.fromkeys(_advice(finding, scene))))


def _advice(finding: Diagnosis, scene: Scene) -> Iterator[Advice]:
    if finding.cause in HELD and finding.verdict == "in-use":
        for owner in leaders(finding):
            yield from remedies_for(owner, finding, scene)
        if finding.cause == "kernel":
            yield from _filled(BY_KIND["kernel"], None, finding, scene)
    if finding.cause is not None:
        applies = finding.cause != "connection" or _ephemeral(finding, scene)
        yield from _filled(BY_CAUSE.get(finding.cause, ()) if applies else (), None, finding, scene)


def remedies_for(owner: Owner, finding: Diagnosis, scene: Scene) -> Iterator[Advice]:
    """What frees the port from this owner."""
    yield from _filled(BY_KIND[kind_of(owner, scene.uid)], owner, finding, scene)


def managed_stop(owner: Owner, uid: int | None) -> tuple[str, ...] | None:
    """The command by which what manages this owner stops it; None where nothing does, or its name is not known."""
    kind = kind_of(owner, uid)
    if kind not in MANAGED:
        return None
    kind = "container" if kind == "compose" else kind  # works without the compose files and plugin
    try:
        return _argv(BY_KIND[kind][0], _known(_process_fields(owner.process)), owner, uid)
    except KeyError:
        return None


def _argv(remedy: Remedy, fields: Mapping[str, object], owner: Owner | None, uid: int | None) -> tuple[str, ...]:
    """The remedy's command; raises KeyError where a field is not known."""
    # a socket unit whose service is not known is named once, not twice
    command = tuple(dict.fromkeys(word.format_map(fields) for word in remedy.command or ()))
    if "--user" in command and uid == 0 and owner and owner.process.uid:
        # root reaches a user's systemd by name only
        return ("systemctl", "--user", f"--machine={owner.process.user}@", *command[2:])
    return command


def _known(fields: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in fields.items() if value is not None}


def leaders(finding: Diagnosis) -> tuple[Owner, ...]:
    """Those to turn to: of each socket the process that the others come from."""
    found = (leader(finding.owners, index) for index in range(len(finding.sockets)))
    return tuple(dict.fromkeys(owner for owner in found if owner is not None))


def kind_of(owner: Owner, uid: int | None) -> Kind:
    """What has to be stopped for this owner to be gone: what manages it comes before the process itself."""
    process = owner.process
    by_user = (process.service_manager or "").endswith("--user")
    if process.activation:
        return "user-socket-unit" if by_user else "socket-unit"
    if process.container:
        return _kind_of_container(process.container)
    if process.service:
        managers: dict[str, Kind] = {"launchd": "launchd", "windows": "windows-service"}
        return managers.get(process.service_manager or "", "user-service" if by_user else "service")
    if owner.pid is None:
        return "hidden" if uid else "hidden-by-namespace"
    return _kind_of_process(process)


def _kind_of_container(container: Container) -> Kind:
    if container.compose_project and container.compose_service and container.engine == "docker":
        return "compose"
    if container.pod:
        return "pod"
    return ENGINES.get(container.engine, "container")


def _kind_of_process(process: Process) -> Kind:
    if process.role == "service manager":
        return "manager"
    if process.supervisor:
        return SUPERVISORS.get(process.supervisor, "supervised")
    if process.forwards:
        return "forwarder"
    if "stopped" in process.condition:
        return "stopped"
    if process.name in PROGRAMS and process.role == "main":
        return PROGRAMS[process.name]
    return "orphaned" if "orphaned" in process.condition else "plain"


def _filled(
    remedies: Sequence[Remedy], owner: Owner | None, finding: Diagnosis, scene: Scene
) -> Iterator[Advice]:
    """The remedies whose fields are all known, with sudo only where the command would be refused without."""
    fields = _fields(owner.process if owner else None, finding, scene)
    for remedy in remedies:
        try:
            text = remedy.text.format_map(fields)
            command = _argv(remedy, fields, owner, scene.uid)
        except KeyError:
            continue
        sudo = ("sudo",) if command and _needs_sudo(remedy, owner, scene) else ()
        yield Advice(text, (*sudo, *command) or None)


def _needs_sudo(remedy: Remedy, owner: Owner | None, scene: Scene) -> bool:
    if not scene.uid or remedy.needs == "nothing":  # root already, or a system without uids
        return False
    return remedy.needs == "root" or owner is None or owner.process.uid != scene.uid


def _fields(process: Process | None, finding: Diagnosis, scene: Scene) -> Mapping[str, object]:
    """What the texts and commands can name; unknown ones are absent."""
    waits = [socket.expires_in for socket in finding.sockets if socket.expires_in]
    known: dict[str, object] = {
        "port": finding.port if finding.protocol == "tcp" else f"{finding.port}/udp",
        "target": finding.target,
        "unprivileged_from": scene.policy.unprivileged_from,
        "ephemeral_first": scene.policy.ephemeral and scene.policy.ephemeral.first,
        "reserved_ports": ",".join([*map(_range, scene.policy.reserved), str(finding.port)]),
        "seconds": max(1, round(max(waits))) if waits else None,
        "addresses": ", ".join(str(local) for local in scene.addresses[:6]) or None,
        "kernel": scene.kernel_owned.get((finding.protocol, finding.port)),
    }
    if process is not None:
        known |= _process_fields(process)
    return _known(known)


def _process_fields(process: Process) -> dict[str, object]:
    container = process.container
    return {
        "name": process.name,
        "user": process.user,
        "service": process.service or process.activation,
        "activation": process.activation,
        "supervisor": process.supervisor,
        "supervised": process.supervised,
        "forwards": process.forwards,
        "engine": container and container.engine,
        "container": container and (container.name or container.id),
        "pod": container and container.pod,
        "compose_project": container and container.compose_project,
        "compose_service": container and container.compose_service,
    }


def _range(ports: tuple[int, int]) -> str:
    return str(ports[0]) if ports[0] == ports[1] else f"{ports[0]}-{ports[1]}"


def _ephemeral(finding: Diagnosis, scene: Scene) -> bool:
    return scene.policy.ephemeral is not None and finding.port in scene.policy.ephemeral
