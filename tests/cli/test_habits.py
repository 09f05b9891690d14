"""What habits mean on a host, and every example of the help, run."""

from __future__ import annotations

import json
import os
import shlex
from pathlib import Path

import pytest
from support.namespaces import Host
from support.needs import need
from support.portcheck_command import PORTCHECK
from support.processes import SYSTEM_PYTHON
from support.terminal import Terminal

from portcheck.cli.options import COMMANDS

EXAMPLES = [example.line for command in COMMANDS.values() for example in command.examples]
# What an example exits with on a host where python3 listens on 127.0.0.1:3000; else 0.
CODES = {
    "portcheck 3000 5432 53/udp": 1,
    "portcheck watch 3000 --exit-on closed": 124,
    "portcheck preflight": 1,
    "portcheck preflight compose.yaml --format github": 1,
    "portcheck verify": 1,  # a process has the container's port
}


@pytest.mark.parametrize("line", EXAMPLES)
def test_every_example_of_the_help(host: Host, tmp_path: Path, line: str) -> None:
    (tmp_path / "compose.yaml").write_text("services: {web: {image: web, ports: ['3000:80']}}\n")
    (tmp_path / "health").touch()
    argv = shlex.split(line)[1:]
    if "http://localhost:3000/health" in argv:
        serve = [SYSTEM_PYTHON, "-u", "-m", "http.server", "3000", "--bind", "127.0.0.1", "--directory", str(tmp_path)]
        host.start(serve, ready=b"Serving")
    else:
        host.hold("127.0.0.1", 3000, "name", "node")
    for others in (5432, 6379):
        host.hold("127.0.0.1", others)
    if "npm" in argv:
        need("npm")
        (tmp_path / "package.json").write_text('{"scripts": {"dev": "true", "start": "true"}}')
    if argv == ["wait", "3000", "--free"]:
        argv = ["wait", "3001", "--free"]
    if argv[0] == "watch":
        argv += ["--for", "0"]  # the last one counts
    if argv == ["stop", "3000"]:
        argv.append("--dry-run")
    if argv[-1] == "/etc/portcheck.toml":
        argv[-1] = str(tmp_path / "portcheck.toml")
        Path(argv[-1]).write_text("[ports]\nweb = 3000\n")
    done = host.portcheck(*argv, cwd=tmp_path)
    assert done.returncode == CODES.get(line, 0), done
    assert "portcheck: unknown" not in done.stderr


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("8000", 1),
        ("-p 8000", 1),
        ("8000 -4", 1),
        ("8000 -6", 0),  # a server with IPV6_V6ONLY starts beside it
        ("8000 -6 --as node", 0),
        ("8000 -4 --as node", 1),
        ("[::1]:8000 -4", 2),
        ("localhost:8000 -4", 1),
        ("lo:8000 -6", 0),
    ],
)
def test_one_family_alone(host: Host, line: str, code: int) -> None:
    host.hold("0.0.0.0", 8000)
    assert host.portcheck(*line.split()).returncode == code


@pytest.mark.parametrize(
    ("line", "code", "said"),
    [
        ("wait 8000 -4 --timeout 0", 0, "listens on 127.0.0.1, port 8000"),
        ("wait 8000 -6 --timeout 0", 124, "nothing listens on IPv6 port 8000"),
        ("wait 8000 -6 --connect --timeout 0", 124, "IPv6 port 8000 does not accept connections"),
        ("wait localhost:8000 -4 --connect --timeout 0", 0, "accepts connections"),
        ("wait 8000 -6 --free --timeout 0", 0, "is free"),
        ("wait 8001 -4 --timeout 0", 0, "port 8001"),  # a dual-stack ::
        ("wait 8001 -6 --timeout 0", 0, "port 8001"),
        ("wait lo:8000 -6 --timeout 0", 124, "nothing listens on lo:8000"),
        ("pick 8000 8002 -4", 0, "8002"),
        ("pick 8000 8002 -6", 0, "8000"),
        ("pick --any -6", 0, ""),
        ("pick 8000 --host 127.0.0.1 -6", 2, "'127.0.0.1' has no IPv6 address"),
        ("run 8000-8002 -4 -- echo {host}:{port}", 0, "127.0.0.1:8002"),
        ("run 8000-8002 -6 -- echo {host}:{port}", 0, "::1:8000"),
        ("run 8000-8002 -6 --listen -- echo {host}:{port}", 0, "::1:8000"),
    ],
)
def test_one_family_alone_wherever_a_host_can_be_named(host: Host, line: str, code: int, said: str) -> None:
    host.hold("127.0.0.1", 8000)
    host.hold("::", 8001)
    done = host.portcheck(*line.split())
    assert (done.returncode, said in done.stdout + done.stderr) == (code, True), done


def test_port_0_is_what_pick_is_for(host: Host) -> None:
    for line in ("0", "wait 0", "run 0 -- true"):
        assert host.portcheck(*line.split()).stderr.splitlines()[0].endswith("(for any free one: portcheck pick --any)")
    assert "pick" not in host.portcheck("70000").stderr


@pytest.mark.parametrize(
    ("line", "ports"),
    [
        ("list 8000", {8000}),
        ("ls :8000", {8000}),
        ("list localhost:8001", {8001}),
        ("list 127.0.0.1:8000-8002", {8000, 8001}),
        ("list lo:8000-8002", {8000, 8001}),
        ("list eth0:8000-8002", {8000, 8002}),
        ("list -p 8000 -p 8001", {8000, 8001}),
        ("list shop", {8001}),
        ("list SHOP 8002", {8001, 8002}),
        ("list nobody-has-this-name", set()),
        ("list 8000-8002 -6", {8002}),
        ("list 127.0.0.1:8001 [::1]:8001", {8001}),  # one port, two hosts: either is enough
    ],
)
def test_a_list_by_target_or_name(host: Host, line: str, ports: set[int]) -> None:
    host.hold("0.0.0.0", 8000)
    host.hold("127.0.0.1", 8001, "name", "my-shop")
    host.hold("fd00::7", 8002)
    listed = json.loads(host.portcheck(*line.split(), "--json").stdout)
    assert {socket["local_port"] for socket in listed["sockets"]} == ports


def test_stop_by_pid_frees_whatever_it_holds(host: Host) -> None:
    held = host.hold("127.0.0.1", 8000)
    host.hold("127.0.0.1", 8001)
    planned = host.portcheck("stop", "--pid", str(held.pid), "--dry-run")
    assert (planned.returncode, f"PID {held.pid}" in planned.stdout) == (0, True)
    done = host.portcheck("kill", "--pid", str(held.pid), "--yes", "--settle", "0")
    assert done.returncode == 0, done
    assert host.portcheck("8000").returncode == 0
    assert host.portcheck("8001").returncode == 1


def test_stop_by_the_pid_of_nobody(host: Host) -> None:
    done = host.portcheck("stop", "--pid", str(os.getpid()), "--yes")
    assert (done.returncode, done.stdout) == (0, f"PID {os.getpid()} holds no port: there is nothing to stop.\n")


@pytest.mark.parametrize("command", ["stop", "list"])
def test_a_pid_in_the_place_of_a_port(host: Host, command: str) -> None:
    """A large one is no port; of another one it is said that it is a PID, too, where nobody has that port."""
    held = host.hold("127.0.0.1", 8000)
    done = host.portcheck(command, str(held.pid), *(["--yes"] if command == "stop" else []))
    is_port = held.pid <= 65535
    assert done.returncode == (0 if is_port else 2), done
    meant = command if is_port else "list"
    assert done.stderr.endswith(f"did you mean: portcheck {meant} --pid {held.pid}\n")


@pytest.mark.parametrize(
    ("line", "coloured"), [("8000", False), ("8000 --color=always", True), ("8000 --no-color", False)]
)
def test_color(host: Host, line: str, *, coloured: bool) -> None:
    """What is typed counts for more than the environment."""
    host.hold("127.0.0.1", 8000)
    shown = host.run(["script", "-qec", f"{PORTCHECK} {line}", "/dev/null"], check=False, env={"NO_COLOR": "1"}).stdout
    assert ("\x1b[" in shown) is coloured


def test_help_at_a_terminal_is_drawn_in_panels(host: Host) -> None:
    with Terminal(host, ["env", "TERM=xterm", "COLUMNS=80", "NO_COLOR=1", str(PORTCHECK), "help", "stop"]) as terminal:
        assert "─ Whom to stop ─" in terminal.shows("Whom to stop ─")
    plain = host.portcheck("help", "stop").stdout
    assert "─" not in plain
    assert "Whom to stop:" in plain
