"""Each situation made for real on a host of its own, and asked through the installed command."""

from __future__ import annotations

import os
import signal
from typing import Any

import pytest
from support.namespaces import Host
from support.processes import NOBODY, SYSTEM_PYTHON, end

PORT = 8000


def outcomes(result: dict[str, Any]) -> dict[str, str]:
    """Row → outcome; `::` with IPV6_V6ONLY is `::/6`, as a dual-stack socket plain `::`."""
    return {
        row["address"].partition("%")[0] + ("/6" if row["address"] == "::" and row["v6only"] else ""): row["outcome"]
        for row in result["binds"]
    }


def taken(result: dict[str, Any]) -> set[str]:
    return {address for address, outcome in outcomes(result).items() if outcome == "in-use"}


V4 = {"0.0.0.0", "127.0.0.1", "192.0.2.7"}
V6 = {"::1", "fd00::7"}


def link_local(result: dict[str, Any]) -> set[str]:
    return {address for address in outcomes(result) if address.startswith("fe80:")}


def test_nothing_there(host: Host) -> None:
    done = host.portcheck(str(PORT))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "Port 8000 is free on every IPv4 and IPv6 address.\n"
    result = host.result(str(PORT))
    assert (result["verdict"], result["cause"], result["complete"]) == ("free", None, True)
    assert set(outcomes(result)) - link_local(result) == {*V4, *V6, "::", "::/6"}
    assert len(link_local(result)) == 2
    assert all("%" in row["address"] for row in result["binds"] if row["address"].startswith("fe80"))
    assert {row["method"] for row in result["binds"]} == {"probe"}


@pytest.mark.parametrize(
    ("address", "how", "expected", "says"),
    [
        (
            "127.0.0.1",
            (),
            {"0.0.0.0", "127.0.0.1", "::"},
            "the other addresses are free, but a server that binds 0.0.0.0",
        ),
        ("0.0.0.0", (), {*V4, "::"}, "listens on every IPv4 address; every IPv6 address is free"),
        ("::", ("v6only",), {*V6, "::", "::/6"}, "listens on every IPv6 address; every IPv4 address is free"),
        ("::1", (), {"::1", "::", "::/6"}, "listens on ::1; the other addresses are free, but a server that binds ::"),
        ("192.0.2.7", (), {"192.0.2.7", "0.0.0.0", "::"}, "listens on 192.0.2.7; the other addresses are free"),
    ],
)
def test_one_listener(host: Host, address: str, how: tuple[str, ...], expected: set[str], says: str) -> None:
    held = host.hold(address, PORT, *how)
    done = host.portcheck(str(PORT))
    assert done.returncode == 1
    first = done.stdout.splitlines()[0]
    assert first.startswith("Port 8000 is in use: python3")
    assert f"PID {held.pid}" in first
    assert says in first
    result = host.result(str(PORT))
    assert (result["verdict"], result["cause"]) == ("in-use", "listener")
    assert taken(result) - link_local(result) == expected
    assert [owner["pid"] for owner in result["owners"]] == [held.pid]
    assert all(row["error"] == "EADDRINUSE" for row in result["binds"] if row["outcome"] == "in-use")


def test_a_dual_stack_listener_holds_everything(host: Host) -> None:
    held = host.hold("::", PORT)
    done = host.portcheck(str(PORT))
    assert f"(PID {held.pid}, root, since " in done.stdout
    assert done.stdout.splitlines()[0].endswith("listens on every IPv4 and IPv6 address.")
    assert set(outcomes(host.result(str(PORT))).values()) == {"in-use"}


def test_127_0_0_2_blocks_the_wildcard_though_no_interface_shows_it(host: Host) -> None:
    held = host.hold("127.0.0.2", PORT)
    result = host.result(str(PORT))
    assert taken(result) == {"0.0.0.0", "::"}
    assert result["owners"][0]["pid"] == held.pid
    assert host.result(f"127.0.0.2:{PORT}")["verdict"] == "in-use"


def test_two_owners_share_a_number_and_it_shows_who_gets_whose_clients(host: Host) -> None:
    service = host.hold("0.0.0.0", PORT, "name", "Service.exe")
    node = host.hold("::1", PORT, "name", "node")
    done = host.portcheck(str(PORT))
    assert "Service.exe" in done.stdout.splitlines()[0]
    assert "node" in done.stdout.splitlines()[0]
    assert f"reach Service.exe (PID {service.pid})" in done.stdout
    assert f"reach node (PID {node.pid})" in done.stdout
    answers = {answer["address"]: answer["pids"] for answer in host.result(str(PORT))["answers"]}
    assert (answers["127.0.0.1"], answers["::1"]) == ([service.pid], [node.pid])
    assert answers["fd00::7"] == []
    assert answers["localhost"] in ([service.pid], [node.pid])


def test_udp_is_asked_by_name_and_otherwise_a_note(host: Host) -> None:
    held = host.hold("0.0.0.0", 53, "udp")
    tcp = host.result("53")
    assert (tcp["verdict"], [note["code"] for note in tcp["notes"]]) == ("free", ["udp-holder"])
    assert f"PID {held.pid}" in tcp["notes"][0]["message"]
    udp = host.result("53/udp")
    assert (udp["verdict"], udp["cause"], udp["sockets"][0]["state"]) == ("in-use", "udp-socket", None)
    assert host.portcheck("--udp", "53").returncode == 1


def test_a_stopped_holder_is_told(host: Host) -> None:
    held = host.hold("127.0.0.1", PORT)
    os.kill(held.pid, signal.SIGSTOP)
    done = host.portcheck(str(PORT))
    assert "stopped" in done.stdout.splitlines()[0]
    assert "fg" in done.stdout


def test_an_outgoing_connection_that_took_the_port(host: Host) -> None:
    host.hold("127.0.0.1", 7000)
    code = (
        "import socket,sys; s=socket.socket(); s.bind(('127.0.0.1',0)); s.connect(('127.0.0.1',7000));"
        "print('ready',s.getsockname()[1],flush=True); sys.stdin.read()"
    )
    client = host.start([SYSTEM_PYTHON, "-c", code])
    assert client.stdout is not None
    port = client.stdout.readline().split()[1].decode()
    result = host.result(port)
    assert (result["verdict"], result["cause"]) == ("in-use", "connection")
    assert result["owners"][0]["pid"] == client.pid
    assert "127.0.0.1:7000" in result["message"]
    assert any("ephemeral" in advice["text"] for advice in result["advice"])


def test_somebody_elses_port_80_is_no_conflict_on_ours(host: Host) -> None:
    host.hold("192.0.2.7", 80)
    code = "import socket,sys; s=socket.create_connection(('192.0.2.7',80));print('ready',flush=True); sys.stdin.read()"
    host.start([SYSTEM_PYTHON, "-c", code], ready=b"ready")
    result = host.result("127.0.0.1:80")
    assert (result["verdict"], result["cause"]) == ("free", None)
    assert host.portcheck("127.0.0.1:80").stdout == "Port 80 is free on 127.0.0.1.\n"
    assert result["sockets"] == result["owners"] == []


def test_a_privileged_port_asked_by_an_ordinary_user(host: Host, for_everyone: list[str]) -> None:
    done = host.run([*for_everyone, "80"], uid=NOBODY, check=False)
    assert done.returncode == 1
    assert done.stdout.startswith("Port 80 cannot be bound: ports below 1024 need privilege (EACCES)")
    assert host.run([*for_everyone, "--no-probe", "-q", "80"], uid=NOBODY, check=False).returncode == 1
    assert host.run([*for_everyone, "8080"], uid=NOBODY, check=False).returncode == 0


def test_roots_holder_asked_by_an_ordinary_user(host: Host, for_everyone: list[str]) -> None:
    import json

    host.hold("0.0.0.0", 80)
    done = host.run([*for_everyone, "80", "--json"], uid=NOBODY, check=False)
    (result,) = json.loads(done.stdout)["results"]
    assert (done.returncode, result["verdict"], result["cause"], result["complete"]) == (1, "in-use", "listener", False)
    assert result["sockets"][0]["pids"] is None
    assert (result["owners"][0]["pid"], result["owners"][0]["user"]) == (None, "root")
    (spot,) = result["blind_spots"]
    assert spot["code"] == "owner-hidden"
    assert "sudo" in spot["remedy"]
    row = next(row for row in result["binds"] if row["address"] == "0.0.0.0")
    assert (row["outcome"], row["error"]) == ("in-use", "EACCES")


def test_a_process_that_dies_during_the_scan_is_no_error(host: Host) -> None:
    churn = "import subprocess,sys\nprint('ready',flush=True)\nwhile True: subprocess.run(['true'])"
    host.start([SYSTEM_PYTHON, "-c", churn], ready=b"ready")
    held = host.hold("0.0.0.0", PORT)
    for _ in range(10):
        assert [owner["pid"] for owner in host.result(str(PORT))["owners"]] == [held.pid]


HOSTILE = r"\x1b[31mr\nPort\xff"


def test_a_hostile_name_reaches_nobodys_terminal(host: Host) -> None:
    held = host.hold("0.0.0.0", PORT, "name", HOSTILE)
    for args in ([str(PORT)], [str(PORT), "-v"], ["list"], ["list", "--plain"]):
        text = host.portcheck(*args).stdout
        assert "\x1b" not in text
        assert "\udcff" not in text
        assert "\nPort\udcff" not in text
        assert "\\x1b[31mr" in text
    done = host.portcheck(str(PORT), "--json")
    assert "\ufffd" in host.result(str(PORT))["owners"][0]["name"]
    assert done.stdout.isascii()
    terminal = host.run(["script", "-qec", f"portcheck --no-color {PORT}", "/dev/null"], check=False).stdout
    assert "\x1b[31m" not in terminal
    end(held)


def test_a_host_without_ipv6_addresses() -> None:
    with Host(ipv6=False) as host:
        result = host.result(str(PORT))
        assert result["verdict"] == "free"
        assert not any(address.startswith(("fd00", "::1", "fe80")) for address in outcomes(result))
        foreign = host.result(f"[::1]:{PORT}")
        assert (foreign["verdict"], foreign["cause"]) == ("unavailable", "address")


def test_an_address_of_another_host_is_unavailable_not_a_usage_error(host: Host) -> None:
    done = host.portcheck(f"192.0.2.99:{PORT}")
    assert done.returncode == 1
    assert (
        done.stdout
        == "Port 8000 cannot be bound on 192.0.2.99: no interface of this host has that address.\n"
        + "".join(done.stdout.splitlines(keepends=True)[1:])
    )
    assert host.result(f"192.0.2.99:{PORT}")["binds"][0]["error"] == "EADDRNOTAVAIL"


@pytest.mark.parametrize(
    ("target", "rows"),
    [
        (f"*:{PORT}", {"0.0.0.0", "::", "::/6"}),
        (f":{PORT}", {"0.0.0.0", "::", "::/6"}),
        (f"127.0.0.1:{PORT}", {"127.0.0.1"}),
        (f"[::1]:{PORT}", {"::1"}),
        (f"http://127.0.0.1:{PORT}/x", {"127.0.0.1"}),
    ],
)
def test_hosts_of_targets(host: Host, target: str, rows: set[str]) -> None:
    result = host.result(target)
    assert set(outcomes(result)) == rows
    assert result["target"] == target


def test_an_interface_is_every_address_of_it(host: Host) -> None:
    result = host.result(f"eth0:{PORT}")
    assert set(outcomes(result)) - link_local(result) == {"192.0.2.7", "fd00::7"}
    assert {row["interface"] for row in result["binds"]} == {"eth0"}


def test_ranges_sum_up_and_every_port_has_its_result(host: Host) -> None:
    host.hold("0.0.0.0", 8005)
    done = host.portcheck("8000-8010")
    assert done.returncode == 1
    assert done.stdout.startswith("Ports 8000-8004 are free on every IPv4 and IPv6 address.\nPort 8005 is in use")
    assert [result["port"] for result in host.results("8000-8010")] == list(range(8000, 8011))


def test_quiet_prints_nothing(host: Host) -> None:
    host.hold("0.0.0.0", PORT)
    done = host.portcheck("-q", str(PORT))
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "")
    assert host.portcheck("-q", "8001").returncode == 0


def test_list_names_everything_once_in_order(host: Host) -> None:
    first = host.hold("0.0.0.0", 9001)
    second = host.hold("::1", 8001)
    third = host.hold("127.0.0.1", 9001, "udp")
    lines = host.portcheck("list").stdout.splitlines()
    assert [line.split()[:5] for line in lines[1:]] == [
        ["tcp", "::1", "8001", "LISTEN", str(second.pid)],
        ["tcp", "0.0.0.0", "9001", "LISTEN", str(first.pid)],
        ["udp", "127.0.0.1", "9001", "-", str(third.pid)],
    ]
    assert host.portcheck("list", "--pids").stdout.split() == [str(second.pid), str(first.pid), str(third.pid)]
    assert host.portcheck("list", "--tcp", "--pids", "9000-9100").stdout.split() == [str(first.pid)]
    assert host.portcheck("list", "--pid", str(second.pid), "--pids").stdout.split() == [str(second.pid)]
    assert host.portcheck("list", "--user", "nobody").stdout.splitlines() == lines[:1]
    assert len(host.portcheck("list", "--name", "PYTHON").stdout.splitlines()) == 4
    assert host.portcheck("list", "4000").returncode == 0


def test_list_pids_leaves_clients_alone(host: Host) -> None:
    server = host.hold("127.0.0.1", PORT)
    code = (
        f"import socket,sys; s=socket.create_connection(('127.0.0.1',{PORT}));"
        "print('ready',flush=True); sys.stdin.read()"
    )
    client = host.start([SYSTEM_PYTHON, "-c", code], ready=b"ready")
    assert host.portcheck("list", "--pids", str(PORT)).stdout.split() == [str(server.pid)]
    everything = host.portcheck("list", "--all", "--json").stdout
    assert f'"pid": {client.pid}' in everything


def test_pick_takes_the_first_free_candidate_and_says_why_it_skipped(host: Host) -> None:
    service = host.hold("0.0.0.0", 20000, "name", "Service.exe")
    done = host.portcheck("pick", "20000", "20001", "8000-8010")
    assert (done.returncode, done.stdout) == (0, "20001\n")
    assert done.stderr.startswith("20000: in use by Service.exe")
    assert f"PID {service.pid}" in done.stderr
    assert host.portcheck("pick", "20000", "20001", "8000-8001", "-n", "3", "--lease=0").stdout == "20001\n8000\n8001\n"
    failed = host.portcheck("pick", "20000")
    assert (failed.returncode, failed.stdout) == (1, "")
    assert "Service.exe" in failed.stderr


def test_pick_for_one_address_only(host: Host) -> None:
    host.hold("127.0.0.1", 20000)
    assert host.portcheck("pick", "20000", "20001").stdout == "20001\n"
    assert host.portcheck("pick", "--host", "192.0.2.7", "20000", "20001").stdout == "20000\n"


def test_pick_exclude_stable_random_any(host: Host) -> None:
    assert host.portcheck("pick", "8000-8002", "--exclude", "8000-8001").stdout == "8002\n"
    stable = {host.portcheck("pick", "8000-8999", "--stable", "shop").stdout for _ in range(3)}
    assert len(stable) == 1
    assert stable != {host.portcheck("pick", "8000-8999", "--stable", "web").stdout}
    assert host.portcheck("pick", "6000-6001", "--random").stdout == "6001\n"  # browsers refuse 6000
    unsafe = host.portcheck("pick", "6000")
    assert (unsafe.stdout, "browsers refuse" in unsafe.stderr) == ("6000\n", True)
    assert "ephemeral range" in host.portcheck("pick", "40000").stderr
    host.hold("::", PORT)
    chosen = int(host.portcheck("pick", str(PORT), "--any").stdout)
    assert chosen != PORT
    assert host.result(str(chosen))["verdict"] == "free"


def test_pick_json(host: Host) -> None:
    import json

    host.hold("0.0.0.0", 20000)
    document = json.loads(host.portcheck("pick", "20000", "20001", "20002", "--json").stdout)
    assert (document["port"], document["ports"]) == (20001, [20001])
    assert [(entry["port"], entry["verdict"]) for entry in document["candidates"]] == [
        (20000, "in-use"),
        (20001, "free"),
    ]


def test_multipath_tcp_is_told(host: Host) -> None:
    mptcp = 262
    made = f"import socket, sys; s = socket.socket(socket.AF_INET, socket.SOCK_STREAM, {mptcp}); "
    served = "s.bind(('127.0.0.1', 8000)); s.listen(); print('ready', flush=True); sys.stdin.read()"
    host.start([SYSTEM_PYTHON, "-c", made + served], ready=b"ready")
    host.hold("127.0.0.1", 8001)
    told = [host.result(target)["sockets"][0]["mptcp"] for target in ("8000", "8001")]
    assert told == [True, False]
