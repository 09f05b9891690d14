"""The ten commands of docs/platforms.md, by the portcheck that is installed: on real Windows, macOS and Linux.

Nothing but pytest is needed, and any Python from 3.9 on:

    python -m pytest -c tests/elsewhere/pytest.ini tests/elsewhere

They were written before anybody had run portcheck on Windows or macOS: one that fails there has found something out.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest

WINDOWS, MACOS = sys.platform == "win32", sys.platform == "darwin"
PORTCHECK = shutil.which("portcheck", path=sysconfig.get_path("scripts")) or "portcheck"
WAITING = 60  # seconds

on_windows = pytest.mark.skipif(not WINDOWS, reason="this is about Windows")
on_macos = pytest.mark.skipif(not MACOS, reason="this is about macOS")


class Said(NamedTuple):
    """What a command did."""

    code: int
    out: str
    err: str


def portcheck(*arguments: str | int) -> Said:
    done = subprocess.run(
        [PORTCHECK, *map(str, arguments)], capture_output=True, encoding="utf-8", errors="replace", check=False,
        stdin=subprocess.DEVNULL, timeout=WAITING, env={**os.environ, "NO_COLOR": "1"},
    )  # fmt: skip
    return Said(done.returncode, done.stdout, done.stderr)


def asked(*arguments: str | int) -> dict[str, Any]:
    """The answer for one port."""
    (result,) = json.loads(portcheck(*arguments, "--json").out)["results"]
    return dict(result)


@pytest.fixture
def port() -> int:
    """One that nobody has."""
    with socket.socket() as free:
        free.bind(("", 0))
        return int(free.getsockname()[1])


Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts python -m http.server, and returns when it says that it listens."""
    started: list[subprocess.Popen[str]] = []

    def begin(*arguments: str | int) -> subprocess.Popen[str]:
        argv = [sys.executable, "-u", "-m", "http.server", *map(str, arguments)]
        server = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        started.append(server)
        assert server.stdout is not None
        assert "Serving HTTP" in server.stdout.readline()
        return server

    yield begin
    for server in started:
        server.kill()
        server.wait(WAITING)
        if server.stdout:
            server.stdout.close()


def pids(result: dict[str, Any]) -> set[int]:
    return {owner["pid"] for owner in result["owners"]}


def test_1_a_free_port(port: int) -> None:
    assert portcheck(port) == (0, f"Port {port} is free on every IPv4 and IPv6 address.\n", "")


def test_2_a_port_in_use(port: int, start: Start) -> None:
    server = start(port, "--bind", "0.0.0.0")
    said = portcheck(port)
    assert said.code == 1, said
    assert said.out.startswith(f"Port {port} is in use: "), said
    assert f"(PID {server.pid}" in said.out
    assert "-m http.server" in said.out
    assert "every IPv4 address" in said.out
    if WINDOWS or MACOS:
        assert "can only be bound beside it" in said.out


def test_3_an_address_beside_a_wildcard_is_never_free(port: int, start: Start) -> None:
    server = start(port, "--bind", "0.0.0.0")
    result = asked(f"127.0.0.1:{port}")
    assert (result["verdict"], pids(result)) == ("in-use", {server.pid})


def test_4_as_json(port: int, start: Start) -> None:
    server = start(port, "--bind", "0.0.0.0")
    result = asked(port)
    assert (result["verdict"], result["cause"]) == ("in-use", "listener")
    assert server.pid in pids(result)
    uids = {each["uid"] for each in result["sockets"] if each["state"] == "LISTEN"}
    assert uids == ({None} if WINDOWS else {os.getuid()})


def test_5_the_next_free_one(port: int, start: Start) -> None:
    start(port, "--bind", "0.0.0.0")
    with socket.socket() as other:
        other.bind(("", 0))
        free = int(other.getsockname()[1])
    said = portcheck("pick", port, free)
    assert (said.code, said.out) == (0, f"{free}\n"), said
    assert str(port) in said.err


def test_6_the_port_is_freed(port: int, start: Start) -> None:
    server = start(port, "--bind", "0.0.0.0")
    said = portcheck("stop", port, "--yes")
    assert said.code == 0, said
    assert f"Port {port} is free now: " in said.out, said
    assert server.wait(WAITING) is not None


def test_7_a_listener_on_loopback_alone(port: int, start: Start) -> None:
    start(port, "--bind", "127.0.0.1")
    said = portcheck(port)
    assert said.code == 1, said
    assert "listens on 127.0.0.1; the other addresses are free" in said.out
    assert ("can only be bound beside it" if WINDOWS or MACOS else "would fail") in said.out


@on_windows
def test_8_services_of_one_process() -> None:
    said = portcheck(135)
    assert said.code == 1, said
    assert re.search(r"RpcEptMapper.*RpcSs.*svchost\.exe \(PID \d+", said.out), said


@on_macos
def test_8_airplay() -> None:
    said = portcheck(5000)
    if said.code == 0:
        pytest.skip("AirPlay Receiver is off here")
    assert re.search(r"AirPlay Receiver, ControlCenter \(PID \d+", said.out), said
    assert "turn AirPlay Receiver off in System Settings" in said.out


@on_windows
def test_9_the_kernels_own() -> None:
    said = portcheck(445)
    if said.code == 0:
        pytest.skip("no file sharing here")
    assert "System (PID 4" in said.out, said
    assert "Windows itself has it" in said.out, said


@on_macos
def test_9_what_launchd_listens_for() -> None:
    sudo = subprocess.run(["sudo", "-n", "true"], capture_output=True, check=False, timeout=WAITING)
    if sudo.returncode:
        pytest.skip("sudo asks for a password here")
    done = subprocess.run(["sudo", "-n", PORTCHECK, "22"], capture_output=True, text=True, check=False, timeout=WAITING)
    if done.returncode == 0:
        pytest.skip("Remote Login is off here")
    assert "com.openssh.sshd, held by launchd (PID 1" in done.stdout, done
    assert "launchctl bootout system/com.openssh.sshd" in done.stdout, done


@on_windows
def test_10_an_excluded_range() -> None:
    shown = subprocess.run(
        ["netsh", "int", "ipv4", "show", "excludedportrange", "tcp"],
        capture_output=True, text=True, errors="replace", check=True, timeout=WAITING,
    ).stdout  # fmt: skip
    ranges = re.findall(r"^\s*(\d+)\s+(\d+)\s*$", shown, re.MULTILINE)  # without *: set aside by no administrator
    quiet = next((int(first) for first, _ in ranges if not asked(first)["sockets"]), None)
    if quiet is None:
        pytest.skip("Windows keeps no range to itself here")
    said = portcheck(quiet)
    assert re.search(r"Windows keeps ports \d+-\d+ to itself \(WSAEACCES, an excluded port range\)", said.out), said


@on_macos
def test_10_a_privileged_port() -> None:
    if os.getuid() == 0 or asked(80)["sockets"]:
        pytest.skip("this is about a port that nobody has, and no root")
    said = portcheck(80)
    assert re.search(r"Port 80 cannot be bound on 127\.0\.0\.1.*ports below 1024 need privilege", said.out), said
    assert "only 0.0.0.0 and :: can be." in said.out, said
