"""`portcheck run` in scripts: --print-port, --port-file, --wait-ready, --quiet."""

from __future__ import annotations

import errno
import os
import subprocess
from pathlib import Path

import pytest
from support.namespaces import Host
from support.patience import PATIENCE, wait_for
from support.portcheck_command import PORTCHECK
from support.processes import is_gone, python
from support.running import SERVER, Running, done

PORT = 8000
CANDIDATES = "8000-8009"


def test_the_port_alone_comes_first_on_stdout(host: Host) -> None:
    host.hold("127.0.0.1", PORT)
    assert done(host, CANDIDATES, "--print-port", "--", "echo", "started")[:2] == (0, "8001\nstarted\n")


def test_a_port_file_is_there_while_the_command_runs(host: Host, tmp_path: Path) -> None:
    file = tmp_path / "port"
    file.write_text("old")
    assert done(host, CANDIDATES, "--port-file", str(file), "--", "cat", str(file))[:2] == (0, "8000\n")
    assert not file.exists()
    assert done(host, CANDIDATES, "--port-file", str(file), "--", "no-such-command")[0] == 127
    assert not file.exists()


def test_wait_ready_returns_when_it_is_proven_and_leaves_it_running(host: Host, tmp_path: Path) -> None:
    file, log, over = tmp_path / "port", tmp_path / "log", tmp_path / "end"
    script = """
set -e
port=$("$PORTCHECK" run 8000-8009 --wait-ready --print-port --port-file "$FILE" -- "$@" 2>"$LOG")
[ "$port" = "$(cat "$FILE")" ]
"$PORTCHECK" wait "$port" --timeout 0
"""
    env = {"PORTCHECK": str(PORTCHECK), "FILE": str(file), "LOG": str(log), "END": str(over)}
    try:
        script_done = host.run(["sh", "-c", script, "sh", *python(SERVER, "127.0.0.1")], env=env)
        assert "listens on 127.0.0.1, port 8000" in script_done.stdout
        assert "serving" in log.read_text()  # the command's own stdout
    finally:
        over.touch()
    assert file.read_text() == "8000\n"
    wait_for(lambda: host.result(str(PORT))["verdict"] == "free", "the command has ended")


@pytest.mark.parametrize(
    ("command", "code", "said"),
    [
        (["sh", "-c", "exit 3"], 3, ""),
        (["sh", "-c", "kill -9 $$"], -9, ""),
        (["true"], 125, "portcheck: the command has ended without having been seen to listen\n"),
        (["no-such-command"], 127, f"portcheck: no-such-command cannot be started: {os.strerror(errno.ENOENT)}\n"),
    ],
)
def test_wait_ready_of_a_command_that_ends(
    host: Host, tmp_path: Path, command: list[str], code: int, said: str
) -> None:
    file = tmp_path / "port"
    assert done(host, CANDIDATES, "--wait-ready", "--port-file", str(file), "--", *command) == (code, "", said)
    assert not file.exists()


def test_wait_ready_ends_what_does_not_get_ready(host: Host, tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    command = ["sh", "-c", f'echo $$ >{pid}; trap "echo ended; exit" TERM; while :; do sleep 0.05; done']
    code, out, err = done(host, CANDIDATES, "--wait-ready", "--timeout", "500ms", "--", *command)
    assert (code, out) == (124, "ended\n")
    assert err == "portcheck: not ready within 0.5 s, so it was stopped\n"
    assert is_gone(int(pid.read_text()))


def test_quiet_leaves_only_the_commands_words(host: Host) -> None:
    host.hold("127.0.0.1", PORT)
    run = Running(host, CANDIDATES, "--quiet", "--", *python(SERVER, "127.0.0.1"), ready=b"serving")
    assert run.ends() == 0
    assert run.said == []


def test_open_files_and_standard_input_reach_the_command(host: Host, tmp_path: Path) -> None:
    with (tmp_path / "file").open("w") as file:
        fd = file.fileno()
        command = ["sh", "-c", f"cat >/proc/self/fd/{fd}"]
        argv = host.argv([str(PORTCHECK), "run", str(PORT), "--", *command])
        subprocess.run(argv, pass_fds=[fd], input=b"hello\n", check=True, timeout=PATIENCE)
    assert (tmp_path / "file").read_text() == "hello\n"
    assert os.environ.get("PORT") is None
