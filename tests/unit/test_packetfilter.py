"""Redirections in recorded listings of iptables and nft (Debian 12)."""

from __future__ import annotations

import json

import pytest

from portcheck.model import PortRange
from portcheck.observe.linux.packet_filter import Redirect, from_iptables, from_nft

# iptables-save -t nat, with docker.io 20.10 publishing 8088:80
DOCKER = """
*nat
:PREROUTING ACCEPT [0:0]
-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE
-A DOCKER ! -i docker0 -p tcp -m tcp --dport 8088 -j DNAT --to-destination 172.17.0.2:80
-A PREROUTING -p udp -m multiport --dports 53,5300:5302 -j REDIRECT --to-ports 5353
-A PREROUTING -m comment --comment "a \\"quoted\\" -j DNAT word" -j ACCEPT
COMMIT
"""
# nft --json list ruleset, shortened to what matters
RULESET = {
    "nftables": [
        {"metainfo": {"version": "1.0.6"}},
        {"table": {"family": "ip", "name": "nat", "handle": 1}},
        {
            "rule": {
                "chain": "pre",
                "expr": [
                    {"match": {"op": "==", "left": {"payload": {"protocol": "tcp", "field": "dport"}}, "right": 80}},
                    {"dnat": {"addr": "10.0.0.2", "port": 8080}},
                ],
            }
        },
        {
            "rule": {
                "chain": "pre",
                "expr": [
                    {
                        "match": {
                            "op": "in",
                            "left": {"payload": {"protocol": "th", "field": "dport"}},
                            "right": {"set": [443, {"range": [8000, 8010]}]},
                        }
                    },
                    {"redirect": {"port": 9}},
                ],
            }
        },
        {
            "rule": {
                "chain": "in",
                "expr": [{"match": {"op": "==", "left": {"meta": {"key": "iif"}}, "right": "lo"}}, {"accept": None}],
            }
        },
    ]
}


def test_iptables() -> None:
    assert list(from_iptables(DOCKER.splitlines())) == [
        Redirect("tcp", PortRange(8088, 8088), "172.17.0.2:80", "iptables"),
        Redirect("udp", PortRange(53, 53), "port 5353", "iptables"),
        Redirect("udp", PortRange(5300, 5302), "port 5353", "iptables"),
    ]


def test_nft() -> None:
    found = list(from_nft(json.dumps(RULESET)))
    assert found[0] == Redirect("tcp", PortRange(80, 80), "10.0.0.2:8080", "nft")
    assert {(rule.protocol, rule.ports, rule.destination) for rule in found[1:]} == {
        (protocol, ports, "port 9")
        for protocol in ("tcp", "udp")
        for ports in (PortRange(443, 443), PortRange(8000, 8010))
    }


def test_no_rules() -> None:
    assert list(from_iptables([])) == list(from_nft("{}")) == []


@pytest.mark.parametrize(
    "rule",
    ["-A PREROUTING -p tcp -m tcp ! --dport 80 -j REDIRECT --to-ports 9",
     '-A PREROUTING -p tcp -m tcp --dport 80 -m comment --comment "not -j DNAT" -j ACCEPT'],
)  # fmt: skip
def test_a_rule_that_sends_the_port_nowhere(rule: str) -> None:
    assert list(from_iptables([rule])) == []
