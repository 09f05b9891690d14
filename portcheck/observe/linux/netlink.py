"""Netlink, the kernel's protocol of questions and answers: the little of it that looking needs (RFC 3549).

Shared by sock_diag (sockets), rtnetlink (addresses, routes, links) and generic netlink (WireGuard).
"""

from __future__ import annotations

import errno
import os
import sys
from struct import Struct
from struct import error as StructError  # noqa: N812

from portcheck import lean_socket as socket
from portcheck.namedtuple import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import TypeVar

    from typing_extensions import Self  # in typing from 3.11 on; a type checker brings it along

    T = TypeVar("T")

NETLINK_ROUTE = 0
NETLINK_SOCK_DIAG = 4
NETLINK_GENERIC = 16

_NLM_F_REQUEST = 0x01
_NLM_F_DUMP_INTR = 0x10
_NLM_F_DUMP = 0x300
_NLMSG_ERROR = 2
_NLMSG_DONE = 3
_HEADER = Struct("=IHHII")  # length, type, flags, sequence, port id
_ATTRIBUTE = Struct("=HH")  # length, type
_ERRNO = Struct("=i")
# Flags in the upper bits of an attribute's type: nested, network byte order.
_ATTRIBUTE_TYPE = 0x3FFF

# Dumps come in pieces of at most 32 KiB (netlink_dump, the reader's buffer capped): none is cut.
_BUFFER_SIZE = 65536
# The kernel answers while it is being asked, so this only ends a wait that would never end.
_TIMEOUT_SECONDS = 10.0
_ATTEMPTS = 10
# How reading a message fails that is not built as it should be.
_ODD = (StructError, LookupError, ValueError)


class Netlink:
    """An open netlink socket.

    Every method raises OSError: with the kernel's errno where it refuses, with EBADMSG where it answers what cannot be
    understood (a kernel of another kind, or one that is younger than this).
    """

    def __init__(self, protocol: int) -> None:
        """Raises OSError where the protocol does not exist or is refused (seccomp, other kernels)."""
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, protocol)
        self._socket.settimeout(_TIMEOUT_SECONDS)
        self._sequence = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._socket.close()

    def request(self, kind: int, payload: bytes, parse: Callable[[bytes], T]) -> T:
        """Asks for one thing: `parse` of the payload of the one message that answers."""
        self._send(kind, _NLM_F_REQUEST, payload)
        while True:
            for answers, _, answer in self._receive():
                if answers in (_NLMSG_ERROR, _NLMSG_DONE):
                    _raise_errno(answer)
                try:
                    return parse(answer)
                except _ODD as error:
                    raise _not_understood(error) from error

    def dump(self, kind: int, payload: bytes, parse: Callable[[bytes], T]) -> list[T]:
        """Asks for a whole table: `parse` of each message's payload, in the kernel's order.

        A dump during which the table changed (NLM_F_DUMP_INTR: entries may be missing) is asked for again.
        """
        for _ in range(_ATTEMPTS):
            self._send(kind, _NLM_F_REQUEST | _NLM_F_DUMP, payload)
            try:
                entries, interrupted = self._entries(parse)
            except _ODD as error:
                raise _not_understood(error) from error
            if not interrupted:
                return entries
        raise OSError(errno.EAGAIN, f"the table changed during each of {_ATTEMPTS} dumps")

    def _entries(self, parse: Callable[[bytes], T]) -> tuple[list[T], bool]:
        entries: list[T] = []
        seen_flags = 0
        while True:
            for kind, flags, payload in self._receive():
                seen_flags |= flags
                if kind in (_NLMSG_ERROR, _NLMSG_DONE):
                    _raise_errno(payload)
                    return entries, bool(seen_flags & _NLM_F_DUMP_INTR)
                entries.append(parse(payload))

    def _send(self, kind: int, flags: int, payload: bytes) -> None:
        self._sequence += 1
        header = _HEADER.pack(_HEADER.size + len(payload), kind, flags, self._sequence, 0)
        self._socket.send(header + payload)

    def _receive(self) -> Iterator[tuple[int, int, bytes]]:
        data, _, flags, _ = self._socket.recvmsg(_BUFFER_SIZE)
        if flags & socket.MSG_TRUNC:
            raise OSError(errno.EMSGSIZE, f"a netlink answer is longer than {_BUFFER_SIZE} bytes")
        return messages(data, self._sequence)


def _not_understood(error: Exception) -> OSError:
    return OSError(errno.EBADMSG, f"a netlink message cannot be understood ({type(error).__name__})")


def messages(data: bytes, sequence: int) -> Iterator[tuple[int, int, bytes]]:
    """(type, flags, payload) of each message of one datagram; answers to other requests are left out.

    Raises OSError (EBADMSG) where the data are no netlink messages.
    """
    offset, end = 0, len(data)
    unpack, size = _HEADER.unpack_from, _HEADER.size
    while offset + size <= end:
        length, kind, flags, answers, _ = unpack(data, offset)
        if not size <= length <= end - offset:
            break
        if answers == sequence:
            yield kind, flags, data[offset + size : offset + length]
        offset += (length + 3) & ~3
    if offset < end:
        raise OSError(errno.EBADMSG, "a netlink message is cut short")


def attributes(data: bytes, offset: int = 0) -> Iterator[tuple[int, bytes]]:
    """(type, value) of each attribute from `offset` on; ends at the first that is cut short."""
    while offset + _ATTRIBUTE.size <= len(data):
        length, kind = _ATTRIBUTE.unpack_from(data, offset)
        if not _ATTRIBUTE.size <= length <= len(data) - offset:
            return
        yield kind & _ATTRIBUTE_TYPE, data[offset + _ATTRIBUTE.size : offset + length]
        offset += (length + 3) & ~3


def attribute(kind: int, value: bytes) -> bytes:
    """One attribute as it is sent, padded to four bytes."""
    return _ATTRIBUTE.pack(_ATTRIBUTE.size + len(value), kind) + value + b"\0" * (-len(value) % 4)


def number(value: bytes) -> int:
    """An attribute's unsigned integer, in the machine's byte order."""
    return int.from_bytes(value, sys.byteorder)


def _raise_errno(payload: bytes) -> None:
    """An error message and the end of a dump both begin with 0 or a negative errno."""
    code = -_ERRNO.unpack_from(payload)[0] if len(payload) >= _ERRNO.size else 0
    if code > 0:
        raise OSError(code, os.strerror(code))
