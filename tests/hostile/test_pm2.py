"""pm2 for real: each daemon is asked and commanded in its own home, as its own user, and none is ever started."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from support.documents import told
from support.namespaces import Host
from support.needs import need
from support.patience import wait_for
from support.person import advised
from support.processes import NOBODY

SERVER = "require('http').createServer(() => {}).listen(+process.env.PORT, '127.0.0.1')\n"
INSTALLING = 120  # seconds


@pytest.fixture(scope="module")
def pm2() -> Iterator[Path]:
    """npm's pm2, off the PATH, where everybody can run it."""
    need("npm", "node", "bash", "setpriv")
    with tempfile.TemporaryDirectory() as directory:
        os.chmod(directory, 0o755)
        command = ["npm", "install", "--no-audit", "--no-fund", "--silent", "--prefix", directory, "pm2"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=INSTALLING, check=False)
        if done.returncode:
            pytest.skip(f"needs pm2, which npm cannot install: {done.stderr[-200:]}")
        yield Path(directory, "node_modules", ".bin", "pm2")


class Daemons:
    """pm2's daemons in a place, with what they run; they end with it."""

    def __init__(self, host: Host, pm2: Path, place: Path) -> None:
        self._host, self._pm2, self._place = host, pm2, place
        self._homes: dict[Path, int] = {}
        (place / "web.js").write_text(SERVER)

    def run(self, home: str, command: str, *, uid: int = 0, port: int = 0) -> str:
        """A command of pm2's, from a shell, as people give it."""
        directory = self._place / home
        if directory not in self._homes:
            directory.mkdir()
            os.chown(directory, uid, uid)
            self._homes[directory] = uid
        env = {"PM2_HOME": str(directory), "HOME": str(directory), "PORT": str(port)}
        return self._host.run(["bash", "-c", f"{self._pm2} {command}; :"], uid=uid, env=env, cwd=self._place).stdout

    def start(self, home: str, port: int, *options: str, uid: int = 0, name: str = "web") -> None:
        self.run(home, f"start web.js --name {name} {' '.join(options)}", uid=uid, port=port)
        wait_for(lambda: listens(self._host, port), "it listens")

    def end(self) -> None:
        for home, uid in self._homes.items():
            self.run(home.name, "kill", uid=uid)


def listens(host: Host, port: int) -> bool:
    return host.run(["ss", "-Hltn", f"sport = :{port}"]).stdout != ""


@pytest.fixture
def daemons(host: Host, pm2: Path) -> Iterator[Daemons]:
    with ExitStack() as stack:
        place = Path(tempfile.mkdtemp())
        stack.callback(shutil.rmtree, place, ignore_errors=True)
        place.chmod(0o755)
        made = Daemons(host, pm2, place)
        stack.callback(made.end)
        yield made


def freed(host: Host, port: int) -> list[str]:
    """The command by which root's `stop` has freed a port."""
    found = told(host.portcheck("stop", str(port), "--yes", "--settle", "500ms", "--json"), 0)
    (step,) = found["plan"]
    assert (found["outcome"], listens(host, port)) == ("free", False)
    command: list[str] = step["command"]
    return command


def test_of_two_daemons_with_a_program_of_one_name_the_right_one_is_told(
    host: Host, daemons: Daemons, pm2: Path
) -> None:
    daemons.start("innocent", 8000)
    daemons.start("anns", 8001, uid=NOBODY)
    command = freed(host, 8001)
    assert command[:4] == ["sudo", "-u", "nobody", "env"]
    assert command[4].endswith("/anns")
    assert command[5:] == [str(pm2), "stop", "web"]
    assert listens(host, 8000)
    (words,) = advised(host.portcheck("8000").stdout)
    assert words.startswith(f"env {command[4].replace('/anns', '/innocent')} ")
    host.run(["sh", "-c", words])
    assert not listens(host, 8000)


def test_what_a_daemon_listens_for_in_its_cluster_mode(host: Host, daemons: Daemons, pm2: Path) -> None:
    daemons.start("cluster", 8002, "-i", "2", name="shop")
    shown = host.portcheck("8002").stdout
    assert shown.startswith("Port 8002 is in use: PM2 (PID ")
    assert "for its shop" in shown
    assert freed(host, 8002)[2:] == [str(pm2), "stop", "shop"]
