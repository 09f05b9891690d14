"""`portcheck stop`, each situation made for real on a host of its own, through the installed command.

What is signalled was started by the test: a host's ports are its own, and portcheck signals only who holds one.
"""

from __future__ import annotations

import errno
import json
import os
import pty
import select
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from support.documents import steps, stop_results, told
from support.namespaces import Host
from support.needs import need
from support.patience import PATIENCE, wait_for
from support.person import advised
from support.portcheck_command import PORTCHECK
from support.processes import NOBODY, SYSTEM_PYTHON
from support.servers_to_stop import (
    CLIENT,
    IGNORES_SIGTERM,
    LEAVES_TIME_WAIT,
    LEAVES_WORKERS,
    LISTEN,
    NEVER_REAPS,
    ORPHANED_WORKERS,
    PLAIN,
    PREFORK,
    SERVES_ONE,
    STARTS_IT_AGAIN,
)

PORT = "8000"
AT_ONCE = ("--yes", "--settle", "0")
SETTLES_SOON = ("--yes", "--settle", "500ms")


def serve(host: Host, program: str, *arguments: str, **options: Any) -> subprocess.Popen[bytes]:
    return host.start([SYSTEM_PYTHON, "-c", program, *arguments], ready=b"ready", **options)


def stopped(host: Host, *args: str, code: int, **options: Any) -> dict[str, Any]:
    """The document for port 8000 (or the first of the arguments)."""
    done = host.portcheck("stop", *args, "--json", **options)
    return told(done, code)


def is_free(host: Host, port: str = PORT) -> bool:
    """As the kernel sees it: nobody listens there."""
    return host.run(["ss", "-Hltn", f"sport = :{port}"]).stdout == ""


def lives(program: subprocess.Popen[bytes]) -> bool:
    return program.poll() is None


# What ends


def test_a_plain_server(host: Host) -> None:
    held = serve(host, PLAIN)
    done = host.portcheck("stop", PORT, *AT_ONCE)
    first, plan, last = done.stdout.splitlines()
    assert (done.returncode, done.stderr) == (0, "")
    assert first.startswith("Port 8000 is in use: python3")
    assert plan == f"  plan: SIGTERM to python3 (PID {held.pid})"
    assert last == f"Port 8000 is free now: python3 (PID {held.pid}) has ended."
    assert held.wait(PATIENCE) == -signal.SIGTERM
    assert is_free(host)


def test_a_port_that_is_free_already(host: Host) -> None:
    done = host.portcheck("stop", PORT)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "Port 8000 is free on every IPv4 and IPv6 address: nothing to stop.\n"
    found = stopped(host, PORT, code=0)
    assert (found["outcome"], found["plan"], found["after"]) == ("already-free", [], None)


def test_a_document_tells_the_plan_and_what_was_there_before_and_after(host: Host) -> None:
    held = serve(host, PLAIN)
    found = stopped(host, PORT, *AT_ONCE, code=0)
    assert (found["target"], found["port"], found["protocol"], found["outcome"]) == (PORT, 8000, "tcp", "free")
    assert steps(found) == [{"command": None, "signalled": [held.pid]}]
    assert (found["before"]["verdict"], found["after"]["verdict"]) == ("in-use", "free")
    assert [owner["pid"] for owner in found["before"]["owners"]] == [held.pid]
    assert (found["refusal"], found["advice"]) == (None, [])


@pytest.mark.parametrize("reuse", [True, False])
def test_a_connected_client_is_left_alone(host: Host, reuse: bool) -> None:
    server = serve(host, SERVES_ONE, *["reuse"] * reuse)
    client = serve(host, CLIENT)
    found = stopped(host, PORT, *AT_ONCE, code=0 if reuse else 1)
    assert steps(found) == [{"command": None, "signalled": [server.pid]}]
    assert server.wait(PATIENCE) == -signal.SIGTERM
    assert lives(client)
    # The client has not closed its end: the kernel keeps the server's, and refuses a server without SO_REUSEADDR.
    assert found["outcome"] == ("free" if reuse else "closing")
    assert is_free(host)


def test_what_is_left_in_time_wait_is_told_in_seconds(host: Host) -> None:
    serve(host, LEAVES_TIME_WAIT, "reuse")
    done = host.portcheck("stop", PORT, *AT_ONCE)
    assert done.returncode == 0
    last = done.stdout.splitlines()[-1]
    assert "is free now" in last
    seconds = int(last.partition("has to wait another ")[2].partition(" s (TIME_WAIT)")[0])
    assert 0 < seconds <= 60


def test_time_wait_that_refuses_every_server_is_not_free(host: Host) -> None:
    serve(host, LEAVES_TIME_WAIT)
    found = stopped(host, PORT, *AT_ONCE, code=1)
    assert found["outcome"] == "time-wait"
    assert "has ended, but port 8000 is not free: " in found["message"]
    assert any(advice["text"].startswith("free by itself in ") for advice in found["advice"])
    again = stopped(host, PORT, *AT_ONCE, code=1)
    assert (again["outcome"], again["plan"], again["refusal"]) == ("time-wait", [], None)


def test_the_main_process_of_workers_that_are_replaced(host: Host) -> None:
    main = serve(host, PREFORK)
    found = stopped(host, PORT, "--yes", code=0)
    assert len(found["before"]["owners"]) == 3
    assert steps(found) == [{"command": None, "signalled": [main.pid]}]
    assert main.wait(PATIENCE) == 0
    assert is_free(host)


def test_a_worker_is_never_stopped_alone(host: Host) -> None:
    main = serve(host, PREFORK)
    workers = [owner["pid"] for owner in host.result(PORT)["owners"] if owner["role"] == "worker"]
    found = stopped(host, PORT, "--pid", str(workers[0]), *AT_ONCE, code=0)
    assert steps(found) == [{"command": None, "signalled": [main.pid]}]


def test_workers_that_outlive_their_main_process(host: Host) -> None:
    main = serve(host, LEAVES_WORKERS)
    found = stopped(host, PORT, *AT_ONCE, code=0)
    assert len(found["before"]["owners"]) == 2
    assert steps(found) == [{"command": None, "signalled": [main.pid]}]
    assert is_free(host)


def test_workers_whose_main_process_is_gone(host: Host) -> None:
    serve(host, ORPHANED_WORKERS)
    found = stopped(host, PORT, *AT_ONCE, code=0)
    (step,) = found["plan"]
    holders = [owner["pid"] for owner in found["before"]["owners"]]
    assert len(holders) == 3  # the second fork() doubled the first worker
    assert set(step["signalled"]) <= set(holders)
    assert is_free(host)


def test_a_child_that_its_parent_never_reaps(host: Host) -> None:
    parent = serve(host, NEVER_REAPS)
    found = stopped(host, PORT, *AT_ONCE, code=0)
    ((child,),) = [step["signalled"] for step in found["plan"]]
    assert child != parent.pid
    assert Path(f"/proc/{child}/stat").read_text().split()[2] == "Z"
    assert lives(parent)


def test_a_process_that_was_stopped(host: Host) -> None:
    held = serve(host, PLAIN)
    os.kill(held.pid, signal.SIGSTOP)
    found = stopped(host, PORT, *AT_ONCE, code=0)
    assert found["before"]["owners"][0]["condition"] == ["stopped"]
    assert held.wait(PATIENCE) == -signal.SIGTERM


def test_udp(host: Host) -> None:
    udp = host.hold("0.0.0.0", 8000, "udp")
    tcp = serve(host, PLAIN)
    found = stopped(host, "8000/udp", *AT_ONCE, code=0)
    assert (found["protocol"], found["plan"][0]["signalled"]) == ("udp", [udp.pid])
    assert found["message"] == f"UDP port 8000 is free now: python3 (PID {udp.pid}) has ended."
    assert lives(tcp)


def test_a_socket_that_is_bound_and_does_not_listen(host: Host) -> None:
    held = host.hold("127.0.0.1", 8000, "bound")
    found = stopped(host, PORT, *AT_ONCE, code=0)
    assert (found["before"]["cause"], found["plan"][0]["signalled"]) == ("bound", [held.pid])


def test_several_ports_each_with_its_answer(host: Host) -> None:
    first, second = host.hold("127.0.0.1", 8000), host.hold("::1", 8002)
    done = host.portcheck("stop", "8000-8002", *AT_ONCE, "--json")
    outcomes = [(found["port"], found["outcome"]) for found in stop_results(done.stdout)]
    assert (done.returncode, outcomes) == (0, [(8000, "free"), (8001, "already-free"), (8002, "free")])
    assert (first.wait(PATIENCE), second.wait(PATIENCE)) == (-signal.SIGTERM, -signal.SIGTERM)


def test_one_address_of_a_port(host: Host) -> None:
    first, second = host.hold("127.0.0.1", 8000), host.hold("192.0.2.7", 8000)
    found = stopped(host, "192.0.2.7:8000", *AT_ONCE, code=0)
    assert found["plan"][0]["signalled"] == [second.pid]
    assert lives(first)


# Runs the command line, and then tells on stderr how often the host was looked at in full.
COUNTS_LOOKS = """
import sys
from portcheck.__main__ import run
from portcheck.diagnosis import pipeline
looks = []
def counted(*args, look=pipeline.look, **options):
    looks.append(args)
    return look(*args, **options)
pipeline.look = counted
code = run(sys.argv[1:])
print(f"{len(looks)} looks", file=sys.stderr)
sys.exit(code)
"""


@pytest.mark.parametrize(
    ("program", "options", "code", "most"),
    [
        (PLAIN, (), 0, 3),  # before, when it has let go, at the end of settling
        (PLAIN, ("--settle", "0"), 0, 2),
        (LEAVES_WORKERS, (), 0, 4),  # and who has outlived the main process
        (IGNORES_SIGTERM, ("--timeout", "500ms"), 1, 2),  # before, and when time is up
        (IGNORES_SIGTERM, ("--timeout", "500ms", "--force"), 0, 4),
        (LEAVES_TIME_WAIT, (), 1, 3),
    ],
    ids=["plain", "without settling", "generations", "held", "killed", "time-wait"],
)  # fmt: skip
def test_the_host_is_looked_at_in_full_only_where_something_changed(
    host: Host, program: str, options: tuple[str, ...], code: int, most: int
) -> None:
    serve(host, program)
    done = host.run([sys.executable, "-c", COUNTS_LOOKS, "stop", PORT, *SETTLES_SOON, *options], check=False)
    assert done.returncode == code, done.stdout + done.stderr
    assert 2 <= int(done.stderr.split()[-2]) <= most


# What comes back, or stays


def test_a_supervisor_that_nobody_knows_as_one_is_named_and_its_advice_helps(host: Host) -> None:
    supervisor = serve(host, STARTS_IT_AGAIN, PLAIN)
    found = stopped(host, PORT, "--yes", code=1)
    assert found["outcome"] == "respawned"
    before, after = (found[when]["owners"][0]["pid"] for when in ("before", "after"))
    assert before != after
    assert (
        f"python3 (PID {before}) has ended, but python3 -c (PID {supervisor.pid}) started it again" in found["message"]
    )
    first, then = (advice["command"] for advice in found["advice"])
    assert first == ["kill", str(supervisor.pid)]
    host.run(first)
    assert supervisor.wait(PATIENCE) == -signal.SIGTERM
    assert then == ["portcheck", "stop", PORT]
    assert host.portcheck(*then[1:], *AT_ONCE).returncode == 0
    assert is_free(host)


def test_a_shell_that_starts_it_again_is_ended_with_it(host: Host) -> None:
    loop = host.start(["sh", "-c", 'while true; do "$@"; done', "sh", SYSTEM_PYTHON, "-c", PLAIN], ready=b"ready")
    done = host.portcheck("stop", PORT, "--yes")
    _, plan, last = done.stdout.splitlines()
    assert done.returncode == 0
    assert plan.startswith(f"  plan: SIGTERM to sh (PID {loop.pid}), which would start it again, then to python3 (PID ")
    assert last.startswith(f"Port 8000 is free now: sh (PID {loop.pid}) and python3 (PID ")
    assert loop.wait(PATIENCE) == -signal.SIGTERM
    assert is_free(host)


def test_node_that_watches_its_files(host: Host, tmp_path: Path) -> None:
    need("node")
    (tmp_path / "s.js").write_text(
        'require("http").createServer().listen(8000, "127.0.0.1", () => console.log("ready"))\n'
    )
    if host.run(["node", "-p", "process.versions.node.split('.')[0] >= 18"]).stdout != "true\n":
        pytest.skip("needs a node that knows --watch")
    watcher = host.start(["node", "--no-warnings", "--watch", str(tmp_path / "s.js")], ready=b"ready")
    found = stopped(host, PORT, "--yes", code=0)
    assert steps(found) == [{"command": None, "signalled": [watcher.pid]}]
    assert (found["before"]["owners"][0]["supervisor"], is_free(host)) == ("node --watch", True)


def test_a_process_that_ignores_sigterm_is_killed_by_force_alone(host: Host) -> None:
    held = serve(host, IGNORES_SIGTERM)
    found = stopped(host, PORT, "--yes", "--timeout", "300ms", code=1)
    assert found["outcome"] == "held"
    assert found["message"].startswith(f"Port 8000 is still held: python3 (PID {held.pid}, ")
    assert lives(held)
    (advice,) = found["advice"]
    assert advice["command"] == ["portcheck", "stop", PORT, "--force"]
    forced = stopped(host, *advice["command"][2:], *AT_ONCE, "--timeout", "300ms", code=0)
    assert forced["outcome"] == "free"
    assert held.wait(PATIENCE) == -signal.SIGKILL


def test_force_is_no_more_than_sigterm_where_that_suffices(host: Host) -> None:
    held = serve(host, PLAIN)
    assert stopped(host, PORT, *AT_ONCE, "--force", code=0)["outcome"] == "free"
    assert held.wait(PATIENCE) == -signal.SIGTERM


def test_a_plan_names_a_supervisor_as_the_advice_does(host: Host, tmp_path: Path) -> None:
    nodemon = tmp_path / "nodemon"
    nodemon.write_text(STARTS_IT_AGAIN)
    held = host.start([SYSTEM_PYTHON, str(nodemon), PLAIN], ready=b"ready")
    shown = host.portcheck("stop", PORT, "--dry-run").stdout
    assert f"plan: SIGTERM to python3 {nodemon} (PID {held.pid}), which" in shown


# What supervisors with commands of their own bring back


def test_supervisord_is_asked_to_stop_its_program(host: Host, tmp_path: Path) -> None:
    need("supervisord", "supervisorctl")
    (tmp_path / "server.py").write_text(PLAIN)
    (tmp_path / "supervisord.conf").write_text(
        f"[supervisord]\nnodaemon=true\nlogfile=/dev/null\nlogfile_maxbytes=0\npidfile={tmp_path}/pid\n"
        f"childlogdir={tmp_path}\n[unix_http_server]\nfile={tmp_path}/socket\n"
        "[rpcinterface:supervisor]\n"
        "supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface\n"
        f"[program:web]\ncommand={SYSTEM_PYTHON} {tmp_path}/server.py\n[group:shop]\nprograms=web\n"
    )
    supervisord = host.start(["supervisord", "-c", str(tmp_path / "supervisord.conf")])
    command = ["supervisorctl", f"--serverurl=unix://{tmp_path}/socket", "stop", "shop:web"]
    is_stopped_by(host, command, then=[*command[:-2], "start", "shop:web"])
    assert lives(supervisord)


def test_runit_is_asked_to_take_its_service_down(host: Host, tmp_path: Path) -> None:
    need("runsv", "sv")
    runsv = host.start(["runsv", str(service_directory(tmp_path))])
    is_stopped_by(host, ["sv", "down", str(tmp_path / "web")], then=["sv", "up", str(tmp_path / "web")])
    assert lives(runsv)


def test_s6_is_asked_to_take_its_service_down(host: Host, tmp_path: Path) -> None:
    need("s6-supervise", "s6-svc")
    supervise = host.start(["s6-supervise", str(service_directory(tmp_path))])
    is_stopped_by(host, ["s6-svc", "-d", str(tmp_path / "web")], then=["s6-svc", "-u", str(tmp_path / "web")])
    assert lives(supervise)


def test_daemontools_is_asked_to_take_its_service_down(host: Host, tmp_path: Path) -> None:
    need("supervise", "svc")
    supervise = host.start(["supervise", str(service_directory(tmp_path))])
    is_stopped_by(host, ["svc", "-d", str(tmp_path / "web")], then=["svc", "-u", str(tmp_path / "web")])
    assert lives(supervise)


def test_supervisord_that_holds_a_programs_socket_is_asked_to_stop_that_program(host: Host, tmp_path: Path) -> None:
    need("supervisord", "supervisorctl")
    file = tmp_path / "supervisord.conf"
    file.write_text(
        f"[supervisord]\nnodaemon=true\nlogfile=/dev/null\nlogfile_maxbytes=0\npidfile={tmp_path}/pid\n"
        f"childlogdir={tmp_path}\n[unix_http_server]\nfile={tmp_path}/socket\n"
        "[rpcinterface:supervisor]\n"
        "supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface\n"
        f"[supervisorctl]\nserverurl=unix://{tmp_path}/socket\n"
        f"[fcgi-program:web]\nsocket=tcp://127.0.0.1:{PORT}\ncommand=sleep 1000\n"
        "numprocs=2\nprocess_name=%(process_num)s\n"
    )
    supervisord = host.start(["supervisord", "-c", str(file)])
    is_stopped_by(host, ["supervisorctl", f"--configuration={file}", "stop", "web:*"])
    assert lives(supervisord)


def test_inetd_is_named_with_the_file_that_makes_it_listen(host: Host, tmp_path: Path) -> None:
    """The advice that spares its other services frees the port."""
    need("inetd")
    file = tmp_path / "inetd.conf"
    lines = f"127.0.0.1:{PORT} stream tcp nowait root /bin/cat cat", "127.0.0.1:9000 dgram udp wait root /bin/cat"
    file.write_text("".join(f"{line}\n" for line in lines))
    inetd = host.start(["inetd", "-i", str(file)])
    assert host.portcheck("wait", PORT, "--timeout", str(PATIENCE)).returncode == 0
    found = host.result(PORT)
    assert found["owners"][0]["role"] == "super-server"
    (_, reload) = found["advice"]
    assert str(file) in reload["text"]
    file.write_text(f"{lines[1]}\n")
    host.run(["sh", "-c", advised(host.portcheck(PORT).stdout)[-1]])
    assert host.portcheck("wait", PORT, "--free", "--timeout", str(PATIENCE)).returncode == 0
    assert lives(inetd)


def service_directory(parent: Path) -> Path:
    """As runit and s6 have them."""
    run = parent / "web" / "run"
    run.parent.mkdir()
    (parent / "server.py").write_text(PLAIN)
    run.write_text(f"#!/bin/sh\nexec {SYSTEM_PYTHON} {parent}/server.py\n")
    run.chmod(0o755)
    return run.parent


def is_stopped_by(host: Host, command: list[str], *, then: list[str] | None = None) -> None:
    """`stop` frees the port by this command; so do the words that are advised, and `then` starts it again."""
    assert host.portcheck("wait", PORT, "--timeout", str(PATIENCE)).returncode == 0
    assert [advice["command"] for advice in host.result(PORT)["advice"]] == [command]
    if then:
        (words,) = advised(host.portcheck(PORT).stdout)
        host.run(["sh", "-c", words])
        wait_for(lambda: is_free(host), "the port is free")
        host.run(then)
        assert host.portcheck("wait", PORT, "--timeout", str(PATIENCE)).returncode == 0
    found = stopped(host, PORT, "--yes", code=0)
    assert (found["outcome"], steps(found)) == ("free", [{"command": command, "signalled": []}])
    assert is_free(host)


# What is asked first


class Terminal:
    """A terminal of portcheck's own, and a person at it."""

    def __init__(self, host: Host, *args: str) -> None:
        self._screen, keyboard = pty.openpty()
        self.shown = b""
        self.process = subprocess.Popen(
            host.argv([str(PORTCHECK), *args, "--color=never"]),
            close_fds=True,
            preexec_fn=lambda: os.login_tty(keyboard),  # noqa: PLW1509 - no threads here
        )
        os.close(keyboard)

    def sees(self, text: bytes) -> None:
        while text not in self.shown:
            assert select.select([self._screen], [], [], PATIENCE)[0], self.shown
            self.shown += os.read(self._screen, 4096)

    def types(self, keys: bytes) -> int:
        """The exit code after these keys at the prompt."""
        self.sees(b"Stop it? [y/N] ")
        os.write(self._screen, keys)
        return self.ends()

    def ends(self) -> int:
        try:
            while select.select([self._screen], [], [], PATIENCE)[0]:
                self.shown += os.read(self._screen, 4096)
        except OSError as error:
            assert error.errno == errno.EIO  # nobody has this terminal open any more
        return self.process.wait(PATIENCE)


@contextmanager
def terminal(host: Host, *args: str) -> Iterator[Terminal]:
    made = Terminal(host, *args)
    try:
        yield made
    finally:
        made.process.kill()
        made.process.wait()
        os.close(made._screen)


@pytest.mark.parametrize("keys", [b"y\n", b"yes\n", b"Y\n"])
def test_a_person_who_agrees(host: Host, keys: bytes) -> None:
    held = serve(host, PLAIN)
    with terminal(host, "stop", PORT, "--settle", "0") as person:
        assert person.types(keys) == 0
    assert held.wait(PATIENCE) == -signal.SIGTERM
    assert b"plan: send it SIGTERM" in person.shown
    assert b"is free now" in person.shown


@pytest.mark.parametrize(("keys", "code"), [(b"n\n", 1), (b"\n", 1), (b"yesterday\n", 1), (b"\x04", 1), (b"\x03", 130)])
def test_a_person_who_does_not(host: Host, keys: bytes, code: int) -> None:
    """No, nothing, something else, Ctrl-D, Ctrl-C."""
    held = serve(host, PLAIN)
    with terminal(host, "stop", PORT) as person:
        assert person.types(keys) == code
    assert lives(held)
    assert b"Traceback" not in person.shown
    # at Ctrl-C the terminal itself throws away what is on its way to the screen
    assert person.shown.endswith(b"\n") or code == 130
    assert (b"Nothing was done" in person.shown) == (code == 1)


# Takes the port as soon as the server before it has let go.
WAITS_FOR_IT = (
    LISTEN
    + """
print("waits", flush=True)
while True:
    try:
        server = listen()
        break
    except OSError:
        time.sleep(0.01)
stay()
"""
)


@pytest.mark.parametrize(("second", "code"), [(b"y\n", 0), (b"n\n", 1)])
def test_who_takes_the_port_then_needs_a_yes_of_his_own(host: Host, second: bytes, code: int) -> None:
    first = serve(host, PLAIN)
    heir = host.start([SYSTEM_PYTHON, "-c", WAITS_FOR_IT], ready=b"waits")
    with terminal(host, "stop", PORT, "--settle", "300ms") as person:
        person.sees(b"Stop it? [y/N] ")
        os.write(person._screen, b"y\n")
        person.sees(f"plan: SIGTERM to python3 (PID {heir.pid})".encode())
        assert f"python3 (PID {first.pid}) has ended, but".encode() in person.shown
        assert lives(heir)
        os.write(person._screen, second)
        assert person.ends() == code
    assert first.wait(PATIENCE) == -signal.SIGTERM
    assert lives(heir) == (code == 1)


def test_yes_is_no_yes_to_who_takes_the_port_then(host: Host) -> None:
    serve(host, PLAIN)
    heir = host.start([SYSTEM_PYTHON, "-c", WAITS_FOR_IT], ready=b"waits")
    found = stopped(host, PORT, *SETTLES_SOON, code=1)
    assert found["outcome"] == "respawned"
    assert f": python3 (PID {heir.pid}, root" in found["message"]
    assert lives(heir)


def test_the_document_of_a_person_who_declines(host: Host) -> None:
    held = serve(host, PLAIN)
    with terminal(host, "stop", PORT, "--json") as person:
        assert person.types(b"n\n") == 1
    (found,) = stop_results(person.shown.decode().splitlines()[-1])
    assert (found["outcome"], found["after"], found["message"]) == ("declined", None, "Nothing was done.")
    assert lives(held)


def test_without_a_terminal_it_needs_yes(host: Host) -> None:
    held = serve(host, PLAIN)
    done = host.portcheck("stop", PORT)
    assert done.returncode == 1
    assert done.stdout.splitlines()[-1] == (
        "Port 8000 is not stopped: there is no terminal to ask, and --yes was not given."
    )
    found = stopped(host, PORT, code=1)
    assert (found["outcome"], len(found["plan"]), found["after"]) == ("refused", 1, None)
    assert lives(held)


def test_a_dry_run_plans_only(host: Host) -> None:
    held = serve(host, PLAIN)
    done = host.portcheck("stop", PORT, "--dry-run")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[1:] == [
        f"  plan: SIGTERM to python3 (PID {held.pid})",
        "Nothing was done (--dry-run).",
    ]
    assert stopped(host, PORT, "--dry-run", "--yes", code=0)["outcome"] == "planned"
    assert "SIGTERM, if need be SIGKILL, to" in host.portcheck("stop", PORT, "--dry-run", "--force").stdout
    assert lives(held)


def test_ctrl_c_while_it_waits(host: Host) -> None:
    held = serve(host, IGNORES_SIGTERM)
    with terminal(host, "stop", PORT, "--yes") as person:
        person.sees(b"stopping what holds port 8000 (")
        os.write(person._screen, b"\x03")
        assert person.ends() == 130
    assert lives(held)


def test_a_plan_does_not_get_into_a_document(host: Host) -> None:
    serve(host, PLAIN)
    done = host.portcheck("stop", PORT, "--json", *AT_ONCE)
    stop_results(done.stdout)
    assert "plan: SIGTERM to" in done.stderr


@pytest.mark.parametrize(
    "bad", [("8000", "--timeout", "soon"), ("8000", "--settle", "-1"), ("0",), ("8000", "--pid", "0"), ()]
)
def test_what_cannot_be_understood(host: Host, bad: Sequence[str]) -> None:
    held = serve(host, PLAIN)
    done = host.portcheck("stop", *bad, "--yes")
    assert (done.returncode, done.stdout) == (2, "")
    assert len(done.stderr.splitlines()) <= 2
    assert lives(held)


# Who is meant


def test_two_owners_that_have_nothing_to_do_with_each_other(host: Host) -> None:
    first, second = host.hold("127.0.0.1", 8000), host.hold("::1", 8000)
    found = stopped(host, PORT, "--yes", code=1)
    assert (found["outcome"], found["plan"], found["after"]) == ("refused", [], None)
    assert f"(PID {first.pid}) and python3 (PID {second.pid}) have nothing to do with each other" in found["refusal"]
    assert [advice["command"] for advice in found["advice"]] == [
        ["portcheck", "stop", PORT, "--pid", str(program.pid)] for program in (first, second)
    ]
    assert lives(first)
    assert lives(second)

    one = stopped(host, *found["advice"][0]["command"][2:], *AT_ONCE, code=1)
    assert (one["outcome"], one["plan"][0]["signalled"]) == ("held", [first.pid])
    said = f"python3 (PID {first.pid}) has ended, but port 8000 is not free: python3 (PID {second.pid}, "
    assert one["message"].startswith(said)
    assert lives(second)


def test_all_of_several_owners(host: Host) -> None:
    first, second = host.hold("127.0.0.1", 8000), host.hold("::1", 8000)
    found = stopped(host, PORT, "--all", *AT_ONCE, code=0)
    assert [step["signalled"] for step in found["plan"]] == [[first.pid], [second.pid]]
    assert found["message"].endswith(f"python3 (PID {first.pid}) has ended and python3 (PID {second.pid}) has ended.")


def test_sockets_of_one_program_are_one_owner(host: Host) -> None:
    """A main process that serves IPv4, and a child of it that serves IPv6."""
    program = PLAIN.replace("ready();", "os.fork() or (server.close(), sixth()); ready();")
    sixth = (
        'def sixth():\n    global server\n    server = socket.create_server(("::1", 8000), family=socket.AF_INET6)\n'
    )
    serve(host, sixth + program)
    found = stopped(host, PORT, *AT_ONCE, code=0)
    assert len(found["plan"]) == 2
    assert is_free(host)


def test_a_process_that_does_not_hold_the_port(host: Host) -> None:
    held, other = serve(host, PLAIN), host.hold("127.0.0.1", 8001)
    found = stopped(host, PORT, "--pid", str(other.pid), "--yes", code=1)
    assert found["refusal"] == f"PID {other.pid} does not hold port 8000"
    assert lives(held)
    assert lives(other)


def test_nobody_but_the_holder_is_signalled(host: Host, tmp_path: Path) -> None:
    need("strace")
    held = serve(host, PREFORK)
    holders = {owner["pid"] for owner in host.results(PORT)[0]["owners"]}
    trace = tmp_path / "trace"
    calls = "--trace=kill,tkill,tgkill,pidfd_open,pidfd_send_signal,rt_sigqueueinfo"
    traced = ["strace", "--follow-forks", "--quiet=all", f"--output={trace}", calls]
    done = host.run([*traced, str(PORTCHECK), "stop", PORT, *AT_ONCE], check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    calls_made = [line.split(None, 1)[1] for line in trace.read_text().splitlines() if "(" in line]
    opened, sent = calls_made[::2], calls_made[1::2]
    assert opened[0].startswith(f"pidfd_open({held.pid}, 0)")
    # a worker may outlive its main process for a moment; then it is signalled after it
    assert {call.partition(",")[0] for call in opened[1:]} <= {f"pidfd_open({pid}" for pid in holders - {held.pid}}
    assert all(call.startswith("pidfd_send_signal(") and "SIGTERM" in call for call in sent)


REUSED = """
import json, os, pty, select, signal, socket, subprocess, sys, time
SERVER = [sys.executable, "-c", sys.argv[2]]
def serve(wanted=0):
    if wanted:
        with open("/proc/sys/kernel/ns_last_pid", "w") as last:
            last.write(str(wanted - 1))
    server = subprocess.Popen(SERVER, stdout=subprocess.PIPE)
    server.stdout.readline()
    return server
first = serve()
screen, keyboard = pty.openpty()
asking = subprocess.Popen([sys.argv[1], "stop", "8000", "--json", "--settle", "0"], stdin=keyboard, stderr=keyboard,
                          stdout=subprocess.PIPE)
shown = b""
while b"[y/N]" not in shown:
    shown += os.read(screen, 4096)
first.kill()
first.wait()
second = serve(first.pid)
os.write(screen, b"y\\nn\\n")  # who holds it now needs a yes of his own
document = json.loads(asking.stdout.read())
print(json.dumps({"pids": [first.pid, second.pid], "alive": second.poll() is None, "code": asking.wait(), **document}))
second.kill()
"""


def test_a_pid_that_another_process_has_by_now(host: Host) -> None:
    """While a person thinks it over the server ends, and another one gets its PID, and even its port."""
    namespace = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]
    done = host.run([*namespace, SYSTEM_PYTHON, "-c", REUSED, str(PORTCHECK), PLAIN])
    told = json.loads(done.stdout)
    first, second = told["pids"]
    if first != second:
        pytest.skip("this kernel gave another PID (CONFIG_CHECKPOINT_RESTORE)")
    (found,) = told["results"]
    assert (told["alive"], told["code"], found["outcome"]) == (True, 1, "respawned")
    assert f"(PID {first} is no longer python3)" in found["message"]


# What is refused


def test_a_port_of_the_kernel(host: Host) -> None:
    host.ip("link add vx0 type vxlan id 5 dev lo dstport 4789")
    host.ip("link set vx0 up")
    found = stopped(host, "4789/udp", "--yes", code=1)
    assert (found["outcome"], found["refusal"]) == ("refused", "the kernel itself holds it, not a process")
    assert "VXLAN interface vx0" in found["advice"][0]["text"]


def test_a_client_that_took_the_port_for_a_connection(host: Host) -> None:
    host.hold("127.0.0.1", 7000)
    program = (
        "import socket,sys; s=socket.socket(); s.bind(('127.0.0.1',8000)); s.connect(('127.0.0.1',7000));"
        "print('ready',flush=True); sys.stdin.read()"
    )
    client = serve(host, program)
    found = stopped(host, PORT, "--yes", code=1)
    assert found["refusal"] == "no server holds it, only one end of a connection, and clients are left alone"
    assert found["advice"][0]["text"] == "free within a minute (TIME_WAIT) of that connection being closed"
    assert lives(client)


RUNS_PORTCHECK = """
server = listen()
os.set_inheritable(server.fileno(), True)
argv = [sys.argv[1], "stop", "8000", "--yes", "--json"]
if sys.argv[2] == "becomes":
    os.execv(argv[0], argv)
print(subprocess.run(argv, capture_output=True, text=True, close_fds=sys.argv[2] != "inherits").stdout)
"""


@pytest.mark.parametrize("how", ["starts", "inherits", "becomes"])
def test_portcheck_itself_and_what_it_runs_in(host: Host, how: str) -> None:
    program = PLAIN.partition("server = listen()")[0] + RUNS_PORTCHECK
    done = host.run([SYSTEM_PYTHON, "-c", program, str(PORTCHECK), how], check=False)
    (found,) = stop_results(done.stdout)
    assert found["outcome"] == "refused"
    assert found["refusal"].endswith(" is portcheck itself, or what it runs in")


def test_the_first_process_of_a_container(host: Host) -> None:
    namespace = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]
    keeper = host.start([*namespace, SYSTEM_PYTHON, "-c", PLAIN], ready=b"ready")
    init = Path(f"/proc/{keeper.pid}/task/{keeper.pid}/children").read_text().split()[0]
    inside = ["nsenter", f"--target={init}", "--pid", "--mount"]
    done = host.run([*inside, str(PORTCHECK), "stop", PORT, "--yes", "--json"], check=False)
    (found,) = stop_results(done.stdout)
    assert (done.returncode, found["before"]["owners"][0]["pid"]) == (1, 1)
    assert found["refusal"] == "python3 (PID 1) is the first process: this whole system or container ends with it"
    assert lives(keeper)


def test_another_users_process(host: Host, for_everyone: list[str]) -> None:
    held = serve(host, PLAIN)
    done = host.run([*for_everyone, "stop", PORT, "--yes", "--json"], uid=NOBODY, check=False)
    (found,) = stop_results(done.stdout)
    assert (done.returncode, found["outcome"]) == (1, "refused")
    assert found["refusal"] == "only root can see its process and stop it"
    assert [advice["command"] for advice in found["advice"]] == [["sudo", "portcheck", "stop", PORT]]
    assert lives(held)


def test_ones_own_process(host: Host, for_everyone: list[str]) -> None:
    held = serve(host, PLAIN, uid=NOBODY)
    done = host.run([*for_everyone, "stop", PORT, *AT_ONCE, "--json"], uid=NOBODY, check=False)
    (found,) = stop_results(done.stdout)
    assert (done.returncode, found["outcome"]) == (0, "free")
    assert held.wait(PATIENCE) == -signal.SIGTERM


def test_a_port_below_1024_is_free_when_nobody_holds_it(host: Host, for_everyone: list[str]) -> None:
    """To stop what holds it there is nothing; that this user may not bind it is said, but is no failure to stop."""
    done = host.run([*for_everyone, "stop", "80", "--yes"], uid=NOBODY, check=False)
    assert done.returncode == 0
    assert done.stdout.startswith("Port 80 cannot be bound: ports below 1024 need privilege (EACCES)")
    assert done.stdout.endswith(": nothing to stop.\n")


def test_an_address_that_is_not_here(host: Host) -> None:
    found = stopped(host, "192.0.2.99:8000", "--yes", code=1)
    assert (found["outcome"], found["refusal"]) == ("refused", "nobody can hold an address that is not there")


def named(directory: Path, name: str, *arguments: str) -> list[str]:
    """The plain server as another program, with a command line that looks as that program's does."""
    program = directory / name / name
    program.parent.mkdir()
    shutil.copyfile(SYSTEM_PYTHON, program)
    program.chmod(0o755)
    return [str(program), "-c", PLAIN, *arguments]


def test_a_proxy_whose_container_nobody_knows(host: Host, tmp_path: Path) -> None:
    """Without an engine that could tell for which container it stands there."""
    proxy = host.start(named(tmp_path, "docker-proxy", "-proto", "tcp", "-host-port", PORT), ready=b"ready")
    found = stopped(host, PORT, "--yes", code=1, env={"PATH": path_without(tmp_path / "bin", "docker")})
    assert found["refusal"] == "docker publishes it for a container: find out for which, and stop that"
    assert found["advice"][0]["command"] == ["docker", "ps"]
    assert lives(proxy)


# As podman 4.3.1 answers, which refuses the filter that docker has; `stop` ends the proxy with its container.
PODMAN = """\
#!/bin/sh
case "$*" in
*publish*) echo 'Error: publish is an invalid filter' >&2; exit 125 ;;
ps*) echo 5f4651f7b80f35d893d7b4298bbce53221ad52a4078de563b7207d904904b5c4 ;;
"container inspect"*) echo '[{"Id": "5f4651f7b80f35d893d7b4298bbce53221ad52a4078de563b7207d904904b5c4",
  "Name": "web", "ImageName": "docker.io/library/nginx:1.27", "Pod": "", "Config": {"Labels": null},
  "HostConfig": {"RestartPolicy": {"Name": ""}},
  "NetworkSettings": {"Ports": {"80/tcp": [{"HostIp": "", "HostPort": "8000"}]}}}]' ;;
"stop web") kill "$(cat %s)" ;;
*) exit 1 ;;
esac
"""


def test_a_port_that_podman_publishes(host: Host, tmp_path: Path) -> None:
    proxy = host.start(named(tmp_path, "rootlessport"), ready=b"ready")
    (tmp_path / "pid").write_text(str(proxy.pid))
    (tmp_path / "podman").write_text(PODMAN % (tmp_path / "pid"))
    (tmp_path / "podman").chmod(0o755)
    found = stopped(host, PORT, *AT_ONCE, code=0, env={"PATH": f"{tmp_path}:{os.environ['PATH']}"})
    assert steps(found) == [{"command": ["podman", "stop", "web"], "signalled": []}]
    assert found["message"] == "Port 8000 is free now: podman container web is stopped."


def path_without(directory: Path, *programs: str) -> str:
    """A $PATH with every program of this machine but these."""
    directory.mkdir()
    for folder in reversed(os.environ["PATH"].split(os.pathsep)):
        for program in Path(folder).iterdir() if Path(folder).is_dir() else ():
            link = directory / program.name
            if program.name not in programs:
                link.unlink(missing_ok=True)
                link.symlink_to(program)
    return str(directory)


# Tunnels, sessions, orphans


def test_socat(host: Host) -> None:
    need("socat")
    tunnel = host.start(["socat", "TCP-LISTEN:8000,fork,reuseaddr", "TCP:192.0.2.9:80"])
    assert host.portcheck("wait", PORT, "--timeout", str(PATIENCE)).returncode == 0
    found = stopped(host, PORT, *AT_ONCE, code=0)
    assert found["before"]["owners"][0]["forwards"] == "TCP:192.0.2.9:80"
    assert found["before"]["advice"][0]["text"].startswith("it is a tunnel to TCP:192.0.2.9:80: close it")
    assert tunnel.wait(PATIENCE) is not None


def test_a_forgotten_tunnel_of_ssh(host: Host, tmp_path: Path) -> None:
    tunnel = host.start(named(tmp_path, "ssh", "-NL", "8000:db:5432", "bastion"), ready=b"ready")
    done = host.portcheck("stop", PORT, *AT_ONCE)
    assert "ssh to db:5432 through bastion" in done.stdout.splitlines()[0]
    assert tunnel.wait(PATIENCE) == -signal.SIGTERM


def test_a_server_of_an_ide_is_left_to_it(host: Host, tmp_path: Path) -> None:
    editor = host.start(named(tmp_path, "code"), ready=b"ready")
    found = stopped(host, PORT, "--yes", code=1)
    assert "close it in the editor" in found["refusal"]
    assert lives(editor)


@pytest.mark.parametrize(
    ("variables", "session"),
    [({"TERM_PROGRAM": "vscode"}, "VS Code (pts/"), ({"SSH_CONNECTION": "192.0.2.9 5022 192.0.2.7 22"}, "ssh (pts/"),
     ({"TMUX": "/tmp/tmux-0/default,1,0", "TMUX_PANE": "%3"}, "tmux pane %3"), ({}, "terminal pts/")],
)  # fmt: skip
def test_a_server_in_a_terminal(host: Host, variables: dict[str, str], session: str) -> None:
    screen, keyboard = pty.openpty()
    program = [SYSTEM_PYTHON, "-c", PLAIN]
    command = host.argv(
        ["env", "--ignore-environment", *(f"{name}={value}" for name, value in variables.items()), *program]
    )
    server = subprocess.Popen(command, preexec_fn=lambda: os.login_tty(keyboard))  # noqa: PLW1509
    try:
        assert select.select([screen], [], [], PATIENCE)[0]
        found = stopped(host, PORT, *AT_ONCE, code=0)
        assert found["before"]["owners"][0]["session"].startswith(session)
        assert found["before"]["advice"][0]["text"].startswith(f"end it with Ctrl-C ({session}")
        assert server.wait(PATIENCE) == -signal.SIGTERM
    finally:
        server.kill()
        os.close(screen)
        os.close(keyboard)


def test_a_server_in_a_pane_of_tmux(host: Host, tmp_path: Path) -> None:
    need("tmux")
    tmux = ["tmux", "-S", str(tmp_path / "socket"), "-f", "/dev/null"]
    host.start([*tmux, "-D"])
    host.run([*tmux, "new-session", "-d", SYSTEM_PYTHON, "-c", PLAIN])
    assert host.portcheck("wait", PORT, "--timeout", str(PATIENCE)).returncode == 0
    found = stopped(host, PORT, *AT_ONCE, code=0)
    assert found["before"]["owners"][0]["session"] == "tmux pane %0"
    assert found["before"]["advice"][0]["text"] == "end it with Ctrl-C (tmux pane %0), or from here"


def test_what_a_parent_has_left_behind(host: Host) -> None:
    """In its session it is alone: whoever started it has ended."""
    program = "import os, subprocess, sys; subprocess.Popen([sys.executable, '-c', sys.argv[1]])"
    host.start([SYSTEM_PYTHON, "-c", program, PLAIN], ready=b"ready").wait(PATIENCE)
    found = stopped(host, PORT, *AT_ONCE, code=0)
    assert found["before"]["owners"][0]["condition"] == ["orphaned"]
    assert found["before"]["advice"][0]["text"] == "what started it is gone, and no terminal ends it: end it from here"
