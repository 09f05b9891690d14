"""A Debian host with a real systemd as PID 1: units, sockets, sessions and user services, as on a server.

Each boot takes less than a second and works on a throw-away layer above a cached file system.
"""

from __future__ import annotations

import importlib.util
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import pytest

from support.patience import wait_for
from support.rigs.sandbox import PATH, Sandbox, enter, need_root_and, run, skip_if_unavailable

from .debian_root import LIBRARIES, PACKAGE, cached_root
from .keeper import joining

BOOT = """
set -e
mkdir /run/upper /run/work /run/root
mount -t overlay -o "lowerdir=$1,upperdir=/run/upper,workdir=/run/work" overlay /run/root
shift
exec systemd-nspawn --quiet --directory=/run/root --machine=rig --private-network --register=no --keep-unit \
  --console=pipe "$@"
"""


def location(module: str) -> Path:
    """The folder of an installed package."""
    spec = importlib.util.find_spec(module)
    assert spec is not None and spec.submodule_search_locations, f"{module} is not installed"
    return Path(spec.submodule_search_locations[0])


def checkout_mounts() -> list[str]:
    """The nspawn options that show the portcheck under test and its dependencies, read-only.

    Debian's own Python can import them: they are pure Python but for psutil, whose wheels are for CPython's
    stable ABI.
    """
    return [
        f"--bind-ro={location('portcheck')}:{PACKAGE}",
        f"--bind-ro={location('psutil').parent}:{LIBRARIES}",
    ]


class Session(NamedTuple):
    """A login of one user, as its commands see it."""

    cgroups: tuple[Path, ...]
    environment: Mapping[str, str]


class SystemdHost:
    """A booted host. Commands run in a login session of root or of the ordinary user `dev` (1000)."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._sessions: dict[str, Session] = {}
        self._leader: int = wait_for(self._find_leader, "systemd starts")
        wait_for(self._has_booted, "systemd has booted")

    def _find_leader(self) -> int | None:
        """PID 1 of the host, as seen from out here: nspawn's child, once it is systemd."""
        self._sandbox.check()
        init = self._sandbox.init
        with suppress(FileNotFoundError):
            for child in Path(f"/proc/{init}/task/{init}/children").read_text().split():
                if Path(f"/proc/{child}/comm").read_text().strip() == "systemd":
                    return int(child)
        return None

    def _has_booted(self) -> bool:
        state = self._as_root("systemctl", "is-system-running", "--wait").stdout.strip()
        return state in {"running", "degraded"}

    def _as_root(self, *argv: str) -> subprocess.CompletedProcess[str]:
        """A command outside of any session: what it takes to make one."""
        return run(enter(self._leader, argv), {"PATH": PATH}, check=False)

    def _session(self, user: str) -> Session:
        if user not in self._sessions:
            self._sessions[user] = self._log_in(user)
        return self._sessions[user]

    def _log_in(self, user: str) -> Session:
        """Open a session by PAM, as login and sshd do; it lasts as long as the host."""
        unit = f"login-{user}.service"
        options = ("--property=PAMName=login", f"--property=User={user}", f"--unit={unit}")
        self._as_root("systemd-run", *options, "sleep", "infinity")
        scope: str = wait_for(lambda: self._scope_of(unit), f"{user} is logged in")
        folders = (folder / "payload" / scope.lstrip("/") for folder in self._sandbox.cgroups())
        cgroups = tuple(folder for folder in folders if folder.is_dir())
        return Session(cgroups, self._environment(user, Path(scope).stem.removeprefix("session-")))

    def _scope_of(self, unit: str) -> str | None:
        """The cgroup of the session that the unit's process has been moved to, once it has been."""
        pid = self._as_root("systemctl", "show", "--property=MainPID", "--value", unit).stdout.strip()
        lines = self._as_root("cat", f"/proc/{pid}/cgroup").stdout.splitlines()
        return next((line[3:] for line in lines if line.startswith("0::/user.slice/")), None)

    def _environment(self, user: str, session: str) -> dict[str, str]:
        """What a login shell would have set."""
        entry = self._as_root("getent", "passwd", user).stdout.strip().split(":")
        runtime = f"/run/user/{entry[2]}"
        return {
            "PATH": PATH,
            "LANG": "C.UTF-8",
            "HOME": entry[5],
            "SHELL": entry[6],
            "USER": user,
            "LOGNAME": user,
            "XDG_SESSION_ID": session,
            "XDG_RUNTIME_DIR": runtime,
            "DBUS_SESSION_BUS_ADDRESS": f"unix:path={runtime}/bus",
        }

    def _command(self, argv: Sequence[str], user: str) -> list[str]:
        become = [f"--reuid={user}", f"--regid={user}", "--init-groups"] if user != "root" else []
        return joining(self._session(user).cgroups, enter(self._leader, [*become, "--", *argv]))

    def run(
        self,
        argv: Sequence[str],
        user: str = "root",
        *,
        check: bool = True,
        timeout: float = 60,
        stdin: str | bytes = b"",
    ) -> subprocess.CompletedProcess[str]:
        """Run a command inside; raises CalledProcessError (with both outputs) unless `check` is false."""
        environment = self._session(user).environment
        return run(self._command(argv, user), environment, check=check, timeout=timeout, stdin=stdin)

    def start(self, argv: Sequence[str], user: str = "root") -> subprocess.Popen[bytes]:
        """Start a command in the background; it is killed with the returned process or with the host."""
        environment = self._session(user).environment
        return subprocess.Popen(self._command(argv, user), stdin=subprocess.DEVNULL, env=environment)

    def portcheck(self, *arguments: str, user: str = "root", timeout: float = 60) -> subprocess.CompletedProcess[str]:
        """Run the portcheck under test; its exit status is part of its answer, so none of them raises."""
        return self.run(["portcheck", *arguments], user, check=False, timeout=timeout)

    def write(self, path: str, text: str, mode: str = "644") -> None:
        """Write a file, with the folders it needs."""
        self.run(["install", "-D", f"--mode={mode}", "/dev/stdin", path], stdin=text)


@contextmanager
def boot(root: Path) -> Iterator[SystemdHost]:
    """A freshly booted host above `root`, which stays as it is; leaving the context ends the host."""
    # Version 2 cgroups alone, as on every current distribution, whatever this machine has.
    environment = {"PATH": PATH, "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"}
    with Sandbox(["sh", "-c", BOOT, "sh", str(root), *checkout_mounts(), "--boot"], environment) as sandbox:
        yield SystemdHost(sandbox)


@pytest.fixture(scope="session")
def systemd_root() -> Path:
    """The file system that hosts boot from."""
    with skip_if_unavailable("systemd host"):
        need_root_and(["chroot", "debootstrap", "systemd-nspawn"])
        return cached_root()


@pytest.fixture
def systemd_host(systemd_root: Path) -> Iterator[SystemdHost]:
    """A host of the test's own: a boot takes half a second, less than undoing what a test did to it."""
    with skip_if_unavailable("systemd host"), boot(systemd_root) as host:
        yield host
