"""Which operating system this is, and so whose rules hold and which back end tells of it."""

from __future__ import annotations

import sys

from portcheck.model import PortPolicy
from portcheck.namedtuple import TYPE_CHECKING

if TYPE_CHECKING:
    from portcheck.model import Platform, Process


PLATFORMS: dict[str, Platform] = {"linux": "linux", "win32": "windows", "darwin": "macos"}
PLATFORM: Platform = PLATFORMS.get(sys.platform, "other")


def policy() -> PortPolicy:
    """What this host allows apart from its sockets."""
    if PLATFORM == "linux":
        from portcheck.observe.linux.policy import linux_policy

        return linux_policy()
    if PLATFORM == "windows":
        return PortPolicy()  # it has no privileged ports
    from portcheck.observe.portable.policy import unix_policy

    return unix_policy()


def process(pid: int) -> Process | None:
    """A process as it is at this moment; None if there is none."""
    if PLATFORM == "linux":
        from portcheck.observe.linux.processes import process as by_procfs

        return by_procfs(pid)
    from portcheck.observe.portable.processes import process as by_psutil

    return by_psutil(pid)


def descends(pid: int, ancestor: int) -> bool:
    """Whether `pid` is a child of `ancestor`, or a child's child, and so on; not of itself."""
    seen = {pid}
    while (process := process_now(pid)) and process.parent_pid and process.parent_pid not in seen:
        pid = process.parent_pid
        if pid == ancestor:
            return True
        seen.add(pid)
    return False


def process_now(pid: int) -> Process | None:
    """A process as it is at this moment; None if there is none."""
    return process(pid)
