"""The kernel's bind rules by example, and what holds for all of them; test_matrix.py asks the kernel itself."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portcheck.addresses import family_of
from portcheck.model import BindRequest, Network, Socket
from portcheck.rules import predict
from portcheck.rules.linux import conflict
from portcheck.rules.reachability import answering
from portcheck.rules.three_valued import agreed

ANN, BOB = 1000, 1001


def bind(address: str, **options: Any) -> BindRequest:
    usual = {"v6only": False if address == "::" else True if ":" in address else None, "uid": ANN}
    return BindRequest("tcp", family_of(address), address, 80, **{**usual, **options})


def held(address: str, **fields: Any) -> Socket:
    usual = {"state": "LISTEN", "v6only": False if address == "::" else None, "reuseaddr": False, "reuseport": False}
    return Socket("tcp", family_of(address), address, 80, **{**usual, "uid": ANN, "inode": 7, **fields})


REUSE, SHARE = {"reuseaddr": True}, {"reuseport": True}
LEFT = {"state": "TIME-WAIT", "inode": 0, "remote_address": "192.0.2.9", "remote_port": 5000}
EXAMPLES: dict[str, tuple[BindRequest, Socket, bool | None]] = {
    "the same address": (bind("127.0.0.1"), held("127.0.0.1"), True),
    "another address": (bind("127.0.0.1"), held("127.0.0.2"), False),
    "a wildcard over a specific address": (bind("0.0.0.0"), held("127.0.0.1"), True),
    "a specific address under a wildcard": (bind("127.0.0.1"), held("0.0.0.0"), True),
    "dual-stack :: over IPv4": (bind("::"), held("127.0.0.1"), True),
    "IPv6-only :: beside IPv4": (bind("::", v6only=True), held("0.0.0.0"), False),
    "IPv4 under dual-stack ::": (bind("127.0.0.1"), held("::"), True),
    "IPv4 beside IPv6-only ::": (bind("127.0.0.1"), held("::", v6only=True), False),
    "IPv4 and a :: of which nobody knows": (bind("127.0.0.1"), held("::", v6only=None), None),
    "a mapped address is its IPv4 one": (bind("::ffff:127.0.0.1", v6only=False), held("127.0.0.1"), True),
    "SO_REUSEADDR does not help against a listener": (bind("127.0.0.1", **REUSE), held("127.0.0.1", **REUSE), True),
    "SO_REUSEADDR on both beside one that is only bound": (
        bind("127.0.0.1", **REUSE), held("127.0.0.1", state="BOUND", **REUSE), False,
    ),
    "SO_REUSEADDR on the new one alone": (bind("127.0.0.1", **REUSE), held("127.0.0.1", state="BOUND"), True),
    "a bound one of which nobody knows": (
        bind("127.0.0.1", **REUSE), held("127.0.0.1", state="BOUND", reuseaddr=None), None,
    ),
    "TIME_WAIT without SO_REUSEADDR": (bind("127.0.0.1"), held("127.0.0.1", **LEFT, **REUSE), True),
    "TIME_WAIT of a server that set it too": (bind("127.0.0.1", **REUSE), held("127.0.0.1", **LEFT, **REUSE), False),
    "TIME_WAIT of a server that did not": (bind("127.0.0.1", **REUSE), held("127.0.0.1", **LEFT), True),
    "SO_REUSEPORT on both, one user": (bind("0.0.0.0", **SHARE), held("0.0.0.0", **SHARE), False),
    "SO_REUSEPORT on both, two users": (bind("0.0.0.0", uid=BOB, **SHARE), held("0.0.0.0", **SHARE), True),
    "SO_REUSEPORT on one": (bind("0.0.0.0", **SHARE), held("0.0.0.0"), True),
    "another device": (bind("0.0.0.0", device="eth0"), held("0.0.0.0", interface="eth1"), False),
    "one device and none": (bind("0.0.0.0"), held("0.0.0.0", interface="eth1"), True),
    "UDP beside TCP": (bind("0.0.0.0")._replace(protocol="udp"), held("0.0.0.0"), False),
    "another port": (bind("0.0.0.0")._replace(port=81), held("0.0.0.0"), False),
    "UDP with SO_REUSEADDR on both": (
        bind("0.0.0.0", **REUSE)._replace(protocol="udp"),
        held("0.0.0.0", state=None, **REUSE)._replace(protocol="udp"), False,
    ),
    "a half-open connection is in no table": (bind("0.0.0.0"), held("127.0.0.1", state="SYN-RECEIVED", inode=0), False),
}  # fmt: skip


@pytest.mark.parametrize(("new", "old", "refused"), EXAMPLES.values(), ids=EXAMPLES.keys())
def test_a_rule(new: BindRequest, old: Socket, *, refused: bool | None) -> None:
    assert conflict(new, old) is refused


VRFS = {"red": "red", "eth0": "red", "eth1": "red", "blue": "blue"}
APART = Network(vrfs=VRFS, l3mdev_accept={"tcp": False})
JOINED = Network(vrfs=VRFS, l3mdev_accept={"tcp": True})
UNTOLD = Network(vrfs=VRFS)


@pytest.mark.parametrize(
    ("device", "its", "apart", "joined", "untold"),
    [
        (None, "red", False, True, None),
        ("red", None, False, True, None),
        (None, "eth0", False, True, None),
        (None, "eth7", True, True, True),
        ("red", "red", True, True, True),
        ("red", "eth0", False, False, False),
        ("red", "blue", False, False, False),
        (None, "#9", None, True, None),
    ],
)
def test_vrfs_keep_ports_of_tcp_apart(
    device: str | None, its: str | None, *, apart: bool | None, joined: bool | None, untold: bool | None
) -> None:
    new, old = bind("0.0.0.0", device=device), held("0.0.0.0", interface=its)
    assert [conflict(new, old, network) for network in (APART, JOINED, UNTOLD)] == [apart, joined, untold]
    over_udp = new._replace(protocol="udp"), old._replace(protocol="udp", state=None)
    assert conflict(*over_udp, APART) is (device in (None, its) or its is None)


def test_where_devices_cannot_be_listed_nobody_knows_their_vrf() -> None:
    unlisted = Network(vrfs=None)
    assert conflict(bind("0.0.0.0"), held("0.0.0.0", interface="eth0"), unlisted) is None
    assert conflict(bind("0.0.0.0"), held("0.0.0.0"), unlisted) is True


CHILD = held("::1", state="ESTABLISHED", v6only=False, remote_address="::1", remote_port=5000)


@pytest.mark.parametrize(
    ("release", "inner", "mapped"),
    [((5, 10), True, True), ((6, 1), False, None), ((6, 12), False, True), ((), None, None)],
)
def test_what_differs_from_kernel_to_kernel(
    release: tuple[int, ...], *, inner: bool | None, mapped: bool | None
) -> None:
    network = Network(release)
    assert conflict(bind("127.0.0.6"), CHILD, network) is inner
    assert conflict(bind("0.0.0.0"), CHILD, network) is True
    assert conflict(bind("::ffff:127.0.0.1", v6only=False), held("::ffff:0.0.0.0"), network) is mapped


addresses = st.sampled_from(("0.0.0.0", "127.0.0.1", "192.0.2.7", "::", "::1", "fd00::7", "::ffff:127.0.0.1"))
flags = st.booleans()
binds = st.builds(
    lambda address, protocol, **options: bind(address, **options)._replace(protocol=protocol),
    addresses, st.sampled_from(("tcp", "udp")), reuseaddr=flags, reuseport=flags, uid=st.sampled_from((ANN, BOB)),
    device=st.sampled_from((None, "eth0", "eth1")), v6only=flags,
)  # fmt: skip
states = st.sampled_from(("LISTEN", "BOUND", "ESTABLISHED", "TIME-WAIT", "SYN-SENT"))
known = st.builds(
    lambda address, protocol, state, **fields: held(
        address, state=state if protocol == "tcp" else None, **fields
    )._replace(protocol=protocol),
    addresses, st.sampled_from(("tcp", "udp")), states, reuseaddr=flags, reuseport=flags, v6only=flags,
    uid=st.sampled_from((ANN, BOB)), interface=st.sampled_from((None, "eth0", "eth1")),
)  # fmt: skip
FLAGS = ("reuseaddr", "reuseport", "v6only")


def changed(socket: Socket, fields: dict[str, Any]) -> Socket:
    return socket._replace(**fields)


partly_known = known.flatmap(
    lambda socket: st.sets(st.sampled_from(FLAGS)).map(lambda lost: changed(socket, dict.fromkeys(lost)))
)


@given(binds, partly_known)
def test_the_askers_options_only_relax(new: BindRequest, old: Socket) -> None:
    strict = conflict(new._replace(reuseaddr=False, reuseport=False), old)
    for option in ("reuseaddr", "reuseport"):
        relaxed = conflict(new._replace(reuseaddr=option == "reuseaddr", reuseport=option == "reuseport"), old)
        assert relaxed is not True or strict is True
        assert strict is not False or relaxed is False


@given(binds, known, st.sampled_from(FLAGS))
def test_a_flag_that_nobody_can_read_leaves_open_just_what_it_decides(new: BindRequest, old: Socket, flag: str) -> None:
    cases = {conflict(new, changed(old, {flag: value})) for value in (True, False)}
    assert None not in cases
    assert conflict(new, changed(old, {flag: None})) == agreed([bool(case) for case in cases])


@given(binds, st.lists(partly_known, max_size=5), partly_known)
def test_one_more_socket_frees_nothing(new: BindRequest, sockets: list[Socket], more: Socket) -> None:
    better = ("in-use", "unknown", "free")
    before, after = (predict(new, table, "linux").outcome for table in (sockets, [*sockets, more]))
    assert better.index(after) <= better.index(before)


@given(binds, st.lists(partly_known, max_size=5), st.randoms())
def test_their_order_does_not_matter(new: BindRequest, sockets: list[Socket], chance: Any) -> None:
    shuffled = sorted(sockets, key=lambda _: chance.random())
    one, other = predict(new, sockets, "linux"), predict(new, shuffled, "linux")
    assert one.outcome == other.outcome
    assert {sockets[index] for index in one.blocked_by} == {shuffled[index] for index in other.blocked_by}


@given(addresses, addresses, flags, flags)
def test_of_two_plain_binds_it_does_not_matter_which_was_first(
    one: str, other: str, one_v6only: bool, other_v6only: bool
) -> None:
    there = bind(one, v6only=one_v6only), held(other, v6only=other_v6only)
    back = bind(other, v6only=other_v6only), held(one, v6only=one_v6only)
    assert conflict(*there) == conflict(*back)


@given(binds, st.lists(partly_known, max_size=3))
def test_a_table_that_may_lack_some_never_says_free(new: BindRequest, sockets: list[Socket]) -> None:
    assert predict(new, sockets, "linux", sees_bound_only=False).outcome != "free"


@pytest.mark.parametrize(("release", "who"), [((5, 10), (0, 1)), ((), (0, 1)), ((5, 15), (0,)), ((6, 12), (0,))])
def test_before_5_15_a_device_wins_no_clients_of_udp(release: tuple[int, ...], who: tuple[int, ...]) -> None:
    sockets = [
        Socket(
            protocol="udp", family="ipv4", local_address="0.0.0.0", local_port=53, interface=interface, reuseport=False
        )
        for interface in ("lo", None)
    ]
    found = answering("127.0.0.1", "ipv4", "lo", "udp", 53, sockets, "linux", Network(release))
    assert found == who
