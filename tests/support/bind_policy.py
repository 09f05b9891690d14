"""A cgroup whose BPF program refuses every bind: what systemd makes of SocketBindDeny=any."""

from __future__ import annotations

import ctypes
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from struct import pack

import pytest

from support.libc import check, libc
from support.rigs.keeper import hierarchies, remove_tree

CALLS = {"x86_64": 321, "aarch64": 280}  # bpf(2)
_LOAD, _ATTACH = 5, 8
_SOCKET_ADDRESS = 18  # BPF_PROG_TYPE_CGROUP_SOCK_ADDR
_BIND4, _BIND6 = 8, 9
_REFUSE = pack("=BBhi", 0xB7, 0, 0, 0) + pack("=BBhi", 0x95, 0, 0, 0)  # r0 = 0; exit


@contextmanager
def deny_binds() -> Iterator[Path]:
    """The `cgroup.procs` of a new cgroup; whoever is in it can bind nothing."""
    if platform.machine() not in CALLS:
        pytest.skip("needs the numbers of system calls here")
    unified = next((each for each in hierarchies() if (each / "cgroup.controllers").exists()), None)
    if unified is None:
        pytest.skip("needs cgroups of version 2")
    folder = unified / f"portcheck-denied-{os.getpid()}"
    folder.mkdir()
    cgroup = os.open(folder, os.O_RDONLY)
    try:
        for kind in (_BIND4, _BIND6):
            program = _bpf(_LOAD, _program(kind))
            _bpf(_ATTACH, pack("=IIII", cgroup, program, kind, 0))
            os.close(program)
        yield folder / "cgroup.procs"
    finally:
        os.close(cgroup)
        remove_tree(folder)


_INSTRUCTIONS = ctypes.create_string_buffer(_REFUSE, len(_REFUSE))
_LICENSE = ctypes.create_string_buffer(b"GPL")


def _program(kind: int) -> bytes:
    """bpf_attr of BPF_PROG_LOAD, up to expected_attach_type."""
    places = ctypes.addressof(_INSTRUCTIONS), ctypes.addressof(_LICENSE)
    return pack("=IIQQIIQII16sII", _SOCKET_ADDRESS, 2, *places, 0, 0, 0, 0, 0, b"", 0, kind)


def _bpf(command: int, attributes: bytes) -> int:
    assert libc
    buffer = ctypes.create_string_buffer(attributes, len(attributes))
    return int(check(libc.syscall(CALLS[platform.machine()], command, buffer, len(attributes)), "bpf"))
