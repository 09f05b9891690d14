"""`portcheck run`: the command's port, proof of who listens, strangers."""

from __future__ import annotations

import errno
import os
import signal
from pathlib import Path

import pytest
from support.namespaces import Host
from support.patience import PATIENCE
from support.processes import child_of, python
from support.running import SERVER, Gate, Running, done

PORT = 8000
CANDIDATES = "8000-8009"
NOT_THERE = os.strerror(errno.ENOENT)


# what the command gets


def test_the_port_goes_into_the_environment_and_the_arguments(host: Host) -> None:
    host.hold("127.0.0.1", PORT)
    command = ["sh", "-c", 'echo "$PORT $*"', "sh", "{host}:{port}", "{x}", "--", "--help"]
    code, out, err = done(host, CANDIDATES, "--", *command)
    assert (code, out) == (0, "8001 127.0.0.1:8001 {x} -- --help\n")
    assert err.startswith("8000: in use by python3 (PID ")


def test_another_name_for_the_variable(host: Host) -> None:
    command = ["sh", "-c", "echo $HTTP_PORT/$PORT/{host}"]
    assert done(host, str(PORT), "--env", "HTTP_PORT", "--host", "::1", "--", *command)[:2] == (0, "8000//::1\n")


def test_only_the_named_address_has_to_be_free(host: Host) -> None:
    host.hold("192.0.2.7", PORT)
    assert done(host, CANDIDATES, "--", "echo", "{port}")[1] == "8001\n"
    assert done(host, CANDIDATES, "--host", "127.0.0.1", "--", "echo", "{port}")[1] == "8000\n"


def test_strict_takes_the_first_candidate_or_none(host: Host) -> None:
    assert done(host, CANDIDATES, "--strict", "--", "echo", "{port}")[1] == "8000\n"
    host.hold("127.0.0.1", PORT)
    code, out, err = done(host, CANDIDATES, "--strict", "--", "echo", "started")
    assert (code, out) == (125, "")
    assert err.splitlines()[1] == "portcheck: the candidate 8000 is not free"


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (["8000", "--", "no-such-command"], 127, f"no-such-command cannot be started: {NOT_THERE}"),
        (["8000", "--", "/etc/passwd"], 126, f"/etc/passwd cannot be started: {os.strerror(errno.EACCES)}"),
        (["8000"], 125, "run needs candidates, -- and a command"),
        (["8000", "--"], 125, "run needs candidates, -- and a command"),
        (["--", "echo"], 125, "run needs candidates, -- and a command"),
        (["0", "--", "echo"], 125, "port 0 is out of range"),
        (["9000-8000", "--", "echo"], 125, "'9000-8000' runs backwards"),
        (["8000", "--no-such-option", "--", "echo"], 125, "unknown option --no-such-option"),
        (["8000", "--env", "A=B", "--", "echo"], 125, "'A=B' is no name for an environment variable"),
        (["8000", "--host", "lo", "--", "echo"], 125, "'lo' is not one address"),
        (["8000", "--host", "192.0.2.99", "--", "echo"], 125, "the candidate 8000 is not free"),
        (["8000", "--host", "192.0.2.99", "--listen", "--", "echo"], 125, "the candidate 8000 cannot be held"),
        (["8000", "--retries", "-1", "--", "echo"], 125, "'-1' is no number from 0 to"),
        (["8000", "--timeout", "soon", "--", "echo"], 125, "'soon' is no duration"),
        (["8000", "--port-file", "/none/port", "--", "echo"], 125, f"--port-file /none/port: {NOT_THERE}"),
    ],
)
def test_what_fails_before_the_command_starts_has_codes_of_its_own(
    host: Host, args: list[str], code: int, said: str
) -> None:
    status, out, err = done(host, *args)
    assert (status, out) == (code, "")
    assert any(line.startswith("portcheck: ") and said in line for line in err.splitlines()), err


def test_its_own_help(host: Host) -> None:
    code, out, err = done(host, "--help")
    assert (code, "--wait-ready" in out, err) == (0, True, "")


# proof


def test_ready_names_the_process_of_the_tree_that_listens(host: Host, tmp_path: Path) -> None:
    env = {"END": str(tmp_path / "end")}
    run = Running(host, CANDIDATES, "--", "sh", "-c", '"$@" & wait', "sh", *python(SERVER, "127.0.0.1"), env=env)
    said = run.hears("ready:")
    server = child_of(child_of(run.program.pid))
    assert said == f"portcheck: ready: http://127.0.0.1:8000, python3 PID {server}"
    run.program.terminate()
    assert run.program.wait(PATIENCE) == -signal.SIGTERM
    (tmp_path / "end").touch()


@pytest.mark.parametrize(
    ("address", "url"),
    [("0.0.0.0", "127.0.0.1"), ("::", "127.0.0.1"), ("::1", "[::1]"), ("192.0.2.7", "192.0.2.7")],
)
def test_any_address_will_do_where_none_was_named(host: Host, address: str, url: str) -> None:
    run = Running(host, CANDIDATES, "--", *python(SERVER, address), ready=b"serving")
    assert run.hears("ready:") == f"portcheck: ready: http://{url}:8000, python3 PID {child_of(run.program.pid)}"
    assert run.ends() == 0


def test_the_named_address_counts(host: Host) -> None:
    run = Running(host, CANDIDATES, "--host", "localhost", "--", *python(SERVER, "127.0.0.1", "::1"))
    run.hears("ready: http://localhost:8000, python3 PID ")
    assert run.ends() == 0
    run = Running(host, CANDIDATES, "--host", "127.0.0.1", "--", *python(SERVER, "192.0.2.7"))
    run.hears("it listens on 192.0.2.7, port 8000, not on 127.0.0.1")
    assert run.ends() == 0
    assert not any("ready:" in line for line in run.said)


def test_a_command_that_ignores_port_is_told_where_it_listens(host: Host) -> None:
    deaf = SERVER.replace('int(os.environ["PORT"])', "3000")
    run = Running(host, CANDIDATES, "--", *python(deaf, "127.0.0.1"), ready=b"serving")
    said = run.hears("listens on")
    assert said == "portcheck: python3 listens on 3000, not on 8000"
    assert run.ends() == 0


def test_a_command_that_exits_at_once_is_left_alone(host: Host) -> None:
    for status in (0, 3):
        code, out, err = done(host, CANDIDATES, "--retries", "3", "--", "sh", "-c", f"echo once; exit {status}")
        assert (code, out, err) == (status, "once\n", "")


def test_a_daemon_is_the_commands_own(host: Host, tmp_path: Path) -> None:
    """Its parent has ended with an error, and it is neither lost nor taken for the stranger who is to blame."""
    shell = '"$@" >"$LISTENING" 2>&1 & while ! grep -qs serving "$LISTENING"; do sleep 0.01; done; exit 1'
    env = {"LISTENING": str(tmp_path / "listening"), "END": str(tmp_path / "end")}
    server = python(SERVER, "127.0.0.1")
    run = Running(host, CANDIDATES, "--retries", "5", "--", "sh", "-c", shell, "sh", *server, env=env)
    assert run.ends() == 1
    (tmp_path / "end").touch()
    (ready,) = run.said
    assert ready.startswith("portcheck: ready: http://127.0.0.1:8000, python3 PID ")


# strangers


def test_who_took_the_port_meanwhile(host: Host, tmp_path: Path) -> None:
    gate = Gate(tmp_path)
    run = Running(host, CANDIDATES, "--", *python(SERVER, "127.0.0.1"), env=gate.environ)
    gate.wait()
    stranger = host.hold("127.0.0.1", PORT)
    gate.open()
    assert f"PID {stranger.pid}," in run.hears("port 8000 was taken in the meantime: python3")
    assert run.ends() == 1  # as the command: it was started once


def test_a_retry_takes_the_next_candidate(host: Host, tmp_path: Path) -> None:
    gate = Gate(tmp_path)
    run = Running(host, CANDIDATES, "--retries", "1", "--", *python(SERVER, "127.0.0.1"), env=gate.environ)
    gate.wait()
    host.hold("127.0.0.1", PORT)
    gate.open()
    run.hears("port 8000 was taken in the meantime")
    run.hears("ready: http://127.0.0.1:8001, python3 PID")
    assert run.ends() == 0


@pytest.mark.parametrize(("candidates", "retries"), [("8000", "5"), ("8000-8001", "5"), ("8000,8002,8003", "0")])
def test_no_retry_is_left(host: Host, tmp_path: Path, candidates: str, retries: str) -> None:
    host.hold("127.0.0.1", 8001)
    gate = Gate(tmp_path)
    run = Running(host, candidates, "--retries", retries, "--", *python(SERVER, "127.0.0.1"), env=gate.environ)
    gate.wait()
    host.hold("127.0.0.1", PORT)
    gate.open()
    assert run.ends() == 1
    assert sum("was taken in the meantime" in line for line in run.said) == 1


@pytest.mark.parametrize(
    ("how", "code"),
    [("sys.exit(0)", 0), ("os.kill(os.getpid(), 15)", -15)],
    ids=["it succeeded", "it was ended"],
)
def test_no_retry_for_a_command_that_did_not_fail(host: Host, tmp_path: Path, how: str, code: int) -> None:
    gate = Gate(tmp_path)
    program = SERVER.replace("port = int", f"{how}\nport = int")
    run = Running(host, CANDIDATES, "--retries", "5", "--", *python(program, "127.0.0.1"), env=gate.environ)
    gate.wait()
    host.hold("127.0.0.1", PORT)
    gate.open()
    assert run.ends() == code
    assert run.said == []


def test_no_retry_for_a_command_that_has_listened(host: Host, tmp_path: Path) -> None:
    gate = Gate(tmp_path)
    program = """
import os, socket, sys, time
with socket.create_server(("127.0.0.1", int(os.environ["PORT"]))):
    sys.stdin.readline()
open(os.environ["STARTED"], "w").close()
while not os.path.exists(os.environ["GO"]):
    time.sleep(0.01)
sys.exit(1)
"""
    run = Running(host, CANDIDATES, "--retries", "5", "--", *python(program), env=gate.environ)
    run.hears("ready:")
    assert run.program.stdin is not None
    run.program.stdin.write(b"\n")
    run.program.stdin.flush()
    gate.wait()
    host.hold("127.0.0.1", PORT)
    gate.open()
    assert run.ends() == 1
    assert len(run.said) == 1


def test_a_stranger_on_another_address_is_said(host: Host, tmp_path: Path) -> None:
    gate = Gate(tmp_path)
    run = Running(host, CANDIDATES, "--", *python(SERVER, "127.0.0.1"), env=gate.environ)
    gate.wait()
    stranger = host.hold("::1", PORT)
    gate.open()
    run.hears("ready: http://127.0.0.1:8000")
    assert f"PID {stranger.pid}," in run.hears("but python3", "answers on ::1", "and is not this command's")
    assert run.ends() == 0


def test_a_stranger_in_the_commands_place_is_said_while_it_runs(host: Host, tmp_path: Path) -> None:
    gate = Gate(tmp_path)
    run = Running(host, CANDIDATES, "--", *python(SERVER, "127.0.0.1"), env=gate.environ)
    gate.wait()
    stranger = host.hold("127.0.0.1", PORT)
    said = run.hears("port 8000: python3", "answers on 127.0.0.1", "and is not this command's")
    assert f"PID {stranger.pid}," in said
    run.program.terminate()
    assert run.program.wait(PATIENCE) == -signal.SIGTERM
