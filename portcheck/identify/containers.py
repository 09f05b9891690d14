"""What a container engine says about its containers: `docker container inspect`, or podman's."""

from __future__ import annotations

from portcheck.identify.argv import parse
from portcheck.identify.names import names
from portcheck.model import Container
from portcheck.namedtuple import TYPE_CHECKING, NamedTuple
from portcheck.text import number

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from typing import Any

    from portcheck.model import Engine, Process, Protocol, Socket


WILDCARDS = ("", "0.0.0.0", "::")  # what engines write for every address


class Publication(NamedTuple):
    """A port of the host that leads to a container; `address` is empty for every address."""

    protocol: Protocol
    address: str
    port: int


class Inspected(NamedTuple):
    """A container as its engine knows it."""

    container: Container
    published: tuple[Publication, ...] = ()
    pid: int | None = None  # of its first process
    monitor: int | None = None  # of podman's conmon, which may hold its ports
    cgroup: str | None = None  # that of its first process, as the kernel has it

    def publishes(self, socket: Socket) -> bool:
        """Whether the socket listens where this container's port is published."""
        return any(
            published.protocol == socket.protocol
            and published.port == socket.local_port
            and (published.address == socket.local_address or published.address in WILDCARDS)
            for published in self.published
        )


def read_inspected(engine: Engine, text: str) -> tuple[Inspected, ...]:
    """Reads the JSON list that `container inspect` prints, leaving out what it does not understand."""
    import json

    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return ()
    entries = document if isinstance(document, list) else []
    return tuple(_inspected(engine, entry) for entry in entries if isinstance(entry, dict))


def _inspected(engine: Engine, entry: dict[str, Any]) -> Inspected:
    """docker writes `"Name": "/web"` and the image in Config, podman `"Name": "web"` and ImageName."""
    config, host = _part(entry, "Config"), _part(entry, "HostConfig")
    labels = _part(config, "Labels")
    policy = _text(_part(host, "RestartPolicy"), "Name")
    container = Container(
        engine=engine,
        id=_text(entry, "Id"),
        name=(_text(entry, "Name") or "").removeprefix("/") or None,
        image=_text(entry, "ImageName") or _text(config, "Image"),
        compose_project=_text(labels, "com.docker.compose.project") or _text(labels, "io.podman.compose.project"),
        compose_service=_text(labels, "com.docker.compose.service"),
        restart_policy=policy if policy != "no" else None,
        pod=_text(entry, "Pod"),
    )
    state = _part(entry, "State")
    published = tuple(_published(_part(_part(entry, "NetworkSettings"), "Ports")))
    return Inspected(container, published, _pid(state, "Pid"), _pid(state, "ConmonPid"))


def _published(ports: dict[str, Any]) -> Iterator[Publication]:
    """`{"80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "8088"}]}`; null for a port that is only exposed."""
    for name, bindings in ports.items():
        protocol: Protocol = "udp" if name.endswith("/udp") else "tcp"
        for binding in bindings if isinstance(bindings, list) else ():
            port = number(_text(binding, "HostPort") or "") if isinstance(binding, dict) else None
            if port is not None:
                yield Publication(protocol, _text(binding, "HostIp") or "", port)


def _part(of: dict[str, Any], name: str) -> dict[str, Any]:
    part = of.get(name)
    return part if isinstance(part, dict) else {}


def _pid(of: dict[str, Any], name: str) -> int | None:
    pid = of.get(name)
    return pid if isinstance(pid, int) and pid > 0 else None


def _text(of: dict[str, Any], name: str) -> str | None:
    text = of.get(name)
    return text if isinstance(text, str) and text else None


def publishers(containers: Iterable[Inspected], sockets: Sequence[Socket]) -> list[Inspected]:
    """The containers that publish any of these sockets' ports."""
    return [container for container in containers if any(container.publishes(socket) for socket in sockets)]


def by_id(containers: Iterable[Inspected], identifier: str) -> Inspected | None:
    """Engines know a container by its full id; cgroups may hold a shortened one."""
    return next((container for container in containers if (container.container.id or "").startswith(identifier)), None)


class Proxy(NamedTuple):
    """`container` is what the command line says about the published container: its engine at least.

    `certain` False: the program also listens on its own behalf, so it is a proxy only where its engine says so.
    """

    container: Container
    certain: bool


# dockerd itself listens for swarm services and with userland-proxy=false; rootlesskit, slirp4netns and pasta are also
# used without containers.
ENGINES: Mapping[str, tuple[Engine, bool]] = {
    "docker-proxy": ("docker", True),
    "rootlesskit-docker-proxy": ("docker", True),
    "rootlesskit": ("docker", False),
    "dockerd": ("docker", False),
    "com.docker.backend": ("docker", False),
    "com.docker.vpnkit": ("docker", False),
    "vpnkit-bridge": ("docker", False),
    "rootlessport": ("podman", True),
    "rootlessport-child": ("podman", True),
    "containers-rootlessport": ("podman", True),
    "containers-rootlessport-child": ("podman", True),
    "slirp4netns": ("podman", False),
    "pasta": ("podman", False),
    "pasta.avx2": ("podman", False),
    "gvproxy": ("podman", False),
}


def proxy(process: Process) -> Proxy | None:
    """The engine's proxy that this process is; None for any other program."""
    for name in sorted(names(process)):
        if name == "conmon":
            return _conmon(process)
        if name in ENGINES:
            engine, certain = ENGINES[name]
            return Proxy(Container(engine), certain)
    return None


def _conmon(process: Process) -> Proxy:
    """podman has a container's monitor hold its ports; the arguments name the container (conmon(8))."""
    arguments = parse((process.command or ())[1:], "bceklLnopPrTu", _CONMON_WORDS)
    identifier = next(iter(arguments.values("-c", "--cid")), None)
    name = next(iter(arguments.values("-n", "--name")), None)
    return Proxy(Container("podman", identifier, name), certain=True)


_CONMON_WORDS = frozenset((
    "--api-version", "--bundle", "--cid", "--conmon-pidfile", "--container-pidfile", "--cuuid",
    "--exit-command", "--exit-command-arg", "--exit-dir", "--log-level", "--log-path", "--log-size-max",
    "--log-tag", "--name", "--persist-dir", "--pidfile", "--runtime", "--runtime-arg", "--runtime-opt",
    "--sdnotify-socket", "--socket-dir-path",
))  # fmt: skip
