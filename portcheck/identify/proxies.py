"""The processes by which container engines publish ports: who listens is not who serves."""

from __future__ import annotations

from portcheck.identify.arguments import parse
from portcheck.identify.names import names
from portcheck.model import Container
from portcheck.value import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from portcheck.model import Process


class Proxy(NamedTuple):
    """`container` is what the command line tells of the published container: its engine at least.

    `certain` False: the program also listens for itself, so it is a proxy only where its engine says so.
    """

    container: Container
    certain: bool


# dockerd itself listens for swarm services and with userland-proxy=false; rootlesskit, slirp4netns and pasta
# are used apart from containers too.
ENGINES: Mapping[str, tuple[str, bool]] = {
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
    """podman lets a container's monitor hold its ports; the arguments name the container (conmon(8))."""
    found = parse((process.command or ())[1:], "bceklLnopPrTu", _CONMON_WORDS)
    identifier = next(iter(found.values("-c", "--cid")), None)
    name = next(iter(found.values("-n", "--name")), None)
    return Proxy(Container("podman", identifier, name), certain=True)


_CONMON_WORDS = frozenset((
    "--api-version", "--bundle", "--cid", "--conmon-pidfile", "--container-pidfile", "--cuuid",
    "--exit-command", "--exit-command-arg", "--exit-dir", "--log-level", "--log-path", "--log-size-max",
    "--log-tag", "--name", "--persist-dir", "--pidfile", "--runtime", "--runtime-arg", "--runtime-opt",
    "--sdnotify-socket", "--socket-dir-path",
))  # fmt: skip
