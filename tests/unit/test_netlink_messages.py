"""Netlink messages as bytes: read, written, cut short, interrupted, refused."""

from __future__ import annotations

import errno
import os
import socket
import sys
from collections.abc import Sequence
from struct import pack, unpack_from
from typing import Any, NoReturn

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portcheck.model import LocalAddress, PortRange, Socket
from portcheck.observe.linux import departures, mptcp, rtnetlink, sock_diag, wireguard
from portcheck.observe.linux.kernel_ports import tunnel
from portcheck.observe.linux.netlink import Netlink, attribute, attributes, messages

if sys.platform == "win32":
    pytest.skip("Windows has no netlink", allow_module_level=True)

ERROR, DONE, DATA = 2, 3, 20
INTERRUPTED = 0x10
JUMP, AT_LEAST = 1, 2
ranges = st.builds(lambda one, other: PortRange(min(one, other), max(one, other)), *[st.integers(0, 65535)] * 2)


def message(payload: bytes = b"", kind: int = DATA, flags: int = 2, sequence: int = 1) -> bytes:
    header = pack("=IHHII", 16 + len(payload), kind, flags, sequence, 0)
    return header + payload + bytes(-len(payload) % 4)


class FakeKernel:
    """A netlink socket that answers each request with the next datagrams, under the request's number."""

    def __init__(self, *answers: Sequence[bytes]) -> None:
        self.answers = list(answers)
        self.requests: list[bytes] = []
        self.queue: list[bytes] = []

    def settimeout(self, seconds: float) -> None:
        assert seconds > 0

    def send(self, data: bytes) -> None:
        self.requests.append(data)
        number = data[8:12]
        self.queue = [part[:8] + number + part[12:] for part in self.answers.pop(0)]

    def recvmsg(self, size: int) -> tuple[bytes, list[object], int, None]:
        data = self.queue.pop(0)
        return data[:size], [], socket.MSG_TRUNC if len(data) > size else 0, None

    def close(self) -> None:
        self.closed = True


def kernel(monkeypatch: pytest.MonkeyPatch, *answers: Sequence[bytes]) -> FakeKernel:
    fake = FakeKernel(*answers)
    monkeypatch.setattr("portcheck.observe.linux.netlink.socket.socket", lambda *_: fake)
    return fake


def dumped(link: Netlink) -> list[bytes]:
    with link:
        return link.dump(DATA, b"question", bytes)


@given(st.lists(st.tuples(st.integers(16, 999), st.integers(0, 65535), st.binary(max_size=40))))
def test_messages_are_read_as_written(written: list[tuple[int, int, bytes]]) -> None:
    data = b"".join(message(payload, kind, flags) for kind, flags, payload in written)
    assert list(messages(data, 1)) == written


def test_answers_to_other_requests_are_left_out() -> None:
    data = message(b"old!", sequence=1) + message(b"new!", sequence=2)
    assert list(messages(data, 2)) == [(DATA, 2, b"new!")]


@given(st.binary(min_size=1, max_size=40), st.data())
def test_a_cut_message_is_an_error(payload: bytes, data: st.DataObject) -> None:
    whole = message(payload)[: 16 + len(payload)]
    cut = data.draw(st.integers(1, len(whole) - 1))
    with pytest.raises(OSError, match="cut short"):
        list(messages(whole[:cut], 1))


@given(st.binary(max_size=200))
def test_garbage_ends(data: bytes) -> None:
    try:
        found = list(messages(data, 1))
    except OSError as error:
        assert error.errno == errno.EBADMSG
    else:
        assert sum(16 + len(payload) for *_, payload in found) <= len(data)
    assert sum(4 + len(value) for _, value in attributes(data)) <= len(data)


@given(st.lists(st.tuples(st.integers(0, 0x3FFF), st.binary(max_size=20))))
def test_attributes_are_read_as_written(written: list[tuple[int, bytes]]) -> None:
    data = b"".join(attribute(kind, value) for kind, value in written)
    assert list(attributes(data)) == written
    assert list(attributes(b"header" + data, 6)) == written


def test_flags_are_no_part_of_an_attributes_type() -> None:
    assert list(attributes(attribute(0x8000 | 2, b"nested"))) == [(2, b"nested")]


def test_a_dump_goes_on_until_it_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = kernel(monkeypatch, [message(b"one!"), message(b"two!"), message(pack("=i", 0), DONE)])
    assert dumped(Netlink(4)) == [b"one!", b"two!"]
    assert fake.closed


def test_an_interrupted_dump_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    torn = [message(b"one!", flags=INTERRUPTED), message(kind=DONE)]
    whole = [message(b"one!"), message(b"two!"), message(kind=DONE)]
    fake = kernel(monkeypatch, torn, torn, whole)
    assert dumped(Netlink(4)) == [b"one!", b"two!"]
    assert [request[16:] for request in fake.requests] == [b"question"] * 3


def test_a_dump_that_is_always_interrupted_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    kernel(monkeypatch, *[[message(kind=DONE, flags=INTERRUPTED)]] * 99)
    with pytest.raises(OSError, match="changed") as refusal:
        dumped(Netlink(4))
    assert refusal.value.errno == errno.EAGAIN


@pytest.mark.parametrize("kind", [ERROR, DONE])
def test_the_kernels_errno_is_kept(monkeypatch: pytest.MonkeyPatch, kind: int) -> None:
    kernel(monkeypatch, [message(pack("=i", -errno.ENOENT), kind)])
    with pytest.raises(FileNotFoundError):
        dumped(Netlink(4))


def test_an_answer_that_does_not_fit_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    kernel(monkeypatch, [message(bytes(70000))])
    with pytest.raises(OSError, match="longer") as refusal:
        dumped(Netlink(4))
    assert refusal.value.errno == errno.EMSGSIZE


def test_a_request_has_one_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    kernel(monkeypatch, [message(b"here")], [message(pack("=i", -errno.ENETUNREACH), ERROR)])
    with Netlink(0) as link:
        assert link.request(26, b"", bytes) == b"here"
        with pytest.raises(OSError, match=os.strerror(errno.ENETUNREACH)):
            link.request(26, b"", bytes)


# sock_diag


def accepts(program: bytes, port: int) -> bool:
    """What the kernel makes of a program: inet_diag_bc_run, and the checks of inet_diag_bc_audit."""
    left = len(program)
    while left > 0:
        code, yes, no, _, operand = unpack_from("=BBHHH", program + bytes(4), len(program) - left)
        assert no % 4 == 0
        assert 4 <= no <= left + 4
        if code == JUMP:
            assert yes == 4
            left -= no
        else:
            assert yes == 8 <= left
            left -= yes if (port >= operand if code == AT_LEAST else port <= operand) else no
    return left == 0


@given(st.lists(ranges, min_size=1, max_size=12), st.integers(0, 65535))
def test_the_filter_lets_the_ports_through(wanted: list[PortRange], port: int) -> None:
    program = sock_diag.port_program(wanted)
    for each in {
        port,
        *(end + near for r in wanted for end in r for near in (-1, 0, 1) if 0 <= end + near < 65536),
    }:
        assert accepts(program, each) == any(each in r for r in wanted)


COOKIE = 1 << 40 | 7


def diag_message(
    *,
    family: int = socket.AF_INET,
    state: int = 10,
    timer: int = 0,
    port: int = 80,
    remote_port: int = 0,
    local: str = "127.0.0.1",
    remote: str = "0.0.0.0",
    expires: int = 0,
    queue: int = 0,
    backlog: int = 0,
    inode: int = 7,
    extra: bytes = b"",
) -> bytes:
    addresses = b"".join(socket.inet_pton(family, text).ljust(16, b"\0") for text in (local, remote))
    ports = port.to_bytes(2, "big") + remote_port.to_bytes(2, "big")
    numbers = pack("=IQ5I", 0, COOKIE, expires, queue, backlog, 1000, inode)
    return bytes([family, state, timer, 0]) + ports + addresses + numbers + extra


def test_a_listener() -> None:
    extra = attribute(8, b"\0") + attribute(11, b"\1") + attribute(21, pack("=Q", 1 << 33))
    read = sock_diag.reader("tcp")
    found = read(diag_message(family=socket.AF_INET6, local="::", remote="::", queue=3, backlog=128, extra=extra))
    assert found == Socket(
        protocol="tcp", family="ipv6", local_address="::", local_port=80, state="LISTEN", v6only=True,
        uid=1000, queue=3, backlog=128, inode=7, cgroup_id=1 << 33, cookie=COOKIE,
    )  # fmt: skip


def test_a_dual_stack_sockets_connection_keeps_its_mapped_addresses() -> None:
    mapped = diag_message(
        family=socket.AF_INET6, state=1, local="::ffff:127.0.0.1", remote="::ffff:127.0.0.2", remote_port=5000,
        queue=17, timer=2, expires=5000,
    )  # fmt: skip
    assert sock_diag.reader("tcp")(mapped) == Socket(
        protocol="tcp", family="ipv6", local_address="::ffff:127.0.0.1", local_port=80,
        remote_address="::ffff:127.0.0.2", remote_port=5000, state="ESTABLISHED", uid=1000, inode=7, cookie=COOKIE,
    )  # fmt: skip


def gone(protocol: int = socket.IPPROTO_TCP, *, pmtu: int = 0, **fields: Any) -> list[Socket]:
    """What a notice tells; ports from 32768 on are the kernel's own choice."""
    known = attribute(10, bytes([protocol]))
    if protocol == socket.IPPROTO_TCP:
        known += attribute(2, bytes(60) + pack("=I", pmtu) + bytes(216))
    message = diag_message(state=7, inode=0, extra=known, **fields)
    return [*departures.notice(message, PortRange(32768, 60999))]


def test_a_notice_tells_where_a_socket_was_and_nothing_that_is_forgotten() -> None:
    assert gone() == [Socket("tcp", "ipv4", "127.0.0.1", 80, state="CLOSED", cookie=COOKIE)]
    assert gone(socket.IPPROTO_UDP, port=53) == [Socket("udp", "ipv4", "127.0.0.1", 53, cookie=COOKIE)]
    assert gone(port=40000) == [Socket("tcp", "ipv4", "127.0.0.1", 40000, state="CLOSED", cookie=COOKIE)]


def test_a_clients_notice_tells_nothing() -> None:
    assert gone(pmtu=65535) == gone(remote_port=5000) == gone(port=0) == []
    assert gone(socket.IPPROTO_UDP, port=40000) == gone(socket.IPPROTO_UDP, remote_port=53) == []
    assert gone(132) == []  # SCTP
    assert [*departures.notice(diag_message(), None)] == []  # it does not say of which protocol


@pytest.mark.parametrize(
    ("state", "timer", "name", "expires_in", "minisocket"),
    [(6, 3, "TIME-WAIT", 59.5, False), (5, 3, "FIN-WAIT-2", 59.5, True), (5, 2, "FIN-WAIT-2", None, False)],
)
def test_what_nobody_holds(state: int, timer: int, name: str, expires_in: float | None, minisocket: bool) -> None:
    found = sock_diag.reader("tcp")(diag_message(state=state, timer=timer, expires=59500, inode=0))
    assert (found.state, found.expires_in, found.minisocket) == (name, expires_in, minisocket)
    assert (found.inode, found.pids) == (0, ())


def test_udp_has_no_states() -> None:
    found = sock_diag.reader("udp")(diag_message(state=7, queue=9))
    assert (found.state, found.queue, found.backlog, found.pids) == (None, None, None, None)


@pytest.mark.parametrize(
    ("release", "sees"),
    [
        ("6.8.0-31-generic", True),
        ("6.18.44-fc", True),
        ("7.0", True),
        ("6.7.12", False),
        ("5.15.0", False),
        ("odd", False),
    ],
)
def test_the_release_tells_whether_bound_sockets_show(
    monkeypatch: pytest.MonkeyPatch, release: str, sees: bool
) -> None:
    class Uname:
        def __init__(self) -> None:
            self.release = release

    def never(*_: object) -> NoReturn:
        raise AssertionError("asked the kernel")

    monkeypatch.setattr("portcheck.observe.linux.sock_diag.os.uname", Uname)
    monkeypatch.setattr("portcheck.observe.linux.sock_diag.socket.socket", never)
    assert sock_diag.sees_bound_only.__wrapped__(may_bind=False) is sees


# rtnetlink


def address_message(flags: int, *extra: bytes) -> bytes:
    index = socket.if_nametoindex("lo")
    return pack("=BBBBI", socket.AF_INET6, 64, flags & 0xFF, 0, index) + b"".join(extra)


@pytest.mark.parametrize(
    ("flags", "tentative"),
    [(0x80, False), (0x40, True), (0x48, True), (0x44, False), (0x140, True)],
    ids=["permanent", "tentative", "dadfailed", "optimistic", "more than a byte"],
)
def test_an_address_that_cannot_be_bound_yet(flags: int, tentative: bool) -> None:
    packed = attribute(1, socket.inet_pton(socket.AF_INET6, "2001:db8::1"))
    expected = LocalAddress("2001:db8::1", "ipv6", "lo", tentative)
    assert rtnetlink.read_address(address_message(flags, packed)) == expected
    assert rtnetlink.read_address(address_message(0, packed, attribute(8, pack("=I", flags)))) == expected


def test_the_near_end_of_a_point_to_point_link_is_local() -> None:
    far, near = (socket.inet_pton(socket.AF_INET6, text) for text in ("2001:db8::2", "2001:db8::1"))
    found = rtnetlink.read_address(address_message(0, attribute(1, far), attribute(2, near)))
    assert found
    assert found.address == "2001:db8::1"


def test_other_families_have_no_ip_address() -> None:
    assert rtnetlink.read_address(pack("=BBBBI", 7, 0, 0, 0, 1) + attribute(1, b"1234")) is None


def link_message(name: str, kind: str | None, *settings: bytes) -> bytes:
    info = attribute(1, (kind or "").encode() + b"\0") + attribute(0x8000 | 2, b"".join(settings))
    extra = attribute(18, info) if kind else b""
    return pack("=BxHiII", 0, 1, 5, 0, 0) + attribute(3, name.encode() + b"\0") + extra


@pytest.mark.parametrize(
    ("kind", "setting", "title"), [("vxlan", 15, "VXLAN"), ("geneve", 5, "GENEVE"), ("bareudp", 1, "bareudp")]
)
def test_a_tunnel_has_a_port(kind: str, setting: int, title: str) -> None:
    port = (4789).to_bytes(2, "big")
    link = rtnetlink.read_link(link_message("x0", kind, attribute(99, b"1"), attribute(setting, port)))
    assert link
    assert link.name == "x0"
    assert tunnel(link) == (title, 4789)


def test_a_tunnel_that_does_not_say_its_port() -> None:
    link = rtnetlink.read_link(link_message("x0", "vxlan"))
    assert link
    assert tunnel(link) == ("VXLAN", None)


def test_other_devices_have_no_port() -> None:
    assert rtnetlink.read_link(link_message("eth0", None)) is None
    bridge = rtnetlink.read_link(link_message("br0", "bridge", attribute(0, b"12"), attribute(15, b"12")))
    assert bridge
    assert tunnel(bridge)[1] is None


@pytest.mark.parametrize(
    ("details", "member"),
    [
        (attribute(18, attribute(1, b"vrf\0")), ("x0", 5)),
        (attribute(10, pack("=I", 9)) + attribute(18, attribute(1, b"veth\0") + attribute(4, b"vrf\0")), ("x0", 9)),
        (attribute(10, pack("=I", 9)) + attribute(18, attribute(4, b"bridge\0")), None),
        (b"", None),
    ],
    ids=["a VRF", "in a VRF", "in a bridge", "alone"],
)
def test_devices_of_a_vrf(details: bytes, member: tuple[str, int] | None) -> None:
    message_of_x0 = pack("=BxHiII", 0, 1, 5, 0, 0) + attribute(3, b"x0\0") + details
    assert rtnetlink.read_vrf_member(message_of_x0) == member


# MPTCP's path manager: linux/mptcp_pm.h.


@pytest.mark.parametrize(
    ("address", "packed"),
    [
        ("192.0.2.7", attribute(3, bytes((192, 0, 2, 7)))),
        ("2001:db8::7", attribute(4, bytes.fromhex("20010db8" + "0" * 23 + "7"))),
    ],
)
def test_an_mptcp_endpoint_with_a_port(address: str, packed: bytes) -> None:
    told = packed + attribute(2, b"\x09") + attribute(5, pack("=H", 7000))
    endpoint = mptcp.MptcpEndpoint(address, 7000, 9)
    assert mptcp.read_endpoint(pack("=BBxx", 3, 1) + attribute(0x8000 | 1, told)) == endpoint
    assert mptcp.read_endpoint(pack("=BBxx", 3, 1) + attribute(0x8000 | 1, packed + attribute(5, b"\0\0"))) is None


# WireGuard: what linux/wireguard.h and linux/genetlink.h describe, which this test's kernel need not have.

FAMILY = message(pack("=BBxx", 1, 2) + attribute(2, b"wireguard\0") + attribute(1, pack("=H", 31)))
DEVICE = message(
    pack("=BBxx", 0, 1) + attribute(1, pack("=I", 9)) + attribute(2, b"wg0\0") + attribute(6, pack("=H", 51820)),
    31,
)


def test_wireguard_tells_its_port(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = kernel(monkeypatch, [FAMILY], [DEVICE, message(kind=DONE)])
    assert wireguard.listen_port("wg0") == 51820
    family, device = fake.requests
    assert (int.from_bytes(family[4:6], sys.byteorder), family[16]) == (0x10, 3)
    assert (int.from_bytes(device[4:6], sys.byteorder), device[16]) == (31, 0)
    assert list(attributes(device, 20)) == [(2, b"wg0\0")]


@pytest.mark.parametrize("refusal", [errno.EPERM, errno.ENOENT, errno.ENODEV])
def test_wireguard_may_refuse(monkeypatch: pytest.MonkeyPatch, refusal: int) -> None:
    kernel(monkeypatch, [FAMILY], [message(pack("=i", -refusal), ERROR)])
    assert wireguard.listen_port("wg0") is None


def test_a_kernel_without_wireguard(monkeypatch: pytest.MonkeyPatch) -> None:
    kernel(monkeypatch, [message(pack("=i", -errno.ENOENT), ERROR)])
    assert wireguard.listen_port("wg0") is None
