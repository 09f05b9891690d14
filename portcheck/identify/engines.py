"""What a container engine says of its containers, by `docker container inspect` or podman's likewise."""

from __future__ import annotations

from portcheck.model import Container
from portcheck.value import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from typing import Any

    from portcheck.model import Protocol, Socket

WILDCARDS = ("", "0.0.0.0", "::")  # what engines write for every address


class Publication(NamedTuple):
    """A port of the host that reaches a container; `address` is empty where it is every one."""

    protocol: Protocol
    address: str
    port: int


class Inspected(NamedTuple):
    """A container as its engine knows it."""

    container: Container
    published: tuple[Publication, ...] = ()

    def publishes(self, socket: Socket) -> bool:
        """Whether the socket listens where this container's port is published."""
        return any(
            published.protocol == socket.protocol
            and published.port == socket.local_port
            and (published.address == socket.local_address or published.address in WILDCARDS)
            for published in self.published
        )


def read_inspected(engine: str, text: str) -> tuple[Inspected, ...]:
    """The JSON list that `container inspect` prints; what is not understood is left out."""
    import json

    try:
        found = json.loads(text)
    except ValueError:
        return ()
    entries = found if isinstance(found, list) else []
    return tuple(_inspected(engine, entry) for entry in entries if isinstance(entry, dict))


def _inspected(engine: str, entry: dict[str, Any]) -> Inspected:
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
    return Inspected(container, tuple(_published(_part(_part(entry, "NetworkSettings"), "Ports"))))


def _published(ports: dict[str, Any]) -> Iterator[Publication]:
    """`{"80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "8088"}]}`; null for a port that is only exposed."""
    for name, bindings in ports.items():
        protocol: Protocol = "udp" if name.endswith("/udp") else "tcp"
        for binding in bindings or ():
            port = _text(binding, "HostPort") or ""
            if port.isdecimal():
                yield Publication(protocol, _text(binding, "HostIp") or "", int(port))


def _part(of: dict[str, Any], name: str) -> dict[str, Any]:
    part = of.get(name)
    return part if isinstance(part, dict) else {}


def _text(of: dict[str, Any], name: str) -> str | None:
    text = of.get(name)
    return text if isinstance(text, str) and text else None


def publishers(containers: Iterable[Inspected], sockets: Sequence[Socket]) -> list[Inspected]:
    """The containers that publish any of these sockets' ports."""
    return [found for found in containers if any(found.publishes(socket) for socket in sockets)]


def by_id(containers: Iterable[Inspected], identifier: str) -> Inspected | None:
    """Engines know a container by its full id; cgroups may hold a shortened one."""
    return next((found for found in containers if (found.container.id or "").startswith(identifier)), None)
