"""iptables' matches and targets, as iptables-nft and iptables-legacy hand them to the kernel (linux/netfilter/xt_*.h).

Pure.  A match that is not known here leaves the outcome unsure.
"""

from __future__ import annotations

from struct import Struct

from portcheck.lean_socket import AF_INET, AF_INET6, inet_ntop
from portcheck.model import PortRange
from portcheck.namedtuple import TYPE_CHECKING
from portcheck.observe.linux.filter.packets import TCP, UDP, Part, narrow, unsure, with_ports
from portcheck.observe.linux.filter.rules import END, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from portcheck.observe.linux.filter.packets import Packets

    Match = Callable[[Packets, int, bytes], "Packets | None"]

_TRANSPORT = Struct("=4H")  # source from, to; destination from, to
_TCP_INVERTED, _UDP_INVERTED = 11, 8  # where the byte of invert flags is
_NOT_DESTINATION = 2
_EVERY_PORT = (0, 65535)
_MULTIPORT = Struct("=BB15H15BB")  # flags, count, ports, whether one begins a range, inverted
_TO_DESTINATIONS, _TO_EITHER = 1, 2
_ADDRESS_TYPES = Struct("=HHI")
_TYPE_UNICAST, _TYPE_LOCAL = 1 << 1, 1 << 2
_INVERT_SOURCE, _INVERT_DESTINATION, _LIMIT_INTERFACES = 1, 2, 4 | 8
_CONNTRACK = Struct("=146x4H")  # match flags, inverted, states, status
_CONNTRACK_STATE, _STATE_NEW = 1, 8
_STATE = Struct("=I")
_NAT_IPV4 = Struct("=II4s4s2s2s")  # how many ranges; flags, addresses, ports
_NAT = Struct("=I16s16s2s2s")
_ADDRESSES_GIVEN, _PORTS_GIVEN = 1, 2
_TPROXY_0 = Struct("=8x4s2s")
_TPROXY_1 = Struct("=8x16s2s")


def comment(info: bytes) -> str | None:
    """The text of the match that matches everything."""
    return info.partition(b"\0")[0].decode("utf-8", "surrogateescape") or None


def matched(packets: Packets, name: bytes, revision: int, info: bytes) -> Packets | None:
    """Those that a match lets through."""
    match = _MATCHES.get(name)
    return match(packets, revision, info) if match else unsure(packets)


def _protocol(packets: Packets, number: int) -> Packets | None:
    value = bytes((number,))
    return narrow(packets, Part("l4proto", 1), ((value, value),))


def _tcp(packets: Packets, _: int, info: bytes) -> Packets | None:
    asks_for_flags = info[9]  # --syn is what every first packet has; others come later
    ours = _protocol(packets, TCP)
    if ours and asks_for_flags and info[9:11] != b"\x17\x02":  # FIN, SYN, RST, ACK: of these SYN alone
        ours = unsure(ours)
    return _of_ports(ours, info, info[_TCP_INVERTED])


def _udp(packets: Packets, _: int, info: bytes) -> Packets | None:
    return _of_ports(_protocol(packets, UDP), info, info[_UDP_INVERTED])


def _of_ports(packets: Packets | None, info: bytes, inverted: int) -> Packets | None:
    first_source, last_source, first, last = _TRANSPORT.unpack_from(info)
    if packets and (first_source, last_source) != _EVERY_PORT:
        packets = unsure(packets)
    if packets is None:
        return None
    return with_ports(packets, [PortRange(first, last)], inverted=bool(inverted & _NOT_DESTINATION))


def _multiport(packets: Packets, revision: int, info: bytes) -> Packets | None:
    if revision != 1:
        return unsure(packets)
    flags, count, *rest = _MULTIPORT.unpack_from(info)
    ports, begins, inverted = rest[:15][:count], rest[15:30], rest[30]
    ranges = [
        PortRange(first, ports[place + 1] if begins[place] else first)
        for place, first in enumerate(ports)
        if not (place and begins[place - 1])
    ]
    if flags == _TO_DESTINATIONS:
        return with_ports(packets, ranges, inverted=bool(inverted))
    # the client's port is not known, and with "either" it is enough
    return unsure(packets)


def _addrtype(packets: Packets, revision: int, info: bytes) -> Packets | None:
    source, destination, flags = _ADDRESS_TYPES.unpack_from(info)
    if revision == 0:  # two numbers instead of flags
        flags = (_INVERT_SOURCE if flags else 0) | (_INVERT_DESTINATION if any(info[8:12]) else 0)
    is_source = _TYPE_LOCAL if packets.origin == "here" else _TYPE_UNICAST
    if source and bool(source & is_source) is bool(flags & _INVERT_SOURCE):
        return None
    if destination and bool(destination & _TYPE_LOCAL) is bool(flags & _INVERT_DESTINATION):
        return None
    return unsure(packets) if flags & _LIMIT_INTERFACES else packets


def _conntrack(packets: Packets, revision: int, info: bytes) -> Packets | None:
    if revision not in (2, 3):
        return unsure(packets)
    flags, inverted, states, _ = _CONNTRACK.unpack_from(info)
    if flags & _CONNTRACK_STATE and bool(states & _STATE_NEW) is bool(inverted & _CONNTRACK_STATE):
        return None
    return packets if flags == _CONNTRACK_STATE else unsure(packets)


def _state(packets: Packets, _: int, info: bytes) -> Packets | None:
    return packets if _STATE.unpack_from(info)[0] & _STATE_NEW else None


def _everything(packets: Packets, _: int, __: bytes) -> Packets | None:
    return packets


_MATCHES: Mapping[bytes, Match] = {
    b"tcp": _tcp, b"udp": _udp, b"multiport": _multiport, b"addrtype": _addrtype, b"conntrack": _conntrack,
    b"state": _state, b"comment": _everything,
}  # fmt: skip


def target(name: bytes, revision: int, info: bytes, *, is_ipv4: bool) -> Verdict | None:
    """What a target does with packets; None where the next rule goes on (LOG, MARK ...)."""
    if name == b"DNAT":
        return _nat(info, has_ranges=is_ipv4 and revision == 0, is_ipv4=is_ipv4)
    if name == b"REDIRECT":
        sent = _nat(info, has_ranges=is_ipv4, is_ipv4=is_ipv4)
        return sent._replace(address=None)
    if name == b"NETMAP":
        return _nat(info, has_ranges=is_ipv4, is_ipv4=is_ipv4)
    if name == b"TPROXY":
        address, port = (_TPROXY_1 if revision else _TPROXY_0).unpack_from(info)
        given = _address(address, is_ipv4=is_ipv4) if any(address) else None
        return Verdict("elsewhere", address=given, port=str(int.from_bytes(port, "big")) if any(port) else None)
    return END if name in (b"REJECT", b"NFQUEUE", b"QUEUE", b"SYNPROXY") else None


def _nat(info: bytes, *, has_ranges: bool, is_ipv4: bool) -> Verdict:
    if has_ranges:
        _, flags, low, high, first, last = _NAT_IPV4.unpack_from(info)
    else:
        flags, low, high, first, last = _NAT.unpack_from(info)
    address = port = None
    if flags & _ADDRESSES_GIVEN:
        ends = [_address(end, is_ipv4=is_ipv4) for end in (low, high)]
        address = "-".join(dict.fromkeys(ends))
    if flags & _PORTS_GIVEN:
        port = "-".join(dict.fromkeys(str(int.from_bytes(end, "big")) for end in (first, last)))
    return Verdict("elsewhere", address=address, port=port)


def _address(packed: bytes, *, is_ipv4: bool) -> str:
    return inet_ntop(AF_INET, packed[:4]) if is_ipv4 else inet_ntop(AF_INET6, packed)
