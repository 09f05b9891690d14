from __future__ import annotations

from examples import diagnosis, node_on_loopback

from portcheck.model import BlindSpot, Diagnosis, Note
from portcheck.render.summary import summarise


def messages(*diagnoses: Diagnosis) -> list[str]:
    return [found.message for found in summarise(diagnoses)]


def test_a_run_of_free_ports_is_one_sentence() -> None:
    told = messages(*(diagnosis(port, target="8000-8999") for port in range(8000, 9000)))
    assert told == ["Ports 8000-8999 are free on every IPv4 and IPv6 address."]


def test_one_port_keeps_its_sentence() -> None:
    assert messages(diagnosis(80)) == ["Port 80 is free on every IPv4 and IPv6 address."]
    assert messages() == []


def test_a_taken_port_stands_between_two_runs() -> None:
    told = messages(diagnosis(2998), diagnosis(2999), node_on_loopback(), diagnosis(3001), diagnosis(3002))
    assert told == [
        "Ports 2998-2999 are free on every IPv4 and IPv6 address.",
        node_on_loopback().message,
        "Ports 3001-3002 are free on every IPv4 and IPv6 address.",
    ]


def test_udp() -> None:
    ports = (diagnosis(port, protocol="udp", message=f"UDP port {port} is free on ::1.") for port in (53, 54))
    assert messages(*ports) == ["UDP ports 53-54 are free on ::1."]


def test_only_neighbours_in_order() -> None:
    assert len(messages(diagnosis(80), diagnosis(82))) == 2
    assert len(messages(diagnosis(81), diagnosis(80))) == 2
    assert len(messages(diagnosis(80), diagnosis(80))) == 2


def test_what_has_more_to_say_is_said() -> None:
    note = Note("reserved", "8001 is in ip_local_reserved_ports")
    for change in (
        {"notes": (note,)},
        {"host": "127.0.0.1"},
        {"protocol": "udp"},
        {"complete": False},
        {"cause": "time-wait"},
        {"message": "Port 8001 is free on ::1."},
        {"message": "Go's listen(8001) would succeed."},
    ):
        assert len(messages(diagnosis(8000), diagnosis(8001, **change), diagnosis(8002))) == 3


def test_what_all_of_them_say_is_said_once() -> None:
    spot = BlindSpot("bound-not-visible", "sockets that are bound without listening do not show here")
    found = list(summarise(diagnosis(port, blind_spots=(spot,), complete=False) for port in (1, 2, 3)))
    assert [(one.message, one.blind_spots) for one in found] == [
        ("Ports 1-3 are free on every IPv4 and IPv6 address.", (spot,))
    ]


def test_only_free_ports_are_summed_up() -> None:
    taken = (diagnosis(port, verdict="denied", message=f"Port {port} is closed to us.") for port in (80, 81))
    assert len(messages(*taken)) == 2
