"""`portcheck wait` with real servers, each on a host of its own, through the installed command."""

from __future__ import annotations

import json
import os
import pty
import select
import subprocess
import time
from importlib.resources import files
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from support.namespaces import Host
from support.patience import PATIENCE
from support.portcheck_command import PORTCHECK
from support.processes import SYSTEM_PYTHON

import portcheck

PORT = 8000
SCHEMA = json.loads(files("portcheck").joinpath("schema.json").read_text(encoding="utf-8"))

# Serves one client and closes the connection first, without SO_REUSEADDR: what it leaves refuses every other server.
LEAVES_TIME_WAIT = """
import socket, socketserver
class Closing(socketserver.BaseRequestHandler):
    def handle(self):
        self.request.sendall(b"bye")
with socketserver.TCPServer(("127.0.0.1", 8000), Closing) as server:
    with socket.create_connection(("127.0.0.1", 8000)) as client:
        server.handle_request()
        while client.recv(9):
            pass
"""
# The server closes first, without SO_REUSEADDR, and its client does not close.
LEAVES_FIN_WAIT = """
import socket, sys
server = socket.socket()
server.bind(("127.0.0.1", 8000))
server.listen()
client = socket.create_connection(("127.0.0.1", 8000))
server.accept()[0].close()
server.close()
print("ready", flush=True)
sys.stdin.read()
"""
NOTICES_CONNECTIONS = """
import select, socket, sys
server = socket.create_server(("127.0.0.1", 8000))
print("ready", flush=True)
select.select([server], [], [])
print("connected", flush=True)
sys.stdin.read()
"""
# Listens after so many seconds, and then for so many.
LATER = """
import socket, sys, time
address, port, after, lasting = sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4])
time.sleep(after)
with socket.create_server((address, port), family=socket.AF_INET6 if ":" in address else socket.AF_INET):
    print("ready", flush=True)
    time.sleep(lasting)
"""


def later(host: Host, address: str, port: int, *, after: float = 0, lasting: float = 60) -> subprocess.Popen[bytes]:
    argv = [SYSTEM_PYTHON, "-c", LATER, address, str(port), str(after), str(lasting)]
    return host.start(argv, ready=b"" if after else b"ready")


def waited(host: Host, *args: str) -> tuple[int, dict[str, Any]]:
    """Exit code and document, which is checked against the schema."""
    done = host.portcheck("wait", *args, "--json")
    document = json.loads(done.stdout)
    definition = {**SCHEMA, "anyOf": [{"$ref": "#/$defs/wait"}]}
    assert not list(Draft202012Validator(definition).iter_errors(document))
    return done.returncode, document


def test_a_port_that_is_freed_after_two_seconds(host: Host) -> None:
    owner = later(host, "127.0.0.1", PORT, lasting=2)
    done = host.portcheck("wait", str(PORT), "--free")
    assert (done.returncode, done.stdout) == (0, "Port 8000 is free on every IPv4 and IPv6 address.\n")
    assert done.stderr.startswith("waiting: Port 8000 is in use: python3")
    assert f"PID {owner.pid}" in done.stderr


def test_a_server_that_comes_after_a_second(host: Host) -> None:
    server = later(host, "127.0.0.1", PORT, after=1)
    done = host.portcheck("wait", str(PORT))
    assert (done.returncode, done.stderr) == (0, "")  # quiet where no terminal is
    assert f"PID {server.pid}" in done.stdout
    assert done.stdout.endswith("listens on 127.0.0.1, port 8000.\n")


def test_time_is_up_and_nobody_listens(host: Host) -> None:
    done = host.portcheck("wait", str(PORT), "--timeout", "300ms")
    assert (done.returncode, done.stdout) == (124, "")
    assert done.stderr == "portcheck: timed out after 0.3 s: nothing listens on port 8000\n"


def test_time_is_up_and_it_is_said_who_still_holds_it(host: Host) -> None:
    holder = host.hold("0.0.0.0", PORT)
    done = host.portcheck("wait", str(PORT), "--free", "--timeout", "0.3")
    assert done.returncode == 124
    assert "timed out after 0.3 s: Port 8000 is in use: python3" in done.stderr
    assert f"PID {holder.pid}" in done.stderr


def test_a_port_that_is_bound_without_listening(host: Host) -> None:
    holder = host.hold("127.0.0.1", PORT, "bound")
    code, document = waited(host, str(PORT), "--timeout", "0")
    (target,) = document["targets"]
    assert (code, document["outcome"], target["met"]) == (124, "timeout", False)
    assert target["message"].startswith("nothing listens on port 8000; port 8000 is in use: ")
    assert target["result"]["cause"] == "bound"
    assert target["result"]["owners"][0]["pid"] == holder.pid


def test_fail_fast_does_not_wait_for_an_owner(host: Host) -> None:
    host.hold("0.0.0.0", PORT)
    code, document = waited(host, str(PORT), "--free", "--fail-fast", "--timeout", "60")
    assert (code, document["outcome"]) == (1, "hopeless")
    assert document["seconds"] < 30
    done = host.portcheck("wait", str(PORT), "--free", "--fail-fast")
    assert "waiting cannot help: Port 8000 is in use" in done.stderr


def test_time_wait_of_a_real_server_is_told_from_an_owner(host: Host) -> None:
    host.run([SYSTEM_PYTHON, "-c", LEAVES_TIME_WAIT])
    code, document = waited(host, str(PORT), "--free", "--timeout", "0")
    (target,) = document["targets"]
    assert (code, target["result"]["cause"], target["result"]["owners"]) == (124, "time-wait", [])
    assert 30 < target["seconds_left"] <= 60
    assert f"(about {target['seconds_left']:.0f} s more)" in target["message"]
    # there is not enough time, and that is known at once
    code, document = waited(host, str(PORT), "--free", "--fail-fast", "--timeout", "5")
    assert (code, document["outcome"]) == (1, "hopeless")
    assert document["seconds"] < 5


def test_time_wait_passes(host: Host, long: bool) -> None:
    if not long:
        pytest.skip("the kernel's minute takes a minute: --long")
    host.run([SYSTEM_PYTHON, "-c", LEAVES_TIME_WAIT])
    program = host.start([str(PORTCHECK), "wait", str(PORT), "--free", "--fail-fast", "--timeout", "90"])
    assert program.wait(100) == 0


def test_a_connection_that_is_still_closing_passes(host: Host) -> None:
    """FIN_WAIT_2 lasts as long as a setting says; its server has let go."""
    host.run(["sysctl", "-q", "-w", "net.ipv4.tcp_fin_timeout=2"])
    client = host.start([SYSTEM_PYTHON, "-c", LEAVES_FIN_WAIT], ready=b"ready")
    code, document = waited(host, str(PORT), "--free", "--fail-fast")
    assert client.poll() is None
    assert (code, document["outcome"]) == (0, "met")


def test_a_server_without_reuseaddr_is_waited_for_otherwise(host: Host) -> None:
    """TIME_WAIT left by a server with SO_REUSEADDR is in the way of a server without it only."""
    host.run([SYSTEM_PYTHON, "-c", LEAVES_TIME_WAIT.replace("with socketserver", "socketserver.TCPServer."
              "allow_reuse_address = True\nwith socketserver", 1)])  # fmt: skip
    assert waited(host, str(PORT), "--free", "--timeout", "0")[0] == 0
    code, document = waited(host, str(PORT), "--free", "--no-reuseaddr", "--timeout", "0")
    assert (code, document["targets"][0]["result"]["cause"]) == (124, "time-wait")


@pytest.mark.parametrize(
    ("target", "where", "met"),
    [
        ("127.0.0.1:8000", "127.0.0.1", True),
        ("127.0.0.1:8000", "0.0.0.0", True),
        ("127.0.0.1:8000", "::", True),
        ("127.0.0.1:8000", "192.0.2.7", False),
        ("127.0.0.2:8000", "0.0.0.0", True),
        ("eth0:8000", "192.0.2.7", True),
        ("eth0:8000", "127.0.0.1", False),
        ("*:8000", "127.0.0.1", False),
        ("*:8000", "0.0.0.0", True),
        ("[::1]:8000", "0.0.0.0", False),
        ("tcp://127.0.0.1:8000/x", "127.0.0.1", True),
    ],
)
def test_the_named_address_counts(host: Host, target: str, where: str, met: bool) -> None:
    host.hold(where, PORT)
    code, document = waited(host, target, "--timeout", "0")
    assert (code, document["targets"][0]["met"]) == (0 if met else 124, met)


def test_udp(host: Host) -> None:
    assert waited(host, "53/udp", "--timeout", "0")[0] == 124
    host.hold("0.0.0.0", 53, "udp")
    done = host.portcheck("wait", "53/udp")
    assert (done.returncode, "has bound every IPv4 address, port 53." in done.stdout) == (0, True)
    assert waited(host, "53", "--timeout", "0")[0] == 124


def test_many_targets_all_or_any(host: Host) -> None:
    host.hold("127.0.0.1", 8001)
    code, document = waited(host, "8000-8001", "--timeout", "0")
    assert (code, [target["met"] for target in document["targets"]]) == (124, [False, True])
    assert waited(host, "8000-8001", "--timeout", "0", "--all")[0] == 124
    assert waited(host, "8000-8001", "--any")[0] == 0
    assert waited(host, "8000-8001", "--free", "--any")[0] == 0
    assert waited(host, "8000-8001", "--free", "--timeout", "0")[0] == 124
    host.hold("127.0.0.1", 8000)
    assert waited(host, "8000-8001")[0] == 0
    assert waited(host, "8000-8001", "--free", "--any", "--fail-fast")[0] == 1


def test_stable_needs_the_same_server_all_the_time(host: Host) -> None:
    crashing = 'while true; do "$1" -c "$2" 127.0.0.1 8000 0 0.2; done'
    host.start(["sh", "-c", crashing, "sh", SYSTEM_PYTHON, LATER])
    assert waited(host, str(PORT))[0] == 0
    code, document = waited(host, str(PORT), "--stable", "1.5s", "--timeout", "4")
    assert (code, document["outcome"]) == (124, "timeout")
    host.hold("127.0.0.1", 8001)
    code, document = waited(host, "8001", "--stable", "300ms")
    assert (code, document["seconds"] >= 0.3) == (0, True)


def test_another_machine_is_connected_to(host: Host) -> None:
    with Host() as other:
        # one cable between the two
        host.ip(f"link add cable type veth peer name cable netns {other.path}")
        for end, address in ((host, "198.51.100.1/24"), (other, "198.51.100.2/24")):
            end.ip(f"address add {address} dev cable")
            end.ip("link set cable up")
        code, document = waited(host, "198.51.100.2:8000", "--timeout", "0.5")
        (target,) = document["targets"]
        assert (code, target["message"]) == (124, "198.51.100.2:8000 does not accept connections (ECONNREFUSED)")
        assert (target["result"], document["complete"]) == (None, True)
        later(other, "0.0.0.0", PORT, after=1)
        done = host.portcheck("wait", "198.51.100.2:8000")
        assert (done.returncode, done.stdout) == (0, "198.51.100.2:8000 accepts connections.\n")
        other.ip("link set cable down")
        code, document = waited(host, "198.51.100.2:8000", "--timeout", "0.5")
        assert (code, document["targets"][0]["met"]) == (124, False)
        for refused in ("--free", "--udp"):
            done = host.portcheck("wait", "198.51.100.2:8000", refused)
            assert done.returncode == 2
            assert "198.51.100.2:8000" in done.stderr


def test_local_ports_are_never_connected_to_unless_asked(host: Host) -> None:
    server = host.start([SYSTEM_PYTHON, "-c", NOTICES_CONNECTIONS], ready=b"ready")
    assert server.stdout is not None
    for _ in range(3):
        assert waited(host, "127.0.0.1:8000")[0] == 0
    assert not select.select([server.stdout], [], [], 0.2)[0]
    code, document = waited(host, "127.0.0.1:8000", "--connect")
    assert (code, document["targets"][0]["message"]) == (0, "127.0.0.1:8000 accepts connections")
    assert server.stdout.readline() == b"connected\n"


def test_a_port_that_connects_to_itself_is_no_server(host: Host) -> None:
    """The kernel may give a client's end the very port that it wants to reach, and then they are connected."""
    host.run(["sysctl", "-q", "-w", f"net.ipv4.ip_local_port_range={PORT} {PORT}"])
    code, document = waited(host, "127.0.0.1:8000", "--connect", "--timeout", "0.3")
    assert (code, document["targets"][0]["message"]) == (
        124, "127.0.0.1:8000 does not accept connections (ECONNREFUSED)",
    )  # fmt: skip
    assert host.result(str(PORT), "--no-reuseaddr")["cause"] is None  # nothing is left of it
    connects = "import socket; c = socket.create_connection(('127.0.0.1', 8000)); print(c.getsockname()[1])"
    assert host.run([SYSTEM_PYTHON, "-c", connects]).stdout == "8000\n"


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ([], "wait needs a target"),
        (["0"], "out of range"),
        (["8000", "--free", "--listening"], "exclude each other"),
        (["8000", "--any", "--all"], "exclude each other"),
        (["8000", "--free", "--connect"], "--connect cannot tell"),
        (["8000", "--fail-fast"], "belongs to --free"),
        (["53/udp", "--connect"], "'53/udp': a UDP port cannot be asked by connecting"),
        (["8000", "--timeout", "soon"], "'soon' is no duration"),
        (["8000", "--stable", "-1"], "'-1' is no duration"),
        (["8000", "--as", "cobol", "--free"], "cobol"),
    ],
)
def test_bad_input_is_one_line_and_exit_2(args: list[str], said: str) -> None:
    done = subprocess.run([PORTCHECK, "wait", *args], capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr.splitlines()[0]


def test_quiet_says_nothing(host: Host) -> None:
    host.hold("127.0.0.1", PORT)
    for args, code in ((["8000"], 0), (["8001", "--timeout", "0"], 124), (["8000", "--free", "--timeout", "0"], 124)):
        done = host.portcheck("wait", "--quiet", *args)
        assert (done.returncode, done.stdout, done.stderr) == (code, "", "")


def test_a_terminal_sees_that_something_goes_on(host: Host) -> None:
    leader, terminal = pty.openpty()
    argv = host.argv([str(PORTCHECK), "wait", str(PORT)])
    program = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=terminal, text=True)
    os.close(terminal)
    try:
        assert "waiting for port 8000 (1 s)" in said_on(leader, until="(1 s)")
        host.hold("127.0.0.1", PORT)
        out, _ = program.communicate(timeout=PATIENCE)
        assert (program.returncode, "listens on 127.0.0.1" in out) == (0, True)
    finally:
        program.kill()
        program.wait()
        os.close(leader)


def said_on(leader: int, until: str) -> str:
    """What a terminal shows, up to these words."""
    said, end = "", time.monotonic() + PATIENCE
    while until not in said and select.select([leader], [], [], max(end - time.monotonic(), 0))[0]:
        said += os.read(leader, 4096).decode()
    return said


def test_ctrl_c_is_130(host: Host) -> None:
    host.hold("127.0.0.1", PORT)
    program = host.start([str(PORTCHECK), "wait", str(PORT), "--free"], stderr=subprocess.PIPE)
    assert program.stderr is not None
    assert b"waiting: " in program.stderr.readline()
    program.send_signal(2)
    assert program.wait(PATIENCE) == 130


def test_from_python() -> None:
    with portcheck.reserve(["20000-32000"]) as held:
        (standing,) = portcheck.wait(held.port, free=False, timeout=PATIENCE) if held.listen() else ()
        assert standing.met
        assert f"PID {os.getpid()}" in standing.message
        with pytest.raises(portcheck.WaitFailed, match="is in use") as failed:
            portcheck.wait(held.port, free=True, fail_fast=True)
        assert (failed.value.exit_code, failed.value.waited.outcome) == (1, "hopeless")
    (standing,) = portcheck.wait(held.port, free=True, timeout=PATIENCE)
    assert standing.diagnosis is not None
    with pytest.raises(portcheck.WaitFailed, match="nothing listens") as failed:
        portcheck.wait(f"127.0.0.1:{held.port}", timeout=0)
    assert failed.value.exit_code == 124
