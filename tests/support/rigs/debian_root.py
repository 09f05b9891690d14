"""The file system of a small Debian host, built once by debootstrap and kept in a cache."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from .sandbox import PATH, RigUnavailableError, run

SUITE = "bookworm"
MIRROR, UNSTABLE = "http://deb.debian.org/debian", "/usr/share/debootstrap/scripts/sid"
PACKAGES = (
    "apache2",
    "dbus",
    "dbus-user-session",
    "iproute2",
    "libpam-systemd",
    "nginx-light",
    "openbsd-inetd",
    "python3",
    "sudo",
    "systemd",
    "systemd-container",
    "systemd-resolved",
    "systemd-sysv",
)
USER, UID = "dev", 1000
PACKAGE, LIBRARIES = "/opt/portcheck/source/portcheck", "/opt/portcheck/site-packages"

# Runs in the new root. Servers wait to be started by a test; portcheck is the checkout's, mounted at boot.
CUSTOMISE = f"""
set -e
systemctl disable apache2.service inetd.service nginx.service systemd-resolved.service
systemctl mask apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer fstrim.timer
useradd --create-home --shell /bin/bash --uid {UID} {USER}
echo "{USER} ALL=(ALL:ALL) NOPASSWD: ALL" >/etc/sudoers.d/{USER}
echo "ServerName localhost" >/etc/apache2/conf-enabled/name.conf
mkdir -p {PACKAGE} {LIBRARIES}
printf '%s\\n' {Path(PACKAGE).parent} {LIBRARIES} >/usr/local/lib/python3.11/dist-packages/portcheck.pth
cat >/usr/local/bin/portcheck <<end
#!/usr/bin/python3
import sys
from portcheck.__main__ import main
sys.exit(main())
end
chmod 755 /usr/local/bin/portcheck
rm -rf /usr/sbin/policy-rc.d /var/cache/apt /var/lib/apt/lists /usr/share/doc /usr/share/locale /usr/share/man
"""


def cache() -> Path:
    """Where roots are kept between runs: $PORTCHECK_TEST_CACHE or ~/.cache/portcheck-tests."""
    return Path(os.environ.get("PORTCHECK_TEST_CACHE") or Path.home() / ".cache" / "portcheck-tests")


class Recipe(NamedTuple):
    """What a root is made of, and named after."""

    suite: str
    packages: Sequence[str]
    customise: str  # runs in the new root


def cached_root() -> Path:
    """The file system of a host that boots, from the cache or built now (about a minute)."""
    return cached("systemd", Recipe(SUITE, PACKAGES, CUSTOMISE))


def cached(name: str, recipe: Recipe) -> Path:
    """A root file system, from the cache or built now; it is named after its recipe, too."""
    root = cache() / f"{name}-{hashlib.sha256(repr(tuple(recipe)).encode()).hexdigest()[:16]}"
    if not root.is_dir():
        cache().mkdir(parents=True, exist_ok=True)
        with (cache() / ("lock" if name == "systemd" else f"{name}.lock")).open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # the kernel lets go of it however we end
            if not root.is_dir():
                build(root, recipe)
    return root


def build(root: Path, recipe: Recipe) -> None:
    """Make `root` by debootstrap; it appears complete or not at all. Raises RigUnavailableError."""
    part = root.with_suffix(".part")
    shutil.rmtree(part, ignore_errors=True)  # of a run that was killed
    try:
        (part / "usr/sbin").mkdir(parents=True)
        policy = part / "usr/sbin/policy-rc.d"  # packages must not start their servers on this machine
        policy.write_text("#!/bin/sh\nexit 101\n")
        policy.chmod(0o755)
        packages = f"--include={','.join(recipe.packages)}"
        # debootstrap knows the suites of its time; all of them are made as unstable is
        unknown = [] if Path(f"/usr/share/debootstrap/scripts/{recipe.suite}").exists() else [MIRROR, UNSTABLE]
        build_step("debootstrap", "--variant=minbase", packages, recipe.suite, str(part), *unknown)
        build_step("chroot", str(part), "sh", "-c", recipe.customise)
        part.rename(root)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def build_step(*argv: str) -> None:
    """Run one command; its mounts and what it started go when it goes, also if we are killed meanwhile."""
    apart = ("setpriv", "--pdeathsig=KILL", "unshare", "--mount-proc", "--pid", "--kill-child")
    environment = {**os.environ, "PATH": PATH, "LC_ALL": "C.UTF-8"}
    done = run([*apart, *argv], environment, timeout=900, check=False)
    if done.returncode:
        last = " / ".join((done.stdout + done.stderr).splitlines()[-3:])
        raise RigUnavailableError(f"{argv[0]} failed: {last}")
