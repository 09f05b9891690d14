"""What was seen → verdict, cause, owners, answers, blind spots."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.scenes import LO4, diagnosis, endpoint, kernel_of, listener, process, scene

from portcheck.addresses import Address
from portcheck.diagnosis.verdict import WORST_FIRST
from portcheck.model import (
    BindRequest,
    BlindSpot,
    Diagnosis,
    LocalAddress,
    PortPolicy,
    PortRange,
    Probe,
    Scene,
    Socket,
)
from portcheck.profiles import ANY_SERVER
from portcheck.rules import predict
from portcheck.target import Host

if TYPE_CHECKING:
    from portcheck.model import Protocol

REFUSED = Probe("in-use", "EADDRINUSE")


def says(outcome: Any, error: str | None = None) -> Any:
    return lambda request: Probe(outcome, error)


def codes(found: Any) -> set[str]:
    return {entry.code for entry in found}


def rows(found: Any) -> dict[str, str]:
    return {f"{row.bind.address}{'/6' if row.bind.v6only else ''}": row.outcome for row in found.binds}


def test_nothing_there_is_free_everywhere() -> None:
    found = diagnosis(scene())
    assert (found.verdict, found.cause, found.complete) == ("free", None, True)
    assert set(rows(found)) == {"0.0.0.0", "::/6", "::", "127.0.0.1", "::1/6", "192.0.2.7", "fe80::1%eth0/6"}
    assert set(rows(found).values()) == {"free"}
    assert all(answer.pids == () for answer in found.answers)


def test_a_dual_stack_listener_blocks_every_row() -> None:
    found = diagnosis(scene(listener("::")))
    assert (found.verdict, found.cause) == ("in-use", "listener")
    assert set(rows(found).values()) == {"in-use"}
    assert [owner.pid for owner in found.owners] == [382]
    assert {answer.address: answer.pids for answer in found.answers}["localhost"] == (382,)


def test_a_loopback_listener_blocks_its_own_row_and_the_wildcards() -> None:
    found = diagnosis(scene(listener("127.0.0.1")))
    assert found.verdict == "in-use"
    assert [address for address, outcome in rows(found).items() if outcome == "in-use"] == [
        "0.0.0.0",
        "::",
        "127.0.0.1",
    ]
    assert {answer.address: answer.pids for answer in found.answers}["192.0.2.7"] == ()


def test_two_owners_share_a_number_and_each_gets_its_own_clients() -> None:
    seen = scene(
        listener("0.0.0.0", inode=1, pids=(10,)),
        listener("::", inode=2, pids=(20,), v6only=True),
        processes=(process(10, "Service"), process(20, "node")),
    )
    answers = {answer.address: answer.pids for answer in diagnosis(seen).answers}
    assert (answers["127.0.0.1"], answers["::1"], answers["localhost"]) == ((10,), (20,), (20,))


def test_bound_without_listening_is_in_use_though_a_bind_gets_through() -> None:
    found = diagnosis(scene(listener(state="BOUND")), probe=says("free"))
    assert (found.verdict, found.cause) == ("in-use", "bound")
    assert rows(found)["0.0.0.0"] == "free"


def test_time_wait_names_itself_even_where_reuseaddr_gets_through() -> None:
    left = listener(state="TIME-WAIT", inode=0, pids=None, expires_in=43.0, remote_address="192.0.2.9", remote_port=5)
    through = diagnosis(scene(left), probe=says("free"))
    assert (through.verdict, through.cause) == ("free", "time-wait")
    refused = diagnosis(scene(left), probe=says("in-use", "EADDRINUSE"))
    assert (refused.verdict, refused.cause) == ("in-use", "time-wait")
    assert refused.owners == ()


def test_without_a_probe_unreadable_flags_are_unknown_by_name() -> None:
    left = listener(state="TIME-WAIT", inode=0, pids=None, expires_in=43.0)
    seen = scene(left)
    from portcheck.diagnosis.bind_table import examine
    from portcheck.diagnosis.verdict import diagnose
    from portcheck.profiles import ANY_SERVER, USUAL

    rows_without_probe = examine(endpoint(), [left], seen, USUAL, None)
    found = diagnose(endpoint(), rows_without_probe, [left], seen, ANY_SERVER)
    assert found.verdict == "unknown"
    assert "flags-unreadable" in codes(found.blind_spots)
    assert not found.complete


def test_a_refusal_without_a_socket_is_in_use_by_nobody_known() -> None:
    found = diagnosis(scene(), probe=says("in-use", "EADDRINUSE"))
    assert (found.verdict, found.cause, found.complete) == ("in-use", None, False)
    assert "holder-not-seen" in codes(found.blind_spots)


def test_a_hidden_owner_is_a_blind_spot_and_sudo_helps_only_a_user() -> None:
    hidden = listener(pids=None, uid=0, user="root")
    for uid, helps in ((1000, True), (0, False)):
        found = diagnosis(scene(hidden, uid=uid))
        (spot,) = found.blind_spots
        assert (spot.code, found.complete) == ("owner-hidden", False)
        assert ("sudo" in (spot.remedy or "")) is helps
        assert found.owners[0].pid is None
        assert found.owners[0].process.user == "root"


def test_unreadable_options_are_not_tried_by_a_plain_bind_and_not_claimed() -> None:
    """An IPv6 connection counts as one on an IPv4 address too, unless it is v6only, which is not told of it."""
    left = listener("::1", state="ESTABLISHED", remote_address="::1", remote_port=901, v6only=None)
    kernel = Hidden()
    kernel.sockets = []
    named = Host("0.0.0.0", "addresses", (Address("ipv4", "0.0.0.0"),))
    found = diagnosis(scene(left._replace(family="ipv6")), endpoint(host=named), probe=kernel)
    assert (found.verdict, [row.without_reuseaddr for row in found.binds]) == ("free", ["unknown"])
    assert found.message.endswith("without it open connections of httpd (PID 382) may refuse the bind.")
    assert all(asked.reuseaddr for asked in kernel.asked)


NOT_LISTED = BlindSpot("bound-not-visible", "this kernel does not list them")


def on_an_older_kernel(*sockets: Socket, protocol: Protocol = "tcp") -> Scene:
    """A host whose table may lack sockets that are bound without listening."""
    seen = scene(*sockets)
    table = seen.tables[protocol]._replace(sees_bound_only=False, blind_spots=(NOT_LISTED,))
    return seen._replace(tables={**seen.tables, protocol: table})


class Hidden:
    """A kernel on which a socket with SO_REUSEADDR hides; it keeps the binds that it was asked for."""

    def __init__(self, address: str = "127.0.0.1") -> None:
        self.sockets = [listener(address, state="BOUND", reuseaddr=True)]
        self.asked: list[BindRequest] = []

    def __call__(self, request: BindRequest) -> Probe:
        self.asked.append(request)
        refused = predict(request, self.sockets, "linux").blocked_by
        return Probe("in-use", "EADDRINUSE") if refused else Probe("free")


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_no_plain_bind_is_made_where_it_could_meet_a_starting_server(protocol: Protocol) -> None:
    kernel = Hidden()
    found = diagnosis(on_an_older_kernel(protocol=protocol), endpoint(80, protocol), probe=kernel)
    assert all(asked.reuseaddr for asked in kernel.asked)
    assert {row.without_reuseaddr for row in found.binds} == {"unknown"}
    assert (found.verdict, found.complete) == ("free" if protocol == "tcp" else "unknown", False)
    assert "bound-not-visible" in codes(found.blind_spots)


def test_where_others_may_hide_the_answer_is_for_servers_with_the_option() -> None:
    found = diagnosis(on_an_older_kernel(), probe=says("free"))
    assert found.message == "Port 80 is free on every IPv4 and IPv6 address for a server that sets SO_REUSEADDR."
    (spot,) = found.blind_spots
    assert (spot.code, "--no-reuseaddr" in (spot.remedy or "")) == ("bound-not-visible", True)
    assert diagnosis(scene(), probe=says("free")).message == "Port 80 is free on every IPv4 and IPv6 address."


PLAIN = ANY_SERVER._replace(reuseaddr=False)


def test_a_server_without_the_option_is_asked_about_with_a_plain_bind() -> None:
    found = diagnosis(on_an_older_kernel(), server=PLAIN, probe=says("free"))
    assert (found.verdict, found.complete, found.blind_spots) == ("free", True, ())
    taken = diagnosis(on_an_older_kernel(), server=PLAIN, probe=Hidden())
    assert (taken.verdict, taken.cause, taken.complete) == ("in-use", None, False)
    assert codes(taken.blind_spots) == {"holder-not-seen", "bound-not-visible"}
    outcomes = {row.bind.address: (row.with_reuseaddr, row.outcome) for row in taken.binds}
    assert (outcomes["127.0.0.1"], outcomes["::1"]) == (("free", "in-use"), ("free", "free"))


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_a_port_to_be_taken_is_tried_with_plain_binds(protocol: Protocol) -> None:
    found = diagnosis(on_an_older_kernel(protocol=protocol), endpoint(80, protocol), probe=says("free"), to_take=True)
    assert (found.verdict, found.complete) == ("free", True)
    assert {row.without_reuseaddr for row in found.binds} == {"free"}


def test_who_refuses_a_plain_bind_is_somebody_even_if_nobody_is_seen() -> None:
    """However the bind was refused: never free."""
    kernel = Hidden("127.0.0.1")
    found = diagnosis(on_an_older_kernel(), probe=kernel, to_take=True)
    assert (found.verdict, found.cause, found.complete) == ("in-use", None, False)
    assert "holder-not-seen" in codes(found.blind_spots)
    assert "refuses 0.0.0.0 to a server without SO_REUSEADDR" in found.message
    assert [asked.address for asked in kernel.asked if not asked.reuseaddr] == ["0.0.0.0"]  # and no other, once refused


def test_nobody_seen_is_no_leftover_of_somebody_else() -> None:
    left = listener("192.0.2.7", state="TIME-WAIT", inode=0, pids=(), expires_in=43.0)
    seen = on_an_older_kernel(left)._replace(platform="linux")
    found = diagnosis(seen, probe=Hidden("127.0.0.1"), to_take=True)
    assert (found.verdict, found.cause) == ("in-use", None)


def test_a_port_that_is_not_taken_is_not_bound_plainly() -> None:
    kernel = Hidden()
    kernel.sockets = [listener("127.0.0.1")]
    seen = on_an_older_kernel(*kernel.sockets)
    assert diagnosis(seen, probe=kernel, to_take=True).verdict == "in-use"
    assert all(asked.reuseaddr for asked in kernel.asked)


def test_a_gap_in_the_table_is_a_blind_spot_as_long_as_an_address_is_open() -> None:
    partly = diagnosis(on_an_older_kernel(listener("127.0.0.1")), probe=says("free"))
    assert codes(partly.blind_spots) == {"bound-not-visible"}
    whole = on_an_older_kernel(listener("0.0.0.0"), listener("::", v6only=True))
    assert diagnosis(whole, probe=says("in-use", "EADDRINUSE")).blind_spots == ()


def test_rules_alone_cannot_see_a_policy() -> None:
    found = by_rules(scene())
    assert (found.verdict, found.complete) == ("free", False)
    assert codes(found.blind_spots) == {"no-bind-tried"}
    assert by_rules(scene(listener())).blind_spots == ()


def by_rules(seen: Scene) -> Diagnosis:
    """As with --no-probe."""
    from portcheck.diagnosis.bind_table import examine
    from portcheck.diagnosis.verdict import diagnose
    from portcheck.profiles import USUAL

    sockets = seen.tables["tcp"].sockets
    return diagnose(endpoint(), examine(endpoint(), sockets, seen, USUAL, None), sockets, seen, ANY_SERVER)


@pytest.mark.parametrize(
    ("error", "port", "privileged", "cause"),
    [("EACCES", 80, False, "privileged"), ("EACCES", 8080, False, "policy"), ("EPERM", 80, True, "policy")],
)
def test_denied_is_told_apart(error: str, port: int, privileged: bool, cause: str) -> None:
    seen = scene(policy=PortPolicy(1024, privileged=privileged))
    found = diagnosis(seen, endpoint(port), probe=says("denied", error))
    assert (found.verdict, found.cause) == ("denied", cause)
    assert error in found.message


def test_a_conflict_that_the_table_proves_outranks_the_askers_errno() -> None:
    seen = scene(listener("0.0.0.0"), policy=PortPolicy(1024, privileged=False), uid=1000)
    found = diagnosis(seen, probe=says("denied", "EACCES"))
    row = next(row for row in found.binds if row.bind.address == "0.0.0.0")
    assert (found.verdict, found.cause) == ("in-use", "listener")
    assert (row.outcome, row.error) == ("in-use", "EACCES")
    assert "privilege" in found.message


def test_an_address_that_is_not_here_counts_only_when_it_was_named() -> None:
    foreign = Host("192.0.2.99", "addresses", (Address("ipv4", "192.0.2.99"),))
    found = diagnosis(
        scene(absent=("192.0.2.99",)), endpoint(host=foreign), probe=says("not-available", "EADDRNOTAVAIL")
    )
    assert (found.verdict, found.cause) == ("unavailable", "address")
    tentative = LocalAddress("2001:db8::1", "ipv6", "eth0", tentative=True)
    seen = scene(addresses=(LO4, tentative))
    kernel = kernel_of(seen)
    refused = diagnosis(
        seen,
        probe=lambda request: (
            Probe("not-available", "EADDRNOTAVAIL") if request.address == "2001:db8::1" else kernel(request)
        ),
    )
    assert refused.verdict == "free"


def test_a_host_without_ipv6() -> None:
    def kernel(request: Any) -> Probe:
        return Probe("unsupported", "EAFNOSUPPORT") if request.family == "ipv6" else Probe("free")

    seen = scene(families=("ipv4",), addresses=(LO4,))
    assert diagnosis(seen, probe=kernel).verdict == "free"
    named = Host("::1", "addresses", (Address("ipv6", "::1"),))
    found = diagnosis(seen, endpoint(host=named), probe=kernel)
    assert (found.verdict, found.cause) == ("unavailable", "family")


def test_where_the_kernel_disagrees_it_is_right_and_the_answer_says_so() -> None:
    found = diagnosis(scene(listener("0.0.0.0")), probe=says("free"))
    assert rows(found)["0.0.0.0"] == "free"
    assert "rules-disagree" in codes(found.notes)


def test_udp_is_a_note_for_tcp_and_a_conflict_for_udp() -> None:
    holder = Socket("udp", "ipv4", "0.0.0.0", 53, inode=9, pids=(382,))
    seen = scene(holder)
    about_tcp = diagnosis(seen, endpoint(53))
    assert (about_tcp.verdict, codes(about_tcp.notes)) == ("free", {"udp-holder"})
    about_udp = diagnosis(seen, endpoint(53, "udp"))
    assert (about_udp.verdict, about_udp.cause) == ("in-use", "udp-socket")


def test_a_kernel_socket_needs_evidence() -> None:
    vxlan = Socket("udp", "ipv4", "0.0.0.0", 4789, inode=9, pids=())
    asked = endpoint(4789, "udp")
    proven = diagnosis(scene(vxlan, kernel_owned={("udp", 4789): "VXLAN interface vx0"}), asked)
    assert (proven.cause, proven.complete) == ("kernel", True)
    assert "VXLAN interface vx0" in proven.message
    unproven = diagnosis(scene(vxlan), asked)
    assert unproven.cause == "udp-socket"
    assert "no-process" in codes(unproven.blind_spots)


def test_connections_of_a_listener_are_counted_not_listed() -> None:
    server = listener("0.0.0.0")
    children = [
        listener("127.0.0.1", state="ESTABLISHED", inode=100 + n, remote_address="127.0.0.1", remote_port=4000 + n)
        for n in range(5)
    ]
    found = diagnosis(scene(server, *children))
    assert found.connections == {"ESTABLISHED": 5}
    assert found.sockets == (server,)


def test_an_outgoing_connection_that_took_the_port_is_the_cause() -> None:
    taken = listener("127.0.0.1", 40000, state="ESTABLISHED", remote_address="192.0.2.1", remote_port=443)
    found = diagnosis(
        scene(taken, policy=PortPolicy(1024, privileged=True, ephemeral=PortRange(32768, 60999))),
        endpoint(40000),
        probe=says("in-use", "EADDRINUSE"),
    )
    assert (found.verdict, found.cause) == ("in-use", "connection")
    assert "192.0.2.1:443" in found.message


def test_at_most_a_thousand_sockets_are_listed() -> None:
    left = [
        listener("127.0.0.1", state="TIME-WAIT", inode=0, pids=None, remote_address="127.0.0.1", remote_port=n)
        for n in range(1, 1500)
    ]
    found = diagnosis(scene(*left), probe=says("in-use", "EADDRINUSE"))
    assert len(found.sockets) == 1000
    assert found.connections == {"TIME-WAIT": 499}
    assert all(index < 1000 for row in found.binds for index in (*row.blocked_by, *row.conflicts))


ADDRESSES = st.sampled_from(["0.0.0.0", "::", "127.0.0.1", "::1", "192.0.2.7"])
STATES = st.sampled_from(["LISTEN", "BOUND", "ESTABLISHED", "TIME-WAIT"])


@given(st.lists(st.tuples(ADDRESSES, STATES), max_size=4), st.booleans())
def test_properties_of_every_diagnosis(layout: list[tuple[str, str]], probe_agrees: bool) -> None:
    sockets = [
        listener(address, state=state, inode=0 if state == "TIME-WAIT" else 50 + n, v6only=address != "::")
        for n, (address, state) in enumerate(layout)
    ]
    seen = scene(*sockets)
    found = diagnosis(seen, probe=kernel_of(seen) if probe_agrees else says("in-use", "EADDRINUSE"))
    assert found.message.endswith(".")
    assert "\n" not in found.message
    assert found.verdict in WORST_FIRST
    assert found.complete is (not found.blind_spots)
    if found.verdict == "free":
        assert all(row.outcome == "free" for row in found.binds)
        assert "BOUND" not in {socket.state for socket in found.sockets}
    for row in found.binds:
        assert row.outcome == row.with_reuseaddr
        if row.with_reuseaddr == "in-use":
            assert row.without_reuseaddr == "in-use", "SO_REUSEADDR only ever relaxes"
        assert all(index < len(found.sockets) for index in (*row.blocked_by, *row.shadows, *row.conflicts))


def test_what_a_closed_server_had_set_is_told_only_where_the_kernel_shows_it() -> None:
    """A refusal without SO_REUSEADDR says nothing of the server before; one with it says that it lacked it."""
    left = listener("127.0.0.1", state="TIME-WAIT", inode=0, pids=(), expires_in=40.0, remote_address="127.0.0.1")
    plain = ANY_SERVER._replace(reuseaddr=False)
    lets_in = diagnosis(scene(left), server=plain, probe=lambda new: Probe("free") if new.reuseaddr else REFUSED)
    assert (lets_in.verdict, "had not set" in lets_in.message) == ("in-use", False)
    assert "they refuse a server without SO_REUSEADDR" in lets_in.message
    refuses = diagnosis(scene(left), probe=lambda _: REFUSED)
    assert "whoever left them had not set SO_REUSEADDR" in refuses.message
