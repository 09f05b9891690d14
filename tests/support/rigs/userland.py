"""Other releases of Debian, with the Python that each one has: a file system, processes and a network of their own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from subprocess import PIPE, CompletedProcess, Popen

import pytest

from support.patience import wait_for
from support.processes import HOLDER
from support.rigs.debian_root import Recipe, cached
from support.rigs.sandbox import PATH, Sandbox, enter, need_root_and, run, skip_if_unavailable

# Each with its Python: 3.9, 3.11, 3.13, 3.14.
SUITES = ("bullseye", "bookworm", "trixie", "forky")
ROOT = "/run/root"
# What tests of these install is there already, as files: no server is asked for it.
WITH_LIBRARIES = ("bookworm", "trixie")
BRING = "apt-get -qq --no-install-recommends --download-only --yes install python3-rich python3-typer python3-yaml"
SHRINK = "rm -rf /usr/sbin/policy-rc.d /usr/share/locale /var/cache/apt/archives/*.deb"
# Above the cached root, which stays as it is.
ENTER = f"""
set -e
ip link set lo up
mkdir /run/upper /run/work {ROOT}
mount -t overlay -o "lowerdir=$1,upperdir=/run/upper,workdir=/run/work" overlay {ROOT}
mount -t proc proc {ROOT}/proc
mount --rbind /dev {ROOT}/dev
touch /run/ready
sleep infinity &
wait
"""


class Userland:
    """One that runs; every command is one of its own, of root or of another user."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        wait_for(lambda: self._outside("test", "-e", "/run/ready").returncode == 0, "the root is mounted")

    def _outside(self, *argv: str) -> CompletedProcess[str]:
        self._sandbox.check()
        return run(enter(self._sandbox.init, argv), {"PATH": PATH}, check=False)

    def command(
        self, argv: Sequence[str], uid: int = 0, environment: Mapping[str, str] | None = None, folder: str = "/srv"
    ) -> list[str]:
        """What runs `argv` inside."""
        variables = {"PATH": PATH, "HOME": "/root" if uid == 0 else "/nonexistent", **(environment or {})}
        inside = ["env", "-i", *(f"{name}={value}" for name, value in variables.items())]
        there = ["sh", "-c", 'cd "$0" && exec "$@"', folder, *argv]
        return enter(self._sandbox.init, ["chroot", f"--userspec={uid}:{uid}", "--groups=", ROOT, *inside, *there])

    def run(
        self,
        argv: Sequence[str],
        *,
        uid: int = 0,
        environment: Mapping[str, str] | None = None,
        check: bool = True,
        timeout: float = 60,
    ) -> CompletedProcess[str]:
        """Run a command inside; raises CalledProcessError (with both outputs) unless `check` is false."""
        return run(self.command(argv, uid, environment), {"PATH": PATH}, check=check, timeout=timeout)

    def bring(self, file: Path, to: str, mode: str = "755") -> None:
        """A file of this machine."""
        install = enter(self._sandbox.init, ["install", "-D", f"--mode={mode}", "/dev/stdin", f"{ROOT}{to}"])
        run(install, {"PATH": PATH}, stdin=file.read_bytes())

    @contextmanager
    def held(self, *how: str, uid: int = 0) -> Iterator[None]:
        """A port, by the Python of this userland; not as a part of what is in /srv."""
        command = self.command(["python3", "-c", HOLDER, *how], uid, folder="/")
        with Popen(command, stdin=PIPE, stdout=PIPE) as holder:
            assert holder.stdout is not None
            assert holder.stdout.readline() == b"ready\n"
            try:
                yield
            finally:
                holder.kill()


@contextmanager
def entered(root: Path) -> Iterator[Userland]:
    """A userland above `root`; leaving the context ends all that it runs."""
    with Sandbox(["sh", "-c", ENTER, "sh", str(root)], {"PATH": PATH}) as sandbox:
        yield Userland(sandbox)


def root_of(suite: str) -> Path:
    """From the cache, or built now, which takes a minute."""
    steps = f"{SHRINK} && {BRING}" if suite in WITH_LIBRARIES else SHRINK
    return cached(f"userland-{suite}", Recipe(suite, ("python3",), steps))


@pytest.fixture(scope="session")
def userland_roots() -> Mapping[str, Path]:
    """All of them; those that are not in the cache are built side by side."""
    with skip_if_unavailable("userlands of Debian"):
        need_root_and(["chroot", "debootstrap"])
        with ThreadPoolExecutor() as pool:
            return dict(zip(SUITES, pool.map(root_of, SUITES), strict=True))
