"""What explains the confusion although no socket of this host is in the way: made for real, and asked."""

from __future__ import annotations

import ctypes
import os
import subprocess
from pathlib import Path

import pytest
from hosts import PORTCHECK, Host, need

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


def test_a_landlock_rule_is_a_policy(host: Host) -> None:
    """A sandbox that allows no TCP bind: the rules cannot see it, the probe can."""
    if _landlock_abi() < 4:
        pytest.skip("needs Landlock with network rules (Linux 6.7)")
    command = host.argv([str(PORTCHECK), "8000", "--json"])
    done = subprocess.run(command, capture_output=True, preexec_fn=_forbid_bind, check=False, timeout=60)
    import json

    (result,) = json.loads(done.stdout)["results"]
    assert (done.returncode, result["verdict"], result["cause"]) == (1, "denied", "policy")
    assert {row["error"] for row in result["binds"]} == {"EACCES"}
    assert any("Landlock" in advice["text"] for advice in result["advice"])


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
    host.ip("link", "add", "vx0", "type", "vxlan", "id", "5", "dev", "lo", "dstport", "4789")
    host.ip("link", "set", "vx0", "up")
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
    """A container's seccomp profile may refuse it: then psutil reads /proc."""
    (tmp_path / "sitecustomize.py").write_text(
        "import socket\n_real = socket.socket.__init__\n"
        "def refuse(self, family=-1, *rest, **more):\n"
        "    if family == 16: raise PermissionError(1, 'Operation not permitted')\n"
        "    _real(self, family, *rest, **more)\n"
        "socket.socket.__init__ = refuse\n"
    )
    held = host.hold("0.0.0.0", 8000)
    import json

    done = host.portcheck("8000", "--json", env={"PYTHONPATH": str(tmp_path)})
    (result,) = json.loads(done.stdout)["results"]
    assert (result["verdict"], result["complete"]) == ("in-use", False)
    assert held.pid in [owner["pid"] for owner in result["owners"]]
    assert "netlink-refused" in {spot["code"] for spot in result["blind_spots"]}
    free = host.portcheck("8001", "--no-probe", "--json", env={"PYTHONPATH": str(tmp_path)})
    (result,) = json.loads(free.stdout)["results"]
    assert (free.returncode, result["verdict"]) == (3, "unknown")
