"""Which operating system this is, and so whose rules hold and which back end tells of it."""

from __future__ import annotations

import sys

from portcheck.model import PortPolicy
from portcheck.value import TYPE_CHECKING

if TYPE_CHECKING:
    from portcheck.model import Platform, Process

PLATFORMS: dict[str, Platform] = {"linux": "linux", "win32": "windows", "darwin": "macos"}
PLATFORM: Platform = PLATFORMS.get(sys.platform, "other")


def policy() -> PortPolicy:
    """What this host allows apart from its sockets."""
    if PLATFORM == "linux":
        from portcheck.observe.policy import linux_policy

        return linux_policy()
    if PLATFORM == "windows":
        return PortPolicy()  # it has no privileged ports
    from portcheck.observe.unix_policy import unix_policy

    return unix_policy()


def process(pid: int) -> Process | None:
    """A process as it is at this moment; None if there is none."""
    if PLATFORM == "linux":
        from portcheck.observe import processes

        return processes.process(pid)
    from portcheck.observe import psutil_processes

    return psutil_processes.process(pid)
