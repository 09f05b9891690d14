"""The packets that come as far as a rule, as sets: what a match makes of them.  Pure.

A rule narrows them (`tcp dport 80`), and leaves the rest to the next one.  What a match asks that is not known of
them (a mark, a source address) makes the outcome unsure, never impossible.
"""

from __future__ import annotations

from portcheck.model import PortRange
from portcheck.namedtuple import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from portcheck.model import Origin, Protocol

    Ports = tuple[PortRange, ...]
    Intervals = Sequence[tuple[bytes, bytes]]  # both ends included

TCP, UDP = 6, 17
MOST = 65535
NUMBERS: Mapping[Protocol, int] = {"tcp": TCP, "udp": UDP}


class Packets(NamedTuple):
    """The first packets of connections to this host: every combination of what is listed here.

    The packet filter decides about the others of a connection by its first one alone.
    """

    origin: Origin
    ports: Mapping[Protocol, Ports]
    destinations: frozenset[bytes]  # this host's addresses, packed
    interfaces: Mapping[str, int]  # that they come in by, with their indexes; "" where they are made here
    out: str = ""  # the interface that they go out by, at the hook of outgoing packets: lo
    sure: bool = True  # False: only some of them, by what is not known here


class Part(NamedTuple):
    """Bytes of a packet, or of what the kernel knows of it, that a rule looks at.

    `name` is that of a field (daddr, dport, l4proto ...), "" for what is not known here, "constant" for bytes that are
    the same for all of these packets.  With `mask`, as the field & mask ^ xor.
    """

    name: str
    size: int
    start: int = 0
    constant: bytes = b""
    mask: bytes = b""
    xor: bytes = b""
    values: int = 0  # how many there can be, where chance decides


def unsure(packets: Packets) -> Packets:
    """Some of these packets, nobody here knows which."""
    return packets._replace(sure=False)


def narrow(packets: Packets, part: Part, intervals: Intervals, *, inverted: bool = False) -> Packets | None:
    """Those of which this part lies in one of the intervals; None where there are none."""

    def matches(value: bytes) -> bool:
        value = _masked(value[part.start : part.start + part.size], part)
        return any(first <= value <= last for first, last in intervals) is not inverted

    if part.name == "constant":
        return packets if matches(part.constant) else None
    if part.name == "dport":
        return _narrow_ports(packets, part, intervals, inverted=inverted)
    if part.name in ("daddr", "nfproto", "ethertype"):
        see = {"daddr": lambda each: each, "nfproto": _nfproto, "ethertype": _ethertype}[part.name]
        return _or_none(packets._replace(destinations=frozenset(filter(lambda each: matches(see(each)),
                                                                       packets.destinations))))  # fmt: skip
    if part.name == "l4proto":
        left = {name: ports for name, ports in packets.ports.items() if matches(bytes((NUMBERS[name],)))}
        return _or_none(packets._replace(ports=left))
    if part.name in ("iifname", "iif"):
        by_name = part.name == "iifname"
        return _or_none(packets._replace(interfaces={
            name: index for name, index in packets.interfaces.items()
            if matches(interface_name(name) if by_name else native(index))
        }))  # fmt: skip
    return unsure(packets)


def _nfproto(address: bytes) -> bytes:
    return bytes((2 if len(address) == 4 else 10,))


def _ethertype(address: bytes) -> bytes:
    return b"\x08\x00" if len(address) == 4 else b"\x86\xdd"


def interface_name(name: str) -> bytes:
    """As the kernel compares it: 16 bytes."""
    return name.encode("utf-8", "surrogateescape").ljust(16, b"\0")


def native(value: int) -> bytes:
    """A number of 32 bits in the machine's byte order."""
    import sys

    return value.to_bytes(4, sys.byteorder)


def _masked(value: bytes, part: Part) -> bytes:
    if not part.mask:
        return value
    xor = part.xor or bytes(len(part.mask))
    return bytes(byte & mask ^ flip for byte, mask, flip in zip(value, part.mask, xor))


def _narrow_ports(packets: Packets, part: Part, intervals: Intervals, *, inverted: bool) -> Packets | None:
    if part.size != 2 or part.mask not in (b"", b"\xff\xff") or any(part.xor):
        return unsure(packets)
    wanted = [PortRange(int.from_bytes(first, "big"), int.from_bytes(last, "big")) for first, last in intervals]
    return with_ports(packets, wanted, inverted=inverted)


def with_ports(packets: Packets, wanted: Iterable[PortRange], *, inverted: bool = False) -> Packets | None:
    """Those for these ports, or for all others."""
    merged = _merged(wanted)
    keep = _without if inverted else _within
    left = {protocol: keep(ports, merged) for protocol, ports in packets.ports.items()}
    return _or_none(packets._replace(ports={protocol: ports for protocol, ports in left.items() if ports}))


def _or_none(packets: Packets) -> Packets | None:
    return packets if packets.ports and packets.destinations and packets.interfaces else None


def minus(packets: Packets, taken: Packets) -> list[Packets]:
    """The packets without those that are taken, as sets that do not overlap."""
    both = _common(packets, taken)
    if both is None:
        return [packets]
    ports = {protocol: _without(mine, both.ports.get(protocol, ())) for protocol, mine in packets.ports.items()}
    interfaces = {name: index for name, index in packets.interfaces.items() if name not in both.interfaces}
    rest = (
        packets._replace(ports={protocol: left for protocol, left in ports.items() if left}),
        packets._replace(ports=both.ports, destinations=packets.destinations - both.destinations),
        packets._replace(ports=both.ports, destinations=both.destinations, interfaces=interfaces),
    )
    return [each for each in rest if _or_none(each)]


def _common(one: Packets, other: Packets) -> Packets | None:
    ports = {protocol: _within(mine, other.ports.get(protocol, ())) for protocol, mine in one.ports.items()}
    return _or_none(
        one._replace(
            ports={protocol: left for protocol, left in ports.items() if left},
            destinations=one.destinations & other.destinations,
            interfaces={name: index for name, index in one.interfaces.items() if name in other.interfaces},
        )
    )


def _merged(ranges: Iterable[PortRange]) -> list[PortRange]:
    """In order, without overlaps."""
    merged: list[PortRange] = []
    for each in sorted(ranges):
        if merged and each.first <= merged[-1].last + 1:
            merged[-1] = PortRange(merged[-1].first, max(merged[-1].last, each.last))
        else:
            merged.append(each)
    return merged


def _within(ports: Ports, wanted: Iterable[PortRange]) -> Ports:
    """The ports that are wanted too.  Both are in order, without overlaps."""
    return tuple(
        PortRange(max(mine.first, each.first), min(mine.last, each.last))
        for each in wanted
        for mine in ports[_overlap(ports, each)]
    )


def _without(ports: Ports, others: Iterable[PortRange]) -> Ports:
    for other in others:
        where = _overlap(ports, other)
        if mine := ports[where]:
            edges = PortRange(mine[0].first, other.first - 1), PortRange(other.last + 1, mine[-1].last)
            left = tuple(edge for edge in edges if edge.first <= edge.last)
            ports = (*ports[: where.start], *left, *ports[where.stop :])
    return ports


def _overlap(ports: Ports, other: PortRange) -> slice:
    """Where those are that have ports in common with another range: there may be thousands."""
    from bisect import bisect_right

    start, stop = (bisect_right(ports, (end, MOST)) for end in other)
    return slice(start - 1 if start and ports[start - 1].last >= other.first else start, stop)
