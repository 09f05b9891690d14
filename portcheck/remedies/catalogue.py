"""What frees a port, as data: who holds it, or why it is not free → what to say, and the exact command.  Pure.

`{fields}` are filled in by fill.py: an entry that names an unknown one is left out, and a word of a command that
comes out empty is dropped.  A command is only named where it really does what the text says: never a signal for what
would be started again.
"""

from __future__ import annotations

from portcheck.namedtuple import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from typing import Literal

    from portcheck.model import Cause
    from portcheck.remedies.kinds import Kind

    # Whose permission a command needs: root's, the process owner's (or root's), the engine's, nobody's in particular;
    # "self": only the owner's own program reaches it, root's would look elsewhere.
    Needs = Literal["root", "owner", "engine", "self", "nothing"]
    # What has to be so for an entry to be true.
    When = Literal["linux", "macos", "windows", "ephemeral", "reuseaddr-helps", "reuseaddr-does-not-help"]


class Remedy(NamedTuple):
    """One way out."""

    text: str
    command: tuple[str, ...] = ()
    needs: Needs = "nothing"
    when: When | None = None


STOP = ("portcheck", "stop", "{target}")
EXCLUDE = ("netsh", "interface", "ipv4", "add", "excludedportrange")
STOP_CONTAINER = Remedy("stop the container {container}{restarts}", ("{engine}", "stop", "{container}"), "engine")

# The first entry of each kind is the one that frees the port.
BY_KIND: dict[Kind, tuple[Remedy, ...]] = {
    "socket-unit": (
        Remedy(
            "systemd itself listens for {service}: stop the socket unit too, or it starts again",
            ("systemctl", "stop", "{activation}", "{activated}"),
            "root",
        ),
        Remedy("and keep it from coming back at boot", ("systemctl", "disable", "--now", "{activation}"), "root"),
    ),
    "user-socket-unit": (
        Remedy(
            "{user}'s systemd listens for {service}: stop the socket unit too, or it starts again",
            ("systemctl", "--user", "{machine}", "stop", "{activation}", "{activated}"),
            "owner",
        ),
    ),
    "service": (
        Remedy(
            "stop the service, not its process: systemd may start it again", ("systemctl", "stop", "{service}"), "root"
        ),
    ),
    "user-service": (
        Remedy(
            "stop the service, not its process: {user}'s systemd may start it again",
            ("systemctl", "--user", "{machine}", "stop", "{service}"),
            "owner",
        ),
    ),
    "launchd-job": (
        Remedy(
            "launchd starts it again when it ends: remove the job", ("launchctl", "bootout", "{supervised}"), "owner"
        ),
    ),
    "homebrew": (
        Remedy("Homebrew starts it again when it ends: stop it there", ("brew", "services", "stop", "{formula}")),
    ),
    "launchd": (Remedy("launchd listens for one of its jobs: find out for which", ("launchctl", "print", "system")),),
    "macos-setting": (Remedy("turn {service} off in System Settings, General, AirDrop & Handoff"),),
    "windows-service": (Remedy("stop the service (as administrator)", ("Stop-Service", "{service}")),),
    "iis": (
        Remedy("stop the IIS site that has it (as administrator): Get-Website tells which, Stop-Website stops it"),
        Remedy("or IIS as a whole (as administrator)", ("Stop-Service", "{service}")),
    ),
    "windows-services": (Remedy("one of the services {service} has it: stop that one"),),
    "windows-port-proxy": (
        Remedy(
            "Windows forwards it to {forwards}: delete the rule (as administrator)",
            ("netsh", "interface", "portproxy", "delete", "{rule}", "listenport={number}", "{rule_address}"),
        ),
    ),
    "windows-http": (Remedy("http.sys listens for {forwards}: stop that"),),
    "wsl": (Remedy("stop the program inside WSL that listens, or everything there", ("wsl", "--shutdown")),),
    "ended": (Remedy("end the child that inherited its socket, or sign out: nothing else closes it"),),
    "windows-kernel": (Remedy("Windows itself has it: turn off the feature that uses it, or take another port"),),
    "compose": (
        Remedy(
            "stop service {compose_service} of the compose project {compose_project}{restarts}",
            ("docker", "compose", "-p", "{compose_project}", "stop", "{compose_service}"),
            "engine",
        ),
        STOP_CONTAINER._replace(text="or only its container {container}"),
    ),
    "container": (STOP_CONTAINER,),
    "containerd": (Remedy("stop the container {container}", ("nerdctl", "stop", "{container}"), "root"),),
    "nspawn": (Remedy("stop the container {container}", ("machinectl", "poweroff", "{container}"), "root"),),
    "pod": (Remedy("it runs in the Kubernetes pod {pod}: scale its workload down, or it is started again"),),
    "other-container": (Remedy("it runs in {contained}: stop that with what manages it"),),
    "foreign-container": (Remedy("it is {contained} of another user's {engine}: only that user can stop it"),),
    "unnamed-container": (
        Remedy(
            "{engine} publishes it for a container: find out for which, and stop that", ("{engine}", "ps"), "engine"
        ),
    ),
    "engine": (Remedy("{name} has it for containers, or for itself: stop what uses the port there, not {name}"),),
    "manager": (Remedy("{name} holds it for a service: find out for which", ("systemctl", "list-sockets")),),
    "user-manager": (
        Remedy(
            "{user}'s systemd holds it for a service: find out for which",
            ("systemctl", "--user", "{machine}", "list-sockets"),
            "owner",
        ),
    ),
    "supervisord": (
        Remedy(
            "supervisord starts it again when it ends: stop it there",
            ("supervisorctl", "{supervisor_url}", "stop", "{supervised}"),
            "owner",
        ),
    ),
    "pm2": (Remedy("pm2 starts it again when it ends: stop it there", ("pm2", "stop", "{supervised}"), "self"),),
    "runit": (Remedy("runit starts it again when it ends: take it down", ("sv", "down", "{supervised}"), "owner"),),
    "s6": (Remedy("s6 starts it again when it ends: take it down", ("s6-svc", "-d", "{supervised}"), "owner"),),
    "managed": (Remedy("{supervisor} starts it again when it ends: stop it there"),),
    "watched": (Remedy("{supervisor} (PID {supervisor_pid}) starts it again when it ends: end both", STOP, "owner"),),
    "supervising": (Remedy("{name} runs other programs as well: stop the one that has the port there, not {name}"),),
    "apache": (Remedy("stop Apache as a whole, not one of its processes", ("apachectl", "stop"), "owner"),),
    "nginx": (Remedy("let nginx finish its requests and end", ("nginx", "-s", "quit"), "owner"),),
    "forwarder": (Remedy("it is a tunnel to {forwards}: close it where it was opened, or from here", STOP, "owner"),),
    "ide": (Remedy("{name} has it for a forwarded port or an extension: close it in the editor (its ports view)"),),
    "stopped": (
        Remedy("it was stopped (Ctrl-Z?): fg in its terminal and then Ctrl-C, or end it from here", STOP, "owner"),
    ),
    "orphaned": (Remedy("what started it is gone, and no terminal ends it: end it from here", STOP, "owner"),),
    "plain": (Remedy("end it {where}from here", STOP, "owner"),),
    "hidden": (Remedy("only root can see its process and stop it", STOP, "root"),),
    "hidden-from-user": (Remedy("only an administrator can see its process and stop it"),),
    "hidden-by-namespace": (
        Remedy("root cannot see its process from inside this container or sandbox: ask on the host"),
    ),
}

# The port is not free, and no holder explains it better.
BY_CAUSE: dict[Cause, tuple[Remedy, ...]] = {
    "kernel": (Remedy("the kernel's {kernel} has it: remove that, or take another port"),),
    "connection": (
        Remedy("free up to a minute (TIME_WAIT) after that connection is closed"),
        Remedy(
            "no outgoing connection takes a port below {ephemeral_first}, where the ephemeral range begins",
            when="ephemeral",
        ),
        Remedy(
            "or keep outgoing connections away from this one",
            ("sysctl", "-w", "net.ipv4.ip_local_reserved_ports={reserved_ports}"),
            "root",
            when="ephemeral",
        ),
    ),
    "closing": (Remedy("it passes by itself, a minute or two after the other end has answered or is given up"),),
    "time-wait": (
        Remedy("free by itself in {seconds} s"),
        Remedy("set SO_REUSEADDR in the server: then it can start at once", when="reuseaddr-helps"),
        Remedy(
            "set SO_REUSEADDR in the server: it helps once the server before it had set it too",
            when="reuseaddr-does-not-help",
        ),
        Remedy("or let the client close first: whoever does keeps this entry"),
    ),
    "privileged": (
        Remedy("take a port from {unprivileged_from} on"),
        Remedy("or bind the wildcard 0.0.0.0 or ::, which everybody may", when="macos"),
        Remedy("or give the program the right: setcap cap_net_bind_service=+ep PROGRAM", when="linux"),
        Remedy(
            "or let everybody on this host bind ports from {number} on",
            ("sysctl", "-w", "net.ipv4.ip_unprivileged_port_start={number}"),
            "root",
            when="linux",
        ),
    ),
    "reserved": (
        Remedy(
            "take another port, or see which ones Windows keeps",
            ("netsh", "interface", "ipv4", "show", "excludedportrange", "protocol={protocol}"),
        ),
        Remedy("or free those of Hyper-V, WSL and Docker for a moment (as administrator)", ("net", "stop", "winnat")),
        Remedy(
            "keep this port out of them from now on",
            (*EXCLUDE, "protocol={protocol}", "startport={number}", "numberofports=1"),
        ),
        Remedy("and let them choose anew", ("net", "start", "winnat")),
    ),
    "policy": (
        Remedy("look at what guards ports here: security software, a firewall", when="windows"),
        Remedy("look at what confines it: Landlock, seccomp, SELinux, AppArmor or a BPF program", when="linux"),
    ),
    "address": (Remedy("bind an address of this host: {addresses}"),),
    "family": (Remedy("bind an IPv4 address"),),
}  # fmt: skip

# The port is free for a server that sets SO_REUSEADDR; another one would be refused.
BY_CAUSE_WHILE_FREE: dict[Cause, tuple[Remedy, ...]] = {
    "time-wait": (Remedy("set SO_REUSEADDR in the server (most do), or wait {seconds} s"),),
    "closing": (Remedy("set SO_REUSEADDR in the server (most do)"),),
    "connection": (Remedy("set SO_REUSEADDR in the server (most do)"),),
}

# What `stop` leaves to say.
UNENDED = Remedy("it has not ended by itself: kill it (what it has not saved is lost)", (*STOP, "--force"), "owner")
ONE_OF_SEVERAL = Remedy("stop only {name}", (*STOP, "--pid", "{pid}"), "owner")
# A program of which nobody knew that it starts again what ends.
RESTARTED = (
    Remedy(
        "{started_by} (PID {supervisor_pid}) starts it again: end that first",
        ("kill", "{supervisor_pid}"),
        "owner",
    ),
    Remedy("and then what it has left", STOP, "owner"),
)
