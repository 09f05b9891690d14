"""Programs that listen on behalf of something elsewhere: tunnels, and the proxies of container engines."""

from __future__ import annotations

from portcheck.identify.argv import Arguments, parse
from portcheck.identify.names import names, title
from portcheck.identify.sessions import ide
from portcheck.namedtuple import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from portcheck.identify.facts import Facts
    from portcheck.model import Process, Role

    Reader = Callable[[Sequence[str], Collection[int]], str | None]


class Forward(NamedTuple):
    """The part that a process plays between its clients and what they reach through it."""

    role: Role  # forwarder, ide
    target: str | None


def forward(facts: Facts) -> Forward | None:
    """What the process forwards its port to; None where it does not forward."""
    process = facts.process
    command = process.command or ()
    ports = {socket.local_port for socket in facts.sockets if socket.remote_port is None}
    for name in sorted(names(process)):
        if name in READERS:
            target = READERS[name](command, ports)
            return Forward("forwarder", target) if target else None
    user = ssh_user(process)
    if user:
        return Forward("forwarder", f"the ssh client of {user}")
    return Forward("ide", "a remote port, or a server of an extension") if ports and ide(process) else None


def ssh_user(process: Process) -> str | None:
    """`sshd: ann@pts/0`, without a shell (ssh -N) `sshd: ann`; its listener and its helpers are no session."""
    program, _, user = title(process).partition(": ")
    is_session = program in ("sshd", "sshd-session") and user and not user.startswith("/") and not user.endswith("]")
    return user if is_session else None


def _ssh(command: Sequence[str], ports: Collection[int]) -> str | None:
    """A connection-sharing master has overwritten its arguments: `ssh: /home/ann/.ssh/control [mux]`."""
    if len(command) == 1:
        return "what shares its connection" if "[mux]" in command[0] else None
    return ssh_forwards(command, ports) if ports else None


KUBECTL_VALUES = frozenset((
    "--address", "--as", "--as-group", "--cache-dir", "--certificate-authority", "--client-certificate",
    "--client-key", "--cluster", "--context", "--kubeconfig", "--namespace", "--pod-running-timeout",
    "--request-timeout", "--server", "--tls-server-name", "--token", "--user",
))  # fmt: skip


def _kubectl(command: Sequence[str], ports: Collection[int]) -> str | None:
    """`kubectl -n shop port-forward svc/web 8080:80`: options may stand anywhere."""
    options: list[tuple[str, str | None]] = []
    operands: list[str] = []
    rest = tuple(command[1:])
    while rest:
        arguments = parse(rest, "nsv", KUBECTL_VALUES)
        options += arguments.options
        operands += arguments.rest[:1]
        rest = arguments.rest[1:]
    if operands[:1] == ["proxy"]:
        return "the Kubernetes API"
    if operands[:1] != ["port-forward"] or len(operands) < 2:
        return None
    remote = [
        there or here for here, _, there in (pair.partition(":") for pair in operands[2:]) if _listens(here, ports)
    ]
    namespace = next((value for name, value in options if name in ("-n", "--namespace") and value), None)
    target = operands[1] + (f":{remote[0]}" if remote else "")
    return f"{target} in namespace {namespace}" if namespace else target


def _listens(port: str, ports: Collection[int]) -> bool:
    """Whether it is one of these; an empty local port is any."""
    return not port or (port.isdecimal() and int(port) in ports)


def _socat(command: Sequence[str], _: Collection[int]) -> str | None:
    """Its last two arguments are its two addresses; the one that does not listen is where it goes."""
    ends = [end for end in command[1:][-2:] if "LISTEN" not in end.upper().partition(":")[0]]
    return ends[-1] if ends and not ends[-1].startswith("-") else None


def _socket_proxyd(command: Sequence[str], _: Collection[int]) -> str | None:
    """systemd-socket-proxyd(8)."""
    rest = parse(command[1:], "c", frozenset(("--connections-max", "--exit-idle-time"))).rest
    return rest[0] if rest else None


def _wsl(_: Sequence[str], ports: Collection[int]) -> str | None:
    """Forwards Windows' localhost to the Linux programs of WSL 2, and may outlive them."""
    return "a program inside WSL" if ports else None


READERS: Mapping[str, Reader] = {
    "ssh": _ssh,
    "kubectl": _kubectl,
    "oc": _kubectl,
    "socat": _socat,
    "systemd-socket-proxyd": _socket_proxyd,
    "wslhost": _wsl,
    "wslrelay": _wsl,
}

# OpenSSH's own getopt string (ssh.c): the letters that take a value.
SSH_OPTIONS = "BbcDEeFIiJLlmOopPQRSWw"


class LocalForward(NamedTuple):
    """A port that the client listens on; `target` None is a SOCKS proxy (-D)."""

    port: int | None  # None: a Unix socket
    target: str | None
    address: str | None = None


def ssh_forwards(command: Sequence[str], ports: Collection[int]) -> str:
    """`db:5432 through bastion`, for these local ports; what ssh_config(5) forwards is only `a port`."""
    arguments = read_ssh(command)
    through = arguments.rest[0] if arguments.rest else None
    targets = dict.fromkeys(_told(forward) for forward in local_forwards(arguments) if forward.port in ports)
    what = ", ".join(targets) or "a port"
    return f"{what} through {through}" if through else what


def read_ssh(command: Sequence[str]) -> Arguments:
    """ssh takes options after the host too; the operands are the host and the remote command."""
    before = parse(command[1:], SSH_OPTIONS)
    after = parse(before.rest[1:], SSH_OPTIONS)
    return Arguments(before.options + after.options, before.rest[:1] + after.rest)


def local_forwards(arguments: Arguments) -> Iterator[LocalForward]:
    """-L, -D and their spellings as `-o LocalForward=...`; -R listens on the other side."""
    for option, value in arguments.options:
        keyword, given = (option, value or "") if option != "-o" else _keyword(value or "")
        if keyword in ("-L", "localforward"):
            yield _local(given)
        elif keyword in ("-D", "dynamicforward"):
            *address, port = _fields(given)
            yield LocalForward(_port(port), None, address[0] if address else None)


def _keyword(option: str) -> tuple[str, str]:
    """`LocalForward=8080 db:80`, `LocalForward 8080 db:80`: keyword and value."""
    keyword, _, value = option.replace("=", " ", 1).strip().partition(" ")
    return keyword.lower(), value.strip().replace(" ", ":")


def _local(text: str) -> LocalForward:
    """[bind_address:]port:host:hostport, [bind_address:]port:/socket, /socket:host:hostport."""
    fields = _fields(text)
    target = fields[-1:] if "/" in fields[-1] else fields[-2:]
    before = fields[: len(fields) - len(target)]
    address = before[-2] if len(before) > 1 else None
    return LocalForward(_port(before[-1]) if before else None, ":".join(target), address)


def _fields(text: str) -> list[str]:
    """Split at colons outside of brackets."""
    fields, depth = [""], 0
    for character in text:
        depth += {"[": 1, "]": -1}.get(character, 0)
        if character == ":" and depth <= 0:
            fields.append("")
        else:
            fields[-1] += character
    return fields


def _port(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 5 else None


def _told(forward: LocalForward) -> str:
    return forward.target or "any address (SOCKS)"
