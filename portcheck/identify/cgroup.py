r"""Reads cgroup paths: the unit, session or container that a process (or a socket) was put into.

The path alone is enough, on cgroup v1 and v2 and with either cgroup driver of an engine:

    /system.slice/apache2.service                                   a system unit
    /user.slice/user-1000.slice/user@1000.service/app.slice/a.service   a user unit
    /user.slice/user-1000.slice/session-3.scope                     a login session
    /docker/ID, /system.slice/docker-ID.scope                       docker: driver cgroupfs, systemd
    /machine.slice/libpod-ID.scope/container                        podman
    /system.slice/web.service/libpod-payload-ID                     podman inside a unit of its own (quadlet)
    /kubepods.slice/.../kubepods-burstable-podUID.slice/cri-containerd-ID.scope     kubernetes
"""

from __future__ import annotations

from portcheck.lean_functools import lru_cache
from portcheck.model import Container
from portcheck.namedtuple import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from portcheck.model import Engine, ServiceManager


SYSTEM: ServiceManager = "systemd"
USER: ServiceManager = "systemd --user"
INSIDE: ServiceManager = "systemd in a container"


class Placement(NamedTuple):
    """What a cgroup path says; None is what it does not say."""

    service: str | None = None
    service_manager: ServiceManager | None = None
    user_id: int | None = None  # the user, below a user's manager
    socket_unit: str | None = None  # the path is that of a .socket unit
    scope: str | None = None
    container: Container | None = None


class Authorship(NamedTuple):
    """Whose words the names in a cgroup's path are: root's down to `trusted`, its owner's below that.

    A directory's name is the word of whoever owns the directory above it: systemd gives a user `user@1000.service`, and
    what that user makes below it may be called `postgresql.service`, or like a container.
    """

    trusted: str
    owner: int | None = None  # None: everything is root's, or nothing is known

    def of_root(self, path: str | None) -> bool:
        """Whether the whole path is root's word."""
        return self.trusted == path


def places(
    path: str | None, authorship: Authorship | None, own: Container | None = None
) -> tuple[Placement, Placement]:
    """What counts of a cgroup's path, and all that it says.

    What a user's own manager has made of its cgroup counts as that user's.  Where nobody can tell who has made it, all
    of it counts: it is not acted upon before a manager confirms it.
    """
    full = placement(path, own)
    if authorship is None or authorship.of_root(path) or not authorship.trusted:
        return full, full
    given = placement(authorship.trusted, own)
    is_users = given.user_id is not None and given.user_id == authorship.owner == full.user_id
    return (full if is_users else given), full


def container_path(path: str | None) -> str | None:
    """The part of a cgroup's path down to the container that it names; None where it names none."""
    parts = [part for part in (path or "").split("/") if part]
    at, container = _innermost([_unescaped(part) for part in parts])
    return None if container is None else "/" + "/".join(parts[: at + 1])


@lru_cache(maxsize=1024)  # thousands of hidden connections are in a handful of cgroups
def placement(path: str | None, own: Container | None = None) -> Placement:
    """What `path` says; `own` is the container that portcheck runs in, which says nothing about others."""
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
    """systemd prefixes names that cgroupfs could mistake for its own files with `_` (cg_escape)."""
    return part.removeprefix("_")


def _innermost(parts: Sequence[str]) -> tuple[int, Container | None]:
    """The last part that names a container, and that container: containers can be nested."""
    for at in reversed(range(len(parts))):
        container = container_at(parts, at)
        if container is not None:
            return at, container._replace(pod=pod_of(parts[: at + 1]))
    return _nested_systemd(parts)


def _nested_systemd(parts: Sequence[str]) -> tuple[int, Container | None]:
    """A system manager's tree that is not at the top belongs to a container without a name here."""
    from portcheck.model import Container

    for at in range(1, len(parts)):
        if parts[at] == "system.slice" or (parts[at] == "init.scope" and not parts[at - 1].startswith("user@")):
            engine: Engine = "systemd-nspawn" if parts[at - 1] == "payload" else "unknown"
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


FULL_ID = 64  # hexadecimal digits of an id by the OCI engines
SHORTEST_ID = 12
POD_UID = 32  # hexadecimal digits, with or without separators
# The word before the id, in `docker-ID.scope` (systemd driver) or `libpod-ID` (cgroupfs driver).
ENGINES: dict[str, Engine] = {
    "docker": "docker",
    "libpod": "podman",
    "libpod-payload": "podman",
    "cri-containerd": "containerd",
    "nerdctl": "containerd",
    "crio": "cri-o",
}
# The directory above a bare id.
PARENTS: dict[str, Engine] = {
    "docker": "docker",
    "ecs": "docker",
    "default": "containerd",
    "k8s.io": "containerd",
    "libpod_parent": "podman",
}
LXC = ("lxc", "lxc.payload")


def container_at(parts: Sequence[str], at: int) -> Container | None:
    """The container whose cgroup is the part at index `at`; None where it is not a container's."""
    part = parts[at]
    above = parts[at - 1] if at else ""
    return _prefixed(part) or _bare(part, parts[:at]) or _lxc(part, above) or _machine(part, above)


def _is_id(text: str, shortest: int = SHORTEST_ID) -> bool:
    return shortest <= len(text) <= FULL_ID and set(text) <= set("0123456789abcdef")


def _prefixed(part: str) -> Container | None:
    """`docker-ID.scope`, `libpod-ID`, `libpod-payload-ID`; `....slice:cri-containerd:ID`."""
    word, _, identifier = part.removesuffix(".scope").replace(":", "-").rpartition("-")
    word = word.rpartition(".slice-")[2]
    return Container(ENGINES[word], identifier) if word in ENGINES and _is_id(identifier) else None


def _bare(part: str, above: Sequence[str]) -> Container | None:
    """`/docker/ID`, `/kubepods/burstable/podUID/ID`; an id alone does not name its engine."""
    if not _is_id(part, FULL_ID):
        return None
    if pod_of(above):
        return Container("kubernetes", part)
    return Container(next((PARENTS[name] for name in reversed(above) if name in PARENTS), "unknown"), part)


def _lxc(part: str, above: str) -> Container | None:
    """`/lxc/NAME`, `/lxc.payload/NAME`, `/lxc.payload.NAME`."""
    name = part if above in LXC else part.partition("lxc.payload.")[2] if part.startswith("lxc.payload.") else ""
    return Container("lxc", name=name) if name else None


def _machine(part: str, above: str) -> Container | None:
    r"""`machine.slice/machine-NAME.scope`, `machine.slice/systemd-nspawn@NAME.service`; no VM."""
    if above != "machine.slice":
        return None
    if part.startswith("systemd-nspawn@"):
        return Container("systemd-nspawn", name=unescape(part[len("systemd-nspawn@") :].removesuffix(".service")))
    if not part.startswith("machine-"):
        return None
    name = unescape(part[len("machine-") :].removesuffix(".scope"))
    if name.startswith("qemu-"):
        return None
    if name.startswith("lxc-"):  # by libvirt, with a number: lxc-123-NAME
        return Container("lxc", name=name.split("-", 2)[-1])
    return Container("systemd-nspawn", name=name)


def pod_of(parts: Sequence[str]) -> str | None:
    """The pod above a container: kubernetes' by its UID, podman's by its id."""
    for part in reversed(parts):
        name = part.partition(":")[0].removesuffix(".slice")
        if "libpod_pod_" in name:
            return name.partition("libpod_pod_")[2]
        above, word, uid = name.rpartition("pod")
        if word and _is_pod_uid(uid) and (not above or above.startswith(("kubepods", "kubelet"))):
            return uid.replace("_", "-")
    return None


def _is_pod_uid(text: str) -> bool:
    """A UUID (systemd's slices have `_` for `-`), or the hash of a static pod."""
    return len(text) >= POD_UID and set(text) <= set("0123456789abcdef-_")


def unescape(name: str) -> str:
    r"""systemd-escape(1) undone: `a\x2db` → `a-b`."""
    head, *rest = name.split("\\x")
    escaped = b"".join(_bytes(code) for code in rest)
    return head + escaped.decode(errors="surrogateescape")


def _bytes(code: str) -> bytes:
    """What `2db`, the text after a `\\x`, stands for."""
    digits, text = code[:2], code[2:].encode(errors="surrogateescape")
    if len(digits) == 2 and set(digits) <= set("0123456789abcdefABCDEF"):
        return bytes.fromhex(digits) + text
    return b"\\x" + code.encode(errors="surrogateescape")
