"""`wait`, `run` and reserve() in a Windows CPython under Wine (not Windows), through portcheck.exe."""

from __future__ import annotations

import json

import pytest

from .machine import PYTHON, Machine

PORT = 47600
CANDIDATES = "47600-47609"
# SO_KEEPALIVE: Wine shows the PID of a listener only after a call that needs the socket's Unix descriptor.
SERVES = """
import os, socket, time
server = socket.create_server(('127.0.0.1', int(os.environ['PORT'])))
server.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
time.sleep(4)
"""


def test_wait_sees_a_listener_and_who_it_is(windows: Machine) -> None:
    missing = windows.portcheck("wait", str(PORT), "--timeout", "200ms")
    assert (missing.code, missing.complaints()) == (
        124,
        ["portcheck: timed out after 0.2 s: nothing listens on port 47600"],
    )
    with windows.holding("0.0.0.0", PORT) as holder:
        there = windows.portcheck("wait", str(PORT), "--json")
        (target,) = json.loads(there.stdout)["targets"]
        assert (there.code, target["met"]) == (0, True)
        assert [owner["pid"] for owner in target["result"]["owners"]] == [holder.pid]
        taken = windows.portcheck("wait", str(PORT), "--free", "--fail-fast")
        assert taken.code == 1
        assert any(f"waiting cannot help: Port {PORT}" in line and f"PID {holder.pid}" in line
                   for line in taken.complaints())  # fmt: skip


def test_run_passes_the_port_and_the_exit_code(windows: Machine) -> None:
    code = "import os, sys; print(os.environ['PORT'], *sys.argv[1:]); sys.exit(3)"
    done = windows.portcheck("run", CANDIDATES, "--", PYTHON, "-c", code, "{host}:{port}")
    assert (done.code, done.lines(), done.stderr) == (3, ["47600 127.0.0.1:47600"], b"")


def test_run_proves_that_the_command_listens(windows: Machine) -> None:
    with windows.holding("0.0.0.0", PORT):
        done = windows.portcheck("run", CANDIDATES, "--", PYTHON, "-c", SERVES)
    assert done.code == 0, done
    assert "portcheck: ready: http://127.0.0.1:47601, python.exe PID " in done.stderr.decode("cp1252")


def test_run_ends_what_the_command_has_started(windows: Machine) -> None:
    listens = (
        "import socket, time; s = socket.create_server(('127.0.0.1', 47605)); print('up', flush=True); time.sleep(99)"
    )
    starts = (
        "import subprocess, sys, time\n"
        f"child = subprocess.Popen([sys.executable, '-c', {listens!r}], stdout=subprocess.PIPE)\n"
        "print('grown', child.stdout.readline(), flush=True)\n"
        "time.sleep(99)"
    )
    for patience in ("5s", "20s", "60s"):  # a busy machine may need long to start them
        done = windows.portcheck("run", str(PORT), "--wait-ready", "--timeout", patience, "--", PYTHON, "-c", starts)
        said = done.complaints()[-1]
        assert (done.code, said.endswith("so it was stopped")) == (124, True), done
        assert said.startswith(f"portcheck: not ready within {patience[:-1]} s"), done
        assert windows.portcheck("47605").code == 0
        if b"grown" in done.stdout:
            return
    pytest.fail("the child has never listened")


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (["--", "no-such-command"], 127, "no-such-command cannot be started"),
        (["--listen", "--", PYTHON], 125, "--listen hands over a file descriptor, which Windows does not have"),
    ],
)
def test_run_says_what_it_cannot_do(windows: Machine, args: list[str], code: int, said: str) -> None:
    done = windows.portcheck("run", CANDIDATES, *args)
    assert done.code == code
    assert said in done.complaints()[0]


def test_a_reserved_port_is_nobody_elses(windows: Machine) -> None:
    done = windows.python(
        "import portcheck, socket\n"
        f"held = portcheck.reserve(['{CANDIDATES}'])\n"
        f"with portcheck.reserve(['{CANDIDATES}']) as other: print(held.port, other.port)\n"
        "held.listen(); socket.create_connection(('127.0.0.1', held.port)).close()\n"
        "print(held.socket.accept()[1][0])"
    )
    assert (done.code, done.lines()) == (0, ["47600 47601", "127.0.0.1"]), done
