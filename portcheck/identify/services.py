"""The unit that really is a process's own: not everything in a service's cgroup is that service.

`cron.service` or a terminal's unit merely started what runs in their cgroup: stopping them would end the
wrong thing, or (KillMode=process) nothing.  There, only the unit's own first process counts: started by a
service manager, and leader of the session that the manager gives to every service.
"""

from __future__ import annotations

from portcheck.identify.names import names
from portcheck.value import TYPE_CHECKING

if TYPE_CHECKING:
    from portcheck.identify.cgroup import Placement
    from portcheck.identify.facts import Facts
    from portcheck.model import Process

# Units whose business is to start programs of others.
HOSTS = frozenset((
    "atd", "cron", "crond", "cronie", "containerd", "crio", "docker", "dropbear", "emacs",
    "gnome-terminal-server", "incus", "k3s", "kubelet", "lxd", "podman", "rke2-server",
    "snap.docker.dockerd", "snap.lxd.daemon", "ssh", "sshd", "tmux", "xrdp-sesman",
))  # fmt: skip
MANAGERS = frozenset(("systemd", "init", "launchd"))


def is_manager(process: Process | None) -> bool:
    """PID 1, a user's systemd, or a container's: what starts services and holds sockets on their behalf."""
    if process is None or not MANAGERS & names(process):
        return False
    return process.pid == 1 or "--user" in (process.command or ()) or (process.cgroup or "").endswith("/init.scope")


def is_host(unit: str) -> bool:
    """True of units that start programs of others; `app-NAME@RANDOM.service` is a desktop application's."""
    name = unit.removesuffix(".service")
    template, at, _ = name.partition("@")
    return template in HOSTS or (bool(at) and template.startswith("app-"))


def own_service(facts: Facts, place: Placement) -> str | None:
    """The service that this process is part of; None where it only runs beside one.

    A terminal tells of a person, who may have started it from a program that is a service (a terminal emulator);
    so does the unit that portcheck itself was started by (a CI runner).
    """
    unit = place.service
    if unit is None or not (is_host(unit) or facts.terminal or unit == facts.own_service):
        return unit
    parent = facts.ancestors[0] if facts.ancestors else None
    first = is_manager(parent) and facts.session_id == facts.process.pid
    return unit if first else None
