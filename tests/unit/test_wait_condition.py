"""Whether a target listens or is free, and how that is said."""

from __future__ import annotations

from typing import Any

import pytest
from support.scenes import ETH4, LO4, LO6, NOON, diagnosis, listener, process, scene

from portcheck.addresses import parse_address
from portcheck.model import Diagnosis, PortPolicy, Probe, Socket
from portcheck.target import Endpoint, Host, Url
from portcheck.waiting.condition import answered, concluded, connected, freed, listening, place, silent, so_far

ADDRESSES = (LO4, LO6, ETH4)


def target(*hosts: Host, port: int = 80, **fields: Any) -> Endpoint:
    return Endpoint(str(port), fields.pop("protocol", "tcp"), port, hosts or (Host(),))


def named(*texts: str) -> Host:
    return Host(texts[0], "addresses", tuple(filter(None, map(parse_address, texts))))


WILDCARD, ETH0 = Host("*", "wildcard"), Host("eth0", "interface")
UDP = Socket("udp", "ipv4", "0.0.0.0", 53, inode=7)


@pytest.mark.parametrize(
    ("hosts", "where", "met"),
    [
        ((), "127.0.0.1", True),
        ((named("127.0.0.1"),), "127.0.0.1", True),
        ((named("127.0.0.1"),), "0.0.0.0", True),
        ((named("127.0.0.1"),), "::", True),
        ((named("127.0.0.1"),), "::1", False),
        ((named("127.0.0.1"),), "127.0.0.2", False),
        ((named("127.0.0.2"),), "127.0.0.2", True),
        ((named("::1", "127.0.0.1"),), "127.0.0.1", True),  # localhost: one of its addresses is enough
        ((WILDCARD,), "0.0.0.0", True),
        ((WILDCARD,), "127.0.0.1", False),
        ((ETH0,), "192.0.2.7", True),
        ((ETH0,), "127.0.0.1", False),
        ((named("127.0.0.1"), named("192.0.2.7")), "127.0.0.1", False),  # every host that is named
        ((named("127.0.0.1"), named("192.0.2.7")), "0.0.0.0", True),
    ],
)
def test_listening_is_what_a_client_of_the_named_host_would_find(
    hosts: tuple[Host, ...], where: str, met: bool
) -> None:
    found = listening(target(*hosts), [listener(where)], ADDRESSES, "linux")
    assert found.met is met
    assert found.evidence == ({7} if met else set())


@pytest.mark.parametrize(
    "other",
    [
        listener(port=81),
        listener(state="BOUND"),
        listener(state="ESTABLISHED", remote_address="127.0.0.1", remote_port=9),
        Socket("udp", "ipv4", "0.0.0.0", 80, inode=7),
    ],
)
def test_nothing_else_is_a_listener(other: Socket) -> None:
    found = listening(target(), [other], ADDRESSES, "linux")
    assert (found.met, found.message) == (False, "nothing listens on port 80")


def test_a_udp_server_is_one_that_is_not_connected() -> None:
    asked = target(port=53, protocol="udp")
    assert listening(asked, [UDP], ADDRESSES, "linux").met
    assert not listening(asked, [UDP._replace(remote_port=9, remote_address="192.0.2.1")], ADDRESSES, "linux").met


def test_who_listens_is_said_at_the_end() -> None:
    met = listening(target(), [listener()], ADDRESSES, "linux")
    found = concluded(met, diagnosis(scene(listener())), NOON)
    assert found.message.startswith("httpd (PID 382, root, since ")
    assert found.message.endswith(") listens on every IPv4 address, port 80")
    assert found.diagnosis is not None


def test_a_prefork_server_is_named_once() -> None:
    both = listener(pids=(382, 390))
    people = (process(), process(390, parent_pid=382))
    found = concluded(listening(target(), [both], ADDRESSES, "linux"), diagnosis(scene(both, processes=people)), NOON)
    assert found.message.count("httpd") == 1
    assert "390" not in found.message


def test_a_port_that_is_held_otherwise_says_by_whom() -> None:
    bound = listener(state="BOUND")
    missing = listening(target(), [bound], ADDRESSES, "linux")
    found = concluded(missing, diagnosis(scene(bound)), NOON)
    assert found.message.startswith("nothing listens on port 80; port 80 is in use: httpd (PID 382")
    assert "without listening" in found.message


def test_a_port_that_nobody_holds_needs_no_more_words() -> None:
    missing = listening(target(), [], ADDRESSES, "linux")
    assert concluded(missing, diagnosis(scene()), NOON).message == "nothing listens on port 80"


@pytest.mark.parametrize(
    ("host", "protocol", "said"),
    [
        (None, "tcp", "port 80"),
        (None, "udp", "UDP port 80"),
        (WILDCARD, "tcp", "a wildcard address, port 80"),
        (named("127.0.0.1"), "tcp", "127.0.0.1:80"),
        (named("::1"), "tcp", "[::1]:80"),
        (named("::1"), "udp", "UDP [::1]:80"),
        (ETH0, "tcp", "eth0:80"),
    ],
)
def test_places(host: Host | None, protocol: str, said: str) -> None:
    assert place(target(*([host] if host else []), protocol=protocol)) == said


def test_connections_are_told_with_their_errno() -> None:
    asked = target(named("192.0.2.9"))
    assert connected(asked, None).met
    refused = connected(asked, "ECONNREFUSED")
    assert (refused.met, refused.message) == (False, "192.0.2.9:80 does not accept connections (ECONNREFUSED)")


def answer(*sockets: Socket, **fields: Any) -> Diagnosis:
    return diagnosis(scene(*sockets, **fields))


def test_a_free_port_is_met() -> None:
    found = freed(target(), answer())
    assert (found.met, found.helpless, found.seconds_left) == (True, False, None)


def test_an_owned_port_names_its_owner_and_does_not_get_free_by_waiting() -> None:
    found = freed(target(), answer(listener()))
    assert (found.met, found.helpless) == (False, True)
    assert found.message.startswith("Port 80 is in use: httpd (PID 382")


def test_time_wait_leaves_by_itself() -> None:
    left = listener(
        "127.0.0.1", state="TIME-WAIT", inode=0, pids=None, remote_address="127.0.0.1", remote_port=9, expires_in=20.4,
        minisocket=True, reuseaddr=False,
    )  # fmt: skip
    found = freed(target(), answer(left))
    assert (found.met, found.helpless, found.seconds_left) == (False, False, 20.4)
    assert found.message.endswith("(about 20 s more)")


def test_what_is_denied_does_not_change_by_waiting() -> None:
    unprivileged = scene(policy=PortPolicy(1024, privileged=False))
    found = freed(target(), diagnosis(unprivileged, probe=lambda _: Probe("denied", "EACCES")))
    assert (found.met, found.helpless) == (False, True)


def test_what_cannot_be_told_may_still_change() -> None:
    found = freed(target(), diagnosis(scene(), probe=lambda _: Probe("in-use", "EADDRINUSE")))
    assert (found.met, found.helpless) == (False, False)


URL = Endpoint("http://localhost:80/x", "tcp", 80, (named("127.0.0.1"),), url=Url("http", "localhost", 80, "/x"))


def test_a_url_says_what_it_answers_and_who_listens_there() -> None:
    found = diagnosis(scene(listener("127.0.0.1", pids=(5,)), processes=(process(5, name="node"),)))
    missing = answered(URL, 404, 0, is_ready=False)
    assert concluded(missing, found, NOON).message == (
        "http://localhost:80/x answers 404; node (PID 5, root, since 10:06) listens on 127.0.0.1, port 80"
    )
    assert answered(URL, 200, 2, is_ready=True).message == "http://localhost:80/x answers 200 after 2 redirects"


def test_what_there_is_at_first_of_what_is_waited_for() -> None:
    port = listening(target(), [], ADDRESSES, "linux")
    refused = silent(URL, "ECONNREFUSED")
    assert so_far([port]) == "nothing listens there yet"
    assert so_far([port, refused]) == so_far([refused]) == "nothing is ready there yet"
    assert so_far([answered(URL, 503, 0, is_ready=False)]) == "it answers 503"
