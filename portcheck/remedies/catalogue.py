"""What frees a port, as data: why it is not free → what to say, and the exact command.  Who holds it: kinds.py.  Pure.

`{fields}` are filled in by fill.py: an entry that names an unknown one is left out, and a word of a command that
comes out empty is dropped.  A command is only named where it really does what the text says: never a signal for what
would be started again.
"""

from __future__ import annotations

from portcheck.namedtuple import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from typing import Literal

    from portcheck.model import Cause

    # Whose permission a command needs: root's, the process owner's (or root's), the engine's, nobody's in particular;
    # "keeper": that of the user to whom its manager belongs, root's would look elsewhere; "machine": that of the user
    # whose systemd it is, whom root reaches by an option.
    Needs = Literal["root", "owner", "engine", "keeper", "machine", "nothing"]
    # The condition on which an entry is true.
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

# The port is not free, and no holder explains why.
BY_CAUSE: dict[Cause, tuple[Remedy, ...]] = {
    "kernel": (Remedy("the kernel's {kernel} has it: remove that, or take another port"),),
    "connection": (
        Remedy("free within a minute (TIME_WAIT) of that connection being closed"),
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
    "closing": (Remedy("it goes away by itself, a minute or two after the other end answers or times out"),),
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
        Remedy("use port {unprivileged_from} or higher"),
        Remedy("or bind the wildcard 0.0.0.0 or ::, which every user may do", when="macos"),
        Remedy("or give the program the right: setcap cap_net_bind_service=+ep PROGRAM", when="linux"),
        Remedy(
            "or let every user of this host bind port {number} and higher",
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
        Remedy("and let them choose again", ("net", "start", "winnat")),
    ),
    "policy": (
        Remedy("look at what guards ports here: security software, a firewall", when="windows"),
        Remedy("look at what confines it: Landlock, seccomp, SELinux, AppArmor or a BPF program", when="linux"),
    ),
    "address": (
        Remedy("start the server in that VRF: ip vrf exec {vrf} COMMAND"),
        Remedy("bind an address of this host: {addresses}"),
    ),
    "family": (Remedy("bind an IPv4 address"),),
}  # fmt: skip

# The port is free for a server that sets SO_REUSEADDR; another one would be refused.
BY_CAUSE_WHILE_FREE: dict[Cause, tuple[Remedy, ...]] = {
    "time-wait": (Remedy("set SO_REUSEADDR in the server (most do), or wait {seconds} s"),),
    "closing": (Remedy("set SO_REUSEADDR in the server (most do)"),),
    "connection": (Remedy("set SO_REUSEADDR in the server (most do)"),),
}

# What is left to do after `stop`.
UNENDED = Remedy("it has not ended by itself: kill it (what it has not saved is lost)", (*STOP, "--force"), "owner")
ONE_OF_SEVERAL = Remedy("stop only {briefly}", (*STOP, "--pid", "{pid}"), "owner")
# A program that was not known to restart what ends.
RESTARTED = (
    Remedy(
        "{started_by} (PID {supervisor_pid}) starts it again: end that first",
        ("kill", "{supervisor_pid}"),
        "owner",
    ),
    Remedy("and then what it has left", STOP, "owner"),
)
