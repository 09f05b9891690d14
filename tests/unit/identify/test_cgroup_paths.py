"""Cgroup paths as hosts show them: recorded from systemd 252, docker 20.10, podman, containerd, CRI-O, LXC."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.acquaintances import ID, OTHER_ID, POD

from portcheck.identify.cgroup import INSIDE, SYSTEM, USER, Placement, placement, unescape
from portcheck.model import Container

if TYPE_CHECKING:
    from portcheck.model import ServiceManager

USER_MANAGER = "/user.slice/user-1000.slice/user@1000.service"
STATIC_POD = "4b52d75cab61380f07c0c5a69fb371d4"  # of a manifest's hash
POD_SLICE = f"kubepods-burstable-pod{POD.replace('-', '_')}.slice"

UNITS = {
    "/system.slice/apache2.service": Placement("apache2.service", SYSTEM),
    "/system.slice/system-postgresql.slice/postgresql@15-main.service": Placement("postgresql@15-main.service", SYSTEM),
    "/system.slice/foo.service/delegated/worker": Placement("foo.service", SYSTEM),
    "/system.slice/_cpu.service": Placement("cpu.service", SYSTEM),  # cg_escape: cpu.* are cgroupfs's own names
    "/system.slice/foo.socket": Placement(service_manager=SYSTEM, socket_unit="foo.socket"),
    f"{USER_MANAGER}/app.slice/u.service": Placement("u.service", USER, 1000),
    f"{USER_MANAGER}/app.slice/app-esc.slice/esc@a\\x2db.service": Placement("esc@a\\x2db.service", USER, 1000),
    f"{USER_MANAGER}/app.slice/u.socket": Placement(None, USER, 1000, "u.socket"),
    f"{USER_MANAGER}/init.scope": Placement(user_id=1000),
    f"{USER_MANAGER}/app.slice/run-r19d8.scope": Placement(user_id=1000, scope="run-r19d8.scope"),
    "/user.slice/user-1000.slice/session-3.scope": Placement(scope="session-3.scope"),
    "/init.scope": Placement(),
    "/": Placement(),
    "": Placement(),
    "/../../system.slice/a.service": Placement("a.service", SYSTEM),  # seen from a cgroup namespace beside it
    "/portcheck": Placement(),
    "/lxc.monitor.web": Placement(),
    f"/machine.slice/libpod-conmon-{ID}.scope": Placement(scope=f"libpod-conmon-{ID}.scope"),
    "/machine.slice/machine-qemu\\x2d1\\x2dvm.scope": Placement(scope="machine-qemu\\x2d1\\x2dvm.scope"),
}

CONTAINERS = {
    # docker: cgroupfs and systemd drivers, version 1 and 2, docker in docker, an old one at the root
    f"/docker/{ID}": Container("docker", ID),
    f"/system.slice/docker-{ID}.scope": Container("docker", ID),
    f"/docker/{OTHER_ID}/docker/{ID}": Container("docker", ID),
    f"/ecs/5e3c/{ID}": Container("docker", ID),
    f"/system.slice:docker:{ID}": Container("docker", ID),
    f"/{ID}": Container("unknown", ID),
    # kubernetes: cgroupfs driver (whose engine the path does not tell), systemd driver, kind, a static pod
    f"/kubepods/besteffort/pod{POD}/{ID}": Container("kubernetes", ID, pod=POD),
    f"/kubepods/burstable/pod{POD}/{ID}/kube-proxy": Container("kubernetes", ID, pod=POD),
    f"/kubepods/pod{POD}/{ID}": Container("kubernetes", ID, pod=POD),
    f"/kubepods/pod{POD}/crio-{ID}": Container("cri-o", ID, pod=POD),
    f"/kubepods.slice/kubepods-burstable.slice/{POD_SLICE}/docker-{ID}.scope": Container("docker", ID, pod=POD),
    f"/kubepods.slice/kubepods-burstable.slice/{POD_SLICE}/cri-containerd-{ID}.scope": Container(
        "containerd", ID, pod=POD
    ),
    f"/kubelet.slice/kubelet-kubepods.slice/kubelet-{POD_SLICE}/cri-containerd-{ID}.scope": Container(
        "containerd", ID, pod=POD
    ),
    f"/kubepods.slice/kubepods-pod{STATIC_POD}.slice/crio-{ID}.scope": Container("cri-o", ID, pod=STATIC_POD),
    f"/docker/{OTHER_ID}/kubelet/kubepods/besteffort/pod{POD}/{ID}": Container("kubernetes", ID, pod=POD),
    # containerd by itself
    f"/default/{ID}": Container("containerd", ID),
    f"/system.slice/nerdctl-{ID}.scope": Container("containerd", ID),
    # podman: rootful, rootless, cgroupfs, in a pod
    f"/machine.slice/libpod-{ID}.scope": Container("podman", ID),
    f"/machine.slice/libpod-{ID}.scope/container": Container("podman", ID),
    f"/libpod_parent/libpod-{ID}/ctr": Container("podman", ID),
    f"/machine.slice/machine-libpod_pod_{OTHER_ID}.slice/libpod-{ID}.scope/container": Container(
        "podman", ID, pod=OTHER_ID
    ),
    # system containers
    "/lxc/web": Container("lxc", name="web"),
    "/lxc.payload/web": Container("lxc", name="web"),
    "/lxc.payload.web": Container("lxc", name="web"),
    "/machine.slice/machine-web\\x2dtest.scope": Container("systemd-nspawn", name="web-test"),
    "/machine.slice/systemd-nspawn@web.service/payload/init.scope": Container("systemd-nspawn", name="web"),
    "/machine.slice/machine-lxc\\x2d12\\x2dshop\\x2dweb.scope": Container("lxc", name="shop-web"),
}


@pytest.mark.parametrize(("path", "expected"), UNITS.items())
def test_units(path: str, expected: Placement) -> None:
    assert placement(path) == expected


@pytest.mark.parametrize(("path", "expected"), CONTAINERS.items())
def test_containers(path: str, expected: Container) -> None:
    assert placement(path) == Placement(container=expected)


def test_nothing_is_known_of_no_path() -> None:
    assert placement(None) == Placement()


@pytest.mark.parametrize(
    ("path", "container"),
    [
        (f"/system.slice/docker-{ID}.scope/system.slice/nginx.service", Container("docker", ID)),
        ("/lxc/101/ns/system.slice/nginx.service", Container("lxc", name="101")),
        (
            "/machine.slice/machine-web.scope/payload/system.slice/nginx.service",
            Container("systemd-nspawn", name="web"),
        ),
        ("/rig/payload/system.slice/nginx.service", Container("systemd-nspawn")),  # --register=no
        ("/somewhere/system.slice/nginx.service", Container("unknown")),
    ],
)
def test_a_service_in_a_container_is_not_one_of_the_host(path: str, container: Container) -> None:
    assert placement(path) == Placement("nginx.service", INSIDE, container=container)


@pytest.mark.parametrize(
    ("path", "manager", "user"),
    [
        (f"/system.slice/redis.service/libpod-payload-{ID}", SYSTEM, None),
        (f"{USER_MANAGER}/app.slice/redis.service/libpod-payload-{ID}", USER, 1000),
    ],
)
def test_the_unit_around_a_podman_container_is_the_one_to_stop(
    path: str, manager: ServiceManager, user: int | None
) -> None:
    assert placement(path) == Placement("redis.service", manager, user, container=Container("podman", ID))


def test_a_rootless_container_belongs_to_its_user_and_to_no_unit() -> None:
    path = f"{USER_MANAGER}/user.slice/libpod-{ID}.scope/container"
    assert placement(path) == Placement(user_id=1000, container=Container("podman", ID))


def test_what_runs_in_our_own_container_runs_in_none_that_matters() -> None:
    own = Container("docker", ID)
    assert placement(f"/docker/{ID}", own) == Placement()
    assert placement(f"/docker/{ID}/system.slice/nginx.service", own) == Placement("nginx.service", SYSTEM)
    assert placement(f"/docker/{ID}/docker/{OTHER_ID}", own).container == Container("docker", OTHER_ID)


PARTS = st.sampled_from([
    "system.slice", "user@1000.service", "init.scope", "docker", ID, f"docker-{ID}.scope", "payload", "lxc",
    "a.service", "machine.slice", "machine-x.scope", "..", "_", ".", f"pod{POD}", "kubepods", "user.slice",
    "b.socket", "s.scope",
])  # fmt: skip


@given(st.lists(PARTS | st.text(), max_size=8))
def test_any_path_has_a_place(parts: list[str]) -> None:
    place = placement("/" + "/".join(parts))
    assert (place.service_manager is not None) == (place.service is not None or place.socket_unit is not None)
    if place.container:
        assert place.container.id is None or place.container.id == ID or place.container.id in "/".join(parts)


@given(st.text(alphabet=st.characters(exclude_characters="\0/")))
def test_unescape_undoes_systemd_escape(name: str) -> None:
    data = name.encode(errors="surrogatepass") if name.isprintable() else name.encode("ascii", "replace")
    escaped = "".join(chr(byte) if chr(byte).isalnum() and byte < 128 else f"\\x{byte:02x}" for byte in data)
    assert unescape(escaped) == data.decode(errors="surrogateescape")


@pytest.mark.parametrize("name", ["a\\x", "a\\x2", "a\\xzz", "a\\x+1", "\\x\\x"])
def test_a_broken_escape_stays(name: str) -> None:
    assert unescape(name) == name
