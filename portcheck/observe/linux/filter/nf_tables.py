"""The rules of nftables, from the kernel itself (linux/netfilter/nf_tables.h); iptables-nft's are among them.

`nft` and `iptables-save` need not be installed, may hang, and print each other's rules in part; the kernel tells all of
them, one chain at a time, so that on a host with 50,000 rules those that matter are read and no others.
"""

from __future__ import annotations

from portcheck.namedtuple import TYPE_CHECKING, NamedTuple
from portcheck.observe.linux.netlink import attribute, attributes

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Iterator

    from portcheck.observe.linux.filter.packets import Packets
    from portcheck.observe.linux.filter.rules import Verdict
    from portcheck.observe.linux.netlink import Netlink

    Table = tuple[int, bytes]  # family, name
    Evaluate = Callable[["NfRule", Packets], Iterator[tuple[Packets, Verdict]]]
    Expression = tuple[str, dict[int, bytes]]  # name, attributes

_SUBSYSTEM = 10 << 8  # NFNL_SUBSYS_NFTABLES
_GET_CHAIN, _GET_RULE, _GET_SET, _GET_ELEMENTS = (_SUBSYSTEM | number for number in (4, 7, 10, 13))
_HEADER = 4  # bytes of an nfgenmsg: family, version, resource

_CHAIN_TABLE, _CHAIN_NAME, _CHAIN_HOOK, _CHAIN_TYPE = 1, 3, 4, 7
_HOOK_NUMBER, _HOOK_PRIORITY = 1, 2
_RULE_TABLE, _RULE_CHAIN, _RULE_EXPRESSIONS, _RULE_USERDATA = 1, 2, 4, 7
_EXPRESSION_NAME, _EXPRESSION_DATA = 1, 2
_SET_TABLE, _SET_NAME, _SET_FLAGS = 1, 2, 3
_SET_INTERVAL = 4
_LIST_TABLE, _LIST_SET, _ELEMENTS = 1, 2, 3
_ELEMENT_KEY, _ELEMENT_DATA, _ELEMENT_FLAGS, _ELEMENT_KEY_END = 1, 2, 3, 10
_INTERVAL_END, _CATCHALL = 1, 2
_DATA_VALUE, _DATA_VERDICT = 1, 2
_UDATA_RULE_COMMENT = 0  # libnftnl's, in bytes of type, length, value


class BaseChain(NamedTuple):
    """A chain that the kernel calls at a hook."""

    table: Table
    name: bytes
    kind: bytes  # nat, filter, route
    hook: int
    priority: int

    @property
    def chain(self) -> tuple[Table, bytes]:
        """What `NfTables.rules` calls it."""
        return self.table, self.name


class Element(NamedTuple):
    """An element of a set, or an interval of them; a map's has data: a value, or a verdict."""

    first: bytes
    last: bytes
    value: bytes | None = None
    verdict: bytes | None = None
    for_all_others: bool = False


def big(value: bytes) -> int:
    """A number as nf_tables writes it."""
    return int.from_bytes(value, "big")


def base_chains(link: Netlink, tables: Iterable[Table]) -> list[BaseChain]:
    """The chains that hooks call, of these tables."""
    chains = link.dump(_GET_CHAIN, bytes(_HEADER), read_chain)
    return [chain for chain in chains if chain and chain.table in tables]


def read_chain(message: bytes) -> BaseChain | None:
    """A chain that a hook calls; None for any other."""
    found = dict(attributes(message, _HEADER))
    if _CHAIN_HOOK not in found:
        return None
    hook = dict(attributes(found[_CHAIN_HOOK]))
    return BaseChain(
        (message[0], found[_CHAIN_TABLE]),
        found[_CHAIN_NAME],
        found.get(_CHAIN_TYPE, b"").rstrip(b"\0"),
        big(hook.get(_HOOK_NUMBER, b"")),
        int.from_bytes(hook.get(_HOOK_PRIORITY, b""), "big", signed=True),
    )


class NfRule:
    """One rule; its expressions are looked at when packets come by."""

    def __init__(self, rule_set: NfTables, table: Table, raw: bytes, userdata: bytes) -> None:
        """Of a table, with the attributes NFTA_RULE_EXPRESSIONS and NFTA_RULE_USERDATA."""
        self.rule_set = rule_set
        self.table = table
        self.raw = raw
        self.userdata = userdata
        self._read: list[Expression] = []
        self._unread = self._expressions()

    def expression(self, position: int) -> Expression | None:
        """One of them; None after the last one.  Most rules are about something else, which their first ones tell."""
        while len(self._read) <= position:
            following = next(self._unread, None)
            if following is None:
                return None
            self._read.append(following)
        return self._read[position]

    def _expressions(self) -> Iterator[Expression]:
        for _, element in attributes(self.raw):
            fields = dict(attributes(element))
            name = fields.get(_EXPRESSION_NAME, b"").rstrip(b"\0").decode("ascii", "replace")
            yield name, dict(attributes(fields.get(_EXPRESSION_DATA, b"")))

    @property
    def comment(self) -> str | None:
        """What its author has written beside it."""
        rest = self.userdata
        while len(rest) >= 2:
            kind, length = rest[0], rest[1]
            if kind == _UDATA_RULE_COMMENT:
                return rest[2 : 2 + length].rstrip(b"\0").decode("utf-8", "surrogateescape") or None
            rest = rest[2 + length :]
        return None

    def outcomes(self, packets: Packets) -> Iterator[tuple[Packets, Verdict]]:
        """See `rules.Rule`."""
        return self.rule_set.evaluate(self, packets)


class NfTables:
    """All tables; chains and sets are read when something leads to them, once."""

    def __init__(self, link: Netlink, evaluate: Evaluate) -> None:
        """`link` is an open socket of NETLINK_NETFILTER, `evaluate` tells what a rule does with packets."""
        self.evaluate = evaluate
        self._link = link
        self._chains: dict[Hashable, list[NfRule]] = {}
        self._sets: dict[tuple[Table, bytes], tuple[Element, ...]] = {}

    def rules(self, chain: Hashable) -> list[NfRule]:
        """The rules of a chain: (table, name)."""
        if chain not in self._chains:
            assert isinstance(chain, tuple)
            table, name = chain
            request = _header(table) + attribute(_RULE_TABLE, table[1]) + attribute(_RULE_CHAIN, name)

            def read(message: bytes) -> NfRule | None:
                found = dict(attributes(message, _HEADER))
                # before 4.10 the kernel sends the rules of all chains
                ours = (message[0], found[_RULE_TABLE]) == table and found[_RULE_CHAIN] == name
                parts = found.get(_RULE_EXPRESSIONS, b""), found.get(_RULE_USERDATA, b"")
                return NfRule(self, table, *parts) if ours else None

            rules = self._link.dump(_GET_RULE, request, read)
            self._chains[chain] = [rule for rule in rules if rule]
        return self._chains[chain]

    def elements(self, table: Table, name: bytes) -> tuple[Element, ...]:
        """The elements of a set or map."""
        key = table, name
        if key not in self._sets:
            of_table = _header(table) + attribute(_SET_TABLE, table[1]) + attribute(_SET_NAME, name)
            flags = self._link.request(
                _GET_SET, of_table, lambda message: big(dict(attributes(message, _HEADER)).get(_SET_FLAGS, b""))
            )
            of_set = _header(table) + attribute(_LIST_TABLE, table[1]) + attribute(_LIST_SET, name)
            raw = [
                dict(attributes(element))
                for message in self._link.dump(_GET_ELEMENTS, of_set, bytes)
                for kind, elements in attributes(message, _HEADER)
                if kind == _ELEMENTS
                for _, element in attributes(elements)
            ]
            self._sets[key] = tuple(read_elements(raw, is_interval=bool(flags & _SET_INTERVAL)))
        return self._sets[key]


def _header(table: Table) -> bytes:
    return bytes((table[0], 0, 0, 0))


def read_elements(raw: Iterable[dict[int, bytes]], *, is_interval: bool) -> Iterator[Element]:
    """The elements of a set: an interval is told by its first and by what comes after its last, or by both ends."""
    starts: list[tuple[bytes, bool, dict[int, bytes]]] = []
    for fields in raw:
        flags = big(fields.get(_ELEMENT_FLAGS, b""))
        if flags & _CATCHALL:
            yield _element(b"", b"", fields, for_all_others=True)
            continue
        first = dict(attributes(fields[_ELEMENT_KEY]))[_DATA_VALUE]
        if not is_interval:
            yield _element(first, first, fields)
        elif _ELEMENT_KEY_END in fields:
            yield _element(first, dict(attributes(fields[_ELEMENT_KEY_END]))[_DATA_VALUE], fields)
        else:
            starts.append((first, not flags & _INTERVAL_END, fields))
    starts.sort(key=lambda each: each[:2])  # where one ends and the next begins, the end comes first
    for (first, is_start, fields), after in zip(starts, [*starts[1:], None]):
        if is_start:
            end = b"\xff" * len(first) if after is None else (big(after[0]) - 1).to_bytes(len(first), "big")
            yield _element(first, end, fields)


def _element(first: bytes, last: bytes, fields: dict[int, bytes], *, for_all_others: bool = False) -> Element:
    data = dict(attributes(fields.get(_ELEMENT_DATA, b"")))
    return Element(first, last, data.get(_DATA_VALUE), data.get(_DATA_VERDICT), for_all_others)
