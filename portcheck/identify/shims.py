"""The process that an engine leaves with each container to look after it: its arguments name the container.  Pure.

Where a cgroup says nothing (`ctr run`, `podman run --cgroups=disabled`) it is the only one that does.  What it says is
worth as much as its user, who is therefore asked, or root for root's.
"""

from __future__ import annotations

from portcheck.identify.argv import parse
from portcheck.identify.containers import conmon
from portcheck.identify.names import names
from portcheck.model import Container
from portcheck.namedtuple import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

    from portcheck.model import Engine, Process

# Go's flags have one dash: containerd-shim-runc-v2 -namespace default -id web -address /run/containerd/containerd.sock
_SHIM_WORDS = frozenset(("-namespace", "-id", "-address", "-publish-binary", "-bundle", "-socket"))
NAMESPACES: dict[str, Engine] = {"moby": "docker", "k8s.io": "kubernetes"}  # in which others keep theirs
DEFAULT_ADDRESSES = ("/run/containerd/containerd.sock", "/var/run/containerd/containerd.sock")


class Shim(NamedTuple):
    """What looks after a container, and whose engine has started it."""

    container: Container
    uid: int


def shim_among(ancestors: Iterable[Process]) -> Shim | None:
    """The nearest one; None where no ancestor is one."""
    for ancestor in ancestors:
        container = _looked_after(ancestor)
        if container and container.id and ancestor.uid is not None:
            return Shim(container, ancestor.uid)
    return None


def _looked_after(process: Process) -> Container | None:
    called = names(process)
    if "conmon" in called:
        return conmon(process)
    if not any(name.startswith("containerd-shim") for name in called):
        return None
    arguments = parse((process.command or ())[1:], long=_SHIM_WORDS)
    identifier, namespace, address = (
        next(iter(arguments.values(option)), None) for option in ("-id", "-namespace", "-address")
    )
    engine = NAMESPACES.get(namespace or "", "containerd")
    if engine != "containerd":
        return Container(engine, identifier)
    return Container(engine, identifier, namespace=namespace, address=None if address in DEFAULT_ADDRESSES else address)
