"""The rules of iptables-legacy, from the kernel itself (linux/netfilter_ipv4/ip_tables.h, ip6_tables.h).

The kernel answers with one block for each table: rules that jump to each other by their offsets.
"""

from __future__ import annotations

from struct import Struct

from portcheck import lean_socket as socket
from portcheck.namedtuple import TYPE_CHECKING, NamedTuple
from portcheck.observe.linux.filter import xtables
from portcheck.observe.linux.filter.packets import Part, interface_name, narrow, unsure
from portcheck.observe.linux.filter.rules import END, RETURN, Verdict

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator

    from portcheck.observe.linux.filter.packets import Packets

_INFO, _ENTRIES = 64, 65  # IPT_SO_GET_INFO, IPT_SO_GET_ENTRIES
_NAME = 32  # bytes of a table's name
_TABLE_INFO = Struct("=32sI5I5III")  # name, valid hooks, where each begins, where each ends, entries, size
_ENTRIES_HEADER = 40  # ipt_get_entries: name, size, padded to eight
_MOST_BYTES = 1 << 26
_PREROUTING, _OUTPUT = 0, 3

_NOT_IN, _NOT_OUT, _NOT_DESTINATION, _NOT_PROTOCOL = 0x01, 0x02, 0x10, 0x40
_MATCH = Struct("=H29sB")  # size, name, revision
_STANDARD = Struct("=i")
_RETURN_VERDICT = -5


class Layout(NamedTuple):
    """How the entries of a family are built."""

    family: int
    level: int  # of getsockopt
    size: int  # of an entry without its matches
    head: Struct  # source, destination, their masks, interfaces and their masks, protocol, flags, inverted flags
    offsets: Struct  # where the target is, and the next entry
    offsets_at: int
    goto: int  # the flag


IPV4 = Layout(socket.AF_INET, 0, 112, Struct("=4s4s4s4s16s16s16s16sHBB"), Struct("=HH"), 88, 0x02)
IPV6 = Layout(socket.AF_INET6, 41, 168, Struct("=16s16s16s16s16s16s16s16sHxBB"), Struct("=HH"), 140, 0x04)


class Head(NamedTuple):
    """What every entry begins with."""

    source: bytes
    destination: bytes
    source_mask: bytes
    mask: bytes
    into: bytes
    out: bytes
    in_mask: bytes
    out_mask: bytes
    protocol: int
    flags: int
    inverted: int


class LegacyTable(NamedTuple):
    """One table of one family."""

    layout: Layout
    data: bytes
    hooks: tuple[int, ...]  # where the chain of each begins

    def rules(self, chain: Hashable) -> Iterator[LegacyRule]:
        """The rules from an offset on; the last one of a chain returns, or decides."""
        offset = chain
        while isinstance(offset, int) and offset < len(self.data):
            rule = LegacyRule(self, offset)
            yield rule
            offset = rule.next


class LegacyRule:
    """One entry."""

    def __init__(self, table: LegacyTable, offset: int) -> None:
        """At this offset of the table."""
        target, after = table.layout.offsets.unpack_from(table.data, offset + table.layout.offsets_at)
        self._table = table
        self._offset = offset
        self._target = offset + target
        self.next = offset + max(after, table.layout.size)

    def outcomes(self, packets: Packets) -> Iterator[tuple[Packets, Verdict]]:
        """See `rules.Rule`."""
        left = self._of_head(packets)
        comment = None
        place = self._offset + self._table.layout.size
        while left and place < self._target:
            size, name, revision, info = self._read(place)
            left = xtables.matched(left, name, revision, info)
            if name == b"comment":
                comment = xtables.comment(info)
            place += max(size, _MATCH.size)
        verdict = self._verdict() if left else None
        if left and verdict:
            yield left, verdict._replace(comment=comment)

    def _read(self, place: int) -> tuple[int, bytes, int, bytes]:
        size, name, revision = _MATCH.unpack_from(self._table.data, place)
        return size, name.partition(b"\0")[0], revision, self._table.data[place + _MATCH.size : place + size]

    @property
    def _head(self) -> Head:
        return Head(*self._table.layout.head.unpack_from(self._table.data, self._offset))

    def _of_head(self, packets: Packets) -> Packets | None:
        head = self._head
        left: Packets | None = packets
        if any(head.mask):
            place = ((head.destination, head.destination),)
            part = Part("daddr", len(head.mask), mask=head.mask)
            left = narrow(packets, part, place, inverted=bool(head.inverted & _NOT_DESTINATION))
        if left and any(head.in_mask):
            part = Part("iifname", 16, mask=head.in_mask)
            left = narrow(left, part, ((head.into, head.into),), inverted=bool(head.inverted & _NOT_IN))
        if left and any(head.out_mask):
            part = Part("constant", 16, constant=_masked(left.out, head.out_mask))
            left = narrow(left, part, ((head.out, head.out),), inverted=bool(head.inverted & _NOT_OUT))
        if left and head.protocol:
            number = bytes((head.protocol & 0xFF,))
            part = Part("l4proto", 1)
            left = narrow(left, part, ((number, number),), inverted=bool(head.inverted & _NOT_PROTOCOL))
        return unsure(left) if left and any(head.source_mask) else left

    def _verdict(self) -> Verdict | None:
        _, name, revision, info = self._read(self._target)
        if name == b"ERROR":  # between the chains
            return END
        if name:
            return xtables.target(name, revision, info, is_ipv4=self._table.layout.family == socket.AF_INET)
        code = _STANDARD.unpack_from(info)[0]
        if code == _RETURN_VERDICT:
            return RETURN
        if code < 0:
            return END
        if code == self.next:  # a rule without a target
            return None
        return Verdict("goto" if self._head.flags & self._table.layout.goto else "jump", code)


def _masked(name: str, mask: bytes) -> bytes:
    return bytes(byte & kept for byte, kept in zip(interface_name(name), mask))


def read_table(layout: Layout, name: bytes) -> LegacyTable:
    """A table as the kernel has it.  Raises OSError."""
    kept = name.ljust(_NAME, b"\0")
    with socket.socket(layout.family, socket.SOCK_RAW, 255) as raw:  # IPPROTO_RAW: it receives nothing
        answer = _option(raw.fileno(), layout.level, _INFO, kept.ljust(_TABLE_INFO.size, b"\0"))
        size = _TABLE_INFO.unpack(answer)[-1]
        if size > _MOST_BYTES:
            raise OSError(f"the table has {size} bytes")
        request = kept + Struct("=I4x").pack(size) + bytes(size)
        data = _option(raw.fileno(), layout.level, _ENTRIES, request)
    return LegacyTable(layout, data[_ENTRIES_HEADER:], _TABLE_INFO.unpack(answer)[2:7])


def _option(descriptor: int, level: int, option: int, request: bytes) -> bytes:
    """getsockopt(2), whose answer may be of any length and depends on what is in the buffer."""
    import ctypes
    import os

    buffer = ctypes.create_string_buffer(request, len(request))
    length = ctypes.c_uint32(len(request))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.getsockopt(descriptor, level, option, buffer, ctypes.byref(length)):
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return buffer.raw[: length.value]
