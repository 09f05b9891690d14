"""The grammar of TARGET, with names that the tests make up."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portcheck.addresses import Address, parse_address
from portcheck.errors import UsageError
from portcheck.namedtuple import TYPE_CHECKING
from portcheck.target import Endpoint, parse_host, parse_targets, parse_wanted

if TYPE_CHECKING:
    from portcheck.model import Protocol

LOOPBACKS = (Address("ipv6", "::1"), Address("ipv4", "127.0.0.1"))


class FakeNames:
    def service(self, name: str, protocol: Protocol) -> int | None:
        return {("http", "tcp"): 80, ("domain", "udp"): 53, ("ftp-data", "tcp"): 20}.get((name, protocol))

    def interfaces(self) -> tuple[str, ...]:
        return ("lo", "eth0", "br-1")

    def resolve(self, host: str) -> tuple[Address, ...]:
        return LOOPBACKS if host == "localhost" else ()


def parse(*texts: str, **options: object) -> tuple[Endpoint, ...]:
    return parse_targets(texts, FakeNames(), **options)  # type: ignore[arg-type]


def brief(text: str) -> list[tuple[str, int, str | None]]:
    return [(endpoint.protocol, endpoint.port, endpoint.host) for endpoint in parse(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("80", [("tcp", 80, None)]),
        ("80,443", [("tcp", 80, None), ("tcp", 443, None)]),
        ("8000-8002", [("tcp", 8000, None), ("tcp", 8001, None), ("tcp", 8002, None)]),
        ("http", [("tcp", 80, None)]),
        ("ftp-data", [("tcp", 20, None)]),
        ("53/udp", [("udp", 53, None)]),
        ("udp:53", [("udp", 53, None)]),
        ("udp:domain", [("udp", 53, None)]),
        ("tcp:80/tcp", [("tcp", 80, None)]),
        ("127.0.0.1:80", [("tcp", 80, "127.0.0.1")]),
        ("127.0.0.1:8000-8001", [("tcp", 8000, "127.0.0.1"), ("tcp", 8001, "127.0.0.1")]),
        ("udp:127.0.0.1:53", [("udp", 53, "127.0.0.1")]),
        ("[::1]:80", [("tcp", 80, "::1")]),
        ("[fe80::1%eth0]:80", [("tcp", 80, "fe80::1%eth0")]),
        ("*:80", [("tcp", 80, "*")]),
        (":80", [("tcp", 80, "*")]),
        ("localhost:80", [("tcp", 80, "localhost")]),
        ("eth0:80", [("tcp", 80, "eth0")]),
        ("br-1:80", [("tcp", 80, "br-1")]),
        ("http://localhost:3000/x", [("tcp", 3000, "localhost")]),
        ("https://localhost/x?y#z", [("tcp", 443, "localhost")]),
        ("http://[::1]:8080", [("tcp", 8080, "::1")]),
    ],
)
def test_every_form_of_the_contract(text: str, expected: list[tuple[str, int, str | None]]) -> None:
    assert brief(text) == expected


def test_kinds_of_hosts() -> None:
    names = FakeNames()
    assert parse("80")[0].hosts[0].kind == "every"
    assert parse_host("*", names).kind == "wildcard"
    assert parse_host("eth0", names).kind == "interface"
    assert parse_host("localhost", names).addresses == LOOPBACKS
    assert parse_host("0:0::1", names).addresses == (Address("ipv6", "::1"),)


def test_the_target_stays_as_typed_and_options_apply() -> None:
    (endpoint,) = parse("http", protocol="tcp", hosts=("eth0", "::1"))
    assert (endpoint.target, endpoint.host) == ("http", "eth0,::1")
    assert parse("80", protocol="udp")[0].protocol == "udp"
    assert parse("80/tcp", protocol="udp")[0].protocol == "tcp"


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("0", "port 0"),
        ("70000", "port 70000"),
        ("8010-8000", "backwards"),
        ("nonsense", "'nonsense'"),
        ("", "''"),
        ("80,", "did you mean 80?"),
        (",80,,443", "did you mean 80,443?"),
        (",", "''"),
        ("3000:3000", "did you mean 3000?"),
        ("3000:80/udp", "did you mean 3000/udp?"),
        ("udp:3000:80", "did you mean udp:3000?"),
        ("3000-3005:80-85", "did you mean 3000-3005?"),
        ("127.0.0.1:8080:80", "did you mean 127.0.0.1:8080?"),
        ("[::1]:8080:80", "did you mean [::1]:8080?"),
        (":8080:80", "did you mean :8080?"),
        ("3000:http", "did you mean 3000?"),
        ("0x7f000001:80", "no IPv4 address"),
        ("http://3000/", "no IPv4 address"),
        ("tcp/3000", "did you mean 3000/tcp?"),
        ("3000/", "did you mean 3000?"),
        ("localhost:5173/shop", "did you mean localhost:5173?"),
        ("3000-3001-3002", "did you mean 3000-3002 or 3000,3001,3002?"),
        ("8000..8010", "did you mean 8000-8010?"),
        ("8000\u20138010", "did you mean 8000-8010?"),
        ("localhost", "for example localhost:80"),
        ("localhost:", "for example localhost:80"),
        ("127.0.0.1", "for example 127.0.0.1:80"),
        ("eth0", "for example eth0:80"),
        ("::1", "for example [::1]:80"),
        (":::80", "[::]:80"),
        ("80,x", "'x'"),
        ("-5", "'-5'"),
        ("5-", "'5-'"),
        ("1-70000", "70000"),
        ("53/sctp", "'sctp'"),
        ("udp:53/tcp", "two protocols"),
        ("::1:80", "[::1]:80"),
        ("[::1]80", "[::1]:80"),
        ("[::1", "[::1]:80"),
        ("[zz]:80", "'zz'"),
        ("nowhere:80", "unknown host 'nowhere'"),
        ("300.1.1.1:80", "unknown host"),
        ("http://:80/", "host"),
        ("http://localhost:99999/", "URL"),
        ("gopher://localhost/", "port"),
        ("\uff18\uff10", "port"),
        ("9" * 5000, "out of range"),
        ("80\x1b[31m", "no port"),
    ],
)
def test_bad_input_names_the_bad_part_in_one_line(text: str, named: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(text)
    assert named in caught.value.cause
    assert "\n" not in caught.value.cause
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("text", ["3000", "0x7f000001"])
def test_a_number_without_dots_is_no_host(text: str) -> None:
    """inet_aton(3), and so getaddrinfo(3), would take 3000 for 0.0.11.184."""
    with pytest.raises(UsageError, match="no IPv4 address"):
        parse_host(text, FakeNames())


def test_one_family_alone() -> None:
    (endpoint,) = parse("localhost:80", family="ipv4")
    assert (endpoint.family, endpoint.hosts[0].addresses) == ("ipv4", (Address("ipv4", "127.0.0.1"),))
    (endpoint,) = parse("80", family="ipv6")
    assert (endpoint.family, endpoint.hosts[0].kind) == ("ipv6", "every")
    with pytest.raises(UsageError, match="'::1' has no IPv4 address"):
        parse("[::1]:80", family="ipv4")


@pytest.mark.parametrize(
    ("text", "endpoints", "programs"),
    [
        ("80", [("tcp", 80), ("udp", 80)], ()),
        ("53/udp", [("udp", 53)], ()),
        ("domain", [("udp", 53)], ()),
        ("http", [("tcp", 80)], ()),
        (":80", [("tcp", 80), ("udp", 80)], ()),
        ("localhost:80", [("tcp", 80), ("udp", 80)], ()),
        ("node", [], ("node",)),
        ("python3.11", [], ("python3.11",)),
    ],
)
def test_what_a_list_is_asked_for(text: str, endpoints: list[tuple[str, int]], programs: tuple[str, ...]) -> None:
    wanted, names = parse_wanted([text], FakeNames())
    assert [(endpoint.protocol, endpoint.port) for endpoint in wanted] == endpoints
    assert names == programs


@pytest.mark.parametrize("text", ["", "localhost", "99999", "0", "3000:3000", "nowhere:80", "80,x", "9-8"])
def test_what_is_wrong_in_a_target_is_no_program(text: str) -> None:
    with pytest.raises(UsageError):
        parse_wanted([text], FakeNames())


def test_nothing_is_half_done() -> None:
    with pytest.raises(UsageError):
        parse("80", "443", "0")


def test_a_host_in_the_target_and_in_the_option_is_an_error() -> None:
    with pytest.raises(UsageError, match="--host"):
        parse("127.0.0.1:80", hosts=("::1",))


@given(st.text(max_size=30))
def test_any_text_is_endpoints_or_a_usage_error(text: str) -> None:
    try:
        endpoints = parse(text)
    except UsageError as error:
        assert error.cause
    else:
        assert endpoints
        assert all(1 <= endpoint.port <= 65535 and endpoint.target == text for endpoint in endpoints)


@given(st.integers(1, 65535), st.integers(0, 300), st.sampled_from(["", "/udp", "/tcp"]))
def test_ranges_hold_every_port_between(first: int, length: int, suffix: str) -> None:
    last = min(first + length, 65535)
    ports = [endpoint.port for endpoint in parse(f"{first}-{last}{suffix}")]
    assert ports == list(range(first, last + 1))


@given(st.ip_addresses())
def test_addresses_have_one_canonical_spelling(address: object) -> None:
    parsed = parse_address(str(address))
    assert parsed is not None
    assert parse_address(getattr(address, "exploded")) == parsed  # noqa: B009 - typed as object
