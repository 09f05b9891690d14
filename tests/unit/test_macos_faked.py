"""psutil's own macOS layer over a faked C extension, and portcheck on top of it (see faked_system): not macOS."""

from __future__ import annotations

from typing import Any

import pytest
from support import faked_system

# launchd and its socket are root's, the rest is ann's: node with a worker, AirPlay, a socket bound only.
MACHINE = r"""
os.getuid = os.geteuid = lambda: ME
PROCESSES = {
    1: ("launchd", 0, 0), 663: ("ControlCenter", 501, 1), 700: ("zsh", 501, 690), 812: ("node", 501, 700),
    813: ("node", 501, 812),
}
LINK_LOCAL = "fe80:%x::1" % socket.if_nametoindex("lo")
SOCKETS = {
    1: [(6, socket.AF_INET, "0.0.0.0", 2200, (), "LISTEN")],
    663: [(9, socket.AF_INET, "0.0.0.0", 5000, (), "LISTEN"), (10, socket.AF_INET6, "::", 5000, (), "LISTEN")],
    812: [
        (20, socket.AF_INET6, "::", 3000, (), "LISTEN"),
        (21, socket.AF_INET6, "::ffff:127.0.0.1", 3000, ("::ffff:127.0.0.1", 50000), "ESTABLISHED"),
        (22, socket.AF_INET, "127.0.0.1", 4444, (), "CLOSE"),
        (23, socket.AF_INET, "0.0.0.0", 0, (), "CLOSE"),
        (24, socket.AF_INET6, LINK_LOCAL, 8021, (), "LISTEN"),
    ],
    813: [(20, socket.AF_INET6, "::", 3000, (), "LISTEN")],
}

def allowed(pid):
    if pid not in PROCESSES:
        raise ProcessLookupError(3, "No such process")
    if ME not in (0, PROCESSES[pid][1]):
        raise PermissionError(13, "Permission denied")

def connections(pid, families, types):
    allowed(pid)
    return [
        (fd, family, socket.SOCK_STREAM, (address, port), remote, STATES[state])
        for fd, family, address, port, remote, state in SOCKETS.get(pid, [])
        if family in families and socket.SOCK_STREAM in types
    ]

def kinfo(pid):
    if pid not in PROCESSES:
        raise ProcessLookupError(3, "No such process")
    name, uid, parent = PROCESSES[pid]
    return (parent, uid, uid, uid, 20, 20, 20, 0, 1_790_000_000.0 + pid, c.SRUN, name)

def command(pid):
    allowed(pid)
    return ["/usr/bin/" + PROCESSES[pid][0]]

c.pids = lambda: list(PROCESSES)
c.proc_kinfo_oneshot = kinfo
c.proc_net_connections = connections
c.proc_cmdline = command
c.proc_exe = lambda pid: command(pid)[0]
c.proc_cwd = lambda pid: (allowed(pid), "/Users/ann/shop")[1]
c.proc_environ = lambda pid: (allowed(pid), "TERM_PROGRAM=vscode\0SECRET=1\0")[1]
c.proc_is_zombie = lambda pid: False
c.boot_time = lambda: 1_789_000_000.0
c.net_if_addrs = lambda: [
    ("lo0", socket.AF_INET, "127.0.0.1", "255.0.0.0", None, None),
    ("lo0", socket.AF_INET6, "::1", None, None, None),
]
"""
PORTCHECK = r"""
import portcheck
from portcheck import traits
from portcheck.observe import system
from portcheck.observe.macos import launchd as macos
from portcheck.observe.subprocesses import Answer
macos.ask = lambda argv, patience: Answer(True, "663\t0\tcom.apple.controlcenter\n", "")
"""


def on_macos(code: str, *, root: bool = False) -> Any:
    return faked_system.run("macos", PORTCHECK + code, machine=f"ME = {0 if root else 501}\n{MACHINE}")


def check(port: int, *, root: bool = False) -> dict[str, Any]:
    """By the tables alone: a bind would be answered by this machine's kernel."""
    return dict(on_macos(f"tell(portcheck.check({port}, probe=False).to_dict())", root=root))


def codes(found: dict[str, Any]) -> set[str]:
    return {spot["code"] for spot in found["blind_spots"]}


def test_everything_can_be_imported() -> None:
    assert faked_system.run("macos", faked_system.IMPORT_ALL) == {}


def test_the_whole_list_is_denied_and_each_process_asked_instead() -> None:
    denied, platform, users = on_macos(
        "try:\n"
        "    psutil.net_connections('tcp')\n"
        "except psutil.AccessDenied as error:\n"
        "    tell([error.pid, traits.PLATFORM, sorted(s.user or '?' for s in portcheck.listeners(protocol='tcp'))])\n"
    )
    assert (denied, platform, len(users)) == (1, "macos", 5)


def test_what_stays_hidden_is_named_and_nothing_is_called_free() -> None:
    found = check(2200)
    assert (found["verdict"], found["complete"], found["sockets"]) == ("unknown", False, [])
    assert "processes-hidden" in codes(found)
    (spot,) = [spot for spot in found["blind_spots"] if spot["code"] == "processes-hidden"]
    assert "1 other users' processes" in spot["message"]


def test_root_sees_everything() -> None:
    found = check(2200, root=True)
    assert (found["verdict"], found["cause"], found["owners"][0]["name"]) == ("in-use", "listener", "launchd")
    assert "processes-hidden" not in codes(found)


def test_airplay_is_named_with_where_to_turn_it_off() -> None:
    found = check(5000)
    (owner,) = found["owners"]
    assert (owner["pid"], owner["name"], owner["service"]) == (663, "ControlCenter", "AirPlay Receiver")
    assert any("System Settings" in advice["text"] for advice in found["advice"])


def test_a_socket_that_two_processes_hold_is_one() -> None:
    found = check(3000)
    (listener,) = [one for one in found["sockets"] if one["state"] == "LISTEN"]
    assert (listener["pids"], listener["uid"], listener["v6only"]) == ([812, 813], 501, None)
    assert found["owners"][0]["started_at"] == "2026-09-21T14:26:52Z"
    assert found["connections"] == {"ESTABLISHED": 1}


def test_a_bound_socket_is_no_listener_and_a_socket_without_a_port_is_nothing() -> None:
    found = check(4444)
    assert (found["cause"], [one["state"] for one in found["sockets"]]) == ("bound", ["BOUND"])


def test_a_link_local_address_shows_its_scope_inside() -> None:
    (only,) = check(8021)["sockets"]
    assert (only["local_address"], only["interface"]) == ("fe80::1", "lo")


@pytest.mark.parametrize(("root", "privileged"), [(False, False), (True, True)])
def test_the_privileged_ports(root: bool, privileged: bool) -> None:
    assert on_macos("tell(system.BACK_END.policy())", root=root)[:3] == [1024, privileged, True]


def test_only_what_decides_is_taken_from_an_environment() -> None:
    code = (
        "from portcheck.observe.portable.processes import environment\ntell([environment(pid) for pid in (812, 1, 99)])"
    )
    assert on_macos(code) == [{"TERM_PROGRAM": "vscode"}, {}, {}]


def test_a_process_that_may_not_be_read_is_still_named() -> None:
    code = (
        "found = system.process_now(1)\ntell([found.name, found.uid, found.command, found.cwd, system.process_now(99)])"
    )
    assert on_macos(code) == ["launchd", 0, None, None, None]


def test_run_without_linux_ways_of_waiting_for_signals() -> None:
    code = (
        "from portcheck.__main__ import run\n"
        "from portcheck.observe.probe import kernels_choice\n"
        "program = 'import os; raise SystemExit(7 if os.environ[\"PORT\"].isdigit() else 1)'\n"
        "tell(run(['run', str(kernels_choice('tcp')), '--', sys.executable, '-c', program]))"
    )
    assert on_macos(code) == 7
