"""What engines and service managers answer: when they are asked, how it is read, whose it is."""

from __future__ import annotations

import json

import pytest
from support.acquaintances import ID, INIT, OTHER_ID, POD, facts, listener, process

from portcheck.identify.containers import (
    Inspected,
    Publication,
    by_id,
    publishers,
    read_inspected,
    read_services,
    read_task,
)
from portcheck.identify.describe import briefly
from portcheck.identify.keepers import Inquiry
from portcheck.identify.managers import (
    Manager,
    Subject,
    container_unknown,
    engine_of,
    manager_of,
    with_activation,
    with_container,
    with_keeper,
    with_unit,
)
from portcheck.identify.shims import Shim, shim_among
from portcheck.identify.systemd import (
    Listening,
    SocketUnit,
    Unit,
    read_control_groups,
    read_units,
    starting_again,
    stopped_with,
    unheard_of,
    unit_of,
)
from portcheck.identify.who import who_is
from portcheck.model import Container, Hands, Process, Socket

# docker 20.10 and podman 4.3, `container inspect`, cut down to what is read.
DOCKER = {
    "Id": ID,
    "Name": "/web",
    "Image": "sha256:5feffb",
    "HostConfig": {"RestartPolicy": {"Name": "always", "MaximumRetryCount": 0}},
    "Config": {
        "Image": "nginx:1.27",
        "Labels": {"com.docker.compose.project": "shop", "com.docker.compose.service": "web"},
    },
    "NetworkSettings": {
        "Ports": {
            "80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "8088"}, {"HostIp": "::", "HostPort": "8088"}],
            "53/udp": [{"HostIp": "127.0.0.1", "HostPort": "5353"}],
            "443/tcp": None,
        }
    },
}
PODMAN = {
    "Id": OTHER_ID,
    "Name": "db",
    "ImageName": "docker.io/library/postgres:16",
    "Pod": "b1e8",
    "HostConfig": {"RestartPolicy": {"Name": "no"}},
    "Config": {"Image": "docker.io/library/postgres:16", "Labels": {"io.podman.compose.project": "shop"}},
    "NetworkSettings": {"Ports": {"5432/tcp": [{"HostIp": "", "HostPort": "5432"}]}},
}
WEB = Container("docker", ID, "web", "nginx:1.27", "shop", "web", "always")
DB = Container("podman", OTHER_ID, "db", "docker.io/library/postgres:16", "shop", pod="b1e8")


def test_what_docker_says() -> None:
    (found,) = read_inspected("docker", json.dumps([DOCKER]))
    assert found.container == WEB
    assert found.published == (
        Publication("tcp", "0.0.0.0", 8088), Publication("tcp", "::", 8088), Publication("udp", "127.0.0.1", 5353),
    )  # fmt: skip


def test_what_podman_says() -> None:
    (found,) = read_inspected("podman", json.dumps([PODMAN]))
    assert (found.container, found.published) == (DB, (Publication("tcp", "", 5432),))


@pytest.mark.parametrize("text", ["", "nonsense", "{}", "[]", "[1, null]", "null"])
def test_what_is_no_answer(text: str) -> None:
    assert read_inspected("docker", text) == ()


def test_an_answer_without_anything_still_names_the_engine() -> None:
    (found,) = read_inspected("docker", '[{"Config": null, "NetworkSettings": {"Ports": null}}]')
    assert (found.container, found.published) == (Container("docker"), ())


def test_a_published_port_is_matched_by_protocol_port_and_address() -> None:
    found = read_inspected("docker", json.dumps([DOCKER]))
    assert publishers(found, [listener(8088)]) == list(found)
    assert publishers(found, [listener(8088, "::")]) == list(found)
    assert publishers(found, [listener(80)]) == []
    assert publishers(found, [Socket("udp", "ipv4", "127.0.0.1", 5353)]) == list(found)
    assert publishers(found, [Socket("udp", "ipv4", "127.0.0.2", 5353)]) == []
    assert by_id(found, ID[:12]) == found[0]
    assert by_id(found, OTHER_ID) is None


# Who is asked

USER_SCOPE = f"/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-{ID}.scope"


@pytest.mark.parametrize(
    ("subject", "uid", "expected"),
    [
        (process("node s.js", uid=1000), 0, None),
        (process("nginx", container=Container("docker", ID), cgroup=f"/docker/{ID}", uid=33), 1000, "docker"),
        (process("nginx", container=Container("unknown", ID), cgroup=f"/{ID}"), 0, "docker"),
        (process("nginx", container=Container("containerd", ID)), 0, "containerd"),
        (process("nginx", container=Container("containerd", ID, pod=POD)), 0, None),
        (process("nginx", container=Container("lxc", name="web")), 0, None),
        (process("nginx", container=Container("cri-o", ID)), 0, None),
        # whoever looks after it has started it, wherever that is
        (process("nginx", container=Container("podman", ID), engine_uid=1000), 1000, "podman"),
        (process("nginx", container=Container("podman", ID), engine_uid=1000), 1001, None),
        (process("docker-proxy", role="proxy", container=Container("docker"), uid=0), 1000, "docker"),
        (process("dockerd", publisher="docker", uid=0), 0, "docker"),
        # a rootless engine answers its own user, as whom root may ask
        (process("nginx", container=Container("podman", ID), cgroup=USER_SCOPE, uid=100_033), 1000, "podman"),
        (process("nginx", container=Container("podman", ID), cgroup=USER_SCOPE, uid=100_033), 0, "podman"),
        (process("nginx", container=Container("podman", ID), cgroup=USER_SCOPE, uid=100_033), 1001, None),
        (
            process("nginx", container=Container("podman", ID), cgroup=f"/machine.slice/libpod-{ID}.scope"),
            0,
            "podman",
        ),
        (process("rootlessport", role="proxy", container=Container("podman"), uid=1000), 1000, "podman"),
        (process("rootlessport", role="proxy", container=Container("podman"), uid=1000), 0, "podman"),
        (process("rootlessport", role="proxy", container=Container("podman"), uid=1000), 1001, None),
        (process("rootlesskit", publisher="docker", uid=1000), 0, "docker"),
        (process("rootlesskit", publisher="docker", uid=1000), 1001, None),
        (process("com.docker.backend", publisher="docker", uid=501), 501, "docker"),
        (Process(0, role="proxy", container=Container("docker"), uid=0), 1000, "docker"),
    ],
)
def test_an_engine_is_asked_only_where_it_can_matter(subject: Process, uid: int, expected: str | None) -> None:
    assert engine_of(subject, uid) == expected


def test_a_container_gets_its_name_and_keeps_its_pod() -> None:
    found = [one._replace(cgroup=f"/docker/{ID}/init") for one in read_inspected("docker", json.dumps([DOCKER]))]
    inside = process("nginx", container=Container("docker", ID, pod="uid-1"), cgroup=f"/docker/{ID}/web")
    told = with_container(Subject(inside, ()), found, Hands())
    assert (told.container, told.confirmed) == (WEB._replace(pod="uid-1"), True)


@pytest.mark.parametrize(
    ("cgroup", "identifier"),
    [
        (f"/docker/{OTHER_ID}", OTHER_ID),  # the engine has none such
        (f"/user.slice/docker-{ID}.scope", ID),  # in a place where it has none
        (f"/docker/{OTHER_ID}/docker/{ID}", ID),  # made inside of another
        (None, ID),
    ],
)
def test_a_container_that_its_engine_does_not_confirm_is_only_claimed(cgroup: str | None, identifier: str) -> None:
    found = [one._replace(cgroup=f"/docker/{ID}") for one in read_inspected("docker", json.dumps([DOCKER]))]
    liar = process("nginx", container=Container("docker", identifier), cgroup=cgroup)
    told = with_container(Subject(liar, ()), found, Hands())
    assert (told.container, told.confirmed, told.claim) == (None, False, f"docker container {identifier[:12]}")


def test_what_an_unknown_engine_has_made_is_perhaps_anothers_than_dockers() -> None:
    other = process("nginx", container=Container("unknown", OTHER_ID), cgroup=f"/{OTHER_ID}")
    assert with_container(Subject(other, ()), (), Hands()) == other


def test_a_proxy_becomes_the_container_that_it_publishes() -> None:
    found = read_inspected("docker", json.dumps([DOCKER]))
    dockerd = process("dockerd", service="docker.service", service_manager="systemd")
    told = with_container(Subject(dockerd, (listener(8088),)), found, Hands())
    assert (told.role, told.container, told.service, told.service_manager) == ("proxy", WEB, None, None)
    assert with_container(Subject(dockerd, (listener(2375),)), found, Hands()) == dockerd


def test_a_proxy_of_several_containers_is_none_in_particular() -> None:
    found = read_inspected("docker", json.dumps([DOCKER, {**DOCKER, "Id": OTHER_ID}]))
    backend = process("com.docker.backend")
    assert with_container(Subject(backend, (listener(8088),)), found, Hands()) == backend


def test_a_proxy_in_a_unit_of_its_own_keeps_it() -> None:
    found = read_inspected("podman", json.dumps([PODMAN]))
    port = process("rootlessport", service="db.service", service_manager="systemd --user")
    assert with_container(Subject(port, (listener(5432),)), found, Hands()).service == "db.service"


def test_a_pasta_of_no_container_is_said_to_be_podmans_and_nothing_else() -> None:
    """Recorded from passt 2023-03-30: the kernel's name for it is another."""
    command = "/usr/bin/pasta -t 8055 -u none -T none -U none --config-net -f -- sleep 100"
    pasta = who_is(facts(process(command, name="passt.avx2", executable="/usr/bin/passt.avx2", uid=65534)))
    assert (pasta.role, pasta.publisher, pasta.container) == (None, "podman", None)
    subject = Subject(pasta, (listener(8055),))
    asked = with_container(subject, (), Hands(65534))
    assert (asked.publisher, asked.claim, asked.unanswered) == (None, "podman's", None)
    silent = container_unknown(subject, "podman did not answer", Hands(65534))
    assert (silent.claim, silent.unanswered) == ("podman's", "podman did not answer")


# Where no cgroup tells: recorded from containerd 1.6 and podman 4.3

SHIM = "/usr/bin/containerd-shim-runc-v2 -namespace {} -id {} -address {}"
CONMON = (
    f"/usr/bin/conmon --api-version 1 -c {ID} -u {ID} -r /usr/bin/crun -b /run/user/1000/b -p /run/user/1000/p "
    "-n web --exit-dir /run/user/1000/exits --full-attach -s -l journald --log-level warning --runtime-arg --log-format"
)


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (SHIM.format("default", "box1", "/run/containerd/containerd.sock"),
         Container("containerd", "box1", namespace="default")),
        (SHIM.format("default", "box1", "/srv/containerd.sock"),
         Container("containerd", "box1", namespace="default", address="/srv/containerd.sock")),
        (SHIM.format("moby", ID, "/run/containerd/containerd.sock"), Container("docker", ID)),
        (SHIM.format("k8s.io", ID, "/run/containerd/containerd.sock"), Container("kubernetes", ID)),
        (CONMON, Container("podman", ID, "web")),
        ("containerd-shim-runc-v2 -namespace moby", None),
        ("nginx", None),
    ],
)  # fmt: skip
def test_what_looks_after_a_container_names_it(command: str, expected: Container | None) -> None:
    shim = shim_among([process("/bin/sh", 5, uid=0), process(command, 4, uid=1000), INIT])
    assert shim == (Shim(expected, 1000) if expected else None)


@pytest.mark.parametrize(("pid", "is_its"), [(812, True), (5, True), (813, False), (None, False)])
def test_where_no_cgroup_tells_the_container_is_that_of_its_first_process(pid: int | None, is_its: bool) -> None:
    claimed = process("httpd", 812, container=Container("containerd", "box1"), cgroup="/default/box1", uid=0)
    subject = Subject(claimed, (), ancestors=(process("/bin/sh", 5), INIT))
    found = with_container(subject, [Inspected(Container("containerd", "box1"), pid=pid)], Hands())
    assert (found.container is not None, found.confirmed) == (is_its, is_its)


def test_what_ctr_and_swarm_print() -> None:
    tasks = "TASK    PID     STATUS    \nbox1    568     RUNNING\nbox     569     STOPPED\n"
    assert [read_task(tasks, name) for name in ("box1", "box", "TASK", "no", None)] == [568, 569, None, None, None]
    web, dns = read_services("hostweb \nweb *:8091->80/tcp, *:9000-9001->9000-9001/tcp\ndns *:53->53/udp\n\n")
    assert web.container == Container("docker", swarm_service="web")
    assert [(one.protocol, one.port) for one in web.published] == [("tcp", 8091), ("tcp", 9000), ("tcp", 9001)]
    assert dns.published == (Publication("udp", "", 53),)


# Socket activation: recorded from systemd 252

SHOWN = """\
Accept=no
Listen=/run/systemd/journal/dev-log (Datagram)
Id=systemd-journald-dev-log.socket
Triggers=systemd-journald.service
ActiveState=active

Listen=[::]:8081 (Stream)
Listen=127.0.0.1:8082 (Stream)
Listen=[::]:8083 (Datagram)
Id=foo.socket
Triggers=bar.service
ActiveState=active

Listen=[::]:8084 (Stream)
Id=acc.socket
Triggers=
ActiveState=active

Listen=[::]:8081 (Stream)
Id=off.socket
Triggers=off.service
ActiveState=inactive
"""
FOO = SocketUnit(
    "foo.socket",
    "bar.service",
    (Listening("tcp", "::", 8081), Listening("tcp", "127.0.0.1", 8082), Listening("udp", "::", 8083)),
)
ACC = SocketUnit("acc.socket", None, (Listening("tcp", "::", 8084),))


def test_what_systemctl_shows() -> None:
    assert read_units(SHOWN)[1:] == (FOO, ACC)
    assert read_units(SHOWN)[0].listening == ()
    assert read_units("") == ()


def test_a_unit_is_matched_by_protocol_address_and_port() -> None:
    units = (FOO, ACC)
    assert unit_of(listener(8081, "::"), units) == FOO
    assert unit_of(listener(8081), units) == FOO
    assert unit_of(listener(8082, "127.0.0.1"), units) == FOO
    assert unit_of(listener(8082, "127.0.0.2"), units) is None
    assert unit_of(Socket("udp", "ipv6", "::", 8083), units) == FOO
    assert unit_of(Socket("udp", "ipv6", "::", 8081), units) is None
    assert unit_of(listener(8084, "::"), units) == ACC


SURROUNDED = """\
MainPID=92
ControlGroup=/system.slice/web.service
Id=web.service
RequiredBy=worker.service idle.service
BoundBy=
TriggeredBy=web.path web.timer
ActiveState=active

Id=worker.service
BoundBy=web.service last.service
ActiveState=active

Id=last.service
ActiveState=deactivating

Id=idle.service
RequiredBy=never.service
ActiveState=failed

Id=web.path
ActiveState=active

Id=web.timer
ActiveState=inactive
"""


def test_what_starts_a_unit_again_and_what_is_stopped_with_it() -> None:
    """Circles end, and a unit that does not run is neither stopped nor asked about further."""
    units = read_control_groups(SURROUNDED)
    assert starting_again(["web.service"], units) == ("web.path",)
    assert stopped_with(["web.service"], units) == ("worker.service", "last.service")
    assert unheard_of(["web.service"], units) == ()
    assert unheard_of(["web.service"], {"web.service": units["web.service"]}) == (
        "web.path", "web.timer", "worker.service", "idle.service",
    )  # fmt: skip
    assert unheard_of(["web.service"], {}) == ("web.service",)


@pytest.mark.parametrize(
    ("is_roots_word", "control_group", "left_by"),
    [(True, "", "web.service"), (False, "/system.slice/web.service", "web.service"), (False, "", None)],
)
def test_what_a_unit_has_left_behind_is_its_no_more(
    is_roots_word: bool, control_group: str, left_by: str | None
) -> None:
    """A stranger may call a cgroup of his own like any unit that does not run."""
    left = process("web", service="web.service", service_manager="systemd", cgroup="/system.slice/web.service")
    subject = Subject(left, (), is_roots_word=is_roots_word)
    found = with_unit(subject, Unit("web.service", control_group, runs=False), Manager(), Hands())
    assert (found.service, found.left_by, found.confirmed) == (None, left_by, bool(left_by))


def test_what_a_supervisor_keeps_is_not_stopped_with_the_supervisors_unit() -> None:
    web = process("web", service="web.service", required_by=("worker.service",), triggered_by=("web.path",))
    kept = with_keeper(web._replace(supervisor="supervisord"), "web", Inquiry(("supervisorctl",)), Hands(0))
    assert (kept.required_by, kept.triggered_by) == ((), ())
    assert briefly(kept) == "supervisord's web"


USER_SYSTEMD = process("/lib/systemd/systemd --user", 92, uid=1000)


@pytest.mark.parametrize(
    ("subject", "expected"),
    [
        (Subject(INIT, ()), Manager()),
        (Subject(USER_SYSTEMD, ()), Manager(1000)),
        (Subject(process("web"), (), INIT), Manager()),
        (Subject(process("web", service="web.service", activation="web.socket"), (), INIT), None),
        (Subject(process("web"), ()), None),
        (Subject(INIT._replace(pid=77, container=Container("lxc")), ()), None),
        (Subject(Process(0, cgroup="/init.scope", role="service manager"), ()), Manager()),
        (
            Subject(Process(0, cgroup="/user.slice/user@1000.service/init.scope", role="service manager"), ()),
            Manager(1000),
        ),
        (Subject(Process(0, cgroup="/system.slice/a.socket", activation="a.socket"), ()), Manager()),
        (Subject(Process(0, cgroup="/system.slice/a.service", service="a.service"), ()), None),
    ],
)
def test_a_manager_is_asked_only_where_it_can_matter(subject: Subject, expected: Manager | None) -> None:
    assert manager_of(subject) == expected


def test_a_manager_holds_the_port_for_the_service_that_it_starts() -> None:
    found = with_activation(Subject(INIT, (listener(8081, "::"),)), (FOO, ACC), Manager(), Hands())
    assert (found.activation, found.service, found.service_manager) == (
        "foo.socket",
        "bar.service",
        "systemd",
    )
    found = with_activation(Subject(USER_SYSTEMD, (listener(8081, "::"),)), (FOO,), Manager(1000), Hands(1000))
    assert found.service_manager == "systemd --user"


def test_a_service_keeps_its_own_name() -> None:
    service = process("web", service="web@1.service", service_manager="systemd")
    found = with_activation(Subject(service, (listener(8081, "::"),), INIT), (FOO,), Manager(), Hands())
    assert (found.activation, found.service) == ("foo.socket", "web@1.service")


def test_a_manager_that_holds_several_units_is_there_for_none_in_particular() -> None:
    both = (listener(8081, "::"), listener(8084, "::"))
    assert with_activation(Subject(INIT, both), (FOO, ACC), Manager(), Hands()) == INIT
    assert with_activation(Subject(INIT, (listener(99),)), (FOO, ACC), Manager(), Hands()) == INIT
