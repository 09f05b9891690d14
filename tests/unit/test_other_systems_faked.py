"""psutil's own BSD layer over a faked C extension, and portcheck on top of it (see faked_system): not FreeBSD."""

from __future__ import annotations

from typing import Any

from support import faked_system

# nginx with a worker, and a socket of a process that may not be seen.
MACHINE = r"""
PROCESSES = {1: ("init", 0, 0), 900: ("nginx", 0, 1), 901: ("nginx", 80, 900)}
ROWS = [(900, "*", 8080, "LISTEN"), (901, "*", 8080, "LISTEN"), (-1, "127.0.0.1", 8081, "LISTEN")]

def here(pid):
    if pid not in PROCESSES:
        raise ProcessLookupError(3, "No such process")
    return PROCESSES[pid]

def oneshot(pid):
    name, uid, parent = here(pid)
    told = dict.fromkeys(psutil._psplatform.kinfo_proc_map, 0)
    told |= dict(name=name, real_uid=uid, ppid=parent, create_time=1_790_000_000.0, status=c.SSLEEP, ttynr=-1)
    return tuple(told.values())

c.pids = lambda: list(PROCESSES)
c.proc_oneshot_kinfo = c.proc_oneshot_info = oneshot
c.proc_cmdline = lambda pid: [here(pid)[0]]
c.proc_exe = lambda pid: "/usr/local/sbin/" + here(pid)[0]
c.proc_cwd = lambda pid: "/"
c.boot_time = lambda: 1_789_000_000.0
c.net_connections = lambda families, types: [
    (3, socket.AF_INET, socket.SOCK_STREAM, (address.replace("*", "0.0.0.0"), port), (), STATES[state], pid)
    for pid, address, port, state in ROWS
    if socket.SOCK_STREAM in types
]
c.net_if_addrs = lambda: [("lo0", socket.AF_INET, "127.0.0.1", "255.0.0.0", None, None)]
"""


def on_freebsd(code: str) -> Any:
    return faked_system.run("freebsd", f"import portcheck\n{code}", machine=MACHINE)


def check(port: int) -> dict[str, Any]:
    return dict(on_freebsd(f"tell(portcheck.check({port}, probe=False).to_dict())"))


def test_everything_can_be_imported() -> None:
    assert faked_system.run("freebsd", faked_system.IMPORT_ALL) == {}


def test_psutil_alone_tells_of_a_listener_and_its_processes() -> None:
    found = check(8080)
    assert (found["verdict"], found["cause"]) == ("in-use", "listener")
    assert [one["pids"] for one in found["sockets"]] == [[900, 901]]
    assert found["owners"][0]["name"] == "nginx"
    assert [note["code"] for note in found["notes"]] == ["psutil-alone"]


WATCHED = """
from portcheck.listing import Filter
from portcheck.watching.look import Watcher
with Watcher(Filter(("tcp",))) as watcher:
    told = [watcher()]
    for rows in (ROWS[1:], [(1, *row[1:]) for row in ROWS[1:]], []):
        ROWS[:] = rows
        told.append([(one.kind, one.socket.local_port, [owner.pid for owner in one.owners]) for one in watcher()])
tell([told, list(watcher.unseen)])
"""


def test_what_a_watch_sees_by_psutil() -> None:
    (nothing, left, taken_over, gone), unseen = on_freebsd(WATCHED)
    assert nothing == []
    assert left == [["changed", 8080, [901]]]
    assert taken_over[0] == ["closed", 8080, [901]]
    assert sorted(taken_over[1:]) == [["changed", 8081, [1]], ["opened", 8080, [1]]]
    assert sorted(gone) == [["closed", 8080, [1]], ["closed", 8081, [1]]]
    assert "brief-not-seen" in unseen


def test_a_holder_that_may_not_be_seen() -> None:
    found = check(8081)
    assert [one["pids"] for one in found["sockets"]] == [None]
    assert (found["complete"], [owner["pid"] for owner in found["owners"]]) == (False, [None])


def test_what_the_table_does_not_show_is_not_called_free() -> None:
    found = check(8082)
    assert (found["verdict"], found["complete"]) == ("unknown", False)
    assert "bound-not-visible" in {spot["code"] for spot in found["blind_spots"]}
