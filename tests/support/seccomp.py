"""A sandbox that refuses system calls: real seccomp filters, for the process that asks and all that it starts."""

from __future__ import annotations

import ctypes
import errno
import platform
import sys
from struct import pack

import pytest

from support.libc import check, libc

# Numbers by architecture; clone is what fork(3) calls, clone3 what a thread is made by.
CALLS = {
    "x86_64": {"socket": 41, "clone": 56, "clone3": 435, "sched_getaffinity": 204},
    "aarch64": {"socket": 198, "clone": 220, "clone3": 435, "sched_getaffinity": 123},
}
_LOAD, _EQUAL, _ANSWER = 0x20, 0x15, 0x06
_ALLOW, _REFUSE = 0x7FFF0000, 0x00050000
_FIRST_ARGUMENT = 16 if sys.byteorder == "little" else 20


def numbers() -> dict[str, int]:
    """The system calls of this architecture; skips where they are not known."""
    if platform.machine() not in CALLS:
        pytest.skip("needs the numbers of system calls here")
    return CALLS[platform.machine()]


def refuse(number: int, error: int = errno.EPERM, *, first: int | None = None) -> None:
    """From now on this system call fails (with `first`: if that is its first argument)."""
    only = [] if first is None else [(_LOAD, 0, 0, _FIRST_ARGUMENT), (_EQUAL, 0, 1, first)]
    instructions = [
        (_LOAD, 0, 0, 0),
        (_EQUAL, 0, 1 + len(only), number),
        *only,
        (_ANSWER, 0, 0, _REFUSE | error),
        (_ANSWER, 0, 0, _ALLOW),
    ]
    code = ctypes.create_string_buffer(b"".join(pack("=HBBI", *each) for each in instructions))
    program = ctypes.create_string_buffer(pack("@HP", len(instructions), ctypes.addressof(code)))
    assert libc
    check(libc.prctl(38, 1, 0, 0, 0), "PR_SET_NO_NEW_PRIVS")
    check(libc.prctl(22, 2, program, 0, 0), "PR_SET_SECCOMP")
