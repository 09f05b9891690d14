"""What is advised where no server holds the port: each situation made for real, and the commands really help."""

from __future__ import annotations

import json
from typing import Any

import pytest
from support.namespaces import Host
from support.person import Person
from support.portcheck_command import PORTCHECK
from support.processes import NOBODY, SYSTEM_PYTHON
from support.servers_to_stop import CLIENT, LEAVES_TIME_WAIT, SERVES_ONE

EPHEMERAL = "net.ipv4.ip_local_port_range"


def texts(result: dict[str, Any]) -> list[str]:
    return [advice["text"] for advice in result["advice"]]


def commands(result: dict[str, Any]) -> list[list[str]]:
    return [advice["command"] for advice in result["advice"] if advice["command"]]


def left_by(host: Host, program: str, *arguments: str, client: bool = False) -> None:
    """Ends a server, so that only what it leaves behind is there."""
    server = host.start([SYSTEM_PYTHON, "-c", program, *arguments], ready=b"ready")
    if client:
        host.start([SYSTEM_PYTHON, "-c", CLIENT], ready=b"ready")
    server.terminate()
    server.wait()


def test_a_privileged_port(host: Host, person: Person) -> None:
    asked = [person.portcheck, "80", "--json"]
    (result,) = json.loads(host.run(asked, uid=NOBODY, check=False).stdout)["results"]
    assert (result["cause"], texts(result)[0]) == ("privileged", "use port 1024 or higher")
    assert commands(result) == [["sudo", "sysctl", "-w", "net.ipv4.ip_unprivileged_port_start=80"]]
    (words,) = person.asks("80")
    assert person.pastes(words) == 0
    assert host.run(asked, uid=NOBODY, check=False).returncode == 0


CONNECTS_FROM_8000 = """
import socket, sys
connection = socket.socket()
connection.bind(("127.0.0.1", 8000))
connection.connect(("127.0.0.1", 7000))
print("ready", flush=True)
sys.stdin.read()
"""


def test_a_connection_that_took_it_by_chance(host: Host, person: Person) -> None:
    host.hold("127.0.0.1", 7000)
    host.run(["sysctl", "-q", "-w", f"{EPHEMERAL}=7500 8999", "net.ipv4.ip_local_reserved_ports=7500-7510"])
    host.start([SYSTEM_PYTHON, "-c", CONNECTS_FROM_8000], ready=b"ready")
    result = host.result("8000")
    assert texts(result) == [
        "free within a minute (TIME_WAIT) of that connection being closed",
        "no outgoing connection takes a port below 7500, where the ephemeral range begins",
        "or keep outgoing connections away from this one",
    ]
    assert commands(result) == [["sysctl", "-w", "net.ipv4.ip_local_reserved_ports=7500-7510,8000"]]
    (words,) = person.asks("8000")
    assert person.pastes(words) == 0
    reserved = host.run(["sysctl", "-n", "net.ipv4.ip_local_reserved_ports"]).stdout
    assert reserved == "7500-7510,8000\n"


def test_a_connection_that_asked_for_it(host: Host) -> None:
    host.hold("127.0.0.1", 7000)
    host.start([SYSTEM_PYTHON, "-c", CONNECTS_FROM_8000], ready=b"ready")
    assert texts(host.result("8000")) == ["free within a minute (TIME_WAIT) of that connection being closed"]


def test_time_wait_of_a_server_without_reuseaddr(host: Host) -> None:
    left_by(host, LEAVES_TIME_WAIT)
    result = host.result("8000")
    assert (result["verdict"], result["cause"]) == ("in-use", "time-wait")
    free, reuse, first = texts(result)
    assert free.startswith("free by itself in ")
    assert reuse == "set SO_REUSEADDR in the server: it helps once the server before it had set it too"
    assert first == "or let the client close first: whoever does keeps this entry"


def test_time_wait_and_a_new_server_without_reuseaddr(host: Host) -> None:
    left_by(host, LEAVES_TIME_WAIT, "reuse")
    result = host.result("8000", "--no-reuseaddr")
    assert (result["verdict"], result["cause"]) == ("in-use", "time-wait")
    assert texts(result)[1] == "set SO_REUSEADDR in the server: then it can start at once"
    usual = host.result("8000")
    assert usual["verdict"] == "free"
    assert texts(usual)[0].startswith("set SO_REUSEADDR in the server (most do), or wait ")


@pytest.mark.parametrize("reuse", [True, False])
def test_a_connection_that_is_still_closing(host: Host, reuse: bool) -> None:
    left_by(host, SERVES_ONE, *["reuse"] * reuse, client=True)
    result = host.result("8000")
    assert (result["verdict"], result["cause"]) == ("free" if reuse else "in-use", "closing")
    assert texts(result) == [
        "set SO_REUSEADDR in the server (most do)"
        if reuse
        else "it goes away by itself, a minute or two after the other end answers or times out"
    ]


def test_an_address_of_another_host(host: Host) -> None:
    (text,) = texts(host.result("192.0.2.99:8000"))
    assert text.startswith("bind an address of this host: 127.0.0.1, ")
    assert "192.0.2.7" in text


def test_a_family_that_is_off() -> None:
    with Host(ipv6=False) as host:
        assert texts(host.result("[::1]:8000"))[0].startswith("bind an address of this host: 127.0.0.1, 192.0.2.7")


def test_a_process_outside_of_ones_namespace(host: Host) -> None:
    """Root, but in a PID namespace of its own."""
    host.hold("127.0.0.1", 8000)
    namespace = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]
    done = host.run([*namespace, str(PORTCHECK), "8000", "--json"], check=False)
    (result,) = json.loads(done.stdout)["results"]
    assert (done.returncode, result["owners"][0]["pid"]) == (1, None)
    assert texts(result) == ["root cannot see its process from here: inside a container or sandbox, ask on the host"]
    refused = host.run([*namespace, str(PORTCHECK), "stop", "8000", "--yes"], check=False)
    assert refused.returncode == 1
    assert "is not stopped: root cannot see its process from here" in refused.stdout
