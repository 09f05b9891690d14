"""circus for real, from a virtual environment: each daemon is asked where its own configuration says."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.documents import told
from support.from_pypi import installed
from support.namespaces import Host
from support.needs import need
from support.patience import wait_for
from support.person import advised
from support.processes import NOBODY, SYSTEM_PYTHON

SERVER = """\
import socket, sys, time
held = socket.create_server(("127.0.0.1", int(sys.argv[1])))
while True:
    time.sleep(1000)
"""
# A parent that has only the name.
FAKE = """\
import subprocess, sys
subprocess.run(sys.argv[2:])
"""


@pytest.fixture(scope="module")
def circus() -> Iterator[Path]:
    """The programs of PyPI's circus, off the PATH."""
    need("setpriv")
    with installed("circus") as directory:
        yield directory / "bin"


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that everybody can enter."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    (folder / "server.py").write_text(SERVER)
    (folder / "circusd").write_text(FAKE)
    yield folder
    shutil.rmtree(folder)


def listens(host: Host, port: int) -> bool:
    return host.run(["ss", "-Hltn", f"sport = :{port}"]).stdout != ""


def configured(place: Path, port: int) -> Path:
    """Of a circus that has its endpoint three ports, and its program ten ports above this one."""
    file = place / f"{port}.ini"
    file.write_text(
        f"[circus]\nendpoint = tcp://127.0.0.1:{port + 3}\npubsub_endpoint = tcp://127.0.0.1:{port + 4}\n"
        f"[watcher:web]\ncmd = {SYSTEM_PYTHON} {place}/server.py {port + 10}\n"
        f"[watcher:shop]\ncmd = sleep 1000 $(circus.sockets.shop)\nuse_sockets = True\n"
        f"[socket:shop]\nhost = 127.0.0.1\nport = {port + 11}\n"
    )
    return file


def run(host: Host, circus: Path, place: Path, port: int) -> None:
    host.start([str(circus / "circusd"), str(configured(place, port))], stderr=subprocess.DEVNULL)
    wait_for(lambda: listens(host, port + 10), "its program listens")


def test_of_two_with_a_program_of_one_name_the_right_one_is_told(host: Host, circus: Path, place: Path) -> None:
    for port in (7000, 7100):
        run(host, circus, place, port)
    found = told(host.portcheck("stop", "7110", "--yes", "--settle", "500ms", "--json"), 0)
    assert found["outcome"] == "free"
    command = [str(circus / "circusctl"), "--endpoint=tcp://127.0.0.1:7103", "stop", "web"]
    assert [step["command"] for step in found["plan"]] == [command]
    assert listens(host, 7010)
    # the words of the other one; and a socket of circus' own outlives the programs that it is for
    shown = host.portcheck("7011").stdout
    assert f"{circus}/circusctl --endpoint=tcp://127.0.0.1:7003 reloadconfig" in shown
    assert host.portcheck("stop", "7011", "--yes").returncode == 1
    assert listens(host, 7011)
    file = place / "7000.ini"
    file.write_text(file.read_text().partition("[watcher:shop]")[0])
    host.run([str(circus / "circusctl"), "--endpoint=tcp://127.0.0.1:7003", "stop", "shop"])
    assert listens(host, 7011)
    host.run(["sh", "-c", *advised(shown)])
    wait_for(lambda: not listens(host, 7011), "it has read its configuration again")
    (words,) = advised(host.portcheck("7010").stdout)
    host.run(["sh", "-c", words])
    wait_for(lambda: not listens(host, 7010), "the other one's has stopped too")


def test_a_strangers_parent_of_that_name_commands_nothing(host: Host, circus: Path, place: Path) -> None:
    """It names the configuration of root's, which knows nothing of its child."""
    run(host, circus, place, 7000)
    server = [SYSTEM_PYTHON, str(place / "server.py"), "7210"]
    host.start([SYSTEM_PYTHON, str(place / "circusd"), str(place / "7000.ini"), *server], uid=NOBODY)
    wait_for(lambda: listens(host, 7210), "the stranger's program listens")
    found_there = {"PATH": f"{circus}:{os.environ['PATH']}"}
    (found,) = json.loads(host.portcheck("7210", "--json", env=found_there).stdout)["results"]
    (owner,) = found["owners"]
    assert (owner["supervisor"], owner["confirmed"], owner["claim"]) == (None, False, "kept by circus")
    assert host.portcheck("stop", "7210", "--yes", "--settle", "0", env=found_there).returncode == 0
    assert listens(host, 7010)
