"""Who holds a socket, on a host with a real systemd and beside a real Docker engine."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest
from support.patience import wait_for
from support.rigs.debian_root import UID, USER
from support.rigs.docker_engine import DockerEngine
from support.rigs.systemd_host import SystemdHost

SLEEPER = '[Service]\nExecStart=/usr/bin/python3 -c "import time; time.sleep(1000)"\n'
SERVER = "import socket, sys, time; s = socket.create_server(('', int(sys.argv[1]))); time.sleep(1000)"


def owners(answer: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    assert answer.returncode == 1, answer.stderr
    (result,) = json.loads(answer.stdout)["results"]
    found: list[dict[str, Any]] = result["owners"]
    return found


def told(owner: dict[str, Any], *keys: str) -> tuple[Any, ...]:
    return tuple(owner[key] for key in keys)


UNIT = ("service", "service_manager", "activation", "role")


@pytest.mark.parametrize(("unit", "program"), [("apache2.service", "apache2"), ("nginx.service", "nginx")])
def test_a_system_service_with_its_workers(systemd_host: SystemdHost, unit: str, program: str) -> None:
    systemd_host.run(["systemctl", "start", unit])
    main, *workers = owners(systemd_host.portcheck("--json", "80"))
    assert told(main, "name", *UNIT) == (program, unit, "systemd", None, "main")
    assert workers
    assert {told(worker, *UNIT) for worker in workers} == {(unit, "systemd", None, "worker")}


def test_a_service_whose_processes_are_hidden_from_the_viewer(systemd_host: SystemdHost) -> None:
    systemd_host.run(["systemctl", "start", "nginx.service"])
    (owner,) = owners(systemd_host.portcheck("--json", "80", user=USER))
    assert told(owner, "pid", "user", *UNIT) == (None, "root", "nginx.service", "systemd", None, None)


@pytest.fixture
def socket_unit(systemd_host: SystemdHost) -> SystemdHost:
    """A host where web.socket listens for app.service."""
    systemd_host.write("/etc/systemd/system/web.socket", "[Socket]\nListenStream=8081\nService=app.service\n")
    systemd_host.write("/etc/systemd/system/app.service", SLEEPER)
    systemd_host.run(["systemctl", "daemon-reload"])
    systemd_host.run(["systemctl", "start", "web.socket"])
    return systemd_host


@pytest.mark.parametrize(("user", "pid"), [("root", 1), (USER, None)])
def test_a_socket_unit_whose_service_has_not_started(socket_unit: SystemdHost, user: str, pid: int | None) -> None:
    (owner,) = owners(socket_unit.portcheck("--json", "8081", user=user))
    assert told(owner, "pid", *UNIT) == (pid, "app.service", "systemd", "web.socket", "service manager")


def test_a_socket_unit_whose_service_has_started(socket_unit: SystemdHost) -> None:
    socket_unit.run(["systemctl", "start", "app.service"])
    manager, service = owners(socket_unit.portcheck("--json", "8081"))
    assert told(manager, "pid", *UNIT) == (1, "app.service", "systemd", "web.socket", "service manager")
    assert told(service, "name", *UNIT) == ("python3", "app.service", "systemd", "web.socket", None)


@pytest.mark.parametrize("viewer", ["root", USER])
def test_a_socket_unit_of_a_user(systemd_host: SystemdHost, viewer: str) -> None:
    systemd_host.write("/etc/systemd/user/web.socket", "[Socket]\nListenStream=127.0.0.1:8082\n")
    systemd_host.write("/etc/systemd/user/web.service", SLEEPER)
    systemd_host.run(["systemctl", "--user", "daemon-reload"], USER)
    systemd_host.run(["systemctl", "--user", "start", "web.socket"], USER)
    (owner,) = owners(systemd_host.portcheck("--json", "8082", user=viewer))
    assert told(owner, "uid", *UNIT) == (UID, "web.service", "systemd --user", "web.socket", "service manager")


def test_a_service_of_a_user_with_an_escaped_name(systemd_host: SystemdHost) -> None:
    unit = "web@a\\x2db.service"
    start = ["systemd-run", "--user", "--collect", f"--unit={unit}", "/usr/bin/python3", "-c", SERVER, "8083"]
    systemd_host.run(start, USER)
    check = ("--json", "8083")
    wait_for(lambda: systemd_host.portcheck(*check).returncode == 1, "it listens")
    (owner,) = owners(systemd_host.portcheck(*check))
    assert told(owner, "uid", "service", "service_manager") == (UID, unit, "systemd --user")
    assert told(owner, "session", "condition") == (None, [])


def test_an_orphan_of_a_login_session(systemd_host: SystemdHost) -> None:
    """The user's manager is no parent of it by birth, and its session's scope is no service."""
    script = f'cd; /usr/bin/python3 -c "{SERVER}" 8084 >/dev/null 2>&1 </dev/null &'
    systemd_host.run(["sh", "-c", script], USER)
    check = ("--json", "8084")
    wait_for(lambda: systemd_host.portcheck(*check).returncode == 1, "it listens")
    (owner,) = owners(systemd_host.portcheck(*check))
    assert told(owner, "service", "started_by", "condition") == (None, None, ["orphaned"])


# Docker

SHOP = ("--label=com.docker.compose.project=shop", "--label=com.docker.compose.service=web")


def test_a_published_port_is_traced_to_its_container(docker_engine: DockerEngine) -> None:
    identifier = docker_engine.start("web", "--publish=8088:80", "--restart=always", *SHOP)
    found = owners(docker_engine.portcheck("--json", "8088"))
    assert len(found) == 2  # one proxy for IPv4, one for IPv6
    for owner in found:
        assert told(owner, "name", "role", "service") == ("docker-proxy", "proxy", None)
        assert owner["container"] == {
            "engine": "docker", "id": identifier, "name": "web", "image": "portcheck-rig:1", "compose_project": "shop",
            "compose_service": "web", "restart_policy": "always", "pod": None,
            "swarm_service": None, "namespace": None, "address": None,
        }  # fmt: skip


def test_two_containers_that_publish_the_same_port_on_different_addresses(docker_engine: DockerEngine) -> None:
    docker_engine.start("one", "--publish=127.0.0.1:8088:80")
    docker_engine.start("two", "--publish=127.0.0.2:8088:80")
    found = owners(docker_engine.portcheck("--json", "8088"))
    names = {owner["command"][owner["command"].index("-host-ip") + 1]: owner["container"]["name"] for owner in found}
    assert names == {"127.0.0.1": "one", "127.0.0.2": "two"}


def test_a_server_inside_of_a_container(docker_engine: DockerEngine) -> None:
    """Of a container that shares the host's network: it listens itself."""
    docker_engine.start("inside", "--network=host")
    (owner,) = owners(docker_engine.portcheck("--json", "80"))
    assert told(owner, "name", "role", "service", "session") == ("busybox", None, None, None)
    assert told(owner["container"], "engine", "name") == ("docker", "inside")
