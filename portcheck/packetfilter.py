"""Port redirections (DNAT) in a packet filter's own listings.  Pure.

They take connections past every socket: a server that listens there is never reached by them, though nothing is in use.
"""

from __future__ import annotations

from itertools import pairwise

from portcheck.model import PortRange
from portcheck.value import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from typing import Any

    from portcheck.model import Protocol


# nft names the transport header `th` where a rule is for both.
HEADERS: Mapping[str, tuple[Protocol, ...]] = {"tcp": ("tcp",), "udp": ("udp",), "th": ("tcp", "udp")}


class Redirect(NamedTuple):
    """A rule that sends a port's connections elsewhere; `destination` as the rule has it (`172.17.0.2:80`)."""

    protocol: Protocol
    ports: PortRange
    destination: str
    tool: str  # iptables or nft


def from_iptables(lines: Iterable[str]) -> Iterator[Redirect]:
    """The redirections in the output of `iptables-save -t nat`."""
    import shlex

    for line in lines:
        if not line.startswith("-A ") or "-j " not in line:
            continue
        words = shlex.split(line)
        after = dict(pairwise(words))
        if after.get("-j") not in ("DNAT", "REDIRECT") or after.get("!") in ("--dport", "--dports"):
            continue  # a negated match names the ports that are spared
        ports = after.get("--dport") or after.get("--dports") or ""
        to = after.get("--to-destination") or f"port {after.get('--to-ports', '?')}"
        for protocol in HEADERS.get(after.get("-p", ""), ()):
            for part in filter(None, ports.split(",")):
                first, _, last = part.partition(":")
                yield Redirect(protocol, PortRange(int(first), int(last or first)), to, "iptables")


def from_nft(document: Mapping[str, Any]) -> Iterator[Redirect]:
    """The redirections in the document of `nft --json list ruleset`."""
    for entry in document.get("nftables", ()):
        expressions = entry.get("rule", {}).get("expr", ())
        target = next((_target(expression) for expression in expressions if _target(expression)), None)
        if target is None:
            continue
        for expression in expressions:
            yield from _matched(expression.get("match", {}), target)


def _target(expression: Mapping[str, Any]) -> str | None:
    """`172.17.0.2:80` of a dnat or redirect statement; None for every other expression."""
    for kind in ("dnat", "redirect"):
        if kind in expression:
            to = expression[kind] or {}
            address, port = to.get("addr"), to.get("port")
            where = address if isinstance(address, str) else ""
            return f"{where}:{port}" if where and port else where or f"port {port or '?'}"
    return None


def _matched(match: Mapping[str, Any], target: str) -> Iterator[Redirect]:
    payload = match.get("left", {}).get("payload", {}) if isinstance(match.get("left"), dict) else {}
    if payload.get("field") != "dport" or match.get("op") not in ("==", "in"):
        return
    for ports in _ports(match.get("right")):
        for protocol in HEADERS.get(str(payload.get("protocol")), ()):
            yield Redirect(protocol, ports, target, "nft")


def _ports(value: Any) -> Iterator[PortRange]:
    """A port, {"range": [a, b]} or {"set": [...]}; named sets and maps are not followed."""
    if isinstance(value, int):
        yield PortRange(value, value)
    elif isinstance(value, dict) and "range" in value:
        first, last = value["range"]
        yield PortRange(first, last)
    elif isinstance(value, dict) and "set" in value:
        for item in value["set"]:
            yield from _ports(item)
