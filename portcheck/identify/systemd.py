"""The unit that really is a process's own: not everything in a service's cgroup is that service.

`cron.service` or a terminal's unit merely started what runs in its cgroup: stopping the unit would end the wrong thing,
or (KillMode=process) nothing.  There, only the unit's own first process counts: started by a service manager, and the
leader of the session that the manager gives to every service.
"""

from __future__ import annotations

from portcheck.addresses import is_wildcard, parse_address, unmapped
from portcheck.identify.names import names
from portcheck.namedtuple import TYPE_CHECKING, NamedTuple
from portcheck.text import number

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from portcheck.identify.cgroup import Placement
    from portcheck.identify.facts import Facts
    from portcheck.model import Process, Protocol, Socket


# Units that exist to start programs of others.
HOSTS = frozenset((
    "anacron", "atd", "circus", "circusd", "cron", "crond", "cronie", "containerd", "crio", "daemontools", "docker",
    "dropbear", "emacs", "gnome-terminal-server", "incus", "k3s", "kubelet", "lxd", "monit", "podman", "rke2-server",
    "runit", "runsvdir", "s6", "snap.docker.dockerd", "snap.lxd.daemon", "ssh", "sshd", "supervisor", "supervisord",
    "svscan", "tmux", "xrdp-sesman",
))  # fmt: skip
MANAGERS = frozenset(("systemd", "init", "launchd"))


def is_manager(process: Process | None) -> bool:
    """PID 1, a user's systemd, or a container's: it starts services and holds sockets on their behalf."""
    if process is None or not MANAGERS & names(process):
        return False
    return process.pid == 1 or "--user" in (process.command or ()) or (process.cgroup or "").endswith("/init.scope")


def is_host(unit: str) -> bool:
    """True of units that start other people's programs; `app-NAME@RANDOM.service` is a desktop application's."""
    name = unit.removesuffix(".service")
    template, at, _ = name.partition("@")
    return template in HOSTS or (bool(at) and template.startswith("app-"))


def own_service(facts: Facts, place: Placement) -> str | None:
    """The service that this process is part of; None where it merely runs beside one.

    A terminal means a person, who may have started it from within a service (a terminal emulator); so does the
    unit that portcheck itself runs in (a CI runner).
    """
    unit = place.service
    if unit is None or not (is_host(unit) or facts.terminal or unit == facts.own_service):
        return unit
    parent = facts.ancestors[0] if facts.ancestors else None
    first = is_manager(parent) and facts.session_id == facts.process.pid
    return unit if first else None


# systemd 252 prints these in an order of its own, with blank lines between the units.
PROPERTIES = ("Id", "Listen", "Triggers", "ActiveState")
ENDED = ("inactive", "failed")
UNIT_PROPERTIES = ("Id", "ControlGroup", "MainPID", "ActiveState")
KINDS: Mapping[str, Protocol] = {"(Stream)": "tcp", "(Datagram)": "udp"}


class Listening(NamedTuple):
    """One `ListenStream=` or `ListenDatagram=` of a unit."""

    protocol: Protocol
    address: str
    port: int


class SocketUnit(NamedTuple):
    """A unit that listens on behalf of a service; `triggers` is None with Accept=yes (one instance each)."""

    name: str
    triggers: str | None
    listening: tuple[Listening, ...]


class Unit(NamedTuple):
    """A unit as its manager has it."""

    name: str
    control_group: str  # the path of its cgroup; empty where it has none
    main_pid: int | None = None
    runs: bool = True  # False: it has ended, and what is left in its cgroup no `systemctl stop` ends

    def has(self, cgroup: str | None) -> bool:
        """Whether a cgroup is the unit's, or one that is inside of it."""
        return self.runs and bool(self.control_group) and f"{cgroup}/".startswith(f"{self.control_group}/")


def read_control_groups(text: str) -> dict[str, Unit]:
    """The units that `systemctl show UNIT... --property=...` printed, by their names."""
    units = {}
    for block in text.split("\n\n"):
        values = dict(line.partition("=")[::2] for line in block.split("\n"))
        name, main_pid = values.get("Id", ""), number(values.get("MainPID", ""))
        runs = values.get("ActiveState") not in ENDED
        units[name] = Unit(name, values.get("ControlGroup", ""), main_pid, runs)
    return units


def read_units(text: str) -> tuple[SocketUnit, ...]:
    """The active ones of what `systemctl show '*.socket' --property=...` printed."""
    units = []
    for block in text.split("\n\n"):
        pairs = [line.partition("=")[::2] for line in block.split("\n")]
        values = dict(pairs)
        if values.get("ActiveState") == "active" and values.get("Id"):
            listening = tuple(one for key, value in pairs if key == "Listen" and (one := _listening(value)))
            triggers = values.get("Triggers", "").split()
            units.append(SocketUnit(values["Id"], triggers[0] if triggers else None, listening))
    return tuple(units)


def _listening(value: str) -> Listening | None:
    """`[::]:8081 (Stream)`; None for a path, a FIFO, netlink."""
    where, _, kind = value.rpartition(" ")
    host, _, text = where.rpartition(":")
    port = number(text)
    address = parse_address(host.removeprefix("[").removesuffix("]"))
    if kind not in KINDS or address is None or port is None:
        return None
    return Listening(KINDS[kind], address.text, port)


def unit_of(socket: Socket, units: Iterable[SocketUnit]) -> SocketUnit | None:
    """The unit that listens where this socket does; `[::]` of a unit is a dual-stack wildcard."""
    return next((unit for unit in units if any(_is(socket, one) for one in unit.listening)), None)


def _is(socket: Socket, one: Listening) -> bool:
    if (socket.protocol, socket.local_port) != (one.protocol, one.port):
        return False
    mine, its = unmapped(socket.local_address), unmapped(one.address)
    return mine == its or (is_wildcard(mine) and is_wildcard(its))
