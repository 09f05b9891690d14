"""Names that a stranger gives to cgroups of its own, beside a real Docker engine and a real systemd."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.documents import steps, told
from support.patience import wait_for
from support.processes import NOBODY
from support.rigs.debian_root import USER
from support.rigs.docker_engine import DockerEngine
from support.rigs.sandbox import skip_if_unavailable
from support.rigs.systemd_host import SystemdHost, boot

AT_ONCE = ("--yes", "--settle", "0", "--json")
# Listens on a port, from within a cgroup that it makes below one of its own: DIRECTORY NAME PORT
ATTACK = """\
import os, socket, sys, time
directory, name, port = sys.argv[1:]
if directory == "own":
    path = next(line.split(":", 2)[2] for line in open("/proc/self/cgroup").read().split("\\n") if line[:3] == "0::")
    directory = f"/sys/fs/cgroup{path}"
os.mkdir(f"{directory}/{name}")
with open(f"{directory}/{name}/cgroup.procs", "w") as members:
    members.write(str(os.getpid()))
held = socket.create_server(("127.0.0.1", int(port)))
while True:
    time.sleep(1000)
"""
# As systemd delegates a cgroup to a user.
DELEGATE = """\
root=/sys/fs/cgroup; [ -d $root/unified ] && root=$root/unified
mkdir $root/claims; chown -R {uid} $root/claims
sh -c 'echo $$ >'$root'/claims/cgroup.procs; exec setpriv --reuid={uid} --regid={uid} --clear-groups \
python3 -c "$0" "$@"' "$1" $root/claims {name} {port} >/dev/null 2>&1 </dev/null &
"""
CLEAN = "root=/sys/fs/cgroup; [ -d $root/unified ] && root=$root/unified; rmdir $root/claims/*/ $root/claims"


def test_a_containers_name_in_a_strangers_cgroup(docker_engine: DockerEngine) -> None:
    victim = docker_engine.start("victim-db")
    script = DELEGATE.format(uid=NOBODY, name=f"docker-{victim}.scope", port=8001)
    docker_engine.run(["sh", "-c", script, "sh", ATTACK])
    wait_for(lambda: docker_engine.run(["ss", "-Hltn", "sport = :8001"]).stdout != "", "it listens")
    found = told(docker_engine.portcheck("stop", "8001", *AT_ONCE), 0)
    docker_engine.run(["sh", "-c", CLEAN])
    (owner,) = found["before"]["owners"]
    assert owner["cgroup"] == f"/claims/docker-{victim}.scope"
    assert (owner["container"], owner["confirmed"]) == (None, False)
    assert owner["claim"] == f"docker container {victim[:12]}"
    assert steps(found) == [{"command": None, "signalled": [owner["pid"]]}]
    assert docker_engine.inspect("victim-db")["State"]["Running"]


# Writes a shim's arguments over its own, and has a child that listens: NAMESPACE ID PORT
SHIM = """\
import os, socket, sys, time
namespace, container, port = sys.argv[1:4]
title = "\\0".join(["/usr/bin/containerd-shim-runc-v2", "-namespace", namespace, "-id", container, ""]).encode()
start, end = map(int, open("/proc/self/stat").read().rpartition(")")[2].split()[45:47])
with open("/proc/self/mem", "r+b", buffering=0) as memory:
    memory.seek(start)
    memory.write(title.ljust(end - start, b"\\0"))
if os.fork() == 0:
    held = socket.create_server(("127.0.0.1", int(port)))
time.sleep(1000)
"""


def test_a_parent_that_calls_itself_a_containers_shim(docker_engine: DockerEngine) -> None:
    victim = docker_engine.start("victim-db")
    become = f"setpriv --reuid={NOBODY} --regid={NOBODY} --clear-groups"
    script = f'{become} python3 -c "$@" >/dev/null 2>&1 </dev/null &'
    docker_engine.run(["sh", "-c", script, "sh", SHIM, "moby", victim, "8002", "room" * 99])
    wait_for(lambda: docker_engine.run(["ss", "-Hltn", "sport = :8002"]).stdout != "", "it listens")
    found = told(docker_engine.portcheck("stop", "8002", *AT_ONCE), 1)
    (owner,) = found["before"]["owners"]
    assert (owner["container"], owner["confirmed"]) == (None, False)
    assert owner["claim"] == f"docker container {victim[:12]}"
    assert (found["plan"], found["outcome"]) == ([], "refused")
    assert docker_engine.inspect("victim-db")["State"]["Running"]
    ended = told(docker_engine.portcheck("stop", "8002", "--pid", str(owner["pid"]), *AT_ONCE), 0)
    assert steps(ended) == [{"command": None, "signalled": [owner["pid"]]}]


def test_a_container_in_the_hosts_network_is_confirmed(docker_engine: DockerEngine) -> None:
    docker_engine.start("web", "--network=host")
    (result,) = json.loads(docker_engine.portcheck("80", "--json").stdout)["results"]
    (owner,) = result["owners"]
    assert (owner["container"]["name"], owner["confirmed"], owner["claim"]) == ("web", True, None)


@pytest.fixture(scope="module")
def systemd(systemd_root: Path) -> Iterator[SystemdHost]:
    """A host with an innocent postgresql.service, and an innocent socket unit."""
    with skip_if_unavailable("systemd host"), boot(systemd_root) as booted:
        booted.write("/srv/attack.py", ATTACK)
        booted.write("/etc/systemd/system/postgresql.service", "[Service]\nExecStart=/bin/sleep infinity\n")
        booted.write("/etc/systemd/system/innocent.socket", "[Socket]\nListenStream=127.0.0.1:7100\n")
        booted.write("/etc/systemd/system/innocent.service", "[Service]\nExecStart=/bin/sleep infinity\n")
        booted.run(["systemctl", "daemon-reload"])
        booted.run(["systemctl", "start", "postgresql.service", "innocent.socket"])
        yield booted


def stopped(host: SystemdHost, port: int) -> dict[str, Any]:
    wait_for(lambda: host.run(["ss", "-Hltn", f"sport = :{port}"]).stdout != "", "it listens")
    found = told(host.portcheck("stop", str(port), *AT_ONCE), 0)
    assert host.run(["systemctl", "is-active", "postgresql.service", "innocent.socket"]).stdout == "active\nactive\n"
    return found


def test_a_units_name_below_a_users_manager(systemd: SystemdHost) -> None:
    attack = ["/usr/bin/python3", "/srv/attack.py", "own", "postgresql.service", "7001"]
    systemd.run(["systemd-run", "--user", "--property=Delegate=yes", *attack], USER)
    found = stopped(systemd, 7001)
    (owner,) = found["before"]["owners"]
    assert (owner["service"], owner["confirmed"], owner["claim"]) == (None, False, "postgresql.service")
    assert steps(found) == [{"command": None, "signalled": [owner["pid"]]}]


def test_a_units_name_below_a_unit_that_is_a_users(systemd: SystemdHost) -> None:
    """systemd confirms its own unit, in whose cgroup the other name is."""
    attack = ["/usr/bin/python3", "/srv/attack.py", "own", "postgresql.service", "7002"]
    systemd.run(["systemd-run", "--unit=shop", f"--uid={USER}", "--property=Delegate=yes", *attack])
    found = stopped(systemd, 7002)
    (owner,) = found["before"]["owners"]
    assert (owner["service"], owner["claim"]) == ("shop.service", "postgresql.service")
    assert steps(found) == [{"command": ["systemctl", "stop", "shop.service"], "signalled": []}]


def test_a_service_that_names_anothers_socket_unit(systemd: SystemdHost) -> None:
    """Its own socket is passed to it, and is the one that goes."""
    hold = "import socket, time; held = socket.socket(fileno=3); time.sleep(1000)"
    systemd.write("/srv/hold.py", hold)
    systemd.write("/etc/systemd/user/mine.socket", "[Socket]\nListenStream=127.0.0.1:7003\n")
    systemd.write(
        "/etc/systemd/user/mine.service",
        "[Service]\nExecStart=/usr/bin/env LISTEN_FDNAMES=innocent.socket /usr/bin/python3 /srv/hold.py\n",
    )
    systemd.run(["systemctl", "--user", "daemon-reload"], USER)
    systemd.run(["systemctl", "--user", "start", "mine.socket", "mine.service"], USER)
    found = stopped(systemd, 7003)
    assert found["plan"][0]["command"][-2:] == ["mine.socket", "mine.service"]


def test_a_users_socket_unit_with_the_name_of_the_systems(systemd: SystemdHost) -> None:
    """Held by a process that has left the cgroup of its service."""
    leave = ATTACK.replace('held = socket.create_server(("127.0.0.1", int(port)))', "held = socket.socket(fileno=3)")
    systemd.write("/srv/leave.py", leave)
    systemd.write("/etc/systemd/user/innocent.socket", "[Socket]\nListenStream=127.0.0.1:7006\n")
    systemd.write(
        "/etc/systemd/user/innocent.service",
        "[Service]\nDelegate=yes\nExecStart=/usr/bin/python3 /srv/leave.py own postgresql.service 7006\n",
    )
    systemd.run(["systemctl", "--user", "daemon-reload"], USER)
    systemd.run(["systemctl", "--user", "start", "innocent.socket", "innocent.service"], USER)
    found = stopped(systemd, 7006)
    assert found["plan"][0]["command"][:3] == ["systemctl", "--user", f"--machine={USER}@"]


def test_a_process_that_calls_itself_a_users_systemd(systemd: SystemdHost) -> None:
    name = "import os; os.execv('/usr/bin/python3', ['systemd', '/srv/listen.py', '--user'])"
    systemd.write("/srv/listen.py", "import socket, time; s = socket.create_server(('', 7004)); time.sleep(1000)")
    server = systemd.start(["/usr/bin/python3", "-c", name], USER)
    found = stopped(systemd, 7004)
    (owner,) = found["before"]["owners"]
    assert (owner["role"], owner["confirmed"]) == (None, False)
    assert steps(found) == [{"command": None, "signalled": [owner["pid"]]}]
    server.wait(60)


def test_what_is_left_of_a_unit_that_has_ended_is_ended_itself(systemd: SystemdHost) -> None:
    """systemd has nothing to stop there: only the name of the cgroup is left."""
    systemd.write("/srv/listen.py", "import socket, time; s = socket.create_server(('', 7005)); time.sleep(1000)")
    text = "[Service]\nKillMode=process\nExecStart=/bin/sh -c 'setsid /usr/bin/python3 /srv/listen.py & sleep 1000'\n"
    systemd.write("/etc/systemd/system/left.service", text)
    systemd.run(["systemctl", "daemon-reload"])
    systemd.run(["systemctl", "start", "left.service"])
    wait_for(lambda: systemd.run(["ss", "-Hltn", "sport = :7005"]).stdout != "", "it listens")
    systemd.run(["systemctl", "stop", "left.service"])
    found = stopped(systemd, 7005)
    (owner,) = found["before"]["owners"]
    assert (owner["service"], owner["left_by"], owner["confirmed"]) == (None, "left.service", True)
    assert steps(found) == [{"command": None, "signalled": [owner["pid"]]}]
