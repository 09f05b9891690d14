"""Run as a program: starts one sandbox, holds it while standard input is open, then removes every trace.

The test run holds the other end of that pipe, so the sandbox ends with the run however the run ends: fixture
teardown, Ctrl-C, a crash, SIGKILL. What lives in the sandbox's PID namespace dies with its first process, and
its mounts and network go with it; only cgroups outlive their processes, so those are removed here by name.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")
CONTAINERS = "run/docker-data/containers"  # where an engine in a sandbox keeps one folder per container

# If this keeper is killed, the kernel kills unshare, and so the first process, and so everything.
UNSHARE = ("setpriv", "--pdeathsig=KILL", "unshare", "-m", "-n", "-p", "-i", "-u", "--kill-child")

# /proc is still the old one at first: stat begins with the PID as the test run sees it. /sys is mounted
# afresh because it shows the network interfaces of the namespace in which it was mounted. It goes on when the
# keeper holds it by a pidfd: a number alone could soon be another process's.
INIT = """
set -e
read -r pid rest </proc/self/stat
mount -t proc proc /proc
mount -t tmpfs -o mode=755 tmpfs /run
mkdir /run/cgroup
mount --move /sys/fs/cgroup /run/cgroup
mount -t sysfs sysfs /sys
mount --move /run/cgroup /sys/fs/cgroup
ip link set lo up
echo "$pid"
read -r go
exec "$@" >&2
"""

JOIN = 'until [ "$1" = -- ]; do echo $$ >"$1/cgroup.procs"; shift; done; shift; exec "$@"'


def hierarchies() -> list[Path]:
    """Every mounted cgroup hierarchy: version 2 alone, or version 1 with version 2 beside it."""
    return [folder for folder in (CGROUPS, *CGROUPS.glob("*")) if (folder / "cgroup.procs").is_file()]


def unit_hierarchies() -> list[Path]:
    """Those in which systemd keeps its units."""
    return [folder for folder in hierarchies() if folder.name in {"cgroup", "unified", "systemd"}]


def group_name(keeper: int) -> str:
    """What the cgroup of a sandbox is called; `keeper` is the PID of its keeper."""
    return f"portcheck-rig-{keeper}"


def joining(cgroups: Sequence[Path], argv: Sequence[str]) -> list[str]:
    """The command that runs `argv` in these cgroups."""
    return ["sh", "-c", JOIN, "sh", *map(str, cgroups), "--", *argv]


def remove_tree(folder: Path) -> None:
    """Remove a cgroup with all below it; the kernel may need a moment to let go of its last process."""
    deadline = time.monotonic() + 10
    while folder.exists():
        for name, _, _ in os.walk(folder, topdown=False):
            with suppress(OSError):
                Path(name).rmdir()
        if time.monotonic() > deadline:
            raise TimeoutError(f"cannot remove the cgroup {folder}")
        time.sleep(0.01)


@contextmanager
def own_cgroups(unit: str) -> Iterator[list[Path]]:
    """The cgroup `unit` in new cgroups for one sandbox, so that two never share one; gone at the end."""
    folders = [hierarchy / group_name(os.getpid()) for hierarchy in unit_hierarchies()]
    units = [folder / unit for folder in folders]
    try:
        for folder in units:
            folder.mkdir(parents=True)
        yield units
    finally:
        for folder in folders:
            remove_tree(folder)


@contextmanager
def container_cgroups() -> Iterator[set[str]]:
    """A set for the ids of containers: their cgroups (/docker/ID by default) are gone at the end."""
    parents = [hierarchy / "docker" for hierarchy in hierarchies()]
    absent = [parent for parent in parents if not parent.exists()]
    ids: set[str] = set()
    try:
        yield ids
    finally:
        for parent in parents:
            for container in ids:
                remove_tree(parent / container)
        for parent in absent:
            with suppress(OSError):  # never made, or used by another engine by now
                parent.rmdir()


def container_ids(init: int) -> list[str]:
    """The containers of an engine in the sandbox whose first process is `init`."""
    folder = Path(f"/proc/{init}/root", CONTAINERS)
    return [entry.name for entry in folder.iterdir()] if folder.is_dir() else []


def keep(argv: Sequence[str], containers: set[str]) -> None:
    """Run `argv` in new namespaces until it or our standard input ends; prints its PID when these are up."""
    pipe = subprocess.PIPE
    with subprocess.Popen(argv, stdin=pipe, stdout=pipe, text=True) as unshare:
        assert unshare.stdin is not None
        assert unshare.stdout is not None
        init = int(unshare.stdout.readline() or 0)
        if not init:
            sys.exit(1)  # unshare, mount or ip has said why on standard error
        pidfd = os.pidfd_open(init)
        try:
            unshare.stdin.write("go\n")
            unshare.stdin.close()
            print(init, flush=True)
            select.select([sys.stdin, pidfd], [], [])
            containers.update(container_ids(init))
        finally:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(pidfd, signal.SIGKILL)
            os.close(pidfd)


def main() -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    unit, *argv = sys.argv[1:]
    with own_cgroups(unit) as cgroups, container_cgroups() as containers:
        keep(joining(cgroups, [*UNSHARE, "sh", "-c", INIT, "sh", *argv]), containers)


if __name__ == "__main__":
    main()
