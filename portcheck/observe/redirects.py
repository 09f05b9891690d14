"""Packet-filter rules that take a port's connections past every socket (DNAT), where they can be read.

Only root can read them, and only where there is a table at all are the tools asked: an idle host pays one netlink
message.
"""

from __future__ import annotations

import os

from portcheck.observe.netlink import Netlink
from portcheck.value import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from portcheck.model import PortRange, Protocol
    from portcheck.packetfilter import Redirect

NETLINK_NETFILTER = 12
NFT_MSG_GETTABLE = 10 << 8 | 1  # NFNL_SUBSYS_NFTABLES, NFT_MSG_GETTABLE (linux/netfilter/nf_tables.h)
SECONDS = 1.0


def redirected(wanted: Mapping[Protocol, Collection[PortRange]]) -> dict[tuple[Protocol, int], str]:
    """(protocol, port) → what a rule does with it, for the ports that are wanted."""
    found: dict[tuple[Protocol, int], str] = {}
    for rule in _rules():
        for asked in wanted.get(rule.protocol, ()):
            for port in range(max(asked.first, rule.ports.first), min(asked.last, rule.ports.last) + 1):
                said = f"{rule.tool} sends {rule.protocol.upper()} connections for port {port} to {rule.destination}"
                found.setdefault((rule.protocol, port), said)
    return found


def _rules() -> Iterator[Redirect]:
    has_nft = _has_nft_tables()
    if not has_nft and not _has_legacy_nat():
        return
    from portcheck.packetfilter import from_iptables, from_nft

    for tool in ("iptables-save", "iptables-legacy-save", "ip6tables-save"):
        yield from from_iptables(_run(tool, "-t", "nat").splitlines())
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
    """A tool's output; nothing where it is missing, fails or takes more than a second."""
    import subprocess

    try:
        return subprocess.run(argv, capture_output=True, text=True, timeout=SECONDS, check=True).stdout
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
        return ""
