"""honcho for real: who stops one of its programs is told first of the others, which end with it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.documents import ending, told
from support.from_pypi import installed
from support.namespaces import Host
from support.needs import need
from support.patience import PATIENCE, wait_for
from support.processes import NOBODY, SYSTEM_PYTHON

PORTS = {"web": 7000, "api": 7001}
SERVER = """\
import socket, sys, time
held = socket.create_server(("127.0.0.1", int(sys.argv[1])))
while True:
    time.sleep(1000)
"""


@pytest.fixture(scope="module")
def honcho() -> Iterator[Path]:
    """PyPI's honcho, off the PATH, where everybody can run it; beside it are the programs of a Procfile."""
    need("setpriv")
    with installed("honcho") as directory:
        (directory / "server.py").write_text(SERVER)
        (directory / "Procfile").write_text(
            "".join(f"{name}: exec {SYSTEM_PYTHON} server.py {port}\n" for name, port in PORTS.items())
        )
        yield directory / "bin" / "honcho"


@pytest.mark.parametrize("uid", [0, NOBODY])
def test_what_is_named_before_is_what_ends(host: Host, honcho: Path, uid: int) -> None:
    place = honcho.parent.parent
    runner = host.start([str(honcho), "start"], uid=uid, cwd=place, stderr=subprocess.DEVNULL)
    innocent = host.hold("127.0.0.1", 7002, uid=uid)
    first, second = PORTS.values()
    serving = ["ss", "-Hltn", f"( sport = :{first} or sport = :{second} )"]
    wait_for(lambda: host.run(serving).stdout.count("\n") == len(PORTS), "its programs listen")
    web, api = (host.result(str(port))["owners"][0]["pid"] for port in PORTS.values())
    shown = host.portcheck("stop", "7000", "--dry-run").stdout
    assert f"(PID {api}, also serves 7001)" in shown
    named = told(host.portcheck("stop", "7000", "--dry-run", "--json"), 0)
    stopped = told(host.portcheck("stop", "7000", "--yes", "--settle", "0", "--json"), 0)
    parts = ending(stopped)
    assert ending(named) == parts
    assert {web: "signalled", api: "ends with it", runner.pid: "ends with it"}.items() <= parts.items()
    assert runner.wait(PATIENCE) is not None
    wait_for(lambda: not any(Path("/proc", str(pid)).exists() for pid in parts), "all that was named has ended")
    assert innocent.poll() is None
