"""Two properties of a Linux process that Python has no name for (prctl(2)); elsewhere these do nothing."""

from __future__ import annotations

import signal
import sys

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36


def adopt_orphans() -> None:
    """Descendants that lose their parent become children of this process, so that a daemon can be told as one."""
    _prctl(PR_SET_CHILD_SUBREAPER, 1)


def die_with_parent() -> None:
    """What is sent to portcheck and cannot be passed on, SIGKILL, reaches the command all the same."""
    _prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL))


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)
