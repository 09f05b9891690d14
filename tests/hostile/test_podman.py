"""podman for real, rootless: whose container it is answers for it, and is commanded with no more than his rights."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.documents import commands, steps, told
from support.namespaces import Host
from support.needs import need
from support.patience import wait_for
from support.person import advised
from support.portcheck_command import PORTCHECK

ANN = 4002
PORT = "8000"
# What podman wants of a machine: a user with a home, a device for her network, and cgroups of one version alone.
MACHINE = """\
mount -t cgroup2 none /sys/fs/cgroup
mount -t tmpfs none /dev/net && mknod -m 666 /dev/net/tun c 10 200
mount -t tmpfs none /run && mkdir -p /run/user/{uid} && chown {uid}:{uid} /run/user/{uid} && chmod 700 /run/user/{uid}
mount --bind {place}/passwd /etc/passwd && mount --bind {place}/group /etc/group
echo ready
exec sleep 1000
"""
SETTINGS = {
    "containers.conf": '[engine]\nruntime = "crun"\ncgroup_manager = "cgroupfs"\nevents_logger = "file"\n',
    "storage.conf": '[storage]\ndriver = "vfs"\n',
}


class Podman:
    """ann's podman, with an image of busybox alone."""

    def __init__(self, host: Host, place: Path) -> None:
        self._host = host
        self._home = place / "ann"
        settings = self._home / ".config/containers"
        settings.mkdir(parents=True)
        for name, text in SETTINGS.items():
            (settings / name).write_text(text)
        write_image(self._home / "image.tar")
        for path in (self._home, *self._home.rglob("*")):
            os.chown(path, ANN, ANN)
        entries = {"passwd": f"ann:x:{ANN}:{ANN}::{self._home}:/bin/sh", "group": f"ann:x:{ANN}:"}
        for name, entry in entries.items():
            (place / name).write_text(f"{Path('/etc', name).read_text()}{entry}\n")
        script = MACHINE.format(place=place, uid=ANN)
        self._files = host.start(["unshare", "--mount", "sh", "-c", script], ready=b"ready").pid

    def run(self, *argv: str, uid: int = ANN) -> subprocess.CompletedProcess[str]:
        user = ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups"] if uid else []
        inside = ["nsenter", f"--mount=/proc/{self._files}/ns/mnt", *user, *argv]
        own = {"HOME": str(self._home), "XDG_RUNTIME_DIR": f"/run/user/{uid}"} if uid else {}
        return self._host.run(inside, check=False, env=own, cwd=Path("/"))

    def publish(self) -> str | None:
        """Starts her container `web`; why it does not start."""
        image = self.run("podman", "import", f"{self._home}/image.tar", "lab")
        network = ("--network=slirp4netns", "--cgroups=disabled", f"--publish=127.0.0.1:{PORT}:80")
        sleeping = ("/bin/busybox", "sh", "-c", "trap exit TERM; while :; do /bin/busybox sleep 0.1; done")
        done = self.run("podman", "run", "--detach", "--name=web", *network, "localhost/lab", *sleeping)
        return None if done.returncode == 0 else f"{image.stderr[-200:]} {done.stderr[-200:]}"

    def listens(self) -> bool:
        return self._host.run(["ss", "-Hltn", f"sport = :{PORT}"]).stdout != ""

    def end(self) -> None:
        """The process that holds her user namespace is nobody's child, and would outlive the test."""
        self.run("podman", "rm", "--force", "--time=0", "web")
        pid = self.run("cat", f"/run/user/{ANN}/libpod/tmp/pause.pid").stdout
        if pid.strip().isdecimal():
            os.kill(int(pid), signal.SIGTERM)


def write_image(path: Path) -> None:
    busybox = Path(shutil.which("busybox") or "").read_bytes()
    entry = tarfile.TarInfo("bin/busybox")
    entry.mode, entry.size = 0o755, len(busybox)
    with tarfile.open(path, "w") as archive:
        archive.addfile(entry, io.BytesIO(busybox))


@pytest.fixture
def podman(host: Host) -> Iterator[Podman]:
    need("podman", "crun", "slirp4netns", "busybox", "setpriv", "unshare")
    with tempfile.TemporaryDirectory() as place:
        os.chmod(place, 0o755)
        hers = Podman(host, Path(place))
        try:
            if reason := hers.publish():
                pytest.skip(f"rootless podman does not run here: {reason}")
            wait_for(hers.listens, "her container is published")
            yield hers
        finally:
            hers.end()


@pytest.mark.parametrize(("asker", "hands"), [(0, ["sudo", "-u", "ann"]), (ANN, [])])
def test_her_container_is_named_and_stopped_as_her(podman: Podman, asker: int, hands: list[str]) -> None:
    command = [*hands, "podman", "stop", "web"]
    (found,) = json.loads(podman.run(str(PORTCHECK), PORT, "--json", uid=asker).stdout)["results"]
    (owner,) = found["owners"]
    assert (owner["name"], owner["user"], owner["container"]["name"]) == ("rootlessport", "ann", "web")
    assert commands(found) == [command]
    stopped = told(podman.run(str(PORTCHECK), "stop", PORT, "--yes", "--json", uid=asker), 0)
    assert (stopped["outcome"], steps(stopped)) == ("free", [{"command": command, "signalled": []}])
    assert not podman.listens()
    assert podman.run("podman", "ps", "--all", "--format={{.Names}} {{.State}}").stdout.startswith("web Exited ")
    podman.run("podman", "start", "web")
    wait_for(podman.listens, "her container is published again")
    (words,) = advised(podman.run(str(PORTCHECK), PORT, uid=asker).stdout)
    assert podman.run("sh", "-c", words, uid=asker).returncode == 0
    assert not podman.listens()


def test_who_only_has_the_name_of_its_proxy_commands_nothing(podman: Podman, host: Host) -> None:
    """Her podman is asked, and publishes no such port."""
    pretender = host.hold("127.0.0.1", 8010, "name", "rootlessport", uid=ANN)
    (found,) = json.loads(podman.run(str(PORTCHECK), "8010", "--json", uid=0).stdout)["results"]
    (owner,) = found["owners"]
    assert (owner["container"], owner["confirmed"], owner["claim"]) == (None, False, "podman container")
    stopped = told(podman.run(str(PORTCHECK), "stop", "8010", "--yes", "--settle", "0", "--json", uid=0), 0)
    assert steps(stopped) == [{"command": None, "signalled": [pretender.pid]}]
    assert podman.listens()
