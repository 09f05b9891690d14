from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.scenes import LINK, LO6, endpoint, listener, process, scene

from portcheck.diagnosis import pipeline
from portcheck.diagnosis.sentence import together
from portcheck.model import Diagnosis, PortPolicy, PortRange, Redirection, Scene
from portcheck.profiles import ANY_SERVER, PROFILES, TABLES_ALONE, Question, Server
from portcheck.target import EVERY, Endpoint, Host

WILDCARDS = Host("*", "wildcard")
AWAY = Redirection("nft", "outside", ("192.0.2.7",), "192.0.2.9", "80")
ETH0 = Host("eth0", "interface")


def summed_up(seen: Scene, *endpoints: Endpoint, server: Server = ANY_SERVER) -> list[Diagnosis]:
    """What a person is told of these ports on such a host."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pipeline, "look", lambda *_, **__: seen)
        return [together(first, last) for first, last in pipeline.stretches(endpoints, Question(server, probe=False))]


def each(seen: Scene, *endpoints: Endpoint) -> list[Diagnosis]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pipeline, "look", lambda *_, **__: seen)
        return list(pipeline.checks(endpoints, TABLES_ALONE))


def messages(seen: Scene, *endpoints: Endpoint, server: Server = ANY_SERVER) -> list[str]:
    return [found.message for found in summed_up(seen, *endpoints, server=server)]


def test_a_run_of_free_ports_is_one_sentence() -> None:
    told = messages(scene(), *map(endpoint, range(8000, 9000)))
    assert told == ["Ports 8000-8999 are free on every IPv4 and IPv6 address."]


def test_one_port_keeps_its_sentence() -> None:
    assert messages(scene(), endpoint(80)) == ["Port 80 is free on every IPv4 and IPv6 address."]
    assert messages(scene()) == []


def test_a_taken_port_stands_between_two_runs() -> None:
    taken = scene(listener(port=3000))
    told = messages(taken, *map(endpoint, range(2998, 3003)))
    assert [told[0], told[2]] == [
        "Ports 2998-2999 are free on every IPv4 and IPv6 address.",
        "Ports 3001-3002 are free on every IPv4 and IPv6 address.",
    ]
    assert told[1].startswith("Port 3000 is in use: httpd")
    assert len(told) == 3


def test_udp() -> None:
    assert messages(scene(addresses=(LO6, LINK)), endpoint(53, "udp"), endpoint(54, "udp")) == [
        "UDP ports 53-54 are free on every IPv4 and IPv6 address."
    ]


def test_only_neighbours_in_order() -> None:
    for first, second in ((80, 82), (81, 80), (80, 80)):
        assert len(messages(scene(), endpoint(first), endpoint(second))) == 2


def test_other_questions_are_answered_apart() -> None:
    assert len(messages(scene(), endpoint(8000), endpoint(8001, "udp"))) == 2
    assert len(messages(scene(), endpoint(8000), endpoint(8001, host=WILDCARDS))) == 2


def test_what_has_more_to_say_is_said() -> None:
    """A reservation, a packet filter, a UDP holder of the same number: a note each."""
    reserved = PortPolicy(0, reserved=(PortRange(8001, 8001),))
    udp = listener(port=8001)._replace(protocol="udp", state=None)
    for seen in (scene(policy=reserved), scene(redirected={("tcp", 8001): (AWAY,)}), scene(udp)):
        found = summed_up(seen, *map(endpoint, range(8000, 8003)))
        assert [one.port for one in found] == [8000, 8001, 8002]
        assert [bool(one.notes) for one in found] == [False, True, False]


def test_where_privilege_is_needed_is_a_border_only_for_those_without() -> None:
    ports = [endpoint(port) for port in (1022, 1023, 1024, 1025)]
    root, other = (scene(policy=PortPolicy(1024, privileged=known)) for known in (True, False))
    assert messages(root, *ports) == ["Ports 1022-1025 are free on every IPv4 and IPv6 address."]
    assert [(found.port, found.verdict) for found in summed_up(other, *ports)] == [
        (1022, "denied"), (1024, "free"),
    ]  # fmt: skip
    assert messages(other, *ports)[0].startswith("Ports 1022-1023 cannot be bound: ports below 1024 need privilege")


def test_what_a_server_calls_cannot_be_counted() -> None:
    told = messages(scene(), endpoint(8000), endpoint(8001), server=PROFILES["node"])
    assert [port in line for port, line in zip(("8000", "8001"), told, strict=True)] == [True, True]


@given(
    st.lists(st.integers(1020, 1032), max_size=14),
    st.sets(st.integers(1020, 1032), max_size=3),
    st.booleans(),
    st.sampled_from((EVERY, WILDCARDS, ETH0)),
)
def test_nothing_is_lost_by_it(ports: list[int], taken: set[int], privileged: bool, host: Host) -> None:
    """Told together or one by one: the same ports with the same verdicts, and the same words about each."""
    held = [listener(port=port, inode=port, pids=(port,)) for port in sorted(taken)]
    seen = scene(
        *held, processes=(process(), *(process(port) for port in taken)), policy=PortPolicy(1024, privileged=privileged)
    )
    asked = [endpoint(port, host=host) for port in ports]
    rest = iter(each(seen, *asked))
    for told in summed_up(seen, *asked):
        one = next(rest)
        if told.message != one.message:
            ports_told, words = told.message.removeprefix("Ports ").split(" ", 1)
            last = int(ports_told.rpartition("-")[2])
            for port in range(one.port, last):
                assert (one.port, one.verdict) == (port, told.verdict)
                one = next(rest)
            assert one.message == f"Port {last} {'is ' + words[4:] if words.startswith('are ') else words}"
        assert told == one._replace(target=told.target, port=told.port, sentence=told.sentence)
    assert next(rest, None) is None
