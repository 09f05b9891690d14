"""What frees a port, as data: cause and kind of owner → what to say, and the exact command where there is one.  Pure.

`{fields}` are filled in by advise.py; an entry whose fields are not all known is left out.  A command is only named
where it really frees the port: never a signal for what a manager would start again.
"""

from __future__ import annotations

from portcheck.value import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from typing import Literal

    from portcheck.model import Cause

    # Who holds the port, as far as it decides what frees it.
    Kind = Literal[
        "socket-unit", "user-socket-unit", "compose", "container", "pod", "lxc", "nspawn", "service", "user-service",
        "launchd", "windows-service", "supervisord", "pm2", "runit", "supervised", "apache", "nginx", "forwarder",
        "stopped", "orphaned", "manager", "plain", "hidden", "hidden-by-namespace", "kernel", "nobody",
    ]  # fmt: skip


class Remedy(NamedTuple):
    """One way out."""

    text: str
    command: tuple[str, ...] | None = None
    # whose permission the command needs: root's, the owner's, or nobody's in particular
    needs: Literal["root", "owner", "nothing"] = "nothing"
    frees: bool = True  # the command ends the holder for good; False: it only helps or tells more


STOP = ("portcheck", "stop", "{port}")

BY_KIND: dict[Kind, tuple[Remedy, ...]] = {
    "socket-unit": (
        Remedy(
            "systemd itself holds the port for {service}: stop the socket unit, or the service starts again",
            ("systemctl", "stop", "{activation}", "{service}"),
            "root",
        ),
        Remedy("and keep it from coming back at boot", ("systemctl", "disable", "{activation}"), "root", frees=False),
    ),
    "user-socket-unit": (
        Remedy(
            "{user}'s systemd holds the port for {service}: stop the socket unit, or the service starts again",
            ("systemctl", "--user", "stop", "{activation}", "{service}"),
            "owner",
        ),
    ),
    "compose": (
        Remedy(
            "it is service {compose_service} of the compose project {compose_project}: stop it there",
            ("docker", "compose", "-p", "{compose_project}", "stop", "{compose_service}"),
        ),
    ),
    "container": (
        Remedy("it is the container {container}: stop the container", ("{engine}", "stop", "{container}")),
    ),
    "pod": (
        Remedy("it runs in the pod {pod}: scale its workload down, or it will be started again"),
    ),
    "lxc": (Remedy("it runs in the container {container}: stop that", ("lxc-stop", "-n", "{container}"), "root"),),
    "nspawn": (
        Remedy("it runs in the container {container}: stop that", ("machinectl", "poweroff", "{container}"), "root"),
    ),
    "service": (
        Remedy("stop the service, not the process: systemd looks after it", ("systemctl", "stop", "{service}"), "root"),
    ),
    "user-service": (
        Remedy(
            "stop the service, not the process: {user}'s systemd looks after it",
            ("systemctl", "--user", "stop", "{service}"),
            "owner",
        ),
    ),
    "launchd": (
        Remedy(
            "launchd starts it again when it is killed: remove the job",
            ("launchctl", "bootout", "system/{service}"),
            "root",
        ),
    ),
    "windows-service": (Remedy("stop the service", ("Stop-Service", "{service}"), "root"),),
    "supervisord": (
        Remedy(
            "supervisord starts it again when it is killed: stop it there",
            ("supervisorctl", "stop", "{supervised}"),
            "owner",
        ),
    ),
    "pm2": (Remedy("pm2 starts it again when it is killed: stop it there", ("pm2", "stop", "{supervised}"), "owner"),),
    "runit": (Remedy("runit starts it again when it is killed: take it down", ("sv", "down", "{supervised}"), "owner"),),
    "supervised": (
        Remedy("{supervisor} starts it again when it is killed: stop that first", STOP, "owner"),
    ),
    "apache": (Remedy("stop Apache as a whole; killing a process of it is not enough", ("apachectl", "stop"), "owner"),),
    "nginx": (Remedy("let nginx finish its requests and end", ("nginx", "-s", "quit"), "owner"),),
    "forwarder": (Remedy("it is a tunnel ({forwards}): close it", STOP, "owner"),),
    "stopped": (
        Remedy("it was stopped (Ctrl-Z): type fg in its terminal, then Ctrl-C"),
        Remedy("or end it from here", STOP, "owner"),
    ),
    "orphaned": (Remedy("what started it is gone, so no terminal ends it", STOP, "owner"),),
    "manager": (Remedy("{name} holds it for a service: find that with", ("systemctl", "list-sockets"), frees=False),),
    "plain": (Remedy("end it in its terminal with Ctrl-C, or from here", STOP, "owner"),),
    "hidden": (Remedy("see who it is", ("portcheck", "{target}"), "root", frees=False),),
    "hidden-by-namespace": (
        Remedy("its process runs outside of this container or namespace: ask on the host"),
    ),
    "kernel": (
        Remedy("it belongs to {kernel}: remove that, or choose another port"),
    ),
    "nobody": (),
}

BY_CAUSE: dict[Cause, tuple[Remedy, ...]] = {
    "connection": (
        Remedy(
            "an outgoing connection took it as its source port: below {ephemeral_first}, where the ephemeral range"
            " begins, this cannot happen",
            frees=False,
        ),
        Remedy(
            "or keep outgoing connections away from it",
            ("sysctl", "-w", "net.ipv4.ip_local_reserved_ports={reserved_ports}"),
            "root",
            frees=False,
        ),
    ),
    "closing": (Remedy("it goes by itself as soon as the other end answers, or its timeout runs out", frees=False),),
    "time-wait": (
        Remedy("free by itself in {seconds} s", frees=False),
        Remedy(
            "set SO_REUSEADDR in the server: it helps from then on, if the server that left these entries had set it",
            frees=False,
        ),
        Remedy("the side that closes first keeps the entry: let the client close first", frees=False),
    ),
    "privileged": (
        Remedy("take a port from {unprivileged_from} on", frees=False),
        Remedy(
            "or allow the program to bind low ports (a copy of its file, never a shared interpreter)",
            ("setcap", "cap_net_bind_service=+ep", "/path/to/program"),
            "root",
            frees=False,
        ),
    ),
    "policy": (
        Remedy("look at what confines this process: Landlock, seccomp, SELinux, AppArmor or a cgroup program", frees=False),
    ),
    "address": (Remedy("bind an address of this host: {addresses}", frees=False),),
    "family": (Remedy("bind an IPv4 address", frees=False),),
}
