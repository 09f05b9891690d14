"""Port redirections (DNAT), from the packet filter's own listings.

They take connections past every socket: a server that listens there is never reached, though the port is free.
"""

from __future__ import annotations

import os

from portcheck.model import PortRange
from portcheck.namedtuple import TYPE_CHECKING, NamedTuple
from portcheck.observe.linux.netlink import Netlink

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping
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
        after = dict(zip(words, words[1:]))
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


NETLINK_NETFILTER = 12
NFT_MSG_GETTABLE = 10 << 8 | 1  # NFNL_SUBSYS_NFTABLES, NFT_MSG_GETTABLE (linux/netfilter/nf_tables.h)
SECONDS = 1.0


def redirected(wanted: Mapping[Protocol, Collection[PortRange]]) -> dict[tuple[Protocol, int], str]:
    """(protocol, port) → what a rule does with it, for the ports that are wanted."""
    redirections: dict[tuple[Protocol, int], str] = {}
    for rule in _rules():
        for asked in wanted.get(rule.protocol, ()):
            for port in range(max(asked.first, rule.ports.first), min(asked.last, rule.ports.last) + 1):
                message = f"{rule.tool} sends {rule.protocol.upper()} connections for port {port} to {rule.destination}"
                redirections.setdefault((rule.protocol, port), message)
    return redirections


def _rules() -> Iterator[Redirect]:
    has_nft = _has_nft_tables()
    if not has_nft and not _has_legacy_nat():
        return

    for tool in ("iptables-save", "iptables-legacy-save", "ip6tables-save"):
        yield from from_iptables(_run(tool, "-t", "nat").split("\n"))
    if has_nft:
        import json

        text = _run("nft", "--json", "list", "ruleset")
        yield from from_nft(json.loads(text) if text else {})


def _has_nft_tables() -> bool:
    if os.geteuid() != 0:
        return False
    try:
        with Netlink(NETLINK_NETFILTER) as link:
            return bool(link.dump(NFT_MSG_GETTABLE, bytes(4), lambda _: True))
    except OSError:
        return False


def _has_legacy_nat() -> bool:
    try:
        with open("/proc/net/ip_tables_names", encoding="utf-8") as names:
            return "nat" in names.read().split()
    except OSError:
        return False


def _run(*argv: str) -> str:
    """A tool's output; nothing where it is missing, fails, takes more than a second or says too much."""
    from portcheck.observe.subprocesses import NoAnswerError, Patience, ask

    try:
        answer = ask(argv, Patience(SECONDS))
    except NoAnswerError:
        return ""
    return answer.out if answer.ok and not answer.is_cut else ""
