"""macOS from the table to the sentence: scenes and a kernel by XNU's rules.  Nothing here ran on macOS."""

from __future__ import annotations

from typing import Any

import pytest
from support.scenes import Prober, diagnosis, endpoint, listener, process, scene

from portcheck.model import BindRequest, BlindSpot, LocalAddress, PortPolicy, Probe, Scene, Socket, SocketTable
from portcheck.profiles import PROFILES, Server, server_for
from portcheck.rules import predict
from portcheck.target import Host, parse_host

HIDDEN = BlindSpot("processes-hidden", "the sockets of 300 other users' processes cannot be seen", "use sudo")
ANN = process(812, "node", uid=501, user="ann", parent_pid=700)
POLICY = PortPolicy(1024, privileged=False, wildcards_exempt=True)
ADDRESSES = (
    LocalAddress("127.0.0.1", "ipv4", "lo0"),
    LocalAddress("::1", "ipv6", "lo0"),
    LocalAddress("192.0.2.7", "ipv4", "en0"),
)


def mac(*sockets: Socket, hidden: bool = False, uid: int = 501) -> Scene:
    seen = scene(*sockets, processes=(ANN,), platform="macos", uid=uid, addresses=ADDRESSES)
    policy = POLICY._replace(privileged=uid == 0)
    if hidden:
        tables: dict[Any, SocketTable] = {
            name: table._replace(sees_bound_only=False, blind_spots=(HIDDEN,)) for name, table in seen.tables.items()
        }
        return seen._replace(tables=tables, policy=policy)
    return seen._replace(policy=policy)


def held(address: str = "0.0.0.0", port: int = 3000, **fields: Any) -> Socket:
    """As psutil lists it, with the user of its process."""
    known = {"inode": None, "pids": (812,), "uid": 501, "user": "ann", "v6only": None, "reuseaddr": True}
    return listener(address, port, **{**known, **fields})


def host(text: str) -> Host:
    return parse_host(text, None)  # type: ignore[arg-type]  # addresses are not looked up


def xnu(*everybody: Socket, root: bool = False) -> Prober:
    """A kernel that does what the rules say of all sockets, also of those that cannot be seen."""

    def bind(new: BindRequest) -> Probe:
        if new.port < 1024 and not root and new.address not in ("0.0.0.0", "::"):
            return Probe("denied", "EACCES")
        on_port = [one for one in everybody if one.local_port == new.port]
        blocked = predict(new, on_port, "macos").outcome == "in-use"
        return Probe("in-use", "EADDRINUSE") if blocked else Probe("free")

    return bind


def row(found: Any, address: str) -> Any:
    return next(row for row in found.binds if row.bind.address == address)


# Two servers on one port


def test_a_specific_bind_beside_a_wildcard_listener_is_in_use_and_not_tried() -> None:
    asked: list[BindRequest] = []

    def probe(new: BindRequest) -> Probe:
        asked.append(new)
        return Probe("free")

    found = diagnosis(mac(held()), endpoint(3000, host=host("127.0.0.1")), probe=probe)
    (only,) = found.binds
    assert (only.outcome, only.shadows, only.method) == ("free", (0,), "rules")
    assert (found.verdict, found.cause) == ("in-use", "listener")
    assert "127.0.0.1 can only be bound beside it, sharing its clients" in found.message
    assert asked == [], "for as long as it lasted it would take the other one's clients"
    assert [(one.address, one.pids) for one in found.answers] == [("127.0.0.1", (812,))]


def test_the_very_address_is_refused() -> None:
    one = held("127.0.0.1")
    found = diagnosis(mac(one), endpoint(3000, host=host("127.0.0.1")), probe=xnu(one))
    assert (found.binds[0].outcome, found.binds[0].blocked_by, found.binds[0].error) == ("in-use", (0,), "EADDRINUSE")


def test_without_so_reuseaddr_the_wildcard_listener_refuses() -> None:
    one = held()
    found = diagnosis(
        mac(one), endpoint(3000, host=host("127.0.0.1")), probe=xnu(one), server=server_for(None, reuseaddr=False)
    )
    assert (found.binds[0].outcome, found.binds[0].blocked_by) == ("in-use", (0,))


# The privileged ports


def test_wildcards_below_1024_are_everybodys_and_other_addresses_roots() -> None:
    found = diagnosis(mac(), endpoint(80), probe=xnu())
    assert {one.bind.address: one.outcome for one in found.binds} == {
        "0.0.0.0": "free", "::": "free", "127.0.0.1": "denied", "::1": "denied", "192.0.2.7": "denied",
    }  # fmt: skip
    assert (found.verdict, found.cause) == ("denied", "privileged")
    assert found.message == (
        "Port 80 cannot be bound on 127.0.0.1, ::1 and 192.0.2.7: ports below 1024 need privilege (EACCES);"
        " only 0.0.0.0 and :: can be."
    )


@pytest.mark.parametrize(("profile", "verdict"), [("node", "free"), ("flask", "denied")])
def test_it_depends_on_how_the_server_binds(profile: str, verdict: str) -> None:
    assert diagnosis(mac(), endpoint(80), probe=xnu(), server=PROFILES[profile]).verdict == verdict


def test_root_may_everything() -> None:
    found = diagnosis(mac(uid=0), endpoint(80), probe=xnu(root=True))
    assert (found.verdict, found.complete) == ("free", True)


def test_a_privileged_udp_port_by_the_rules_alone() -> None:
    found = diagnosis(mac(), endpoint(53, "udp"))
    assert {one.bind.address for one in found.binds if one.outcome == "denied"} == {"127.0.0.1", "::1", "192.0.2.7"}


# Other users' sockets, which cannot be seen


def test_a_hidden_listener_is_never_called_free() -> None:
    roots = held(uid=0, user="root", pids=None)
    found = diagnosis(mac(hidden=True), endpoint(3000), probe=xnu(roots))
    assert (found.verdict, found.cause, found.complete) == ("in-use", None, False)
    assert {spot.code for spot in found.blind_spots} == {"processes-hidden", "holder-not-seen"}


def test_a_hidden_udp_holder_is_never_called_free() -> None:
    roots = Socket("udp", "ipv4", "0.0.0.0", 5353, uid=65)
    found = diagnosis(mac(hidden=True), endpoint(5353, "udp"), probe=xnu(roots))
    assert (found.verdict, found.complete) == ("unknown", False)
    assert "processes-hidden" in {spot.code for spot in found.blind_spots}
    asked = diagnosis(mac(hidden=True), endpoint(5353, "udp"), server=Server(reuseaddr=False), probe=xnu(roots))
    assert (asked.verdict, asked.complete) == ("in-use", False)


def test_binds_that_went_through_prove_that_nobody_is_hidden() -> None:
    """Another user's socket refuses a bind whatever its options are, so a bind that goes through has met none."""
    for address in ("0.0.0.0", "127.0.0.1", "192.0.2.7"):
        others = held(address, uid=0, reuseaddr=True, reuseport=True)
        met = [
            predict(BindRequest("tcp", "ipv4", asked, 3000, reuseaddr=True, uid=501), [others], "macos").outcome
            for asked in ("0.0.0.0", address)
        ]
        assert "in-use" in met
    found = diagnosis(mac(hidden=True), endpoint(3000), probe=xnu())
    assert (found.verdict, found.complete, found.blind_spots) == ("free", True, ())


def test_what_is_seen_is_enough() -> None:
    one = held("::", v6only=False)
    found = diagnosis(mac(one, hidden=True), endpoint(3000), probe=xnu(one))
    assert (found.verdict, found.cause, found.complete) == ("in-use", "listener", True)


# Other systems


def test_on_another_system_that_is_said() -> None:
    seen = scene(platform="other", policy=PortPolicy(1024, privileged=None))
    found = diagnosis(seen, endpoint(8080), probe=lambda _: Probe("free"))
    assert found.verdict == "free"
    assert [note.code for note in found.notes] == ["psutil-alone"]


@pytest.mark.parametrize(("outcome", "verdict", "cause"), [("denied", "denied", "privileged"), ("free", "free", None)])
def test_on_another_system_the_kernel_tells_who_may_bind_low_ports(outcome: Any, verdict: str, cause: str) -> None:
    seen = scene(platform="other", policy=PortPolicy(1024, privileged=None))
    found = diagnosis(seen, endpoint(80), probe=lambda _: Probe(outcome, "EACCES" if outcome == "denied" else None))
    assert (found.verdict, found.cause) == (verdict, cause)
