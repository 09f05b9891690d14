"""Walks along the packet filter's rules from the hooks that new connections to this host meet."""

from __future__ import annotations

import errno
from struct import error as StructError  # noqa: N812

from portcheck import lean_socket as socket
from portcheck.lean_socket import AF_INET, AF_INET6, inet_ntop, inet_pton
from portcheck.model import Redirection
from portcheck.namedtuple import TYPE_CHECKING, NamedTuple
from portcheck.observe.linux import procfs
from portcheck.observe.linux.filter import expressions, legacy, nf_tables
from portcheck.observe.linux.filter.packets import Packets, Part, minus, narrow
from portcheck.observe.linux.filter.rules import Time, Walk

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence

    from portcheck.model import LocalAddress, PortRange, Protocol
    from portcheck.observe.linux.filter.rules import RuleSet, Verdict
    from portcheck.observe.linux.netlink import Netlink

    Table = tuple[int, bytes]
    Found = dict[tuple[Protocol, int], list[Redirection]]

PREROUTING, OUTPUT = 0, 3
_INET = 1  # NFPROTO_INET: IPv4 and IPv6
_FAMILIES = (_INET, AF_INET, AF_INET6)
_NAT_PRIORITY, _MANGLE_PRIORITY = -100, -150
# What iptables-nft names its tables and the chains that hooks call.
_OF_IPTABLES = (b"nat\0", b"mangle\0"), (b"PREROUTING\0", b"OUTPUT\0")
_UNREADABLE = (LookupError, ValueError, StructError)


class Entry(NamedTuple):
    """Where the kernel hands packets to a packet filter."""

    rule_set: RuleSet
    family: int  # of the packets that come by there
    chain: Hashable
    hook: int
    priority: int
    is_nat: bool  # the first one that changes where a connection goes is the last; others see every packet
    tool: str


def entries(link: Netlink | None, tables: Sequence[Table], names: Iterable[str]) -> list[Entry]:
    """Of the tables of nf_tables, and of those files of /proc that list iptables-legacy's.  Raises OSError."""
    found = list(nft_entries(link, tables)) if link else []
    for name in names:
        layout = legacy.IPV6 if "ip6" in name else legacy.IPV4
        found += legacy_entries(layout, (procfs.read(name) or b"").split())
    return found


def nft_entries(link: Netlink, tables: Iterable[Table]) -> Iterator[Entry]:
    """The base chains of these tables.  Raises OSError."""
    rule_set = nf_tables.NfTables(link, expressions.outcomes)
    for base in nf_tables.base_chains(link, tables):
        if base.hook in (PREROUTING, OUTPUT) and base.table[0] in _FAMILIES:
            is_iptables = base.table[1] in _OF_IPTABLES[0] and base.name in _OF_IPTABLES[1]
            tool = "iptables" if is_iptables else "nft"
            yield Entry(rule_set, base.table[0], base.chain, base.hook, base.priority, base.kind == b"nat", tool)


def legacy_entries(layout: legacy.Layout, names: Iterable[bytes]) -> Iterator[Entry]:
    """Of iptables-legacy's loaded tables, those that can send packets elsewhere.  Raises OSError."""
    for name, hooks, priority in ((b"nat", (PREROUTING, OUTPUT), _NAT_PRIORITY),
                                  (b"mangle", (PREROUTING,), _MANGLE_PRIORITY)):  # fmt: skip
        if name in names:
            table = legacy.read_table(layout, name)
            for hook in hooks:
                yield Entry(table, layout.family, table.hooks[hook], hook, priority, name == b"nat", "iptables")


def redirections(
    entries: Iterable[Entry], asked: Mapping[Protocol, Sequence[PortRange]], addresses: Iterable[LocalAddress]
) -> Mapping[tuple[Protocol, int], tuple[Redirection, ...]]:
    """(protocol, port) → where connections to it are sent.  Raises OSError where rules cannot be understood."""
    found: Found = {}
    left = Time()
    in_order = sorted(entries, key=lambda entry: entry.priority)
    try:
        for hook, packets in _arriving(asked, tuple(addresses)):
            _follow([entry for entry in in_order if entry.hook == hook], packets, left, found)
    except _UNREADABLE as error:
        raise OSError(errno.EBADMSG, f"a rule cannot be understood ({type(error).__name__})") from error
    return {key: tuple(dict.fromkeys(each)) for key, each in found.items()}


def _arriving(
    asked: Mapping[Protocol, Sequence[PortRange]], addresses: Sequence[LocalAddress]
) -> Iterator[tuple[int, Packets]]:
    """(hook, the packets that come by there) for every kind of client."""
    packed = frozenset(inet_pton(AF_INET if each.family == "ipv4" else AF_INET6, each.address) for each in addresses)
    ports = {protocol: tuple(ranges) for protocol, ranges in asked.items() if ranges}
    outside = {name: index for name, index in _interfaces().items() if name != "lo"}
    # nobody outside can have a packet for a loopback address delivered
    reachable = frozenset(address for address in packed if address[0] != 127 and address != bytes(15) + b"\1")
    if ports and reachable and outside:
        yield PREROUTING, Packets("outside", ports, reachable, outside)
    if ports and packed:
        yield OUTPUT, Packets("here", ports, packed, {"": 0}, out="lo")
        yield PREROUTING, Packets("here", ports, packed, {"lo": 1})


def _interfaces() -> dict[str, int]:
    return {name: index for index, name in socket.if_nameindex()}


def _follow(entries: Iterable[Entry], packets: Packets, left: Time, found: Found) -> None:
    loops_back = "lo" in packets.interfaces
    flow = [packets]
    for entry in entries:
        if entry.is_nat and loops_back:
            continue  # where this host's own connections go was decided when they went out
        for each in flow if entry.is_nat else (packets,):
            walk = Walk(entry.rule_set, left)
            concerned = _of_family(each, entry.family)
            if concerned:
                walk.through(entry.chain, concerned)
            for taken, verdict in walk.redirections:
                _record(taken, verdict, packets, entry.tool, found)
                if entry.is_nat and taken.sure:
                    flow = [rest for one in flow for rest in minus(one, taken)]


def _of_family(packets: Packets, family: int) -> Packets | None:
    if family == _INET:
        return packets
    number = bytes((family,))  # NFPROTO_IPV4, NFPROTO_IPV6
    return narrow(packets, Part("nfproto", 1), ((number, number),))


def _record(taken: Packets, verdict: Verdict, arriving: Packets, tool: str, found: Found) -> None:
    spared = arriving.interfaces.keys() - taken.interfaces.keys()
    only = tuple(sorted(taken.interfaces)) if len(taken.interfaces) <= len(spared) else ()
    redirection = Redirection(
        tool,
        taken.origin,
        tuple(sorted(map(_text, taken.destinations))),
        verdict.address,
        verdict.port,
        only_by=only,
        not_by=() if only else tuple(sorted(spared)),
        comment=verdict.comment,
        sure=taken.sure,
    )
    for protocol, ranges in taken.ports.items():
        for ports in ranges:
            for port in range(ports.first, ports.last + 1):
                found.setdefault((protocol, port), []).append(redirection)


def _text(packed: bytes) -> str:
    return inet_ntop(AF_INET if len(packed) == 4 else AF_INET6, packed)
