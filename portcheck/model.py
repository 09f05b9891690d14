"""The values that flow through portcheck, in the field's own words.  No I/O, no decisions.

Everything is an immutable NamedTuple of plain values and of the literal words in `vocabulary`.  Text from strangers
(names, command lines, paths) is decoded with surrogateescape and escaped only at the edge, in `render`.
"""

# ruff: noqa: PLC0414 - the words of the vocabulary are imported from here, with the values that hold them

from __future__ import annotations

from portcheck.namedtuple import TYPE_CHECKING, NamedTuple
from portcheck.text import utc, utf8

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, Literal

    from portcheck.vocabulary import BlindSpotCode as BlindSpotCode
    from portcheck.vocabulary import Cause as Cause
    from portcheck.vocabulary import Condition as Condition
    from portcheck.vocabulary import Engine as Engine
    from portcheck.vocabulary import Family as Family
    from portcheck.vocabulary import Method as Method
    from portcheck.vocabulary import NoteCode as NoteCode
    from portcheck.vocabulary import Origin as Origin
    from portcheck.vocabulary import Outcome as Outcome
    from portcheck.vocabulary import Platform as Platform
    from portcheck.vocabulary import Protocol as Protocol
    from portcheck.vocabulary import Role as Role
    from portcheck.vocabulary import ServiceManager as ServiceManager
    from portcheck.vocabulary import State as State
    from portcheck.vocabulary import Supervisor as Supervisor
    from portcheck.vocabulary import Verdict as Verdict

INFINITY = float("inf")
# The contract's keys of an owner, in its order; what else is known of the process follows.
OWNER_KEYS = (
    *("pid", "name", "user", "command", "cwd", "started_at", "parent_pid", "role", "service", "container"),
    "sockets",
)
# Of no use to a reader: flags that only tests know, what only the rules need, what tells two users of a PID apart.
UNTOLD_OF_A_SOCKET = ("reuseaddr", "reuseport", "minisocket", "cgroup_id", "lets", "cookie")
UNTOLD_OF_A_PROCESS = (
    "state",
    "start_ticks",
    "publisher",
    "supervises",
    "command_is_cut",
    "ancestors",
    "session_id",
    "supervisor_config",
    "keeper",
    "unanswered",
    "engine_uid",
    "absent",
)


def json_value(value: Any) -> Any:
    """Any value of the model as JSON has it: named tuples are objects, and all text can be encoded."""
    if isinstance(value, str):
        return utf8(value)
    if isinstance(value, float):
        return value if abs(value) < INFINITY else None  # JSON has neither NaN nor infinity
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        value = value._asdict()
    if isinstance(value, dict):
        return {utf8(key): json_value(field) for key, field in value.items()}
    return [json_value(item) for item in value] if isinstance(value, (tuple, list)) else value


# What lets portcheck see more, worded once.
AS_ROOT = "run portcheck with sudo"
OUTSIDE = "run portcheck on the host itself, outside this container or sandbox"


class BlindSpot(NamedTuple):
    """Something that could change the answer and could not be seen."""

    code: BlindSpotCode
    message: str
    remedy: str | None = None


class Note(NamedTuple):
    """True and useful, but no part of the verdict."""

    code: NoteCode
    message: str


class Advice(NamedTuple):
    """What to do now: a sentence, and the exact argv where there is one."""

    text: str
    command: tuple[str, ...] | None = None


class Socket(NamedTuple):
    """One socket as the operating system shows it.

    Addresses are canonical text; a link-local one carries its scope in `interface`.  What cannot be read is None.
    """

    protocol: Protocol
    family: Family
    local_address: str
    local_port: int
    remote_address: str | None = None
    remote_port: int | None = None
    state: State | None = None  # None for UDP, which has no states
    interface: str | None = None  # the device it is bound to (SO_BINDTODEVICE or a scope)
    v6only: bool | None = None
    user: str | None = None
    uid: int | None = None
    pids: tuple[int, ...] | None = None  # None: holders cannot be seen; (): no process holds it
    queue: int | None = None  # a listener's connections that wait for accept()
    backlog: int | None = None  # how many may wait
    expires_in: float | None = None  # seconds until a timed entry (TIME_WAIT) leaves
    inode: int | None = None  # the socket's name in /proc/PID/fd; 0: no file refers to it any more
    cgroup: str | None = None  # the cgroup v2 path in which it was made
    cgroup_id: int | None = None  # and its id, from which observe.cgroups finds the path when it is wanted
    mptcp: bool | None = None
    # Linux does not reveal these two, so outside tests they are None.
    reuseaddr: bool | None = None
    reuseport: bool | None = None
    # FIN_WAIT_2 comes in two kinds: a full socket that lost its process, and a small TIME_WAIT-like entry.
    minisocket: bool = False
    # IP_FREEBIND, IP_TRANSPARENT: with one of them it may have an address that this host does not have
    lets: tuple[str, ...] = ()
    cookie: int | None = None  # Linux: names it as long as the network namespace lives, where an inode may come again

    def held(self, user: str | None, pids: tuple[int, ...] | None, *, mptcp: bool | None) -> Socket:
        """The same with what is learnt about it afterwards, in half the time that `_replace` takes."""
        return tuple.__new__(Socket, (*self[:9], user, self.uid, pids, *self[12:18], mptcp, *self[19:]))

    def to_dict(self) -> dict[str, Any]:
        """One element of `sockets`."""
        return {key: json_value(field) for key, field in self._asdict().items() if key not in UNTOLD_OF_A_SOCKET}


class Container(NamedTuple):
    """The container that a process runs in, or that a proxy process publishes."""

    engine: Engine
    id: str | None = None
    name: str | None = None
    image: str | None = None
    compose_project: str | None = None
    compose_service: str | None = None
    restart_policy: str | None = None
    pod: str | None = None
    swarm_service: str | None = None  # of which it is a task; or what swarm itself listens for
    namespace: str | None = None  # containerd's
    address: str | None = None  # where that containerd answers, if not at the usual place


class Hands(NamedTuple):
    """As whom a manager is asked and commanded: never with more rights than the manager has itself."""

    uid: int | None = None  # None: whoever runs portcheck
    user: str | None = None
    variables: tuple[tuple[str, str], ...] = ()  # without these its tools would turn to another instance
    beside: tuple[str, ...] = ()  # the manager's own program files: its tools may lie beside them
    folder: str | None = None  # where those tools are, if not on the PATH


class PortProxyRule(NamedTuple):
    """A rule of Windows' port proxy, by what netsh(1) needs to delete it."""

    direction: str  # v4tov4, v4tov6, v6tov4, v6tov6
    address: str  # where it listens: an address, a name, or *


class Ancestor(NamedTuple):
    """A process above another one: who comes from whom."""

    pid: int
    born: float | None = None  # see Process.born
    uid: int | None = None
    is_host: bool = False  # of a session, of services, of containers: what it starts has nothing else in common
    is_launcher: bool = False  # it ends with what it has started (npm, sudo, sh -c)
    ends_together: bool = False  # it ends all that it runs when one of those ends (honcho, foreman)


class Process(NamedTuple):
    """A process as the operating system shows it; None is what could not be read."""

    pid: int
    name: str | None = None
    uid: int | None = None
    user: str | None = None
    command: tuple[str, ...] | None = None
    cwd: str | None = None
    started_at: float | None = None  # seconds since the epoch
    parent_pid: int | None = None
    state: str | None = None  # one letter as in ps: R S D T Z
    executable: str | None = None
    start_ticks: int | None = None  # tells this process from a later one with its PID (Linux: clock ticks since boot)
    cgroup: str | None = None  # path in the unified hierarchy, or the best of the others
    # What it is, beyond its PID (see observe.identity and identify):
    role: Role | None = None
    service: str | None = None  # apache2.service, W3SVC, com.apple.httpd ...
    service_manager: ServiceManager | None = None
    activation: str | None = None  # the .socket unit that holds the port for the service
    triggered_by: tuple[str, ...] = ()  # other units that would start the service again: web.path, web.timer
    required_by: tuple[str, ...] = ()  # units that systemd stops with it
    left_by: str | None = None  # the unit that has ended and left it running
    container: Container | None = None
    supervisor: Supervisor | None = None  # what brings it back
    started_by: str | None = None  # the program that it is a child of, where that is not known to bring it back
    supervisor_pid: int | None = None  # of `supervisor` or `started_by`
    supervised: str | None = None  # its name there, as the supervisor's own commands take it
    supervisor_url: str | None = None  # where those commands reach the supervisor
    supervisor_config: str | None = None  # the file in which the supervisor's own tool reads that
    session: str | None = None  # the terminal, tmux, ssh or IDE session that it belongs to
    terminal: str | None = None  # its controlling terminal: pts/3
    project: str | None = None  # the name of the project that it was started in
    project_dir: str | None = None
    script: str | None = None  # what an interpreter runs
    task: str | None = None  # the package script that started it: npm run dev
    forwards: str | None = None  # what a tunnel forwards to
    condition: tuple[Condition, ...] = ()
    port_proxy: PortProxyRule | None = None  # for which Windows' IP Helper listens
    # What the above rests on:
    confirmed: bool | None = None  # whether its manager has named it back; None where nothing is claimed
    claim: str | None = None  # what it says it is, where nobody who would know has confirmed it
    unanswered: str | None = None  # why the manager that would know could not be asked
    keeper: Hands | None = None  # as whom that manager is asked and commanded
    engine_uid: int | None = None  # whose engine has its container, by the process that looks after that
    absent: tuple[str, ...] = ()  # commands of its manager that this host does not have
    # What its program is, whatever it does here:
    publisher: Engine | None = None  # the engine that it belongs to: it may listen on behalf of a container
    supervises: Supervisor | None = None  # it brings other programs back
    command_is_cut: bool = False  # its command line is longer than what is read of one (a blind spot tells it)
    # Who it comes from, as the kernel tells it:
    ancestors: tuple[Ancestor, ...] = ()  # its parent first
    session_id: int | None = None  # as getsid(2)

    @property
    def born(self) -> float | None:
        """When it started, on one clock for all: tells it from a later process with its PID."""
        return self.start_ticks if self.start_ticks is not None else self.started_at


class LocalAddress(NamedTuple):
    """An address of one of this host's interfaces."""

    address: str  # without scope
    family: Family
    interface: str
    tentative: bool = False  # duplicate address detection runs or has failed: it cannot be bound yet

    def __str__(self) -> str:
        """As a server would be given it: link-local addresses with their scope."""
        link_local = self.family == "ipv6" and self.address[:3] in ("fe8", "fe9", "fea", "feb")
        return f"{self.address}%{self.interface}" if link_local else self.address


class SocketTable(NamedTuple):
    """The sockets of one protocol on the ports that were asked for.

    `depth` says how much was read: only sockets that listen or are bound (enough where they explain every row), or
    every state.
    """

    protocol: Protocol
    sockets: tuple[Socket, ...] = ()
    depth: Literal["listeners", "everything"] = "everything"
    sees_bound_only: bool = True  # False: a socket that is bound without listening, or hidden, would not show
    blind_spots: tuple[BlindSpot, ...] = ()


class Network(NamedTuple):
    """What of Linux's network decides about sockets, besides themselves."""

    release: tuple[int, ...] = (6, 12)  # of the kernel, to whose rules nothing was added since; (): not known
    # device → the VRF (l3mdev) that it is, or belongs to; None: not told
    vrfs: Mapping[str, str] | None = {}
    device: str | None = None  # to which every new socket of ours is bound (`ip vrf exec`)
    # {tcp,udp}_l3mdev_accept: whether sockets outside of every VRF take clients of the VRFs too; absent: not told
    l3mdev_accept: Mapping[Protocol, bool] = {}

    nonlocal_bind: tuple[Family, ...] = ()  # those with ip_nonlocal_bind: every address can be bound

    def vrf(self, device: str | None) -> str | None:
        """The VRF of a device; "" for none, None where that is not told."""
        if device is None:
            return ""
        if self.vrfs is None or device.startswith("#"):  # which is gone, and may have been in one
            return None
        return self.vrfs.get(device, "")


class BindRequest(NamedTuple):
    """A bind as the kernel gets it: what the rules judge."""

    protocol: Protocol
    family: Family
    address: str  # without scope
    port: int
    v6only: bool | None = None
    device: str | None = None  # SO_BINDTODEVICE, or the scope of a link-local address
    reuseaddr: bool = False
    reuseport: bool = False
    uid: int | None = None
    exclusive: bool = False  # SO_EXCLUSIVEADDRUSE (Windows)

    def at(self, port: int) -> BindRequest:
        """The same for another port, in a third of the time that `_replace` takes."""
        return tuple.__new__(BindRequest, (*self[:3], port, *self[4:]))


class Prediction(NamedTuple):
    """What the rules say of one bind against a table of sockets."""

    outcome: Outcome  # free, in-use, unknown
    blocked_by: tuple[int, ...] = ()  # indexes of the sockets that refuse it
    undecided: tuple[int, ...] = ()  # indexes of those whose unreadable flags decide
    shadows: tuple[int, ...] = ()  # indexes of those it could be bound beside, sharing their clients (Windows, macOS)


class Probe(NamedTuple):
    """What the kernel said to one bind; `error` is the errno's name, None where it went through."""

    outcome: Outcome
    error: str | None = None


class PortRange(NamedTuple):
    """Ports from `first` to `last`, both included."""

    first: int
    last: int

    def __contains__(self, port: object) -> bool:
        return isinstance(port, int) and self.first <= port <= self.last


class Exclusion(NamedTuple):
    """Ports that Windows keeps from every bind() of a protocol and family."""

    protocol: Protocol
    family: Family
    ports: PortRange


class PortPolicy(NamedTuple):
    """What the host allows, apart from sockets."""

    unprivileged_from: int = 0  # the first port that needs no privilege
    privileged: bool | None = None  # whether the asker may bind below it; None: not known
    wildcards_exempt: bool = False  # macOS: everybody may bind 0.0.0.0 and :: there, only other addresses need it
    ephemeral: PortRange | None = None  # source ports of outgoing connections come from here
    reserved: tuple[PortRange, ...] = ()  # Linux ip_local_reserved_ports: kept out of the ephemeral choice only
    excluded: tuple[Exclusion, ...] = ()  # Windows: what bind() refuses
    # Looking those up takes its time: it is done once a bind was refused, or where none is tried.
    exclusions: Mapping[Protocol, bool] = {}  # the protocols that were looked up → whether they could be read


class ForeignListener(NamedTuple):
    """A listener in another network namespace: no conflict here, but perhaps what the user is looking for."""

    protocol: Protocol
    address: str
    port: int
    namespace: str  # net:[4026532312]
    pids: tuple[int, ...]


class Redirection(NamedTuple):
    """What sends connections for a port past every socket that is bound to it."""

    by: str  # iptables, nft, IPVS
    origin: Origin  # whose connections
    destinations: tuple[str, ...]  # to which of this host's addresses
    address: str | None  # where to: None is this host itself, "" the same address
    port: str | None  # None: the same
    only_by: tuple[str, ...] = ()  # the interfaces by which these come in, or
    not_by: tuple[str, ...] = ()  # the few by which they do not
    comment: str | None = None  # what stands beside the rule
    sure: bool = True  # False: some of them, or perhaps


class Scene(NamedTuple):
    """Everything that one look at this host has shown, for all the ports of a question."""

    platform: Platform
    uid: int | None
    tables: Mapping[Protocol, SocketTable]
    processes: Mapping[int, Process]
    hidden: Mapping[int, Process]  # inode → user, service or container of a socket whose process cannot be seen
    addresses: tuple[LocalAddress, ...]
    families: tuple[Family, ...]  # those of which sockets can be made
    policy: PortPolicy
    refused_families: tuple[Family, ...] = ()  # those that the kernel has, and a sandbox refuses to us
    confined: bool = False  # sudo would give us no right over the host
    localhost: tuple[str, ...] = ()  # its addresses, in the order in which a client tries them
    absent: tuple[str, ...] = ()  # addresses that were asked for and are not on this host
    unowned: tuple[str, ...] = ()  # addresses that sockets have, and neither an interface nor a route of this host
    # (protocol, port) → what in the kernel owns it, on positive evidence ("VXLAN interface vx0")
    kernel_owned: Mapping[tuple[Protocol, int], str] = {}
    blind_spots: tuple[BlindSpot, ...] = ()
    # (protocol, port) → where connections to it are sent, past every socket
    redirected: Mapping[tuple[Protocol, int], tuple[Redirection, ...]] = {}
    socket_lookups: tuple[str, ...] = ()  # BPF programs that choose the socket of a connection
    elsewhere: tuple[ForeignListener, ...] = ()
    now: float = 0.0  # seconds since the epoch, when the look began
    network: Network = Network()


class Owner(NamedTuple):
    """Who holds sockets of a diagnosis; `pid` is None where only a user, service or container is known."""

    pid: int | None
    process: Process
    sockets: tuple[int, ...]  # indexes into the diagnosis' sockets

    def to_dict(self) -> dict[str, Any]:
        """One element of `owners`: the contract's keys, then what else is known of the process."""
        fields = self.process._asdict()
        fields.update(pid=self.pid, started_at=utc(self.process.started_at), sockets=self.sockets)
        keys = dict.fromkeys((*OWNER_KEYS, *fields))
        return {key: json_value(fields[key]) for key in keys if key not in UNTOLD_OF_A_PROCESS}


class Bind(NamedTuple):
    """One way to bind: an address, and for IPv6 whether IPV6_V6ONLY is set."""

    address: str  # scope included: fe80::1%eth0
    family: Family
    v6only: bool | None = None
    interface: str | None = None  # the interface that has this address; None for a wildcard


class Row(NamedTuple):
    """What became of one way to bind."""

    bind: Bind
    outcome: Outcome  # for the server asked about
    with_reuseaddr: Outcome
    without_reuseaddr: Outcome
    error: str | None = None  # the errno's name: EADDRINUSE, EACCES ...
    method: Method = "rules"
    blocked_by: tuple[int, ...] = ()  # indexes into the diagnosis' sockets
    shadows: tuple[int, ...] = ()
    conflicts: tuple[int, ...] = ()  # what would refuse a server without SO_REUSEADDR: blocked_by, and more
    disagreement: str | None = None  # what the rules predicted, where the kernel disagrees

    def to_dict(self) -> dict[str, Any]:
        """One element of `binds`: the row, with its bind's fields in place."""
        fields = self._asdict()
        bind = fields.pop("bind")
        start = {"address": bind.address, "interface": bind.interface, "family": bind.family, "v6only": bind.v6only}
        return {key: json_value(field) for key, field in {**start, **fields}.items()}


class Answer(NamedTuple):
    """What a client reaches at one local address."""

    address: str
    sockets: tuple[int, ...] = ()
    pids: tuple[int, ...] | None = ()  # (): nothing; None: a listener whose owner cannot be seen


class Sentence(NamedTuple):
    """What a diagnosis says, in the parts that other sentences are made of; as text it is the message.

    "Port 80" + "is" + "in use" + ": " + "httpd (PID 382) listens on every IPv4 address" + "."
    """

    subject: str  # as within a sentence: "port 80", "whether UDP port 53 is free", "Node's listen(80)"
    verb: str  # "is", "would", "cannot"
    answer: str  # "in use", "free on every IPv4 address", "fail", "be told"
    reason: str = ""
    proper: bool = False  # the subject is a name or a command, which is written the same at the start of a sentence
    consequences: tuple[str, ...] = ()  # what follows from the reason: "the other addresses are free"
    short: str = ""  # the same at a glance, after the port: "needs root (ports below 1024 do); nothing is using it"

    @property
    def because(self) -> str:
        """The reason, with what follows from it."""
        return "; ".join(filter(None, (self.reason, *self.consequences)))

    @property
    def clause(self) -> str:
        """As a part of another sentence: no capital, no full stop."""
        because = f": {self.because}" if self.because else ""
        return f"{self.subject} {self.verb} {self.answer}{because}"

    @property
    def line(self) -> str:
        """As a line of its own without a full stop."""
        return self.clause if self.proper else self.clause[:1].upper() + self.clause[1:]

    def __str__(self) -> str:
        return f"{self.line}."


class Diagnosis(NamedTuple):
    """The whole answer for one port."""

    target: str
    protocol: Protocol
    port: int
    host: str | None
    verdict: Verdict
    cause: Cause | None
    sentence: Sentence
    complete: bool
    blind_spots: tuple[BlindSpot, ...] = ()
    binds: tuple[Row, ...] = ()
    sockets: tuple[Socket, ...] = ()
    connections: Mapping[str, int] | None = None
    owners: tuple[Owner, ...] = ()
    notes: tuple[Note, ...] = ()
    answers: tuple[Answer, ...] = ()
    advice: tuple[Advice, ...] = ()

    @property
    def message(self) -> str:
        """One sentence: a person's first line."""
        return str(self.sentence)

    def to_dict(self) -> dict[str, Any]:
        """Exactly one element of the JSON document's `results`."""
        fields = self._replace(binds=(), sockets=(), owners=())._asdict()
        result: dict[str, Any] = {
            "message" if key == "sentence" else key: json_value(str(field) if key == "sentence" else field)
            for key, field in fields.items()
        }
        result["binds"] = [row.to_dict() for row in self.binds]
        result["sockets"] = [socket.to_dict() for socket in self.sockets]
        result["owners"] = [owner.to_dict() for owner in self.owners]
        return result
