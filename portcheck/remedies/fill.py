"""Turns a remedy into advice: fills in its fields, and adds sudo only where a command would fail without it.  Pure."""

from __future__ import annotations

from portcheck.identify.describe import briefly, container, listed
from portcheck.identify.managers import engine_of
from portcheck.identify.names import called
from portcheck.identify.super_servers import services_file
from portcheck.model import Advice, Hands
from portcheck.namedtuple import TYPE_CHECKING, NamedTuple
from portcheck.remedies.kinds import HOMEBREW

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from typing import Any

    from portcheck.model import Diagnosis, Owner, Process
    from portcheck.remedies.catalogue import Remedy

    Fields = Mapping[str, Any]

# What systemd-resolved listens for, and the setting by which it does not: resolved.conf(5).
RESOLVER_PORTS: Mapping[int, tuple[str, str]] = {
    53: ("this host's own programs look up names there", "DNSStubListener=no"),
    5353: ("it finds names of the local network there", "MulticastDNS=no"),
    5355: ("it finds names of the local network there", "LLMNR=no"),
}
OPTIONS = (
    "{machine}",
    "{monit_file}",
    "{namespace}",
    "{address}",
    "{supervisor_config}",
    "{supervisor_url}",
)  # fields that are options of ours, or nothing
SEVERAL = ("{triggers}",)  # fields that stand for any number of words
EVERYBODY = ("all", "*")  # which supervisors take for all their programs


class Order(NamedTuple):
    """What `stop` runs, and as whom; people are shown it with the sudo that it takes them."""

    argv: tuple[str, ...]
    hands: Hands


def order(remedy: Remedy, owner: Owner, finding: Diagnosis, uid: int | None) -> Order:
    """The command of a remedy that applies, as its manager's own user gives it."""
    fields = {**owner_fields(owner, finding, uid), "machine": ""}
    return Order(tuple(_words(remedy, fields)), _hands(remedy, owner))


def _hands(remedy: Remedy, owner: Owner) -> Hands:
    """Those of the manager's user; the asker's own where root's permission is needed, or the engine's."""
    if remedy.needs in ("keeper", "machine"):
        return _keeper(owner.process)
    return owner.process.keeper or Hands() if remedy.needs == "engine" else Hands()


def _keeper(process: Process) -> Hands:
    """As whom its manager is asked; it is not known to be anybody else than the one who runs it."""
    return process.keeper or Hands(process.uid, process.user)


def fill(remedy: Remedy, fields: Fields, owner: Owner | None, uid: int | None) -> Advice | None:
    """The advice for user `uid`; None where the remedy names something that is not known."""
    try:
        text = remedy.text.format_map(fields)
        command = tuple(_words(remedy, fields))
    except KeyError:
        return None
    if command and remedy.needs == "keeper" and owner and (folder := _keeper(owner.process).folder):
        command = (f"{folder}/{command[0]}", *command[1:])
    return Advice(text, (*_as_whom(remedy, owner, uid), *command) if command else None)


def fill_all(remedies: Iterable[Remedy], owner: Owner, finding: Diagnosis, uid: int | None) -> Iterator[Advice]:
    """The advice for user `uid` about a holder of the port, as far as these remedies apply."""
    fields = owner_fields(owner, finding, uid)
    for remedy in remedies:
        advice = fill(remedy, fields, owner, uid)
        if advice:
            yield advice


def _words(remedy: Remedy, fields: Fields) -> Iterator[str]:
    """The command's words without empty ones.  Raises KeyError where a stranger's name would be read as an option."""
    for template in remedy.command:
        for word in fields[template[1:-1]] if template in SEVERAL else (template.format_map(fields),):
            if word.startswith("-") and template.startswith("{") and template not in OPTIONS:
                raise KeyError(template)
            if word:
                yield word


def _as_whom(remedy: Remedy, owner: Owner | None, uid: int | None) -> tuple[str, ...]:
    """What goes before the command: nothing, sudo, or sudo as the owner."""
    process = owner.process if owner else None
    if remedy.needs == "keeper" and process is not None and uid is not None:
        return _as_keeper(_keeper(process), uid)
    own = process is not None and (_keeper(process).uid if remedy.needs == "machine" else process.uid) == uid
    if uid is None or remedy.needs == "nothing" or (own and remedy.needs in ("owner", "machine")):
        return ()
    if remedy.needs == "engine" and process is not None and process.keeper:
        return _as_keeper(process.keeper, uid)
    if remedy.needs == "engine" and process is not None and _talks_to_engine(process, uid):
        return ()
    return ("sudo",) if uid else ()


def _as_keeper(keeper: Hands, uid: int) -> tuple[str, ...]:
    """Root's manager takes root; another user's takes that user, even if root asks."""
    variables = [f"{name}={value}" for name, value in keeper.variables]
    environment = ("env", *variables) if variables else ()
    if keeper.uid == uid:
        return environment
    if not keeper.uid:
        return ("sudo", *environment)
    return ("sudo", "-u", keeper.user or f"#{keeper.uid}", *environment)


def _talks_to_engine(process: Process, uid: int) -> bool:
    """An engine reveals names only to users whose commands it takes."""
    return engine_of(process, uid) is not None and process.container is not None and process.container.name is not None


def owner_fields(owner: Owner, finding: Diagnosis, uid: int | None) -> Fields:
    """The fields for an owner and its port; what is not known is absent."""
    process, keeper = owner.process, _keeper(owner.process)
    fields = {
        **port_fields(finding),
        "name": called(process),
        "briefly": briefly(process),
        "pid": owner.pid,
        "user": process.user,
        "service": process.service or process.activation,
        "activation": process.activation,
        "activated": process.service or "",
        "triggers": process.triggered_by,
        "again": f" ({listed(process.triggered_by)} would)" if process.triggered_by else "",
        "along": f"; {listed(process.required_by)} will be stopped with it" if process.required_by else "",
        "left_by": process.left_by,
        "machine": "" if keeper.uid == uid else f"--machine={keeper.user or keeper.uid}@",
        "manager": keeper.user,
        "where": f"with Ctrl-C ({process.session}), or " if process.terminal and process.session else "",
        "supervisor": process.supervisor,
        "supervisor_pid": process.supervisor_pid,
        "supervised": None if process.supervised in EVERYBODY else process.supervised,
        "started_by": process.started_by,
        "forwards": process.forwards,
        "supervisor_config": f"--configuration={process.supervisor_config}" if process.supervisor_config else "",
        "endpoint": process.supervisor_url,
        "monit_file": f"-c{process.supervisor_config}" if process.supervisor_config else "",
        "supervisor_url": f"--serverurl={process.supervisor_url}" if process.supervisor_url else "",
        "services_file": services_file(process),
        "unanswered": process.unanswered,
        "claim": process.claim or briefly(process),
        "formula": (process.service or "").removeprefix(HOMEBREW) or None,
        **_resolver_fields(finding),
        **_rule_fields(process),
        **_container_fields(process),
    }
    return _known(fields)


def port_fields(finding: Diagnosis) -> dict[str, object]:
    """How the port is written as a target, with and without the host that was named, and its number."""
    port = str(finding.port) if finding.protocol == "tcp" else f"{finding.port}/udp"
    host = finding.host if finding.host and "," not in finding.host else None
    return {
        "port": port,
        "target": port if host is None else f"[{host}]:{port}" if ":" in host else f"{host}:{port}",
        "number": finding.port,
        "protocol": finding.protocol,
    }


def _container_fields(process: Process) -> dict[str, object]:
    inside = process.container
    if inside is None:
        return {}
    policy = inside.restart_policy
    return {
        "engine": inside.engine,
        "container": inside.name or inside.id,
        "contained": container(inside),
        "restarts": f" (killed, it would come back: restart policy {policy})" if policy else "",
        "pod": inside.pod,
        "swarm_service": inside.swarm_service,
        "namespace": f"--namespace={inside.namespace}" if inside.namespace else "",
        "address": f"--address={inside.address}" if inside.address else "",
        "compose_project": inside.compose_project,
        "compose_service": inside.compose_service,
    }


def _resolver_fields(finding: Diagnosis) -> dict[str, object]:
    use, option = RESOLVER_PORTS.get(finding.port, (None, None))
    return {"resolver_use": use, "resolver_option": option, "stub": "127.0.0.53" if finding.port == 53 else None}


def _rule_fields(process: Process) -> dict[str, object]:
    """A rule of Windows' port proxy, as netsh takes it."""
    rule = process.port_proxy
    return {} if rule is None else {"rule": rule.direction, "rule_address": f"listenaddress={rule.address}"}


def _known(fields: Mapping[str, object]) -> Fields:
    return {name: value for name, value in fields.items() if value is not None}
