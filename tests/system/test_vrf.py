"""VRFs: rules and answers against the kernel, pair by pair, and what portcheck says on a host that has one.

Skipped where the kernel has no VRFs; `scripts/test-kernels` runs it where it has.
"""

from __future__ import annotations

import contextlib
import itertools
import random
import select
import socket
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.kernel_lab import SEED, Transport, Way, in_namespace, needs_lab
from support.namespaces import Host, run_ip
from support.portcheck_command import PORTCHECK
from support.socket_states import Old, describe, make

from portcheck.addresses import family_of
from portcheck.observe.linux.network import network
from portcheck.rules import predict
from portcheck.rules.reachability import answering

pytestmark = needs_lab

PAIRS, LONG_PAIRS = 2_000, 30_000
# Devices outside (none, lo, w0), and the VRFs red, with v0 and x0, and blue.
DEVICES = (None, "lo", "w0", "v0", "x0", "red", "blue")
PLAN = (
    "link add red type vrf table 10", "link add blue type vrf table 20", "link set red up", "link set blue up",
    "link add w0 type dummy", "link add x0 type dummy", "link set v0 master red", "link set x0 master red",
    "link set w0 up", "link set x0 up",
    "addr add 192.0.2.1/24 dev v0", "addr add fd77::1/64 dev v0 nodad", "addr add fe80::77/64 dev v0 nodad",
    "addr add 192.0.3.1/24 dev red", "addr add 198.51.100.1/24 dev w0", "addr add fe80::77/64 dev w0 nodad",
)  # fmt: skip
ADDRESSES = ("0.0.0.0", "::", "192.0.2.1", "192.0.3.1", "198.51.100.1", "fd77::1", "fe80::77")
# Where clients are, and the interface that has the address.
REACHED = (("192.0.2.1", "v0"), ("fd77::1", "v0"), ("fe80::77", "v0"), ("192.0.3.1", "red"), ("198.51.100.1", "w0"))


def make_vrfs() -> None:
    try:
        run_ip(PLAN[0])
    except subprocess.CalledProcessError:
        pytest.skip("this kernel has no VRFs")
    run_ip(*PLAN[1:])


@pytest.fixture(scope="module", autouse=True)
def kernel_with_vrfs() -> None:
    with Host((), devices=("v0", "v1")) as host, host.entered():
        make_vrfs()


def set_accept(value: str) -> None:
    for protocol in ("tcp", "udp"):
        Path(f"/proc/sys/net/ipv4/{protocol}_l3mdev_accept").write_text(value)


def every_way(transport: Transport) -> list[Way]:
    return [
        Way(transport, address, v6only, device, reuseaddr, reuseport)
        for address, v6only, device, reuseaddr, reuseport in itertools.product(
            ADDRESSES, (False, True), DEVICES, (False, True), (False, True)
        )
        if address == "::" or not v6only
    ]


def compare(transport: Transport, accept: str, count: int) -> tuple[Counter[str], list[str]]:
    """So many pairs of a socket that is there, bound or listening, and one that comes."""
    make_vrfs()
    set_accept(accept)
    here = network()
    rng = random.Random(f"{SEED} {transport} {accept}")
    possible = [way for way in every_way(transport) if way.refused(1000) is None]
    outcomes: Counter[str] = Counter()
    wrong = []
    for port in range(2000, 2000 + count):
        old = Old("listening" if transport == "tcp" and rng.random() < 0.7 else "bound", rng.choice(possible))
        new = rng.choice(possible)
        specimen = make(old, port)
        said = predict(new.request(port), [specimen.socket], "linux", network=here).outcome
        error = new.refused(port)
        outcomes["in-use" if error else "free"] += 1
        if said != ("in-use" if error else "free"):
            wrong.append(f"{new} beside {old}: said {said}, was {error}")
        specimen.close()
    return outcomes, wrong


@pytest.mark.parametrize("accept", ["0", "1"])
@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_every_pair_agrees_with_the_kernel(
    transport: Transport, accept: str, long: bool, report: Callable[[str], None]
) -> None:
    count = LONG_PAIRS if long else PAIRS
    outcomes, wrong = in_namespace(compare, transport, accept, count)
    report(f"VRF {transport}, l3mdev_accept {accept}: {count:,} pairs (seed {SEED}), {len(wrong)} not as the kernel")
    assert not wrong, wrong[0]
    assert min(outcomes["free"], outcomes["in-use"]) > count / 20


def reach_everything(transport: Transport, accept: str) -> list[str]:
    """A listener in every place, and a client of each address on the address's side of the VRF."""
    make_vrfs()
    set_accept(accept)
    here = network()
    ports = iter(range(2000, 60_000))
    wrong = []
    for way in every_way(transport):
        if way.reuseaddr or way.reuseport or way.refused(1000):
            continue
        for address, interface in REACHED:
            port = next(ports)
            with way.bind(port) if transport == "udp" else way.listen(port) as server:
                held = [describe(server, way, None if transport == "udp" else "LISTEN")]
                protocol = held[0].protocol
                said = answering(address, family_of(address), interface, protocol, port, held, "linux", here)
                patience = 20 if said else 0.1
                if bool(said) != reaches(server, transport, address, interface, port, patience):
                    wrong.append(f"{way} and a client of {address} on {interface}: said {bool(said)}")
    return wrong


def reaches(
    server: socket.socket, transport: Transport, address: str, interface: str, port: int, patience: float
) -> bool:
    """Whether it does; that of a packet which nobody gets is not always told."""
    with Way(transport, address, device=interface).open() as client:
        scope = (0, socket.if_nametoindex(interface)) if address.startswith("fe80") else ()
        with contextlib.suppress(ConnectionRefusedError):
            client.connect((address, port, *scope))
            client.send(b"?")
            ready, _, _ = select.select([server, client], [], [], patience)
            return server in ready
    return False


@pytest.mark.parametrize("accept", ["0", "1"])
@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_clients_reach_whom_they_should(transport: Transport, accept: str) -> None:
    assert in_namespace(reach_everything, transport, accept) == []


# What portcheck says.


@pytest.fixture
def host() -> Iterator[Host]:
    """eth0 and its addresses are in the VRF red."""
    with Host() as made, made.entered():
        run_ip(
            "link add red type vrf table 10",
            "link set red up",
            "link set eth0 master red",
            "addr add fd00::7/64 dev eth0 nodad",
        )
        yield made


def listener(device: str | None, port: int = 8000) -> socket.socket:
    return Way("tcp", "0.0.0.0", device=device).listen(port)


@pytest.mark.parametrize("probe", [(), ("--no-probe",), ("--no-reuseaddr",)], ids=["asked", "by rules", "plain"])
def test_a_listener_in_a_vrf_is_in_nobodys_way(host: Host, probe: tuple[str, ...]) -> None:
    with listener("red"):
        result = host.result("8000", *probe)
        stopped = host.portcheck("stop", "8000", "--dry-run")
    assert (result["verdict"], result["cause"], result["advice"]) == ("free", None, [])
    (note,) = [note["message"] for note in result["notes"] if note["code"] == "vrf"]
    assert "the VRF red" in note
    assert stopped.returncode == 0
    answers = {answer["address"]: answer["pids"] for answer in result["answers"]}
    assert answers["192.0.2.7"]
    assert answers["127.0.0.1"] == []


def test_with_l3mdev_accept_it_is_in_the_way(host: Host) -> None:
    set_accept("1")
    with listener("red"):
        for how in ((), ("--no-probe",)):
            result = host.result("0.0.0.0:8000", *how)
            assert (result["verdict"], result["cause"]) == ("in-use", "listener")


def test_an_address_in_a_vrf_is_told_as_that(host: Host) -> None:
    for how in ((), ("--no-probe",)):
        result = host.result("192.0.2.7:8000", *how)
        assert (result["verdict"], result["cause"]) == ("unavailable", "address")
        assert "VRF red" in result["message"]
        assert not any("192.0.2.7" in advice["text"] for advice in result["advice"])
        assert any("ip vrf exec red" in advice["text"] for advice in result["advice"])


def test_a_listener_outside_is_no_conflict_for_who_runs_in_the_vrf(host: Host) -> None:
    """`ip vrf exec` binds every socket of the program that it runs."""
    with listener(None):
        inside = host.run(["ip", "vrf", "exec", "red", str(PORTCHECK), "192.0.2.7:8000"], check=False)
        if not inside.stdout:
            pytest.skip(f"ip vrf exec does not work here: {inside.stderr.strip()}")
        assert (inside.returncode, "free on 192.0.2.7" in inside.stdout) == (0, True)
