"""What explains the confusion although no socket of this host is in the way: made for real, and asked."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support.namespaces import Host
from support.needs import need
from support.patience import wait_for
from support.portcheck_command import PORTCHECK

LANDLOCK_CREATE, LANDLOCK_RESTRICT = 444, 446
NET_BIND_TCP = 1


def codes(result: dict[str, list[dict[str, str]]]) -> set[str]:
    return {note["code"] for note in result["notes"]}


def test_a_listener_of_another_namespace_is_mentioned_when_asked_for_more(host: Host) -> None:
    with Host() as other:
        held = other.hold("0.0.0.0", 8000)
        result = host.result("8000", "-v")
        assert result["verdict"] == "free"
        (note,) = [
            note for note in result["notes"] if note["code"] == "other-namespace" and str(held.pid) in note["message"]
        ]
        assert "0.0.0.0" in note["message"]
        assert "other-namespace" not in codes(host.result("8000"))


def test_a_reserved_port_refuses_nothing(host: Host) -> None:
    host.run(["sysctl", "-q", "-w", "net.ipv4.ip_local_reserved_ports=8000-8001,9000"])
    result = host.result("8001")
    assert (result["verdict"], codes(result)) == ("free", {"reserved-from-ephemeral"})
    assert "reserved" in host.portcheck("pick", "9000").stderr


@pytest.mark.parametrize(
    "rules",
    [
        [["nft", "add", "table", "ip", "nat"],
         ["nft", "add", "chain", "ip", "nat", "pre", "{ type nat hook prerouting priority -100 ; }"],
         ["nft", "add", "rule", "ip", "nat", "pre", "tcp", "dport", "8000", "dnat", "to", "192.0.2.9:80"]],
        [["iptables", "-t", "nat", "-A", "PREROUTING", "-p", "tcp", "--dport", "8000", "-j", "DNAT",
          "--to-destination", "192.0.2.9:80"]],
    ],
    ids=["nft", "iptables"],
)  # fmt: skip
def test_a_redirection_is_a_note(host: Host, rules: list[list[str]]) -> None:
    need(rules[0][0])
    for rule in rules:
        host.run(rule)
    result = host.result("8000")
    (note,) = [note for note in result["notes"] if note["code"] == "redirected"]
    assert result["verdict"] == "free"
    assert "192.0.2.9:80" in note["message"]
    assert not codes(host.result("8001"))


NONLOCAL = [("ipv4", "203.0.113.9"), ("ipv6", "2001:db8::9")]


@pytest.mark.parametrize(("family", "address"), NONLOCAL)
def test_a_listener_on_an_address_that_the_host_lets_anybody_have(host: Host, family: str, address: str) -> None:
    host.run(["sysctl", "-q", "-w", f"net.{family}.ip_nonlocal_bind=1"])
    target = f"[{address}]:8000"
    assert host.result(target)["verdict"] == "free"
    held = host.hold(address, 8000)
    result = host.result(target)
    assert (result["verdict"], result["cause"], [owner["pid"] for owner in result["owners"]]) == (
        "in-use", "listener", [held.pid],
    )  # fmt: skip
    assert f"net.{family}.ip_nonlocal_bind" in unowned(result)


@pytest.mark.parametrize(("family", "address"), NONLOCAL)
@pytest.mark.parametrize("option", ["IP_FREEBIND", "IP_TRANSPARENT"])
def test_a_listener_that_may_have_any_address(host: Host, family: str, address: str, option: str) -> None:
    level, number = NONLOCAL_OPTIONS[family, option]
    with host.entered(), socket.socket(socket.AF_INET6 if family == "ipv6" else socket.AF_INET) as made:
        made.setsockopt(level, number, 1)
        made.bind((address, 8000))
        made.listen()
        named, every = host.result(f"[{address}]:8000"), host.result("8000")
    assert (named["verdict"], named["cause"]) == ("unavailable", "address")
    assert f"PID {os.getpid()}" in named["message"]
    assert every["verdict"] == "in-use"
    assert option in unowned(named)
    assert option in unowned(every)


NONLOCAL_OPTIONS = {
    ("ipv4", "IP_FREEBIND"): (socket.IPPROTO_IP, 15),
    ("ipv4", "IP_TRANSPARENT"): (socket.IPPROTO_IP, 19),
    ("ipv6", "IP_FREEBIND"): (socket.IPPROTO_IPV6, 78),
    ("ipv6", "IP_TRANSPARENT"): (socket.IPPROTO_IPV6, 75),
}


def unowned(result: dict[str, Any]) -> str:
    (note,) = [note["message"] for note in result["notes"] if note["code"] == "unowned-address"]
    return str(note)


def test_anyip_is_an_address_of_this_host(host: Host) -> None:
    host.ip("route add local 198.51.100.0/24 dev lo")
    host.hold("198.51.100.7", 8000)
    assert not codes(host.result("8000"))


def test_a_socket_that_is_connected_to_itself(host: Host) -> None:
    with host.entered(), socket.socket() as made:
        made.bind(("127.0.0.1", 8000))
        made.connect(("127.0.0.1", 8000))
        assert "connected to itself" in host.result("8000")["message"]
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        beside = host.result("8000")
    if beside["verdict"] == "free":
        assert "to itself" in beside["message"]
    assert "earlier server" not in beside["message"]


def test_a_clients_own_connection_is_nobody_earlier(host: Host) -> None:
    host.hold("192.0.2.7", 9000)
    with host.entered(), socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        client.bind(("192.0.2.7", 8000))
        client.connect(("192.0.2.7", 9000))
        result = host.result("8000")
    assert (result["verdict"], result["cause"]) == ("free", "connection")
    assert "without it open connections of " in result["message"]
    assert f"(PID {os.getpid()}) would refuse the bind" in result["message"]


def test_a_list_without_listeners_says_that_connections_have_the_port(host: Host) -> None:
    with host.entered(), socket.socket() as made:
        made.bind(("127.0.0.1", 8000))
        made.connect(("127.0.0.1", 8000))
        assert "--all" in host.portcheck("list", "8000").stderr
        assert "--all" not in host.portcheck("list", "8000", "--all").stderr
        assert "--all" not in host.portcheck("list", "8001").stderr


def test_the_kernels_mptcp_endpoint_is_the_kernels(host: Host) -> None:
    added = host.run(["ip", "mptcp", "endpoint", "add", "192.0.2.7", "port", "8000", "id", "9", "signal"], check=False)
    if added.returncode:
        pytest.skip(f"this kernel has no MPTCP endpoints: {added.stderr.strip()}")
    result = host.result("8000")
    assert (result["verdict"], result["cause"], result["owners"]) == ("in-use", "kernel", [])
    assert "MPTCP endpoint with id 9" in result["message"]
    assert host.portcheck("stop", "8000").returncode == 1
    # beside a listener of somebody else it is still the kernel's, and that one is not
    held = host.hold("127.0.0.1", 8000)
    result = host.result("8000")
    assert (result["cause"], [owner["pid"] for owner in result["owners"]]) == ("listener", [held.pid])


SHARING = """
import os, socket, sys, time
number, workers = int(sys.argv[1]), int(sys.argv[2])
if os.fork():
    os._exit(0)
os.setsid()
for stream in range(3):
    os.dup2(os.open(os.devnull, os.O_RDWR), stream)
if os.fork():
    os._exit(0)
for _ in range(workers - 1):
    if not os.fork():
        break
made = socket.socket()
made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
made.bind(("0.0.0.0", number))
made.listen()
time.sleep(600)
"""


def test_servers_that_share_clients(host: Host) -> None:
    """Unrelated ones; the workers of one server, each with its own socket, are no news."""
    with contextlib.ExitStack() as stack:
        stack.callback(lambda: end_all(pids(host)))
        host.run([sys.executable, "-c", SHARING, "8000", "3"])
        wait_for(lambda: len(pids(host)) == 3, "three workers listen")
        assert "share" not in host.result("8000")["message"]
        host.run([sys.executable, "-c", SHARING, "8000", "1"])
        wait_for(lambda: len(pids(host)) == 4, "another server listens")
        message = host.result("8000")["message"]
        assert "they share its clients (SO_REUSEPORT), 3 to 1" in message or "SO_REUSEPORT), 1 to 3" in message


def end_all(pids: list[int]) -> None:
    for pid in pids:
        os.kill(pid, signal.SIGKILL)


def pids(host: Host) -> list[int]:
    return [owner["pid"] for owner in host.result("8000")["owners"]]


def test_a_landlock_rule_is_a_policy(host: Host) -> None:
    """A sandbox that allows no TCP bind: the rules cannot see it, the probe can."""
    code, result = _where_landlock_forbids_binds(host, "8000")
    assert (code, result["verdict"], result["cause"]) == (1, "denied", "policy")
    assert {row["error"] for row in result["binds"]} == {"EACCES"}
    assert any("Landlock" in advice["text"] for advice in result["advice"])


def test_a_policy_that_no_bind_has_met_is_a_blind_spot(host: Host) -> None:
    code, result = _where_landlock_forbids_binds(host, "8000", "--no-probe")
    assert (code, result["verdict"], result["complete"]) == (0, "free", False)
    assert {spot["code"] for spot in result["blind_spots"]} == {"no-bind-tried"}


def _where_landlock_forbids_binds(host: Host, *args: str) -> tuple[int, dict[str, Any]]:
    if _landlock_abi() < 4:
        pytest.skip("needs Landlock with network rules (Linux 6.7)")
    with host.entered():  # in a sandbox, nsenter may not look at our descriptors
        command = [str(PORTCHECK), *args, "--json"]
        done = subprocess.run(command, capture_output=True, preexec_fn=_forbid_bind, check=False, timeout=60)
    (result,) = json.loads(done.stdout)["results"]
    return done.returncode, result


def _landlock_abi() -> int:
    return int(ctypes.CDLL(None).syscall(LANDLOCK_CREATE, None, 0, 1))


def _forbid_bind() -> None:
    libc = ctypes.CDLL(None)
    attributes = (ctypes.c_uint64 * 2)(0, NET_BIND_TCP)
    ruleset = libc.syscall(LANDLOCK_CREATE, attributes, 16, 0)
    libc.prctl(38, 1, 0, 0, 0)  # PR_SET_NO_NEW_PRIVS
    assert libc.syscall(LANDLOCK_RESTRICT, ruleset, 0) == 0
    os.close(ruleset)


def test_a_vxlan_interface_owns_its_port(host: Host) -> None:
    host.ip("link add vx0 type vxlan id 5 dev lo dstport 4789")
    host.ip("link set vx0 up")
    result = host.result("4789/udp")
    assert (result["verdict"], result["cause"], result["complete"]) == ("in-use", "kernel", True)
    assert "VXLAN interface vx0" in result["message"]
    assert result["sockets"][0]["pids"] == []
    assert result["owners"] == []


def test_a_listener_that_nobody_serves_says_so(host: Host) -> None:
    """Accepts, but nobody takes the connections."""
    held = host.hold("127.0.0.1", 8000)
    assert held.pid
    fill = (
        "import socket,sys,time\nkept=[]\nfor _ in range(17):\n"
        " s=socket.socket(); s.settimeout(5); s.connect(('127.0.0.1',8000)); kept.append(s)\n"
        "print('ready',flush=True); sys.stdin.read()"
    )
    host.start(["/usr/bin/python3", "-c", fill], ready=b"ready")
    result = host.result("8000")
    assert (result["sockets"][0]["queue"], result["sockets"][0]["backlog"]) == (17, 16)
    assert "17 of 16" in host.portcheck("8000").stdout


def test_without_netlink_it_says_what_it_cannot_see(host: Host, tmp_path: Path) -> None:
    """A container's seccomp profile may refuse it: then /proc/net is read."""
    (tmp_path / "sitecustomize.py").write_text(
        "import _socket\n"
        "class Refused(_socket.socket):\n"
        "    __slots__ = ()\n"
        "    def __init__(self, family=-1, *rest, **more):\n"
        "        if family == 16: raise PermissionError(1, 'Operation not permitted')\n"
        "        super().__init__(family, *rest, **more)\n"
        "_socket.socket = Refused\n"
    )
    held = host.hold("0.0.0.0", 8000)
    done = host.portcheck("8000", "--json", env={"PYTHONPATH": str(tmp_path)})
    (result,) = json.loads(done.stdout)["results"]
    assert (result["verdict"], result["complete"]) == ("in-use", False)
    assert held.pid in [owner["pid"] for owner in result["owners"]]
    assert "netlink-refused" in {spot["code"] for spot in result["blind_spots"]}
    free = host.portcheck("8001", "--no-probe", "--json", env={"PYTHONPATH": str(tmp_path)})
    (result,) = json.loads(free.stdout)["results"]
    assert (free.returncode, result["verdict"]) == (3, "unknown")


# Applies a filter that makes socket(2) fail with EPERM for one family (-1: for all), then becomes the command.
SECCOMP = """
import ctypes, os, platform, struct, sys
number = {"x86_64": 41, "aarch64": 198}[platform.machine()]
family = int(sys.argv[1])
def step(code, true, false, value): return struct.pack("=HBBI", code, true, false, value)
refuse, allow = step(6, 0, 0, 0x00050001), step(6, 0, 0, 0x7FFF0000)
asked = [step(0x20, 0, 0, 16), step(0x15, 0, 1, family)] if family >= 0 else []
program = b"".join([step(0x20, 0, 0, 0), step(0x15, 0, len(asked) + 1, number), *asked, refuse, allow])
code = ctypes.create_string_buffer(program)
libc = ctypes.CDLL(None)
libc.prctl(38, 1, 0, 0, 0)
assert libc.prctl(22, 2, struct.pack("@HP", len(program) // 8, ctypes.addressof(code)), 0, 0) == 0
os.execv(sys.argv[2], sys.argv[2:])
"""
NETLINK, EVERY_FAMILY = 16, -1


def confined(host: Host, family: int, *args: str) -> tuple[int, dict[str, Any]]:
    done = host.run([sys.executable, "-c", SECCOMP, str(family), str(PORTCHECK), *args, "--json"], check=False)
    (result,) = json.loads(done.stdout)["results"]
    return done.returncode, result


def test_where_every_netlink_is_refused_the_binds_still_tell(host: Host) -> None:
    """As systemd's RestrictAddressFamilies= does."""
    held = host.hold("127.0.0.1", 8000)
    code, taken = confined(host, NETLINK, "8000")
    assert (code, taken["verdict"], taken["owners"][0]["pid"]) == (1, "in-use", held.pid)
    code, free = confined(host, NETLINK, "8001")
    assert (code, free["verdict"], free["complete"]) == (0, "free", False)
    assert [spot["code"] for spot in free["blind_spots"]] == ["netlink-refused", "bound-not-visible"]
    assert {row["address"] for row in free["binds"]} >= {"0.0.0.0", "127.0.0.1", "::", "::1"}
    code, result = confined(host, NETLINK, "--no-probe", "192.0.2.99:8001")
    assert (code, result["verdict"]) == (3, "unknown")


def test_without_netlink_a_bind_tells_who_takes_ipv4(host: Host) -> None:
    """/proc/net does not show it: one IPv6 listener that takes IPv4 too, one that does not."""
    program = (
        "import socket, sys\nmade = [socket.create_server(('::', port), family=socket.AF_INET6, dualstack_ipv6=dual)"
        " for port, dual in ((8001, False), (8002, True))]\nprint('ready', flush=True); sys.stdin.read()"
    )
    host.start([sys.executable, "-c", program], ready=b"ready")
    for port, v6only in (("8001", True), ("8002", False)):
        _, result = confined(host, NETLINK, port)
        ((told,), answers) = result["sockets"], {answer["address"]: answer["pids"] for answer in result["answers"]}
        assert (told["v6only"], bool(answers["127.0.0.1"]), bool(answers["::1"])) == (v6only, not v6only, True)
        codes = [spot["code"] for spot in result["blind_spots"]]
        assert codes == ["netlink-refused", "bound-not-visible"]
        _, unknown = confined(host, NETLINK, "--no-probe", port)
        answers = {answer["address"]: answer["pids"] for answer in unknown["answers"]}
        assert (unknown["sockets"][0]["v6only"], answers["127.0.0.1"], bool(answers["::1"])) == (None, None, True)
        assert "v6only-hidden" in [spot["code"] for spot in unknown["blind_spots"]]
        argv = [sys.executable, "-c", SECCOMP, str(NETLINK), str(PORTCHECK), "wait", f"127.0.0.1:{port}", "--timeout=0"]
        assert host.run(argv, check=False).returncode == (124 if v6only else 0)


def test_a_sandbox_without_sockets_is_no_crash(host: Host) -> None:
    code, result = confined(host, EVERY_FAMILY, "8000")
    assert (code, result["verdict"], result["cause"]) == (1, "denied", "policy")


def test_an_interface_without_addresses(host: Host) -> None:
    host.ip("link add bare0 type veth peer name bare1")
    result = host.result("bare0:8000")
    assert (result["verdict"], result["cause"], result["complete"]) == ("unavailable", "address", True)
    assert result["message"] == "Port 8000 cannot be bound: bare0 has no address."


def test_an_address_that_is_not_ours_yet(host: Host) -> None:
    host.run(["sysctl", "-q", "-w", "net.ipv6.conf.eth0.accept_dad=1", "net.ipv6.conf.eth0.dad_transmits=100"])
    host.ip("address add fd00::99/64 dev eth0")
    result = host.result("[fd00::99]:8000")
    assert (result["verdict"], result["cause"]) == ("unavailable", "address")
    assert "no interface" not in result["message"]
    assert all("fd00::99" not in advice["text"] for advice in result["advice"])


@pytest.mark.parametrize("options", [["--udp"], ["--udp", "--no-probe"]], ids=" ".join)
def test_multicast_within_a_link_needs_its_scope(host: Host, options: list[str]) -> None:
    asked = ("[ff02::fb]:5353", "[ff02::fb%eth0]:5353", "[ff05::fb]:5353")
    assert [host.result(target, *options)["verdict"] for target in asked] == ["unavailable", "free", "free"]


@pytest.mark.parametrize("options", [[], ["--no-probe"]], ids=" ".join)
def test_no_stream_is_bound_to_ipv6_multicast(host: Host, options: list[str]) -> None:
    for target in ("[ff02::fb]:5353", "[ff02::fb%eth0]:5353", "[ff05::fb]:5353"):
        assert host.result(target, *options)["verdict"] == "unavailable"


def test_a_known_call_is_not_told_of_another_question(host: Host) -> None:
    host.hold("::1", 3000)
    assert "Node's listen(3000) would fail" in host.result("3000", "--as", "node")["message"]
    for question in (["127.0.0.1:3000", "--as", "node"], ["3000", "--as", "node", "--udp"]):
        found = host.result(*question)
        assert (found["verdict"], "listen(" in found["message"]) == ("free", False)


def test_what_stands_on_other_addresses_is_not_this_interfaces(host: Host) -> None:
    host.hold("127.0.0.1", 3000)
    found = host.result("eth0:3000")
    assert (found["verdict"], found["complete"], found["sockets"], found["owners"]) == ("free", True, [], [])


def test_holders_apart_are_each_stopped_by_name(host: Host) -> None:
    pids = [host.hold(address, 3000).pid for address in ("127.0.0.1", "::1")]
    advised = [advice["command"] for advice in host.result("3000")["advice"]]
    assert advised == [["portcheck", "stop", "3000", "--pid", str(pid)] for pid in pids]
    (one,) = host.result("[::1]:3000")["advice"]
    assert one["command"] == ["portcheck", "stop", "[::1]:3000"]
    plan = host.portcheck(*one["command"][1:], "--dry-run").stdout
    assert f"(PID {pids[1]})" in plan and str(pids[0]) not in plan


def test_pids_are_the_listeners_alone(host: Host) -> None:
    listens = host.hold("127.0.0.1", 3000)
    host.hold("127.0.0.2", 3000, "bound")
    assert host.portcheck("list", "3000", "--pids").stdout == f"{listens.pid}\n"
    assert host.portcheck("list", "3000", "--pids", "--json").returncode == 2


def test_without_proc_verbose_is_no_crash(host: Host) -> None:
    asked = f"mount -t tmpfs none /proc; {PORTCHECK} -v 8000"
    done = host.run(["unshare", "-m", "sh", "-c", asked], check=False)
    assert (done.returncode, "is free" in done.stdout) == (0, True), done.stderr
