"""monit for real: root's alone is asked about what it keeps running, and believed."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.documents import commands, steps, told
from support.namespaces import Host
from support.needs import need
from support.patience import PATIENCE, wait_for
from support.person import advised
from support.portcheck_command import PORTCHECK
from support.processes import HOLDER, NOBODY, SYSTEM_PYTHON

SERVER = """\
import os, socket, sys, time
held = socket.create_server(("127.0.0.1", int(sys.argv[1])))
with open(sys.argv[2], "w") as file:
    file.write(str(os.getpid()))
while True:
    time.sleep(1000)
"""
# A second between its rounds: what has ended is back within two.
CONFIGURATION = """\
set daemon 1
set log {place}/log
set idfile {place}/id
set statefile {place}/state
set httpd unixsocket {place}/socket
    allow admin:monit
check process web with pidfile {place}/web.pid
    start program = "/bin/sh -c 'exec setsid {python} {place}/server.py 7000 {place}/web.pid &'"
    stop program = "/bin/sh -c 'kill $(cat {place}/web.pid)'"
"""
# Where root's monit leaves its PID is one place for the whole machine: these have a /run of their own.
OWN_RUN = "mount -t tmpfs none /run && echo ready && exec sleep 1000"
# What monit tells the programs that it starts (monit(1)).
SAYS_SO = {"MONIT_SERVICE": "web", "MONIT_EVENT": "Started", "MONIT_HOST": "lab"}


class Monitored:
    """Root's monit, a server of it on port 7000, and whoever else is in there."""

    def __init__(self, host: Host, place: Path) -> None:
        self._host, self._place = host, place
        self._files = host.start(["unshare", "--mount", "sh", "-c", OWN_RUN], ready=b"ready").pid
        self.file = place / "monitrc"
        self.file.write_text(CONFIGURATION.format(place=place, python=SYSTEM_PYTHON))
        self.file.chmod(0o600)
        (place / "server.py").write_text(SERVER)
        host.start(self.inside("monit", "-I", "-c", str(self.file)), stderr=subprocess.DEVNULL)
        wait_for(lambda: self.listens(7000), "its program listens")

    def inside(self, *argv: str) -> list[str]:
        return ["nsenter", f"--mount=/proc/{self._files}/ns/mnt", *argv]

    def listens(self, port: int) -> bool:
        return self._host.run(["ss", "-Hltn", f"sport = :{port}"]).stdout != ""

    def runs(self, *argv: str) -> None:
        self._host.run(self.inside(*argv))

    def portcheck(self, *args: str) -> subprocess.CompletedProcess[str]:
        return self._host.run(self.inside(str(PORTCHECK), *args), check=False)

    def end(self) -> None:
        """What monit has started is no child of it, and would outlive the host."""
        self._host.run(self.inside("monit", "-c", str(self.file), "stop", "web"))
        wait_for(lambda: not self.listens(7000), "its program has ended")


@pytest.fixture
def monitored(host: Host) -> Iterator[Monitored]:
    need("monit", "setpriv", "setsid")
    with tempfile.TemporaryDirectory() as place:
        os.chmod(place, 0o755)
        inside = Monitored(host, Path(place))
        try:
            yield inside
        finally:
            inside.end()


def comes_back(monitored: Monitored) -> bool:
    """Within two of monit's rounds."""
    over = time.monotonic() + 2.5
    while time.monotonic() < over and not monitored.listens(7000):
        time.sleep(0.1)
    return monitored.listens(7000)


def test_what_it_keeps_running_is_stopped_there(monitored: Monitored) -> None:
    command = ["monit", f"-c{monitored.file}", "stop", "web"]

    def is_known() -> bool:
        """From its next round on, in which it reads the PID."""
        (found,) = json.loads(monitored.portcheck("7000", "--json").stdout)["results"]
        keepers = {owner["supervisor"] for owner in found["owners"]}
        return keepers == {"monit"} and commands(found) == [command]

    wait_for(is_known, "monit knows its program")
    found = told(monitored.portcheck("stop", "7000", "--yes", "--json"), 0)
    assert (found["outcome"], steps(found)) == ("free", [{"command": command, "signalled": []}])
    assert not comes_back(monitored)
    monitored.runs("monit", f"-c{monitored.file}", "start", "web")
    wait_for(is_known, "monit knows its program again")
    (words,) = advised(monitored.portcheck("7000").stdout)
    monitored.runs("sh", "-c", words)
    wait_for(lambda: not monitored.listens(7000), "the words that are printed stop it too")


def test_a_stranger_that_calls_itself_monitored_commands_nothing(host: Host, monitored: Monitored) -> None:
    """By what monit tells its programs, and by the name of its parent."""
    parent = [SYSTEM_PYTHON, "-c", "import subprocess, sys; subprocess.run(sys.argv[1:])"]
    server = [SYSTEM_PYTHON, "-c", HOLDER, "127.0.0.1", "7210"]
    renamed = ["bash", "-c", 'exec -a monit "$@"', "bash", *parent]
    stranger = host.start([*renamed, *server], uid=NOBODY, ready=b"ready", env={**os.environ, **SAYS_SO})
    (found,) = json.loads(monitored.portcheck("7210", "--json").stdout)["results"]
    (owner,) = found["owners"]
    assert (owner["user"], owner["supervisor"]) == ("nobody", None)
    assert not any("monit" in command for command in commands(found))
    stopped = told(monitored.portcheck("stop", "7210", "--yes", "--settle", "0", "--json"), 0)
    assert [step["command"] for step in stopped["plan"]] == [None]
    assert stranger.wait(PATIENCE) is not None
    assert monitored.listens(7000)
