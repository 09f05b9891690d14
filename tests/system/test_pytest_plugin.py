"""The fixtures for the tests of others: many test runs at once, and no port is any two tests' at a time."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

TESTS = """
import os, socket
from pathlib import Path
import pytest

TAKEN = Path(os.environ["TAKEN"])

@pytest.mark.parametrize("number", range(25))
def test_nobody_else_has_it(free_port, free_port_factory, number):
    ports = [free_port, free_port_factory(), free_port_factory(host="::", both=True)]
    assert len(set(ports)) == 3
    files = [(TAKEN / str(port)).open("x") for port in ports]
    servers = [socket.create_server(("127.0.0.1", port)) for port in ports]
    for held in (*files, *servers):
        held.close()
    for port in ports:
        (TAKEN / str(port)).unlink()

def test_a_socket_is_held(reserved_socket):
    with pytest.raises(OSError):
        socket.create_server(("127.0.0.1", reserved_socket.port))
    with reserved_socket.listen():
        socket.create_connection(("127.0.0.1", reserved_socket.port)).close()
"""


def test_four_test_runs_at_once(tmp_path: Path) -> None:
    (tmp_path / "test_theirs.py").write_text(TESTS)
    (tmp_path / "pytest.ini").write_text("[pytest]\nportcheck_ports = 20000-20999\n")
    (tmp_path / "taken").mkdir()
    plugin = ("-p", "portcheck.testing.plugin", "-p", "no:cacheprovider")
    argv = [sys.executable, "-m", "pytest", "-q", *plugin, "test_theirs.py"]
    environ = {"TAKEN": str(tmp_path / "taken"), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    runs = [
        subprocess.Popen(argv, cwd=tmp_path, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for _ in range(4)
    ]
    printed = [run.communicate()[0] for run in runs]
    assert [run.returncode for run in runs] == [0] * 4, printed
    assert all("26 passed" in text for text in printed)


def test_ports_that_are_none_are_said(tmp_path: Path) -> None:
    (tmp_path / "test_theirs.py").write_text("def test(free_port): pass\n")
    (tmp_path / "pytest.ini").write_text("[pytest]\nportcheck_ports = 70000\n")
    argv = [sys.executable, "-m", "pytest", "-q", "-p", "portcheck.testing.plugin", "test_theirs.py"]
    environ = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    done = subprocess.run(argv, cwd=tmp_path, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == pytest.ExitCode.TESTS_FAILED
    assert "port 70000 is out of range" in done.stdout
