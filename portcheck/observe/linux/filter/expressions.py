"""What the expressions of an nftables rule make of packets: they run in order, over registers, like a small machine.

What is not known here is not skipped: a match by it leaves the outcome unsure.
"""

from __future__ import annotations

from itertools import count

from portcheck.lean_socket import AF_INET, AF_INET6, inet_ntop
from portcheck.namedtuple import TYPE_CHECKING
from portcheck.observe.linux.filter import xtables
from portcheck.observe.linux.filter.nf_tables import big
from portcheck.observe.linux.filter.packets import Part, interface_name, narrow, native, unsure
from portcheck.observe.linux.filter.rules import END, RETURN, Verdict
from portcheck.observe.linux.netlink import attributes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from portcheck.observe.linux.filter.nf_tables import Element, NfRule
    from portcheck.observe.linux.filter.packets import Packets

    Fields = Mapping[int, bytes]
    Value = tuple[Part, ...]  # fields that were loaded together: a source and a destination address
    Registers = Mapping[int, Value]  # by the first of the 4-byte registers that they fill

# Where the fields of a header are: (offset, size, name).
_IPV4 = ((9, 1, "l4proto"), (12, 4, "saddr"), (16, 4, "daddr"))
_IPV6 = ((6, 1, "l4proto"), (8, 16, "saddr"), (24, 16, "daddr"))
_TRANSPORT = ((0, 2, "sport"), (2, 2, "dport"))
_NETWORK_HEADER, _TRANSPORT_HEADER = 1, 2
_META = {1: ("ethertype", 2), 4: ("iif", 4), 6: ("iifname", 16), 15: ("nfproto", 1), 16: ("l4proto", 1)}
_META_OUT_NAME = 7
_CT_STATE, _CT_DIRECTION = 0, 1
_CT_NEW = 8
_FIB_ADDRESS_TYPE, _FIB_DESTINATION = 3, 2
_FIB_INTERFACES = 8 | 16
_UNICAST, _LOCAL = 1, 2
_DROP, _ACCEPT, _QUEUE, _JUMP, _GOTO, _RETURN = 0, 1, 3, -3, -4, -5
_VERDICT_REGISTER = 0
_NONE = -1
_PAYLOAD_SOURCE = 5  # NFTA_PAYLOAD_SREG
_TO_DESTINATION = 1  # NFT_NAT_DNAT


def constant(value: bytes) -> Value:
    """Bytes that are the same for all packets."""
    return (Part("constant", len(value), constant=value),)


def unknown(size: int = 4) -> Value:
    """What is not known here."""
    return (Part("", size),)


def outcomes(rule: NfRule, packets: Packets) -> Iterator[tuple[Packets, Verdict]]:
    """Those of the packets that the rule decides about, and how."""
    return Evaluation(rule).outcomes(packets)


class Evaluation:
    """One rule, and the packets that come by."""

    def __init__(self, rule: NfRule) -> None:
        """The rule is read as far as it concerns any of them."""
        self._rule = rule
        self._comment: str | None = None

    def outcomes(self, packets: Packets) -> Iterator[tuple[Packets, Verdict]]:
        """Those of the packets that the rule decides about, and how."""
        return self._run(0, packets, {})

    def _run(self, step: int, packets: Packets, registers: Registers) -> Iterator[tuple[Packets, Verdict]]:
        for position in count(step):
            expression = self._rule.expression(position)
            if expression is None:
                return
            name, fields = expression
            if name == "lookup":
                yield from self._look_up(position, fields, packets, registers)
                return
            if name in ("match", "target"):
                left, verdict = self._compat(name, fields, packets)
            else:
                step_of = _CHANGES.get(name, _not_understood)
                left, registers, verdict = step_of(fields, packets, registers, self._rule.table)
            if left is None:
                return
            packets = left
            if verdict:
                yield packets, verdict._replace(comment=self._comment or self._rule.comment)
                return

    def _look_up(
        self, position: int, fields: Fields, packets: Packets, registers: Registers
    ) -> Iterator[tuple[Packets, Verdict]]:
        """A set narrows the packets; each element of a map is a way of its own."""
        elements = self._rule.rule_set.elements(self._rule.table, fields[1])
        source, target = big(fields[2]), fields.get(3)
        size = max((len(element.first) for element in elements), default=0)
        parts = _parts(registers, source, size)
        if target is None and len(parts) == 1:
            left = narrow(packets, parts[0], _intervals(elements, parts[0]), inverted=bool(big(fields.get(5, b""))))
            if left:
                yield from self._run(position + 1, left, registers)
            return
        if target is None and big(fields.get(5, b"")):
            yield from self._run(position + 1, unsure(packets), registers)
            return
        for found, element in _ways(packets, parts, elements):
            if target is None:
                yield from self._run(position + 1, found, registers)
            elif element.verdict is not None:
                verdict = read_verdict(element.verdict, self._rule.table)
                if verdict:
                    yield found, verdict._replace(comment=self._comment or self._rule.comment)
            else:
                changed = _stored(registers, big(target), constant(element.value or b""))
                yield from self._run(position + 1, found, changed)

    def _compat(self, kind: str, fields: Fields, packets: Packets) -> tuple[Packets | None, Verdict | None]:
        """A match or target of iptables."""
        name, revision = fields[1].rstrip(b"\0"), big(fields.get(2, b""))
        info, is_ipv4 = fields.get(3, b""), self._rule.table[0] == AF_INET
        if kind == "match":
            if name == b"comment":
                self._comment = xtables.comment(info)
            return xtables.matched(packets, name, revision, info), None
        return packets, xtables.target(name, revision, info, is_ipv4=is_ipv4)


def _index(register: int) -> int:
    """The first of the 4-byte registers that a register is made of."""
    return register * 4 if register <= 4 else register - 4


def _words(value: Value) -> int:
    """How many registers of four bytes it fills."""
    return (sum(part.size for part in value) + 3) // 4


def _stored(registers: Registers, register: int, value: Value) -> Registers:
    first = _index(register)
    covered = range(first, first + _words(value))
    return {**{key: each for key, each in registers.items() if key not in covered}, first: value}


def _value(registers: Registers, fields: Fields, key: int) -> Value:
    """What is in the register that an expression names."""
    return _at(registers, _index(big(fields[key])))


def _at(registers: Registers, index: int) -> Value:
    if index in registers:
        return registers[index]
    for first, value in registers.items():  # within what a map has stored: address and port together
        if first < index < first + _words(value) and value[0].name == "constant":
            return constant(value[0].constant[(index - first) * 4 :])
    return unknown()


def _parts(registers: Registers, register: int, size: int) -> list[Part]:
    """What the registers hold from one on, for a key of so many bytes: concatenated fields are padded to four."""
    parts: list[Part] = []
    index, end = _index(register), _index(register) + (size + 3) // 4
    while index < end:
        value = _at(registers, index)
        parts += value
        index += max(1, _words(value))
    return parts


def _ways(packets: Packets, parts: Sequence[Part], elements: Sequence[Element]) -> Iterator[tuple[Packets, Element]]:
    """The packets that come to each element; to the one for all others those that came to none."""
    in_order = sorted(elements, key=lambda each: each.for_all_others)
    has_one_for_each = _has_one_for_each_value(parts, elements)
    for element in in_order:
        found: Packets | None
        if element.for_all_others:
            found = unsure(packets) if len(in_order) > 1 else packets
        elif has_one_for_each and element is in_order[-1]:  # whatever came to none of those before
            found = packets
        else:
            found = _matching(packets, parts, element)
        if found:
            yield found, element


def _has_one_for_each_value(parts: Sequence[Part], elements: Sequence[Element]) -> bool:
    """Whether chance alone decides, and whatever it decides there is an element."""
    if len(parts) != 1 or not parts[0].values:
        return False
    exact = all(element.first == element.last for element in elements)
    there = len(elements) if exact else sum(big(each.last) - big(each.first) + 1 for each in elements)
    return there >= parts[0].values


def _matching(packets: Packets, parts: Sequence[Part], element: Element) -> Packets | None:
    """Those whose fields are all within an element's."""
    left: Packets | None = packets
    offset = 0
    for part in parts:
        first, last = (end[offset : offset + part.size] for end in (element.first, element.last))
        left = narrow(left, part, ((first, last),)) if left else None
        offset += (part.size + 3) // 4 * 4
    return left


def _intervals(elements: Sequence[Element], part: Part) -> list[tuple[bytes, bytes]]:
    if any(element.for_all_others for element in elements):
        return [(bytes(part.size), b"\xff" * part.size)]
    return [(element.first[: part.size], element.last[: part.size]) for element in elements]


# Expressions that load something into a register.


def _payload(fields: Fields, packets: Packets) -> Value:
    base, offset, size = (big(fields.get(key, b"")) for key in (2, 3, 4))
    layout: tuple[tuple[int, int, str], ...] = ()
    if base == _NETWORK_HEADER:
        families = {len(address) for address in packets.destinations}
        layout = () if len(families) > 1 else _IPV4 if families == {4} else _IPV6
    elif base == _TRANSPORT_HEADER:
        layout = _TRANSPORT
    whole = [
        Part(name, length) for start, length, name in layout if offset <= start and start + length <= offset + size
    ]
    if whole and sum(part.size for part in whole) == size:
        return tuple(whole)
    for start, length, name in layout:  # the beginning of an address: 10.0.0.0/8
        if start <= offset and offset + size <= start + length:
            return (Part(name, size, offset - start),)
    return unknown(size)


def _meta(fields: Fields, packets: Packets) -> Value:
    key = big(fields.get(2, b""))
    if key == _META_OUT_NAME:
        return constant(interface_name(packets.out))
    return (Part(*_META[key]),) if key in _META else unknown()


def _ct(fields: Fields, _: Packets) -> Value:
    key = big(fields.get(2, b""))
    if key == _CT_STATE:
        return constant(native(_CT_NEW))
    return constant(b"\0") if key == _CT_DIRECTION else unknown()


def _fib(fields: Fields, packets: Packets) -> Value:
    result, flags = big(fields.get(2, b"")), big(fields.get(3, b""))
    if result != _FIB_ADDRESS_TYPE or flags & _FIB_INTERFACES:
        return unknown()
    is_local = flags & _FIB_DESTINATION or packets.origin == "here"
    return constant(native(_LOCAL if is_local else _UNICAST))


def _numbered(fields: Fields, _: Packets) -> Value:
    """numgen: by chance, or in turn."""
    return (Part("", 4, values=big(fields.get(2, b""))),)


def _not_known(_: Fields, __: Packets) -> Value:
    return unknown()


# Expressions that compare registers, change them, or decide.

if TYPE_CHECKING:
    Changed = tuple[Packets | None, Registers, Verdict | None]
    Table = tuple[int, bytes]


def _load_or_set(load: Callable[[Fields, Packets], Value], source: int) -> Callable[..., Changed]:
    """An expression that loads a field, or with a source register writes it."""

    def run(fields: Fields, packets: Packets, registers: Registers, _: Table) -> Changed:
        if source == _PAYLOAD_SOURCE and source in fields:
            return _written(fields, packets, registers)
        if source in fields:
            return packets, registers, None
        return packets, _stored(registers, big(fields.get(1, b"")), load(fields, packets)), None

    return run


def _passed(_: Fields, packets: Packets, registers: Registers, __: Table) -> Changed:
    """It changes nothing of where a packet goes, nor ends the rule."""
    return packets, registers, None


def _not_understood(_: Fields, packets: Packets, __: Registers, ___: Table) -> Changed:
    """limit, quota, socket, and whatever a later kernel has: some packets go on, with who knows what in registers."""
    return unsure(packets), {}, None


def _written(fields: Fields, packets: Packets, registers: Registers) -> Changed:
    """A rule that rewrites the packet: `tcp dport set 81`, `ip daddr set 10.0.0.1`."""
    names = {part.name for part in _payload(fields, packets)}
    if not names & {"daddr", "dport"}:
        return packets, registers, None
    value = _value(registers, fields, _PAYLOAD_SOURCE)
    address = _address(value) if "daddr" in names else ""
    port = _port(value) if "dport" in names else None
    return packets, registers, Verdict("elsewhere", address=address, port=port)


def _compare(fields: Fields, packets: Packets, registers: Registers, _: Table) -> Changed:
    operation, data = big(fields[2]), dict(attributes(fields[3])).get(1, b"")
    parts = _parts(registers, big(fields[1]), len(data))
    if len(parts) == 1:
        lowest, highest = bytes(len(data)), b"\xff" * len(data)
        part = parts[0]._replace(size=min(parts[0].size, len(data)))
        between = {0: (data, data), 1: (data, data), 2: (data, highest), 3: (lowest, data), 4: (lowest, data),
                   5: (data, highest)}.get(operation)  # fmt: skip
        if between is None:
            return unsure(packets), registers, None
        inverted = operation in (1, 2, 4)  # != a; < a is not >= a; > a is not <= a
        return narrow(packets, part, (between,), inverted=inverted), registers, None
    if operation != 0:
        return unsure(packets), registers, None
    left: Packets | None = packets
    for part in parts:
        value, data = data[: part.size], data[part.size :]
        left = narrow(left, part, ((value, value),)) if left else None
    return left, registers, None


def _range(fields: Fields, packets: Packets, registers: Registers, _: Table) -> Changed:
    first, last = (dict(attributes(fields[key])).get(1, b"") for key in (3, 4))
    value = _value(registers, fields, 1)
    if len(value) > 1:
        return unsure(packets), registers, None
    return narrow(packets, value[0], ((first, last),), inverted=bool(big(fields[2]))), registers, None


def _bitwise(fields: Fields, packets: Packets, registers: Registers, _: Table) -> Changed:
    part, *others = _value(registers, fields, 1)
    mask, xor = (dict(attributes(fields.get(key, b""))).get(1, b"") for key in (4, 5))
    size = big(fields[3])
    value: Value = (part._replace(mask=mask, xor=xor),)
    if others or part.mask or not mask or part.size != size or big(fields.get(6, b"")):
        value = unknown(size)
    elif part.name == "constant":
        value = constant(bytes(byte & keep ^ flip for byte, keep, flip in zip(part.constant, mask, xor)))
    return packets, _stored(registers, big(fields[2]), value), None


def _byteorder(fields: Fields, packets: Packets, registers: Registers, _: Table) -> Changed:
    value = _value(registers, fields, 1)
    changed = value if value[0].values else unknown(big(fields[4]))
    return packets, _stored(registers, big(fields[2]), changed), None


def _hashed(fields: Fields, packets: Packets, registers: Registers, _: Table) -> Changed:
    return packets, _stored(registers, big(fields[2]), (Part("", 4, values=big(fields.get(4, b""))),)), None


def _immediate(fields: Fields, packets: Packets, registers: Registers, table: Table) -> Changed:
    data = dict(attributes(fields[2]))
    if big(fields[1]) == _VERDICT_REGISTER:
        return packets, registers, read_verdict(data.get(2, b""), table)
    value = data.get(1, b"")
    return packets, _stored(registers, big(fields[1]), constant(value)), None


def read_verdict(data: bytes, table: Table) -> Verdict | None:
    """NFTA_DATA_VERDICT; None where the next rule goes on."""
    fields = dict(attributes(data))
    code = int.from_bytes(fields.get(1, b""), "big", signed=True)
    if code in (_JUMP, _GOTO):
        return Verdict("jump" if code == _JUMP else "goto", (table, fields[2]))
    if code == _RETURN:
        return RETURN
    return END if code & 0xFF in (_DROP, _ACCEPT, _QUEUE) and code >= 0 else None


def _nat(fields: Fields, packets: Packets, registers: Registers, _: Table) -> Changed:
    if big(fields.get(1, b"")) != _TO_DESTINATION:
        return packets, registers, END
    low, high = (_register(registers, fields, key, _address) for key in (3, 4))
    first, last = (_register(registers, fields, key, _port) for key in (5, 6))
    address = low if high in (None, low) else f"{low}-{high}"
    port = first if last in (None, first) else f"{first}-{last}"
    family = 4 if big(fields.get(2, b"")) == AF_INET else 16
    ours = narrow(packets, Part("nfproto", 1), ((b"\x02",) * 2 if family == 4 else (b"\x0a",) * 2,))
    return ours, registers, Verdict("elsewhere", address=address or "", port=port)


def _redirect(fields: Fields, packets: Packets, registers: Registers, _: Table) -> Changed:
    first, last = (_register(registers, fields, key, _port) for key in (1, 2))
    return packets, registers, Verdict("elsewhere", port=first if last in (None, first) else f"{first}-{last}")


def _tproxy(fields: Fields, packets: Packets, registers: Registers, _: Table) -> Changed:
    address = _register(registers, fields, 2, _address)
    return packets, registers, Verdict("elsewhere", address=address, port=_register(registers, fields, 3, _port))


def _register(registers: Registers, fields: Fields, key: int, read: Callable[[Value], str]) -> str | None:
    return read(_value(registers, fields, key)) if key in fields else None


def _address(value: Value) -> str:
    packed = value[0].constant
    if len(packed) >= 16:
        return inet_ntop(AF_INET6, packed[:16])
    return inet_ntop(AF_INET, packed[:4]) if len(packed) >= 4 else "?"


def _port(value: Value) -> str:
    return str(big(value[0].constant[:2])) if value[0].constant else "?"


def _ended(_: Fields, packets: Packets, registers: Registers, __: Table) -> Changed:
    return packets, registers, END


_CHANGES: Mapping[str, Callable[..., Changed]] = {
    "payload": _load_or_set(_payload, _PAYLOAD_SOURCE), "meta": _load_or_set(_meta, 3), "ct": _load_or_set(_ct, 4),
    "cmp": _compare, "range": _range, "bitwise": _bitwise, "byteorder": _byteorder, "hash": _hashed,
    "fib": _load_or_set(_fib, _NONE), "numgen": _load_or_set(_numbered, _NONE), "rt": _load_or_set(_not_known, _NONE),
    "counter": _passed, "log": _passed, "notrack": _passed, "last": _passed, "dynset": _passed, "dup": _passed,
    "flow_offload": _passed,
    "immediate": _immediate, "nat": _nat, "redir": _redirect, "tproxy": _tproxy,
    "reject": _ended, "queue": _ended, "synproxy": _ended, "fwd": _ended,
}  # fmt: skip
