"""The C library, for the calls that Python has no function for."""

from __future__ import annotations

import ctypes
import os
import sys

libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None

CLONE_FILES = 0x400
CLONE_NEWNET = 0x40000000


def check(result: int, what: str) -> int:
    """The result of a C function; OSError where it is -1."""
    if result == -1:
        raise OSError(ctypes.get_errno(), f"{what}: {os.strerror(ctypes.get_errno())}")
    return result


def unshare(flags: int) -> None:
    """Gives this thread its own copy of what the flags name."""
    assert libc
    check(libc.unshare(flags), "unshare")


def enter_network(namespace: int) -> None:
    """Moves this thread into the network namespace of this descriptor."""
    assert libc
    check(libc.setns(namespace, CLONE_NEWNET), "setns")
