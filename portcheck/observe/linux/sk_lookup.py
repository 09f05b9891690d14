"""BPF programs that choose the socket of a connection (sk_lookup), by bpf(2): linux/bpf.h.

Such a program hands connections for any address and port to any socket of its network namespace, whatever is bound.
"""

from __future__ import annotations

import os
import sys
from struct import Struct

from portcheck.namedtuple import TYPE_CHECKING
from portcheck.observe.linux import procfs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

_NUMBERS = {"x86_64": 321, "aarch64": 280, "riscv64": 280, "loongarch64": 280, "ppc64le": 361, "s390x": 351}
_PROG_GET_FD_BY_ID, _OBJ_GET_INFO_BY_FD, _PROG_QUERY = 13, 15, 16
_SK_LOOKUP = 36
_QUERY = Struct("=IIIIQII")  # namespace, attach type, flags, flags, where to put the IDs, how many, padding
_BY_ID = Struct("=III")
_INFO_REQUEST = Struct("=IIQ")  # the program, room for the answer, where to put it
_INFO_SIZE, _NAME_AT, _NAME_SIZE = 80, 64, 16
_MOST_PROGRAMS = 64  # as many as the kernel attaches


def programs() -> tuple[str, ...]:
    """The programs that are attached to this network namespace, by their names or IDs; () where it is not told.

    (Only those with CAP_NET_ADMIN are told, and only from Linux 5.9 on there are any.  Behind a seccomp filter nobody
    asks: it may kill who does.)
    """
    number = _NUMBERS.get(os.uname().machine) if sys.maxsize > 2**32 else None
    if number is None or procfs.may_be_killed():
        return ()
    try:
        return tuple(_attached(number))
    except (ImportError, OSError):  # a Python without ctypes, a static one; no /proc
        return ()


def _attached(number: int) -> Iterator[str]:
    call, buffer, address = _bpf(number)
    namespace = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        ids = buffer(4 * _MOST_PROGRAMS)
        query = buffer(_QUERY.size, _QUERY.pack(namespace, _SK_LOOKUP, 0, 0, address(ids), _MOST_PROGRAMS, 0))
        if call(_PROG_QUERY, query) != 0:
            return
    finally:
        os.close(namespace)
    count = _QUERY.unpack(query.raw)[5]
    for (program,) in Struct("=I").iter_unpack(ids.raw[: 4 * count]):
        yield _name(program, call, buffer, address) or f"number {program}"


def _name(
    program: int, call: Callable[[int, Any], int], buffer: Callable[..., Any], address: Callable[[Any], int]
) -> str:
    """Only CAP_SYS_ADMIN is told; a program may have no name."""
    descriptor = call(_PROG_GET_FD_BY_ID, buffer(_BY_ID.size, _BY_ID.pack(program, 0, 0)))
    if descriptor < 0:
        return ""
    try:
        info = buffer(_INFO_SIZE)
        request = buffer(_INFO_REQUEST.size, _INFO_REQUEST.pack(descriptor, _INFO_SIZE, address(info)))
        if call(_OBJ_GET_INFO_BY_FD, request) != 0:
            return ""
    finally:
        os.close(descriptor)
    answer: bytes = info.raw
    return answer[_NAME_AT : _NAME_AT + _NAME_SIZE].partition(b"\0")[0].decode("utf-8", "surrogateescape")


def _bpf(number: int) -> tuple[Callable[[int, Any], int], Callable[..., Any], Callable[[Any], int]]:
    """bpf(2) itself, what makes a buffer for it, and where a buffer is; without what ctypes takes to import."""
    import _ctypes

    class Byte(_ctypes._SimpleCData):  # type: ignore[type-arg] # noqa: SLF001 - ctypes.c_char
        _type_ = "c"

    this_program: Any = None
    system_call = _ctypes.dlsym(_ctypes.dlopen(this_program, 0), "syscall")

    def buffer(size: int, content: bytes = b"") -> Any:
        made = type("Buffer", (_ctypes.Array,), {"_type_": Byte, "_length_": size})()
        made.raw = content.ljust(size, b"\0")
        return made

    def call(command: int, request: Any) -> int:
        result: int = _ctypes.call_function(system_call, (number, command, request, len(request)))
        return result

    return call, buffer, _ctypes.addressof
