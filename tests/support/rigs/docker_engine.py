"""A real Docker engine (Debian's docker.io) in its own namespaces, with an image that needs no registry."""

from __future__ import annotations

import io
import json
import sys
import tarfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from subprocess import PIPE, CompletedProcess, Popen
from typing import Any

import pytest

from support.patience import wait_for
from support.rigs.sandbox import Sandbox, enter, need_root_and, run, skip_if_unavailable

IMAGE = "portcheck-rig:1"
HTTPD = 'CMD ["/bin/busybox", "httpd", "-f", "-p", "80", "-h", "/www"]'

# Where systemd would have started the engine.
UNIT = "system.slice/docker.service"

# Debian's client and server belong together; a machine may have another client in /usr/local/bin.
ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/run", "LANG": "C.UTF-8"}

# The engine writes to /etc/docker and /opt/containerd: here to a layer that goes when it goes. The shell
# stays as the namespace's first process: it reaps what the engine's shims leave to it.
ENGINE = """
set -e
for folder in etc opt; do
    layer=/run/layer/$folder
    mkdir -p $layer/upper $layer/work
    mount -t overlay -o lowerdir=/$folder,upperdir=$layer/upper,workdir=$layer/work overlay /$folder
done
rm -f /etc/docker/daemon.json
dockerd --data-root=/run/docker-data --storage-driver=vfs --exec-opt=native.cgroupdriver=cgroupfs &
wait $!
"""


def image() -> bytes:
    """A file system of one static program and one page, as `docker import` reads it."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        archive.add("/bin/busybox", "bin/busybox")
        page = tarfile.TarInfo("www/index.html")
        page.size = len(b"hello\n")
        archive.addfile(page, io.BytesIO(b"hello\n"))
    return made.getvalue()


class DockerEngine:
    """A running engine; docker-proxy publishes its ports on 0.0.0.0 and [::] of its own network namespace."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        wait_for(self._answers, "the engine answers")
        self.docker("import", f"--change={HTTPD}", "-", IMAGE, stdin=image())

    def _answers(self) -> bool:
        self._sandbox.check()
        return self.docker("version", check=False).returncode == 0

    def run(
        self, argv: Sequence[str], *, check: bool = True, timeout: float = 60, stdin: str | bytes = b""
    ) -> CompletedProcess[str]:
        """Run a command of this machine beside the engine: with its network, processes and socket."""
        command = enter(self._sandbox.init, argv)
        return run(command, ENVIRONMENT, check=check, timeout=timeout, stdin=stdin)

    @contextmanager
    def started(self, argv: Sequence[str]) -> Iterator[None]:
        """A command of this machine beside the engine, from its first line on; it ends with the context."""
        command = enter(self._sandbox.init, argv)
        with Popen(command, stdin=PIPE, stdout=PIPE, env=ENVIRONMENT) as program:
            assert program.stdout is not None
            assert program.stdout.readline(), f"{argv} ended"
            try:
                yield
            finally:
                program.kill()

    def docker(
        self, *arguments: str, check: bool = True, timeout: float = 60, stdin: str | bytes = b""
    ) -> CompletedProcess[str]:
        """Run the docker client; raises CalledProcessError (with both outputs) unless `check` is false."""
        return self.run(["docker", *arguments], check=check, timeout=timeout, stdin=stdin)

    def portcheck(self, *arguments: str, timeout: float = 60) -> CompletedProcess[str]:
        """Run the portcheck under test beside the engine; none of its exit statuses raises."""
        return self.run([sys.executable, "-m", "portcheck", *arguments], check=False, timeout=timeout)

    def start(self, name: str, *options: str, command: Sequence[str] = ()) -> str:
        """Start a container (by default a web server on its port 80) and return its full id."""
        # As a container's first process busybox ignores SIGTERM: every stop would take ten seconds.
        quick = ("--stop-signal=KILL", "--detach", f"--name={name}")
        return self.docker("run", *quick, *options, IMAGE, *command).stdout.strip()

    def inspect(self, name: str) -> dict[str, Any]:
        """What the engine knows of a container: State.Pid, RestartCount, NetworkSettings.Ports ..."""
        found: list[dict[str, Any]] = json.loads(self.docker("inspect", name).stdout)
        return found[0]


@contextmanager
def start_engine(unit: str = UNIT) -> Iterator[DockerEngine]:
    """A fresh engine in a unit's cgroup; leaving the context ends all of it. Raises RigUnavailableError."""
    need_root_and(["iptables", "/usr/bin/docker", "/usr/sbin/dockerd", "/bin/busybox"])
    with Sandbox(["sh", "-c", ENGINE], ENVIRONMENT, unit) as sandbox:
        yield DockerEngine(sandbox)


@pytest.fixture
def docker_engine() -> Iterator[DockerEngine]:
    """An engine of the test's own: it starts in half a second."""
    with skip_if_unavailable("docker engine"), start_engine() as engine:
        yield engine
