"""Who holds a socket with somebody else is not for that his relative: a descriptor can be given to anybody.

Each attack is made for real by an ordinary user; root asks `portcheck stop PORT --yes`, and the innocent lives on.
"""

from __future__ import annotations

import pwd
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest
from support.documents import ending, told
from support.namespaces import Host
from support.needs import need
from support.patience import PATIENCE, wait_for
from support.processes import SYSTEM_PYTHON

PORT = "8000"
AT_ONCE = ("--yes", "--settle", "0")
ROOT, MALLORY, ANN = 0, 4001, 4002

# Listens, and gives its listener to whoever asks at a socket in the file system.
GIVES = """
import os, socket, sys
server = socket.create_server(("127.0.0.1", 8000))
door = socket.socket(socket.AF_UNIX)
door.bind(sys.argv[1])
os.chmod(sys.argv[1], 0o777)
door.listen()
print("ready", flush=True)
while True:
    guest = door.accept()[0]
    socket.send_fds(guest, [b"yours"], [server.fileno()])
"""
# An honest daemon that takes what it is given, as one that passes descriptors on does.
TAKES = """
import socket, sys, time
door = socket.socket(socket.AF_UNIX)
door.connect(sys.argv[1])
given = socket.recv_fds(door, 10, 1)
print("ready", flush=True)
time.sleep(1000)
"""
# A daemon of root's whose child becomes another user, listens, and hands its listener up to its parent.
HANDS_UP = """
import os, socket, time
above, below = socket.socketpair()
child = os.fork()
if child == 0:
    os.setgid(4001)
    os.setuid(4001)
    server = socket.create_server(("127.0.0.1", 8000))
    socket.send_fds(below, [b"yours"], [server.fileno()])
    time.sleep(1000)
given = socket.recv_fds(above, 10, 1)
print("ready", child, flush=True)
os.wait()
time.sleep(1000)
"""


@pytest.fixture
def door(tmp_path: Path) -> str:
    """A place that every user can reach."""
    for folder in (tmp_path, *tmp_path.parents):
        if folder != Path("/tmp") and folder.is_relative_to("/tmp"):
            folder.chmod(folder.stat().st_mode | 0o111)
    tmp_path.chmod(0o777)
    return str(tmp_path / "door")


def program(host: Host, text: str, *arguments: str, uid: int = ROOT) -> subprocess.Popen[bytes]:
    return host.start([SYSTEM_PYTHON, "-c", text, *arguments], ready=b"ready", uid=uid)


def lives(one: subprocess.Popen[bytes]) -> bool:
    return one.poll() is None


def stopped(host: Host, *options: str, code: int, port: str = PORT) -> dict[str, Any]:
    return told(host.portcheck("stop", port, *options, "--json"), code)


def is_free(host: Host, port: str = PORT) -> bool:
    return host.run(["ss", "-Hltn", f"sport = :{port}"]).stdout == ""


@pytest.mark.parametrize(("giver", "taker"), [(ROOT, MALLORY), (MALLORY, ROOT), (MALLORY, ANN)])
def test_a_descriptor_that_was_given_away_makes_nobody_a_target(host: Host, door: str, giver: int, taker: int) -> None:
    own = program(host, GIVES, door, uid=giver)
    other = program(host, TAKES, door, uid=taker)
    found = stopped(host, "--yes", code=1)
    assert (found["outcome"], found["plan"]) == ("refused", [])
    for one in (own, other):
        assert f"python3 (PID {one.pid})" in found["refusal"]
        assert ["portcheck", "stop", PORT, "--pid", str(one.pid)] in [advice["command"] for advice in found["advice"]]
    assert "have nothing to do with each other" in found["refusal"]
    assert lives(own)
    assert lives(other)

    named = stopped(host, "--pid", str(own.pid), *AT_ONCE, code=1)
    assert (named["outcome"], ending(named)) == ("held", {own.pid: "signalled"})
    said = f"python3 (PID {own.pid}) has ended, but port 8000 is not free: python3 (PID {other.pid}, "
    assert named["message"].startswith(said)
    assert own.wait(PATIENCE) == -signal.SIGTERM
    assert lives(other)


def test_a_child_of_another_user_makes_no_target_of_its_parent(host: Host) -> None:
    daemon = host.start([SYSTEM_PYTHON, "-c", HANDS_UP])
    assert daemon.stdout
    child = int(daemon.stdout.readline().split()[1])
    found = stopped(host, "--yes", code=1)
    assert {f"(PID {pid})" in found["refusal"] for pid in (daemon.pid, child)} == {True}
    named = stopped(host, "--pid", str(child), *AT_ONCE, code=1)
    assert named["plan"][0]["signalled"] == [child]
    assert lives(daemon)


# Calls itself by a name that reads like another line of /proc/PID/status.
IS_NOT_ROOT = TAKES.replace("import socket", "import ctypes, socket").replace(
    'print("ready"', 'ctypes.CDLL(None).prctl(15, b"\\rUid:\\t0", 0, 0, 0)\nprint("ready"'
)


def test_a_name_does_not_make_it_roots(host: Host, door: str) -> None:
    """It would be of one user with root's server, and one starter has started both."""
    program(host, GIVES, door)
    claims = program(host, IS_NOT_ROOT, door, uid=MALLORY)
    owners = {owner["pid"]: owner for owner in host.result(PORT)["owners"]}
    assert (owners[claims.pid]["name"], owners[claims.pid]["uid"]) == ("\rUid:\t0", MALLORY)
    assert stopped(host, "--yes", code=1)["outcome"] == "refused"


def test_all_of_them_where_root_says_so(host: Host, door: str) -> None:
    own = program(host, GIVES, door)
    other = program(host, TAKES, door, uid=MALLORY)
    found = stopped(host, "--all", *AT_ONCE, code=0)
    assert ending(found) == {own.pid: "signalled", other.pid: "signalled"}
    assert is_free(host)


# Who belongs together


NGINX = """
daemon off; user www-data; worker_processes 3; pid {0}/pid; error_log /dev/null;
events {{}}
http {{ access_log off; server {{ listen 127.0.0.1:8000; }} server {{ listen 127.0.0.1:8404; }} }}
"""


def test_the_workers_of_nginx_are_its_own(host: Host, tmp_path: Path) -> None:
    """Of another user, and of one family all the same; and what else it serves is said before."""
    need("nginx")
    (tmp_path / "nginx.conf").write_text(NGINX.format(tmp_path))
    main = host.start(["nginx", "-c", str(tmp_path / "nginx.conf"), "-p", str(tmp_path)])
    wait_for(lambda: len(host.result(PORT)["owners"]) == 4, "nginx and its workers")
    shown = host.portcheck("stop", PORT, "--dry-run").stdout.splitlines()
    assert shown[1] == f"  plan: SIGQUIT to nginx (PID {main.pid})"
    assert shown[2].startswith("  ends with it: nginx (PID ")
    assert shown[2].count(", www-data, also serves 8404)") == 3
    assert shown[3] == f"  nginx (PID {main.pid}) also serves 8404"
    found = stopped(host, *AT_ONCE, code=0)
    (step,) = found["plan"]
    assert [process["signal"] for process in step["processes"]] == ["SIGQUIT", None, None, None]
    assert {tuple(process["also_serves"]) for process in step["processes"]} == {(8404,)}
    assert sorted(ending(found).values()) == ["ends with it"] * 3 + ["signalled"]
    assert main.wait(PATIENCE) == 0


# What else ends

# What honcho does: it starts each program in a session of its own, and ends all of them when one has ended.
HONCHO = """\
import signal, subprocess, sys
programs = [subprocess.Popen([sys.executable, "-c", text], start_new_session=True) for text in sys.argv[1:]]
while all(program.poll() is None for program in programs):
    signal.sigtimedwait([], 0.02)
for program in programs:
    program.terminate()
"""
LISTENS = """
import socket, time
server = socket.create_server(("127.0.0.1", {}))
print("ready", flush=True)
time.sleep(1000)
"""


def test_the_other_programs_of_a_runner_are_named_before(host: Host, tmp_path: Path) -> None:
    (tmp_path / "honcho").write_text(HONCHO)
    runner = host.start([SYSTEM_PYTHON, str(tmp_path / "honcho"), LISTENS.format(8000), LISTENS.format(8404)])
    for port in (PORT, "8404"):
        assert host.portcheck("wait", port, "--timeout", str(PATIENCE)).returncode == 0
    web, other = (host.result(port)["owners"][0]["pid"] for port in (PORT, "8404"))
    line = host.portcheck("stop", PORT, "--dry-run").stdout.splitlines()[2]
    assert line.startswith(f"  ends with it: python3 (PID {other}, also serves 8404) and python3 ")
    assert line.endswith(f"honcho (PID {runner.pid})")
    found = stopped(host, *AT_ONCE, code=0)
    assert ending(found) == {web: "signalled", other: "ends with it", runner.pid: "ends with it"}
    assert runner.wait(PATIENCE) == 0
    wait_for(lambda: is_free(host, "8404"), "the runner has ended its other program")


def test_inetd_serves_other_ports_too(host: Host, tmp_path: Path) -> None:
    need("inetd")
    (tmp_path / "inetd.conf").write_text(
        "127.0.0.1:8000 stream tcp nowait root /bin/cat cat\n127.0.0.1:8404 stream tcp nowait root /bin/cat cat\n"
        "127.0.0.1:8405 dgram udp wait root /bin/cat cat\n"
    )
    inetd = host.start(["inetd", "-i", str(tmp_path / "inetd.conf")])
    assert host.portcheck("wait", PORT, "--timeout", str(PATIENCE)).returncode == 0
    shown = host.portcheck("stop", PORT, "--dry-run").stdout
    assert f"\n  inetd (PID {inetd.pid}) also serves 8404 and 8405/udp\n" in shown
    found = stopped(host, *AT_ONCE, code=0)
    assert found["plan"][0]["processes"][0]["also_serves"] == [8404, "8405/udp"]


HAS_A_CHILD_OF_ANOTHER_USER = """
import os, socket, time
server = socket.create_server(("127.0.0.1", 8000))
child = os.fork()
if child == 0:
    server.close()
    os.setgid(4002)
    os.setuid(4002)
    time.sleep(1000)
time.sleep(0.1)
print("ready", child, flush=True)
time.sleep(1000)
"""


def test_another_users_child_is_named_with_its_user(host: Host) -> None:
    daemon = host.start([SYSTEM_PYTHON, "-c", HAS_A_CHILD_OF_ANOTHER_USER])
    assert daemon.stdout
    child = int(daemon.stdout.readline().split()[1])
    shown = host.portcheck("stop", PORT, "--dry-run").stdout.splitlines()
    assert shown[2] == f"  may end with it: python3 (PID {child}, uid 4002)"
    assert ending(stopped(host, "--dry-run", code=0)) == {daemon.pid: "signalled", child: "may end with it"}


MANY_WORKERS = """
import os, socket, time
server = socket.create_server(("127.0.0.1", 8000))
for _ in range(300):
    if os.fork() == 0:
        time.sleep(1000)
print("ready", flush=True)
time.sleep(1000)
"""


def test_hundreds_of_workers_are_counted_in_words_and_listed_in_a_document(host: Host) -> None:
    program(host, MANY_WORKERS)
    plan = host.portcheck("stop", PORT, "--dry-run").stdout.splitlines()[2]
    assert plan.startswith("  ends with it: python3 (PID ")
    assert plan.endswith(" and 292 more")
    assert len(ending(stopped(host, *AT_ONCE, code=0))) == 301


# What a client delays


def postgres() -> Path | None:
    """Debian keeps the server itself out of $PATH."""
    return next(iter(sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)), None)


def test_postgres_ends_although_a_client_is_connected(host: Host, door: str) -> None:
    """SIGTERM would wait for the client, for hours."""
    programs, folder = postgres(), Path(door).parent
    if programs is None:
        pytest.skip("needs Debian's postgresql")
    uid = pwd.getpwnam("postgres").pw_uid
    data = f"--pgdata={folder}/data"
    host.run([str(programs / "initdb"), "--no-sync", "--auth=trust", data], uid=uid, cwd=folder)
    server = host.start([str(programs / "postgres"), "-D", f"{folder}/data", "-p", PORT, "-k", str(folder)], uid=uid)
    ready = [str(programs / "pg_isready"), "--port", PORT, "--host", str(folder)]
    wait_for(lambda: host.run(ready, check=False).returncode == 0, "postgres is ready")
    client = host.start(
        [str(programs / "psql"), "--host=127.0.0.1", f"--port={PORT}", "--username=postgres", "--no-psqlrc"]
    )
    assert client.stdin
    assert client.stdout
    client.stdin.write(b"\\echo ready\n")
    client.stdin.flush()
    wait_for(lambda: b"ready" in client.stdout.readline(), "a client")  # type: ignore[union-attr]
    assert f"  plan: SIGINT to postgres (PID {server.pid})\n" in host.portcheck("stop", PORT, "--dry-run").stdout
    found = stopped(host, *AT_ONCE, code=0)
    assert found["message"] == f"Port 8000 is free now: postgres (PID {server.pid}) has ended."
    assert server.wait(PATIENCE) == 0
