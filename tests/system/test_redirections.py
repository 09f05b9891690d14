"""Redirections past the sockets of a port: each layout made for real, asked about, and tried with real packets."""

from __future__ import annotations

import ctypes
import os
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.namespaces import Host
from support.needs import need

from portcheck.observe.linux import sk_lookup
from portcheck.observe.linux.filter import rules

IPTABLES = ["iptables-nft", "iptables-legacy"]
LOCAL = "-m addrtype --dst-type LOCAL"

KUBE_PROXY = f"""*nat
:KUBE-SERVICES - [0:0]
:KUBE-NODEPORTS - [0:0]
:KUBE-EXT-A - [0:0]
:KUBE-SVC-A - [0:0]
:KUBE-SEP-A - [0:0]
:KUBE-SEP-B - [0:0]
:KUBE-MARK-MASQ - [0:0]
:DEAD - [0:0]
-A PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-A OUTPUT -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-A KUBE-SERVICES -d 10.96.0.1/32 -p tcp -m tcp --dport 443 -j KUBE-SVC-A
-A KUBE-SERVICES -m comment --comment "nodeports" {LOCAL} -j KUBE-NODEPORTS
-A KUBE-NODEPORTS -p tcp -m comment --comment "shop/web:http" -m tcp --dport 30080 -j KUBE-EXT-A
-A KUBE-EXT-A -j KUBE-MARK-MASQ
-A KUBE-EXT-A -j KUBE-SVC-A
-A KUBE-SVC-A -m statistic --mode random --probability 0.5 -j KUBE-SEP-A
-A KUBE-SVC-A -j KUBE-SEP-B
-A KUBE-SEP-A -p tcp -m tcp -j DNAT --to-destination 10.1.2.3:8080
-A KUBE-SEP-B -p tcp -m tcp -j DNAT --to-destination 10.1.2.4:8080
-A KUBE-MARK-MASQ -j MARK --set-xmark 0x4000/0x4000
-A DEAD -p tcp -m tcp --dport 8000 -j DNAT --to-destination 10.1.2.4:8080
COMMIT
"""
DOCKER = f"""*nat
:DOCKER - [0:0]
-A PREROUTING {LOCAL} -j DOCKER
-A OUTPUT ! -d 127.0.0.0/8 {LOCAL} -j DOCKER
-A DOCKER -i docker0 -j RETURN
-A DOCKER ! -i docker0 -p tcp -m tcp --dport 8088 -j DNAT --to-destination 172.17.0.2:80
COMMIT
"""
KUBE_PROXY_NFT = """
table ip kube-proxy {
  map service-nodeports {
    type inet_proto . inet_service : verdict
    elements = { tcp . 30080 : goto external-W, udp . 30053 : goto endpoint-D }
  }
  set nodeport-ips { type ipv4_addr; elements = { 192.0.2.7 }; }
  chain endpoint-A { meta l4proto tcp dnat to 10.1.2.3:8080; }
  chain endpoint-B { meta l4proto tcp dnat to 10.1.2.4:8080; }
  chain endpoint-D { meta l4proto udp dnat to 10.1.2.5:53; }
  chain marking { mark set mark or 0x00004000; }
  chain service-W { numgen random mod 2 vmap { 0 : goto endpoint-A, 1 : goto endpoint-B }; }
  chain external-W { jump marking; goto service-W; }
  chain services { ip daddr @nodeport-ips meta l4proto . th dport vmap @service-nodeports; }
  chain nat-prerouting { type nat hook prerouting priority -100; jump services; }
  chain nat-output { type nat hook output priority -100; jump services; }
}
"""
NFT = """
table inet t {
  set ports { type inet_service; flags interval; elements = { 8100, 8110-8119, 65000-65535 }; }
  map to { type inet_service : ipv4_addr . inet_service; elements = { 8200 : 192.0.2.9 . 80 }; }
  chain leads-nowhere { tcp dport 8000 redirect to :9; }
  chain elsewhere {
    tcp dport 8300 ip saddr 198.51.100.0/24 redirect to :9;
    tcp dport != 1-65000 return;
    tcp dport 8301 redirect to :9 comment "a word";
  }
  chain pre {
    type nat hook prerouting priority -100;
    tcp dport @ports redirect to :9;
    dnat ip to tcp dport map @to;
    tcp dport 8210 ct state new fib daddr type local dnat ip6 to [fd00::9]:80;
    tcp dport 8220 ct state established redirect to :9;
    tcp dport 8230 fib daddr type != local redirect to :9;
    tcp dport 8240 ip daddr 198.51.100.1 redirect to :9;
    iifname "eth*" tcp dport 8250 redirect to :9;
    iifname "wlan0" tcp dport 8260 redirect to :9;
    meta mark 7 tcp dport 8270 redirect to :9;
    meta l4proto { tcp, udp } th dport 8280 redirect to :9;
    tcp dport 8290 limit rate 1/minute redirect to :9;
    tcp dport { 8291, 8292 } return;
    tcp dport 8291 redirect to :9;
    jump elsewhere;
  }
}
table ip asleep {
  flags dormant;
  chain pre { type nat hook prerouting priority -100; tcp dport 8000 redirect to :9; }
}
"""


def messages(host: Host, target: str, *args: str) -> list[str]:
    result = host.result(target, *args)
    return [note["message"] for note in result["notes"] if note["code"] == "redirected"]


def restore(host: Host, tool: str, rules_text: str) -> None:
    need(f"{tool}-restore")
    with host.entered():
        subprocess.run([f"{tool}-restore"], input=rules_text, text=True, check=True, timeout=30)


def nft(host: Host, text: str) -> None:
    need("nft")
    lines = text.replace("; }", ";\n}")  # Debian 12's nft wants them apart
    with host.entered():
        subprocess.run(["nft", "-f", "-"], input=lines, text=True, check=True, timeout=30)


@pytest.mark.parametrize("tool", IPTABLES)
def test_a_node_port_of_kube_proxy(host: Host, tool: str) -> None:
    restore(host, tool, KUBE_PROXY)
    (told,) = messages(host, "30080")
    assert told.startswith("iptables sends TCP connections for port 30080 over IPv4 to 10.1.2.3:8080 or 10.1.2.4:8080")
    assert "(shop/web:http)" in told
    assert not messages(host, "443")  # of an address that is not here
    assert not messages(host, "8000")  # nothing leads to that chain
    assert not messages(host, "[::1]:30080")  # the rules are for IPv4


@pytest.mark.parametrize("tool", IPTABLES)
def test_a_port_that_docker_publishes(host: Host, tool: str) -> None:
    restore(host, tool, DOCKER)
    outside, inside = sorted(messages(host, "8088"))
    assert "from outside for port 8088 over IPv4 to 172.17.0.2:80" in outside
    assert "from this host itself for port 8088 of 192.0.2.7" in inside
    assert not messages(host, "127.0.0.1:8088")
    assert not messages(host, "8089")
    host.ip("link add docker0 type bridge", "address add 172.17.0.1/16 dev docker0", "link set docker0 up")
    assert any("do not come in by docker0" in each or "come in by eth0" in each for each in messages(host, "8088"))


@pytest.mark.parametrize("tool", IPTABLES)
def test_ports_of_iptables(host: Host, tool: str) -> None:
    restore(host, tool, """*nat
-A PREROUTING -p udp -m multiport --dports 53,5300:5302 -j REDIRECT --to-ports 5353
-A PREROUTING -p tcp -m multiport ! --dports 1:8999,9002:65535 -j REDIRECT --to-ports 9
-A PREROUTING -p tcp -m conntrack --ctstate ESTABLISHED -m tcp --dport 8001 -j REDIRECT --to-ports 9
-A PREROUTING -p tcp -m mark --mark 0x7 -m tcp --dport 8002 -j REDIRECT --to-ports 9
-A PREROUTING -s 198.51.100.0/24 -p tcp -m tcp --dport 8003 -j REDIRECT --to-ports 9
-A PREROUTING ! -d 192.0.2.7/32 -p tcp -m tcp --dport 8004 -j REDIRECT --to-ports 9
COMMIT
""")  # fmt: skip
    for target in ("53/udp", "5301/udp"):
        assert "sends UDP packets from outside" in messages(host, target)[0]
        assert "port 5353 of this host" in messages(host, target)[0]
    assert messages(host, "9000")
    assert [messages(host, target) for target in ("8999", "9002", "5303/udp", "8001", "8004")] == [[]] * 5
    for target in ("8002", "8003"):  # by a mark, or an address, that clients may have
        assert "iptables may send TCP connections from outside" in messages(host, target)[0]


@pytest.mark.parametrize("tool", IPTABLES)
def test_tproxy(host: Host, tool: str) -> None:
    restore(host, tool, """*mangle
-A PREROUTING -i eth0 -p tcp -m tcp --dport 8000:8010 -j TPROXY --on-port 3129 --on-ip 127.0.0.1
COMMIT
""")  # fmt: skip
    (told,) = messages(host, "8003")
    assert "that come in by eth0" in told
    assert "127.0.0.1:3129" in told


def test_kube_proxy_with_nftables(host: Host) -> None:
    nft(host, KUBE_PROXY_NFT)
    outside, inside = sorted(messages(host, "30080"))
    assert outside.startswith("nft sends TCP connections from outside"), outside
    assert "10.1.2.3:8080" in outside
    assert "10.1.2.4:8080" in outside
    assert "from this host itself for port 30080 of 192.0.2.7" in inside
    assert "10.1.2.5:53" in messages(host, "30053/udp")[0]
    assert not messages(host, "30053")
    assert not messages(host, "127.0.0.1:30080")


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("8100", "nft sends TCP connections from outside for port 8100 to port 9 of this host"),
        ("8115", "is reached from this host alone"),
        ("65535", "to port 9"),
        ("8200", "for port 8200 over IPv4 to 192.0.2.9:80"),
        ("8210", "for port 8210 over IPv6 to [fd00::9]:80"),
        ("8250", "that come in by eth0"),
        ("8270", "nft may send"),
        ("8280/udp", "nft sends UDP packets"),
        ("8290", "nft may send"),
        ("8300", "nft may send"),
        ("8301", "to port 9 of this host (a word)"),
    ],
)
def test_rules_of_nftables(told_of_nftables: dict[str, list[str]], target: str, words: str) -> None:
    assert any(words in each for each in told_of_nftables[target]), told_of_nftables[target]


@pytest.mark.parametrize("target", ["8000", "8099", "8120", "8201", "8220", "8230", "8240", "8260", "8291"])
def test_rules_of_nftables_that_send_nobody_elsewhere(told_of_nftables: dict[str, list[str]], target: str) -> None:
    """A dead chain, a table that sleeps, an interface that is not here, packets that went another way before."""
    assert told_of_nftables[target] == []


@pytest.fixture(scope="module")
def told_of_nftables() -> Iterator[dict[str, list[str]]]:
    need("nft")
    with Host() as host:
        nft(host, NFT)
        targets = [*map(str, (8000, 8099, 8100, 8115, 8120, 8200, 8201, 8210, 8220, 8230, 8240, 8250, 8260, 8270)),
                   "8280/udp", "8290", "8291", "8300", "8301", "65535"]  # fmt: skip
        found = host.results(*targets)
        yield {
            target: [note["message"] for note in result["notes"] if note["code"] == "redirected"]
            for target, result in zip(targets, found, strict=True)
        }


def test_real_clients_go_where_the_note_says() -> None:
    """A client beyond the veth comes to port 9; this host's own one to the server on the port itself."""
    need("nft")
    with Host() as host, Host(addresses=()) as client:
        host.ip("link add near type veth peer name far", "address add 203.0.113.1/24 dev near", "link set near up",
                f"link set far netns /proc/{os.getpid()}/fd/{client.path.rpartition('/')[2]}")  # fmt: skip
        client.ip("address add 203.0.113.2/24 dev far", "link set far up")
        nft(host, """table ip t { chain pre {
            type nat hook prerouting priority -100; tcp dport 8000 redirect to :9; }
            }""")  # fmt: skip
        host.hold("0.0.0.0", 8000)
        (told,) = messages(host, "8000")
        assert "from outside for port 8000 over IPv4 to port 9 of this host" in told
        assert not connects(client, "203.0.113.1", 8000)
        assert connects(host, "203.0.113.1", 8000)
        host.hold("0.0.0.0", 9)
        assert connects(client, "203.0.113.1", 8000)


def connects(host: Host, address: str, port: int) -> bool:
    code = f"import socket; socket.create_connection(({address!r}, {port}), 5)"
    return host.run(["python3", "-c", code], check=False).returncode == 0


def test_rules_of_other_users_are_a_gap_only_where_containers_run(host: Host) -> None:
    def spots() -> list[str]:
        done = host.run(["portcheck", "8000", "--json"], uid=65534, check=False).stdout
        return [word for word in ("redirections-not-seen",) if word in done]

    assert spots() == []
    host.ip("link add docker0 type bridge", "address add 172.17.0.1/16 dev docker0", "link set docker0 up")
    assert spots() == []  # no container is attached to it
    host.ip("link add veth1 type veth peer name veth2", "link set veth1 master docker0", "link set veth1 up",
            "link set veth2 up")  # fmt: skip
    assert spots() == ["redirections-not-seen"]


def test_more_rules_than_are_looked_at_are_a_gap(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    import portcheck

    nft(host, NFT)
    monkeypatch.setattr(rules, "MOST_SECONDS", -1.0)
    with host.entered():
        found = portcheck.check("8100")
    assert "redirections-not-seen" in {spot.code for spot in found.blind_spots}


def test_a_lookup_program_is_a_note(host: Host) -> None:
    """The smallest one, which lets every packet go its way: r0 = SK_PASS; exit."""
    with host.entered():
        link = attached_lookup_program()
        try:
            assert sk_lookup.programs() == ("portcheck_test",)
            (note,) = [note for note in host.result("8000")["notes"] if note["code"] == "socket-lookup"]
        finally:
            os.close(link)
        assert sk_lookup.programs() == ()
    assert "portcheck_test" in note["message"]
    assert "socket-lookup" not in {note["code"] for note in host.result("8000")["notes"]}


BPF_PROG_LOAD, BPF_LINK_CREATE = 5, 28
SK_LOOKUP_PROGRAM, SK_LOOKUP = 30, 36


def attached_lookup_program() -> int:
    """A descriptor that keeps a program attached to this thread's network namespace."""
    need()
    if os.uname().machine != "x86_64":
        pytest.skip("knows bpf(2)'s number on x86_64 alone")
    libc = ctypes.CDLL(None, use_errno=True)

    def bpf(command: int, request: bytes) -> int:
        descriptor: int = libc.syscall(321, command, ctypes.create_string_buffer(request, 128), 128)
        if descriptor < 0:
            pytest.skip(f"bpf(2) is refused here: {os.strerror(ctypes.get_errno())}")
        return descriptor

    code = struct.pack("=BBhiBBhi", 0xB7, 0, 0, 1, 0x95, 0, 0, 0)
    instructions, licence = ctypes.create_string_buffer(code, 16), ctypes.create_string_buffer(b"GPL")
    load = struct.pack(
        "=IIQQIIQII16sII", SK_LOOKUP_PROGRAM, 2, ctypes.addressof(instructions), ctypes.addressof(licence),
        0, 0, 0, 0, 0, b"portcheck_test", 0, SK_LOOKUP,
    )  # fmt: skip
    program = bpf(BPF_PROG_LOAD, load)
    namespace = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    try:
        return bpf(BPF_LINK_CREATE, struct.pack("=IIII", program, namespace, SK_LOOKUP, 0))
    finally:
        os.close(program)
        os.close(namespace)


def test_ipvs(host: Host) -> None:
    need("ipvsadm")
    if not Path("/proc/net/ip_vs").exists():
        pytest.skip("this kernel has no IPVS")
    host.run(["ipvsadm", "-A", "-t", "192.0.2.7:8000"])
    host.run(["ipvsadm", "-a", "-t", "192.0.2.7:8000", "-r", "10.1.2.3:80", "-m"])
    assert all("IPVS sends" in each and "10.1.2.3:80" in each for each in messages(host, "8000"))
    assert messages(host, "8000")
