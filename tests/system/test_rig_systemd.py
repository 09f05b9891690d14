"""The systemd rig is what it says: a booted host whose units, sockets, sessions and users are real."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from support.patience import wait_for
from support.rigs.debian_root import cached_root
from support.rigs.sandbox import RigUnavailableError, skip_if_unavailable
from support.rigs.systemd_host import SystemdHost, boot

ECHO = """\
import socket, sys
listener = socket.socket(fileno=3) if sys.argv[1:] == ["inherit"] else socket.create_server(("", 7000))
while True:
    listener.accept()[0].close()
"""
SERVICE = "[Service]\nExecStart=/usr/bin/python3 /srv/echo.py {}\nRestart=always\nRestartSec=100ms\n"


def cgroup(host: SystemdHost, pid: str) -> str:
    """The version 2 line of /proc/PID/cgroup, as seen inside."""
    lines = host.run(["cat", f"/proc/{pid}/cgroup"]).stdout.splitlines()
    return next(line for line in lines if line.startswith("0::"))


def main_pid(host: SystemdHost, unit: str) -> str:
    return host.run(["systemctl", "show", "--property=MainPID", "--value", unit]).stdout.strip()


def listeners(host: SystemdHost) -> str:
    return host.run(["ss", "--listening", "--tcp", "--numeric", "--processes", "--no-header"]).stdout


def test_it_boots_without_a_failed_unit_and_without_listeners(systemd_host: SystemdHost) -> None:
    assert systemd_host.run(["systemctl", "is-system-running"]).stdout == "running\n"
    assert systemd_host.run(["cat", "/proc/1/comm"]).stdout == "systemd\n"
    assert listeners(systemd_host) == ""


@pytest.mark.parametrize("server", ["apache2", "nginx"])
def test_debians_servers_run_as_services(systemd_host: SystemdHost, server: str) -> None:
    systemd_host.run(["systemctl", "start", server])
    assert ":80 " in listeners(systemd_host)
    assert f'("{server}",' in listeners(systemd_host)
    assert cgroup(systemd_host, main_pid(systemd_host, server)) == f"0::/system.slice/{server}.service"
    systemd_host.run(["systemctl", "stop", server])
    assert listeners(systemd_host) == ""


def test_a_restart_policy_brings_a_killed_server_back(systemd_host: SystemdHost) -> None:
    systemd_host.write("/srv/echo.py", ECHO)
    systemd_host.write("/etc/systemd/system/echo.service", SERVICE.format("bind"))
    systemd_host.run(["systemctl", "daemon-reload"])
    systemd_host.run(["systemctl", "start", "echo"])
    first = main_pid(systemd_host, "echo")
    systemd_host.run(["kill", "-KILL", first])
    wait_for(lambda: main_pid(systemd_host, "echo") not in {first, "0"}, "the unit restarts")
    wait_for(lambda: ":7000 " in listeners(systemd_host), "the server listens again")


def test_a_socket_unit_listens_before_its_service_runs(systemd_host: SystemdHost) -> None:
    systemd_host.write("/srv/echo.py", ECHO)
    systemd_host.write("/etc/systemd/system/echo.service", SERVICE.format("inherit"))
    systemd_host.write("/etc/systemd/system/echo.socket", "[Socket]\nListenStream=7000\n")
    systemd_host.run(["systemctl", "daemon-reload"])
    systemd_host.run(["systemctl", "start", "echo.socket"])
    assert 'users:(("systemd",pid=1,' in listeners(systemd_host)
    systemd_host.run(["python3", "-c", "import socket; socket.create_connection(('127.0.0.1', 7000)).recv(1)"])
    assert f'("python3",pid={main_pid(systemd_host, "echo")},fd=3)' in listeners(systemd_host)


def test_commands_run_in_login_sessions(systemd_host: SystemdHost) -> None:
    root, dev = (systemd_host.run(["cat", "/proc/self/cgroup"], user).stdout for user in ("root", "dev"))
    assert "0::/user.slice/user-0.slice/session-" in root
    assert "0::/user.slice/user-1000.slice/session-" in dev
    assert systemd_host.run(["id", "--user"], "dev").stdout == "1000\n"
    assert systemd_host.run(["sh", "-c", "cd; pwd; test -w ."], "dev").stdout == "/home/dev\n"


def test_an_ordinary_user_has_user_services(systemd_host: SystemdHost) -> None:
    systemd_host.write("/srv/echo.py", ECHO)
    systemd_host.run(["systemd-run", "--user", "--unit=mine", "python3", "/srv/echo.py"], "dev")
    wait_for(lambda: ":7000 " in listeners(systemd_host), "the user service listens")
    show = ["systemctl", "--user", "show", "--property=MainPID", "--value", "mine"]
    pid = systemd_host.run(show, "dev").stdout.strip()
    expected = "0::/user.slice/user-1000.slice/user@1000.service/app.slice/mine.service"
    assert cgroup(systemd_host, pid) == expected


def test_a_background_command_dies_with_its_handle(systemd_host: SystemdHost) -> None:
    systemd_host.write("/srv/echo.py", ECHO)
    server = systemd_host.start(["python3", "/srv/echo.py"], "dev")
    wait_for(lambda: ":7000 " in listeners(systemd_host), "the server listens")
    server.kill()
    server.wait()
    wait_for(lambda: listeners(systemd_host) == "", "the server is gone")


@pytest.mark.parametrize("user", ["root", "dev"])
def test_the_checkouts_portcheck_runs_inside(systemd_host: SystemdHost, user: str) -> None:
    libraries = "import psutil, rich, typer, portcheck; print(portcheck.__file__)"
    found = systemd_host.run(["python3", "-c", libraries], user).stdout
    assert found == "/opt/portcheck/source/portcheck/__init__.py\n"
    help_text = systemd_host.portcheck("--help", user=user)
    assert (help_text.returncode, help_text.stderr) == (0, "")


def test_what_happens_inside_leaves_the_cached_root_alone(systemd_root: Path) -> None:
    with skip_if_unavailable("systemd host"), boot(systemd_root) as host:
        host.write("/etc/left-behind", "x")
        host.run(["rm", "/etc/passwd"])
    assert not (systemd_root / "etc/left-behind").exists()
    assert (systemd_root / "etc/passwd").exists()


@pytest.mark.usefixtures("systemd_host")
def test_a_failed_build_leaves_no_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORTCHECK_TEST_CACHE", str(tmp_path))
    monkeypatch.setattr("support.rigs.debian_root.SUITE", "no-such-suite")
    with pytest.raises(RigUnavailableError, match=r"debootstrap failed: .*no-such-suite"):
        cached_root()
    assert [entry.name for entry in tmp_path.iterdir()] == ["lock"]


def test_a_failing_command_raises_unless_told_otherwise(systemd_host: SystemdHost) -> None:
    assert systemd_host.run(["false"], check=False).returncode == 1
    with pytest.raises(subprocess.CalledProcessError):
        systemd_host.run(["false"])
