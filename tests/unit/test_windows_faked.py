"""psutil's own Windows layer over a faked C extension, and portcheck on top of it (see faked_system): not Windows.

What Windows CPython does under Wine is in tests/wine.
"""

from __future__ import annotations

from typing import Any

from support import faked_system

# A svchost with W3SVC behind the kernel's http.sys, Service.exe, a holder that has ended, PID 0 for nobody.
MACHINE = r"""
PROCESSES = {
    0: ("System Idle Process", 0), 4: ("System", 0), 700: ("services.exe", 600), 1200: ("svchost.exe", 700),
    3408: ("svchost.exe", 700), 5444: ("Service.exe", 3000), 6000: ("node.exe", 4242), 9000: ("python.exe", 3000),
}
ROWS = [
    ("0.0.0.0", 80, (), "LISTEN", 4), ("0.0.0.0", 47500, (), "LISTEN", 5444), ("127.0.0.1", 9229, (), "LISTEN", 4242),
    ("0.0.0.0", 135, (), "LISTEN", 1200), ("192.0.2.7", 47500, ("192.0.2.9", 50000), "TIME_WAIT", 0),
    ("0.0.0.0", 6666, (), "LISTEN", 0), ("192.0.2.7", 6667, ("192.0.2.9", 50000), "FIN_WAIT2", 0),
]

def here(pid):
    if pid not in PROCESSES:
        error = ProcessLookupError(3, "No such process")
        error.winerror = 87
        raise error
    return PROCESSES[pid]

c.pids = lambda: list(PROCESSES)
c.pid_exists = lambda pid: pid in PROCESSES
c.net_connections = lambda pid, families, types: [
    (-1, socket.AF_INET, socket.SOCK_STREAM, (address, port), remote, STATES[state], holder)
    for address, port, remote, state, holder in ROWS
    if socket.AF_INET in families and socket.SOCK_STREAM in types
]
c.proc_exe = lambda pid: "C:/Program Files/" + here(pid)[0]  # the path functions are this machine's
c.proc_cmdline = lambda pid, **_: [c.proc_exe(pid), "--serve"]
c.proc_cwd = lambda pid: "C:\\shop\\"
c.proc_environ = lambda pid: "npm_lifecycle_event=dev\0TERM_PROGRAM=vscode\0"
c.proc_times = lambda pid: (here(pid), 1.0, 1.0, 1_790_000_000.0)[1:]
c.ppid_map = lambda: {pid: parent for pid, (_, parent) in PROCESSES.items()}
c.proc_username = lambda pid: ("SHOP", "ann")
c.proc_is_suspended = lambda pid: False
c.boot_time = lambda: 1_789_000_000.0
c.net_if_addrs = lambda: [
    ("Ethernet", socket.AF_INET, "192.0.2.7", "255.255.255.0", None, None),
    ("Ethernet", socket.AF_INET6, "fe80::1", None, None, None),
]
SERVICES = {"RpcSs": 1200, "RpcEptMapper": 1200, "W3SVC": 3408, "WAS": 3408, "Broken": None, "Stopped": 0}

def status(name):
    if SERVICES[name] is None:
        raise PermissionError(13, "Access is denied")
    return "running", SERVICES[name]

c.winservice_enumerate = lambda: [(name, "The " + name) for name in SERVICES]
c.winservice_query_status = status
"""
PORTCHECK = r"""
import portcheck
from portcheck.observe import system
from portcheck.observe.windows import netsh, services as windows
from portcheck.observe.subprocesses import Answer
QUEUES = "\n----\nQueue: DefaultAppPool\n    State: Active\n    Controller: 3408\n    Processes:\n\n    HTTP://*:80/\n"
netsh.ask = lambda argv, patience: Answer("http" in argv, QUEUES, "")
"""


def on_windows(code: str) -> Any:
    return faked_system.run("windows", PORTCHECK + code, machine=MACHINE)


def check(port: int) -> dict[str, Any]:
    """By the tables alone: a bind would be answered by this machine's kernel."""
    return dict(on_windows(f"tell(portcheck.check({port}, probe=False).to_dict())"))


def test_everything_but_unix_own_back_ends_can_be_imported() -> None:
    failed = faked_system.run("windows", faked_system.IMPORT_ALL)
    assert failed.keys() <= {"portcheck.run.child_posix", "portcheck.run.signals"}, failed


def test_service_exe_by_its_own_name() -> None:
    found = check(47500)
    (owner,) = found["owners"]
    assert (owner["pid"], owner["name"], owner["user"], owner["uid"]) == (5444, "Service.exe", r"SHOP\ann", None)
    assert found["message"].startswith(r"Port 47500 is in use: Service.exe (PID 5444, SHOP\ann")
    assert found["connections"] == {"TIME-WAIT": 1}


def test_pid_0_is_nobody() -> None:
    found = check(6666)
    assert [one["pids"] for one in found["sockets"]] == [None]
    assert [owner["pid"] for owner in found["owners"]] == [None]
    assert (found["verdict"], found["complete"]) == ("in-use", False)
    assert "Idle" not in str(found)


def test_what_is_left_of_a_connection_has_no_process() -> None:
    code = (
        "from portcheck.model import PortRange\nfrom portcheck.observe.system import BACK_END\n"
        "found = BACK_END.sockets('tcp', [PortRange(6667, 6667)], depth='everything', may_bind=False)\n"
        "tell([socket.pids for socket in found.sockets])"
    )
    assert on_windows(code) == [[]]


def test_several_services_of_one_process_are_named_and_a_broken_one_is_left_out() -> None:
    (owner,) = check(135)["owners"]
    assert (owner["name"], owner["service"]) == ("svchost.exe", "RpcSs, RpcEptMapper")


def test_iis_behind_the_kernel() -> None:
    found = check(80)
    (owner,) = found["owners"]
    assert (owner["pid"], owner["name"], owner["service"], owner["role"]) == (4, "System", "W3SVC", "kernel")
    assert any("W3SVC" in (advice["command"] or []) for advice in found["advice"])


def test_a_holder_that_has_ended_leaves_its_socket_to_a_child() -> None:
    found = check(9229)
    (owner,) = found["owners"]
    assert (owner["pid"], owner["name"], owner["condition"]) == (4242, None, ["ended"])
    assert any("node.exe (PID 6000" in note["message"] for note in found["notes"])


def test_a_free_port_is_unknown_where_no_bind_may_tell_and_netsh_says_nothing() -> None:
    found = check(47501)
    assert found["verdict"] == "unknown"
    assert {spot["code"] for spot in found["blind_spots"]} >= {"bound-not-visible", "excluded-ranges-unknown"}


def test_a_dead_parents_pid_may_be_anothers() -> None:
    code = (
        "from portcheck.observe.context import Ancestry\n"
        "born = system.process_now(9000)\n"
        "times, c.proc_times = c.proc_times, lambda pid: (0, 0, 1_790_000_500.0 if pid == 700 else 1_790_000_000.0)\n"
        "tell([[a.name for a in Ancestry({}).of(born._replace(parent_pid=parent))] for parent in (700, 1200)])\n"
    )
    assert on_windows(code) == [[], ["svchost.exe"]]


def test_interfaces_go_by_the_names_that_people_use_and_link_local_ones_lack_their_scope() -> None:
    code = (
        "from portcheck.observe import interfaces\nfrom portcheck.observe.names import SystemNames\n"
        "tell([SystemNames().interfaces(), interfaces.local_addresses(), interfaces.is_local('fe80::1%12'),"
        " interfaces.is_local('127.0.0.2'), interfaces.is_local('192.0.2.8')])"
    )
    names, addresses, *local = on_windows(code)
    assert names == ["Ethernet"]
    assert addresses == [["192.0.2.7", "ipv4", "Ethernet", False]]
    assert local == [None, None, False]


def test_of_an_environment_only_the_package_script_counts() -> None:
    code = "tell(system.BACK_END.environment(5444))"
    assert on_windows(code) == {"npm_lifecycle_event": "dev"}
