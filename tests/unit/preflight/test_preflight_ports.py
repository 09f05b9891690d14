"""The `ports` syntax of the Compose specification, short and long."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portcheck.preflight.compose.ports import PortSyntaxError, Published, declared, mapping, short
from portcheck.preflight.declarations import Declaration, Unresolved


def one(port: int, target: int, host: str | None = None, protocol: str = "tcp") -> Published:
    return Published(host, port, (), protocol, target)


SHORT = {
    "3000": [],
    "3000-3005": [],
    "8000:8000": [one(8000, 8000)],
    "9090-9091:8080-8081": [one(9090, 8080), one(9091, 8081)],
    "49100:22": [one(49100, 22)],
    "22:22": [one(22, 22)],
    "127.0.0.1:8001:8001": [one(8001, 8001, "127.0.0.1")],
    "127.0.0.1:5000-5002:5000-5002": [one(port, port, "127.0.0.1") for port in (5000, 5001, 5002)],
    "127.0.0.1::5000": [],
    ":5000": [],
    "0:5000": [],
    "6060:6060/udp": [one(6060, 6060, protocol="udp")],
    "6060:6060/UDP": [one(6060, 6060, protocol="udp")],
    "6060:6060/": [one(6060, 6060)],
    "6060:6060/sctp": [one(6060, 6060, protocol="sctp")],
    "[::1]:80:80": [one(80, 80, "::1")],
    "::1:80:80": [one(80, 80, "::1")],
    "[2001:db8::1]:80-81:80-81/udp": [one(80, 80, "2001:db8::1", "udp"), one(81, 81, "2001:db8::1", "udp")],
    "8000-8003:80": [Published(None, 8000, (8001, 8002, 8003), "tcp", 80)],
    "8000-8000:80": [one(8000, 80)],
    "007:80": [one(7, 80)],
    "1:65535": [one(1, 65535)],
    "65535:1": [one(65535, 1)],
}


@pytest.mark.parametrize("text", SHORT)
def test_every_short_form(text: str) -> None:
    assert short(text) == SHORT[text]


REFUSED = {
    "": "'' is no container port; accepted: 8000 or 8000-8010",
    "8000:": "'' is no container port",
    "99999:80": "host port '99999' is out of range; a port is a number from 1 to 65535",
    "80:0": "container port '0' is out of range",
    "80:65536": "container port '65536' is out of range",
    "9-8:80": "the host ports '9-8' run backwards",
    "9090-9092:8080-8081": "'9090-9092' and '8080-8081' are ranges of different lengths",
    "0:80-81": "host port '0' is out of range",
    "8080:80/icmp": "unknown protocol 'icmp'; accepted: tcp, udp, sctp",
    "localhost:80:80": "'localhost' is no IP address",
    "fe80::1%eth0:80:80": "'fe80::1%eth0' is no IP address",
    "80:80:80": "'80' is no IP address",
    "[::1:80:80": "'[::1:80:80': '[' without ']'",
    "http:80": "'http' is no host port",
    "+80:80": "'+80' is no host port",
    "\uff18\uff10:80": "is no host port",
    "1-2-3:80": "'1-2-3' is no host port",
    "8080:80\n": r"'80\n' is no container port",
    "1" * 200 + ":80": "…' is no host port",
}


@pytest.mark.parametrize("text", REFUSED)
def test_refuses_in_one_line_with_the_bad_part(text: str) -> None:
    with pytest.raises(PortSyntaxError) as caught:
        short(text)
    assert REFUSED[text] in str(caught.value)
    assert len(str(caught.value)) < 200
    assert "\n" not in str(caught.value)


def test_the_long_syntax_names_the_same_four_parts() -> None:
    assert mapping("", "8080-8082", "80", "") == [Published(None, 8080, (8081, 8082), "tcp", 80)]
    assert mapping("::1", "53", "5353", "udp") == [one(53, 5353, "::1", "udp")]
    assert mapping("127.0.0.1", "", "80", "tcp") == []
    assert mapping("", "0", "80", "tcp") == []
    with pytest.raises(PortSyntaxError, match="'' is no container port"):
        mapping("", "80", "", "")


def test_an_sctp_port_stays_open_and_is_named() -> None:
    [port] = short("6060:6060/sctp")
    assert declared(port, "compose", "f", 3, "web") == Unresolved(
        "protocol", "6060/sctp is published; portcheck knows tcp and udp", "f", 3, "web"
    )
    [port] = short("127.0.0.1:6060-6061:1/udp")
    assert declared(port, "compose", "f", 3, "web") == Declaration(
        6060, "udp", "127.0.0.1", "f", 3, "compose", "web", (6061,)
    )


PORTS = st.integers(1, 65535)
HOSTS = st.none() | st.ip_addresses().map(str).filter(lambda host: "%" not in host)


@st.composite
def mappings(draw: st.DrawFn) -> tuple[str, list[Published]]:
    """A random mapping: its short syntax, and what that means."""
    host, protocol = draw(HOSTS), draw(st.sampled_from(["tcp", "udp", "sctp"]))
    length = draw(st.integers(1, 20))
    port, target = draw(st.integers(1, 65536 - length)), draw(st.integers(1, 65536 - length))
    pool = draw(st.booleans())  # one target, any port of the range
    targets = range(target, target + (1 if pool else length))
    published = range(port, port + length)
    shown = f"[{host}]" if host and ":" in host and draw(st.booleans()) else host
    suffix = (
        "" if protocol == "tcp" and draw(st.booleans()) else f"/{draw(st.sampled_from([protocol, protocol.upper()]))}"
    )
    text = f"{shown}:" if shown else ""
    text += f"{_range(published)}:{_range(targets)}{suffix}"
    if pool:
        return text, [Published(host, port, tuple(published[1:]), protocol, target)]
    pairs = zip(published, targets, strict=True)
    return text, [Published(host, outside, (), protocol, inside) for outside, inside in pairs]


def _range(ports: range) -> str:
    return str(ports[0]) if len(ports) == 1 else f"{ports[0]}-{ports[-1]}"


@given(mappings())
def test_what_is_rendered_is_read_back(case: tuple[str, list[Published]]) -> None:
    text, meaning = case
    assert short(text) == meaning


@given(PORTS, PORTS)
def test_the_engine_chooses_where_no_host_port_is_named(first: int, last: int) -> None:
    low, high = sorted((first, last))
    assert short(f"{low}-{high}") == short(f":{low}-{high}") == short(f"127.0.0.1::{low}") == []


@given(st.text(max_size=40) | st.text("0123456789:-/[].udptc", max_size=20))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        found = short(text)
    except PortSyntaxError:
        return
    assert all(1 <= each <= 65535 for port in found for each in (port.port, *port.fallback, port.target))
