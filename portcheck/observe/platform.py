"""Which operating system this is, and so whose rules hold."""

from __future__ import annotations

import sys

from portcheck.model import PortPolicy
from portcheck.value import TYPE_CHECKING

if TYPE_CHECKING:
    from portcheck.model import Platform

PLATFORMS: dict[str, Platform] = {"linux": "linux", "win32": "windows", "darwin": "macos"}
PLATFORM: Platform = PLATFORMS.get(sys.platform, "other")


def policy() -> PortPolicy:
    """What this host allows apart from its sockets."""
    if PLATFORM == "linux":
        from portcheck.observe.policy import linux_policy

        return linux_policy()
    return PortPolicy()
