r"""Reads cgroup paths: the unit, session or container that a process (or a socket) was put into.

The path alone tells it, on cgroup v1 and v2 and with either cgroup driver of an engine:

    /system.slice/apache2.service                                   a system unit
    /user.slice/user-1000.slice/user@1000.service/app.slice/a.service   a user unit
    /user.slice/user-1000.slice/session-3.scope                     a login session
    /docker/ID, /system.slice/docker-ID.scope                       docker: driver cgroupfs, systemd
    /machine.slice/libpod-ID.scope/container                        podman
    /system.slice/web.service/libpod-payload-ID                     podman inside a unit of its own (quadlet)
    /kubepods.slice/.../kubepods-burstable-podUID.slice/cri-containerd-ID.scope     kubernetes
"""

from __future__ import annotations

from functools import lru_cache

from portcheck.identify.container_names import container_at, pod_of
from portcheck.value import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from portcheck.model import Container

SYSTEM, USER, INSIDE = "systemd", "systemd --user", "systemd in a container"


class Placement(NamedTuple):
    """What a cgroup path says; None is what it does not."""

    service: str | None = None
    service_manager: str | None = None  # systemd, systemd --user, systemd in a container
    user_id: int | None = None  # whose user manager, where it is one's
    socket_unit: str | None = None  # the path is that of a .socket unit
    scope: str | None = None
    container: Container | None = None


@lru_cache(maxsize=1024)  # thousands of hidden connections are in a handful of cgroups
def placement(path: str | None, own: Container | None = None) -> Placement:
    """Where `path` is; `own` is the container that portcheck runs in: it tells nothing of others."""
    parts = [_unescaped(part) for part in (path or "").split("/") if part not in ("", "..", ".")]
    at, container = _innermost(parts)
    if container is not None and container == own:
        return _units(parts[at + 1 :])
    if container is None:
        return _units(parts)
    inner, outer = _units(parts[at + 1 :]), _units(parts[:at])
    if inner.service:
        return inner._replace(service_manager=INSIDE, user_id=None, container=container)
    return outer._replace(container=container)


def _unescaped(part: str) -> str:
    """systemd puts a `_` before names that cgroupfs could take for its own files (cg_escape)."""
    return part.removeprefix("_")


def _innermost(parts: Sequence[str]) -> tuple[int, Container | None]:
    """The last part that names a container, and that container: one may run inside another."""
    for at in reversed(range(len(parts))):
        container = container_at(parts, at)
        if container is not None:
            return at, container._replace(pod=pod_of(parts[: at + 1]))
    return _nested_systemd(parts)


def _nested_systemd(parts: Sequence[str]) -> tuple[int, Container | None]:
    """A system manager's tree below the top belongs to a container that has no name here."""
    from portcheck.model import Container

    for at in range(1, len(parts)):
        if parts[at] == "system.slice" or (parts[at] == "init.scope" and not parts[at - 1].startswith("user@")):
            engine = "systemd-nspawn" if parts[at - 1] == "payload" else "unknown"
            return at - 1, Container(engine)
    return -1, None


def _units(parts: Sequence[str]) -> Placement:
    """The innermost unit of a path.  Below `user@1000.service` they belong to that user's manager."""
    place = Placement()
    for part in parts:
        name, _, kind = part.rpartition(".")
        user = name.removeprefix("user@")
        manager = SYSTEM if place.user_id is None else USER
        if kind == "service" and name != user and user.isdecimal():
            place = Placement(user_id=int(user))
        elif kind == "service":
            place = Placement(part, manager, place.user_id)
        elif kind == "socket":
            place = Placement(None, manager, place.user_id, socket_unit=part)
        elif kind == "scope" and part != "init.scope":
            place = Placement(user_id=place.user_id, scope=part)
    return place
