"""`portcheck verify` as a user runs it: what is declared against what runs, on a host of its own."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from support.namespaces import Host
from support.portcheck_command import PORTCHECK
from support.rigs.docker_engine import DockerEngine
from support.rigs.systemd_host import SystemdHost
from support.terminal import Terminal

NOBODY = 65534


@pytest.fixture
def host() -> Iterator[Host]:
    with Host(link_local=False) as made:
        yield made


def verify(host: Host, folder: Path, *args: str, **options: Any) -> subprocess.CompletedProcess[str]:
    argv = ["env", "-C", str(folder), str(PORTCHECK), "verify", "--no-docker", *args]
    return host.run(argv, check=False, **options)


def declare(folder: Path, text: str, name: str = "portcheck.toml") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_as_declared_and_then_not(host: Host, tmp_path: Path) -> None:
    held = host.hold("127.0.0.1", 8000)
    declare(tmp_path, '[ports]\nweb = { port = 8000, host = "127.0.0.1", process = "python3", user = "root" }\n')
    done = verify(host, tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == (
        f"portcheck.toml:2  web  127.0.0.1:8000  as declared  python3 (PID {held.pid}, root)\n"
        "\n1 declared port: 1 as declared.\n"
    )
    other = host.hold("0.0.0.0", 9000)
    done = verify(host, tmp_path, "--only")
    assert done.returncode == 1
    assert f"undeclared: 0.0.0.0:9000  python3 (PID {other.pid}, root)\n" in done.stdout
    assert verify(host, tmp_path).returncode == 0
    declare(tmp_path, '[ports]\nweb = { port = 8000, process = "nginx" }\napi = 8001\n')
    done = verify(host, tmp_path)
    assert done.returncode == 1
    assert f"portcheck.toml:2 web: python3 (PID {held.pid}, root" in done.stdout
    assert "listens on 127.0.0.1; declared is nginx.\n" in done.stdout
    assert "portcheck.toml:3 api: Nobody listens on port 8001.\n" in done.stdout
    assert verify(host, tmp_path, "--quiet").stdout == ""
    assert verify(host, tmp_path, "--quiet").returncode == 1


def test_without_root_an_owner_that_is_hidden_is_unknown(host: Host, for_everyone: list[str]) -> None:
    host.hold("127.0.0.1", 8000)
    with TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        file = declare(Path(folder), '[ports]\nweb = { port = 8000, process = "python3" }\n')
        argv = ["env", "-C", "/", *for_everyone, "verify", str(file)]
        done = host.run(argv, uid=NOBODY, check=False)
        assert done.returncode == 3, done.stderr
        assert (
            "whether that is python3 is not known: the process that holds it cannot be seen from here." in done.stdout
        )
        file.write_text('[ports]\nweb = { port = 8000, user = "root" }\n')  # who made the socket, everybody sees
        assert host.run(argv, uid=NOBODY, check=False).returncode == 0
        file.write_text("[ports]\nweb = 8001\n")  # and that nobody listens
        assert host.run(argv, uid=NOBODY, check=False).returncode == 1


def test_nothing_is_declared(host: Host, tmp_path: Path) -> None:
    done = verify(host, tmp_path)
    assert done.returncode == 2
    assert "nothing to check: no file in " in done.stderr
    declare(tmp_path, "allow = [22]")
    assert verify(host, tmp_path, "--only").returncode == 0
    host.hold("0.0.0.0", 22)
    assert verify(host, tmp_path, "--only").returncode == 0
    host.hold("0.0.0.0", 23)
    assert verify(host, tmp_path, "--only").returncode == 1


def test_what_was_not_understood_counts_with_strict(host: Host, tmp_path: Path) -> None:
    host.hold("0.0.0.0", 8000)
    declare(tmp_path, "ports.web = 8000")
    declare(tmp_path, "web: serve --port $UNKNOWN_PORT\n", "Procfile")
    assert verify(host, tmp_path).returncode == 0
    assert verify(host, tmp_path, "--strict").returncode == 3


def test_every_format(host: Host, tmp_path: Path) -> None:
    host.hold("0.0.0.0", 8000)
    host.hold("0.0.0.0", 9000)
    declare(tmp_path, "ports.web = 8000\nports.api = 8001")
    document = json.loads(verify(host, tmp_path, "--json").stdout)
    assert [(each["name"], each["ok"]) for each in document["declared"]] == [("web", True), ("api", False)]
    assert [each["local_port"] for each in document["undeclared"]] == [9000]
    assert "::error file=portcheck.toml,line=2,title=portcheck%3A 8001 not listening::" in (
        verify(host, tmp_path, "--format", "github").stdout
    )
    assert "<failure " in verify(host, tmp_path, "--format", "junit").stdout
    broken = declare(tmp_path, "ports.web = ", "b.portcheck.toml")
    done = verify(host, tmp_path, "--format", "github", str(broken))
    assert (done.returncode, done.stdout[:8]) == (3, "::error ")


def test_at_a_terminal(host: Host, tmp_path: Path) -> None:
    host.hold("0.0.0.0", 8000)
    file = declare(tmp_path, "ports.web = 8000\nports.api = 8001")
    with Terminal(host, [str(PORTCHECK), "verify", "--color=always", str(file)]) as terminal:
        shown = terminal.shows("2 declared ports")
    assert "\x1b[1;32m✓ \x1b[0m\x1b[1mweb  8000  " in shown
    assert "\x1b[1;31m✗ \x1b[0m\x1b[1mapi  8001  \x1b[0mNobody listens on port 8001." in shown


def test_what_runs_now_is_declared_and_true_at_once(host: Host, tmp_path: Path) -> None:
    host.hold("127.0.0.1", 8000)
    host.hold("::", 8001)
    host.hold("0.0.0.0", 5353, "udp")
    host.hold("192.0.2.7", 9000, "name", r"a\"b\\[x]=\x1b\xff", uid=NOBODY)
    host.hold("0.0.0.0", 9001, "bound")
    printed = verify(host, tmp_path, "--write")
    assert (printed.returncode, printed.stderr) == (0, "")
    file = tmp_path / "portcheck.toml"
    assert (verify(host, tmp_path, "--write", str(file)).returncode, file.stat().st_mode & 0o111) == (0, 0)
    assert file.read_text().splitlines()[1:] == printed.stdout.splitlines()[1:]
    done = verify(host, tmp_path, "--only", str(file))
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert "4 declared ports: 4 as declared; nobody else can be reached." in done.stdout
    # nothing is overwritten unless that was asked for, and then whole
    done = verify(host, tmp_path, "--write", str(file))
    assert (done.returncode, "is there already" in done.stderr) == (2, True)
    host.hold("0.0.0.0", 9002)
    kept = declare(tmp_path, "mine", "kept")
    file.unlink()
    file.symlink_to(kept)
    assert verify(host, tmp_path, "--write", str(file)).returncode == 2
    assert verify(host, tmp_path, "--write", str(file), "--force").returncode == 0
    assert (kept.read_text(), file.is_symlink()) == ("mine", False)
    assert verify(host, tmp_path, "--only").returncode == 0


@pytest.mark.parametrize(
    "line", ["--write a.toml", "--write pyproject.toml", "--write portcheck.toml b.portcheck.toml", "--write --only",
             "--force", "--write --force", "--write /nowhere/portcheck.toml"],
)  # fmt: skip
def test_what_cannot_be_written_leaves_nothing(host: Host, tmp_path: Path, line: str) -> None:
    declare(tmp_path, "ports.web = 8000", "c.portcheck.toml")
    done = verify(host, tmp_path, *line.split())
    assert done.returncode == (3 if "/nowhere" in line else 2), done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["c.portcheck.toml"]


def test_looking_binds_nothing(host: Host, tmp_path: Path) -> None:
    declare(tmp_path, "ports.web = 8000")
    trace = tmp_path / "trace"
    argv = ["strace", "-f", "-o", str(trace), "-e", "trace=bind,listen,connect", str(PORTCHECK), "verify", "--only"]
    host.run(["env", "-C", str(tmp_path), *argv], check=False)
    calls = [line for line in trace.read_text().splitlines() if "AF_INET" in line]
    assert calls == []


# Beside a real engine, and a real service manager


def test_a_port_of_compose_is_its_containers(docker_engine: DockerEngine, tmp_path: Path) -> None:
    folder = tmp_path / "shop"
    folder.mkdir()
    declare(folder, 'services: {web: {image: x, ports: ["8000:80"]}}', "compose.yaml")

    def asked(*args: str) -> subprocess.CompletedProcess[str]:
        return docker_engine.portcheck("verify", "--no-docker", *(args or ("-C", str(folder))))

    assert asked().returncode == 1
    labels = ("--label=com.docker.compose.project=shop", "--label=com.docker.compose.service=web")
    docker_engine.start("web", "--publish=8000:80", *labels)
    done = asked()
    assert (done.returncode, "as declared" in done.stdout) == (0, True), done.stdout
    declare(folder, 'services: {api: {image: x, ports: ["8000:80"]}}', "compose.yaml")
    done = asked()
    assert done.returncode == 1
    assert "; declared is the container of shop's api." in done.stdout
    file = declare(tmp_path, 'ports.web = { port = 8000, container = "web" }')
    assert asked(str(file)).returncode == 0
    file.write_text('ports.web = { port = 8000, container = "other" }')
    assert asked(str(file)).returncode == 1


def test_a_service_is_what_systemd_says(systemd_host: SystemdHost) -> None:
    program = 'import socket, time; s = socket.create_server(("127.0.0.1", 8300)); time.sleep(600)'
    unit = f"[Service]\nExecStart=/usr/bin/python3 -c '{program}'\n"
    systemd_host.write("/etc/systemd/system/shop.service", unit)
    systemd_host.write("/root/portcheck.toml", 'ports.shop = { port = 8300, service = "shop", user = "root" }')
    systemd_host.write("/root/other.portcheck.toml", 'ports.shop = { port = 8300, service = "other" }')
    systemd_host.run(["systemctl", "daemon-reload"])
    systemd_host.run(["systemctl", "start", "shop"])
    systemd_host.portcheck("wait", "8300")
    assert systemd_host.portcheck("verify", "/root/portcheck.toml").returncode == 0
    done = systemd_host.portcheck("verify", "/root/other.portcheck.toml")
    assert (done.returncode, "declared is other." in done.stdout) == (1, True), done.stdout
    # and whoever cannot see the process knows the service that made the socket, as systemd confirms
    systemd_host.run(["systemctl", "stop", "shop"])
