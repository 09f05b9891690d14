"""The file system of a small Debian host, built once by debootstrap and kept in a cache."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
from pathlib import Path

from .sandbox import PATH, RigUnavailableError, run

SUITE = "bookworm"
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


def cached_root() -> Path:
    """The root file system, from the cache or built now (about a minute); named after its recipe."""
    recipe = hashlib.sha256(repr((SUITE, PACKAGES, CUSTOMISE)).encode()).hexdigest()[:16]
    root = cache() / f"systemd-{recipe}"
    if not root.is_dir():
        cache().mkdir(parents=True, exist_ok=True)
        with (cache() / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # the kernel lets go of it however we end
            if not root.is_dir():
                build(root)
    return root


def build(root: Path) -> None:
    """Make `root` by debootstrap; it appears complete or not at all. Raises RigUnavailableError."""
    part = root.with_suffix(".part")
    shutil.rmtree(part, ignore_errors=True)  # of a run that was killed
    try:
        (part / "usr/sbin").mkdir(parents=True)
        policy = part / "usr/sbin/policy-rc.d"  # packages must not start their servers on this machine
        policy.write_text("#!/bin/sh\nexit 101\n")
        policy.chmod(0o755)
        build_step("debootstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}", SUITE, str(part))
        build_step("chroot", str(part), "sh", "-c", CUSTOMISE)
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
