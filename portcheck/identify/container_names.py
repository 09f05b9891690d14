"""The names that container engines give to cgroups."""

from __future__ import annotations

from portcheck.model import Container
from portcheck.value import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

FULL_ID = 64  # hexadecimal digits of an id by the OCI engines
SHORTEST_ID = 12
POD_UID = 32  # hexadecimal digits, with or without separators
# The word before the id, in `docker-ID.scope` (systemd driver) or `libpod-ID` (cgroupfs driver).
ENGINES = {
    "docker": "docker",
    "libpod": "podman",
    "libpod-payload": "podman",
    "cri-containerd": "containerd",
    "nerdctl": "containerd",
    "crio": "cri-o",
}
# The directory above a bare id.
PARENTS = {
    "docker": "docker",
    "ecs": "docker",
    "default": "containerd",
    "k8s.io": "containerd",
    "libpod_parent": "podman",
}
LXC = ("lxc", "lxc.payload")


def container_at(parts: Sequence[str], at: int) -> Container | None:
    """The container whose cgroup is the part at index `at`; None where that is none's."""
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
    """`/docker/ID`, `/kubepods/burstable/podUID/ID`; an id alone says nothing of its engine."""
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
