"""The Docker rig is what it says: an engine that publishes ports, restarts containers and leaves nothing."""

from __future__ import annotations

import json
import re
from pathlib import Path

from support.patience import wait_for
from support.rigs.docker_engine import DockerEngine, start_engine
from support.rigs.keeper import hierarchies
from support.rigs.sandbox import skip_if_unavailable

LABELS = ("--label=com.docker.compose.project=shop", "--label=com.docker.compose.service=web")


def test_a_published_port_answers_on_both_families(docker_engine: DockerEngine) -> None:
    docker_engine.start("web", "--publish=8088:80")
    listening = docker_engine.run(["ss", "-Hltnp", "sport = 8088"]).stdout
    assert [line.split()[3] for line in listening.splitlines()] == ["0.0.0.0:8088", "[::]:8088"]
    proxies = re.findall(r'"docker-proxy",pid=(\d+)', listening)
    assert len(proxies) == 2
    assert "/system.slice/docker.service\n" in docker_engine.run(["cat", f"/proc/{proxies[0]}/cgroup"]).stdout
    for host in ("127.0.0.1", "[::1]"):
        page = ["/bin/busybox", "wget", "-q", "-O", "-", f"http://{host}:8088/"]
        assert docker_engine.run(page).stdout == "hello\n"


def test_the_client_tells_name_image_ports_and_compose_labels(docker_engine: DockerEngine) -> None:
    container = docker_engine.start("web", "--publish=8088:80", *LABELS)
    arguments = ("ps", "--filter=publish=8088", "--no-trunc", "--format={{json .}}")
    row = json.loads(docker_engine.docker(*arguments).stdout)
    assert (row["ID"], row["Names"], row["Image"]) == (container, "web", "portcheck-rig:1")
    assert set(row["Labels"].split(",")) == {label.removeprefix("--label=") for label in LABELS}
    assert "0.0.0.0:8088->80/tcp" in row["Ports"]


def test_a_containers_process_is_in_its_cgroup(docker_engine: DockerEngine) -> None:
    container = docker_engine.start("web")
    pid = docker_engine.inspect("web")["State"]["Pid"]
    assert f"/docker/{container}\n" in docker_engine.run(["cat", f"/proc/{pid}/cgroup"]).stdout


def test_a_restart_policy_brings_a_killed_container_back(docker_engine: DockerEngine) -> None:
    docker_engine.start("web", "--publish=8088:80", "--restart=always")
    first = docker_engine.inspect("web")["State"]["Pid"]
    docker_engine.run(["kill", "-KILL", str(first)])
    wait_for(lambda: docker_engine.inspect("web")["State"]["Pid"] not in {first, 0}, "it is restarted")
    assert docker_engine.inspect("web")["RestartCount"] == 1


def test_a_stopped_container_frees_its_port(docker_engine: DockerEngine) -> None:
    docker_engine.start("web", "--publish=8088:80")
    docker_engine.docker("stop", "web", timeout=9)
    assert docker_engine.run(["ss", "-Hltn", "sport = 8088"]).stdout == ""


def test_portcheck_runs_beside_the_engine(docker_engine: DockerEngine) -> None:
    help_text = docker_engine.portcheck("--help")
    assert (help_text.returncode, help_text.stderr) == (0, "")


def test_nothing_of_a_running_container_is_left() -> None:
    with skip_if_unavailable("docker engine"), start_engine() as engine:
        container = engine.start("web", "--publish=8088:80")
        cgroups = [folder / "docker" / container for folder in hierarchies()]
        assert any(folder.exists() for folder in cgroups)
    assert not any(folder.exists() for folder in cgroups)
    assert not [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if "docker" in line]
