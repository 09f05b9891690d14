"""Sets of packets, what sets of nftables hold, IPVS' list, and what is said of redirections."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from support.scenes import endpoint, scene

from portcheck.diagnosis.redirections import redirected
from portcheck.model import PortRange, Redirection
from portcheck.observe.linux.filter import ipvs
from portcheck.observe.linux.filter.nf_tables import read_elements
from portcheck.observe.linux.filter.packets import Packets, minus, with_ports
from portcheck.observe.linux.netlink import attribute

# /proc/net/ip_vs of Linux 6.12
IP_VS = """IP Virtual Server version 1.2.1 (size=4096)
Prot LocalAddress:Port Scheduler Flags
  -> RemoteAddress:Port Forward Weight ActiveConn InActConn
UDP  C0000208:0035 wlc
TCP  [fd00:0000:0000:0000:0000:0000:0000:0007]:1F90 rr
  -> [fd00:0000:0000:0000:0000:0000:0000:0009]:0050      Masq    1      0          0
TCP  C0000207:1F90 rr
  -> 0A010204:0050      Masq    0      0          0
  -> 0A010203:0050      Masq    1      0          0
FWM  00000007 wlc
"""
ports = st.integers(1, 40)
ranges = st.lists(st.builds(lambda one, two: PortRange(min(one, two), max(one, two)), ports, ports), max_size=5)


def numbers(packets: Packets) -> set[int]:
    return {port for each in packets.ports.get("tcp", ()) for port in range(each.first, each.last + 1)}


@given(ranges, ranges)
def test_ports_are_narrowed_and_taken_away_as_sets(mine: list[PortRange], others: list[PortRange]) -> None:
    everything = Packets("outside", {"tcp": (PortRange(1, 40),)}, frozenset({b"1234"}), {"eth0": 2})
    packets, taken = with_ports(everything, mine), with_ports(everything, others)
    if packets is None or taken is None:
        return
    wanted = {port for each in others for port in range(each.first, each.last + 1)}
    within, without = with_ports(packets, others), with_ports(packets, others, inverted=True)
    assert (numbers(within) if within else set()) == numbers(packets) & wanted
    assert (numbers(without) if without else set()) == numbers(packets) - wanted
    assert {port for each in minus(packets, taken) for port in numbers(each)} == numbers(packets) - wanted


@given(st.sets(st.sampled_from([b"1", b"2"]), min_size=1),
       st.sets(st.sampled_from(["eth0", "eth1"]), min_size=1))  # fmt: skip
def test_what_is_left_and_what_is_taken_are_all(destinations: set[bytes], names: set[str]) -> None:
    """Each combination is in exactly one of the sets."""
    packets = Packets("outside", {"tcp": (PortRange(1, 2),)}, frozenset({b"1", b"2"}), {"eth0": 2, "eth1": 3})
    taken = Packets("outside", {"tcp": (PortRange(2, 2),)}, frozenset(destinations), dict.fromkeys(names, 2))
    combinations = [
        (port, destination, name)
        for each in (*minus(packets, taken), taken)
        for port in numbers(each)
        for destination in each.destinations
        for name in each.interfaces
    ]
    assert len(combinations) == len(set(combinations)) == 8


def test_intervals_of_a_set() -> None:
    """80-89, 90 (the next one begins where one ends), and from 60000 on to the end."""

    def element(port: int, *, ends: bool = False) -> dict[int, bytes]:
        return {1: attribute(1, port.to_bytes(2, "big")), **({3: b"\0\0\0\1"} if ends else {})}

    raw = [
        element(60000),
        element(91, ends=True),
        element(90),
        element(90, ends=True),
        element(80),
        element(0, ends=True),
    ]
    found = [(int.from_bytes(each.first, "big"), int.from_bytes(each.last, "big"))
             for each in read_elements(raw, is_interval=True)]  # fmt: skip
    assert found == [(80, 89), (90, 90), (60000, 65535)]


def test_services_of_ipvs() -> None:
    """A server of weight 0 gets no new connections; the others' addresses are elsewhere."""
    found = list(ipvs.services(IP_VS, {"tcp": [PortRange(8080, 8080)], "udp": [PortRange(53, 53)]}, {"192.0.2.7"}))
    assert found == [
        (("tcp", 8080), Redirection("IPVS", origin, ("192.0.2.7",), "10.1.2.3", "80")) for origin in ("outside", "here")
    ]
    assert ipvs.takes_marked_packets(IP_VS)
    assert not ipvs.takes_marked_packets(IP_VS.replace("FWM", "TCP"))


def said(*redirections: Redirection) -> list[str]:
    return [note.message for note in redirected(endpoint(80), scene(redirected={("tcp", 80): redirections}))]


AWAY = Redirection("nft", "outside", ("192.0.2.7", "fe80::1"), "192.0.2.9", "8080")


def test_whom_a_server_still_serves() -> None:
    (told,) = said(AWAY)
    assert told.startswith("nft sends TCP connections from outside for port 80 to 192.0.2.9:8080:")
    assert told.endswith("a server that listens here is reached from this host alone")
    every = ("127.0.0.1", "192.0.2.7", "::1", "fe80::1")
    assert said(AWAY, AWAY._replace(origin="here", destinations=every)) == [
        "nft sends TCP connections for port 80 to 192.0.2.9:8080: nobody reaches a server that listens here"
    ]


def test_some_clients_or_perhaps() -> None:
    (over_ipv4,) = said(AWAY._replace(destinations=("192.0.2.7",)))
    assert "over IPv4" in over_ipv4
    assert "those clients do not reach" in over_ipv4
    (perhaps,) = said(AWAY._replace(sure=False))
    assert "nft may send" in perhaps
    assert "may not reach" in perhaps
    (same_port,) = said(AWAY._replace(address=None, port=None))
    assert "may send" in same_port  # to whichever address of this host


def test_where_one_rule_leads_to_many_places() -> None:
    (many,) = said(*(AWAY._replace(address=f"10.0.0.{number}") for number in range(1, 6)))
    assert "10.0.0.1:8080 or 10.0.0.2:8080 or 10.0.0.3:8080 or 2 more places" in many
