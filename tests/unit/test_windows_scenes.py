"""Windows from the table to the sentence: scenes and a kernel by Microsoft's table.  Nothing here ran on Windows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from support.scenes import NOON, diagnosis, endpoint, listener, process

from portcheck.diagnosis import pipeline
from portcheck.model import (
    BindRequest,
    BlindSpot,
    Diagnosis,
    Exclusion,
    LocalAddress,
    PortPolicy,
    PortRange,
    Probe,
    Process,
    Scene,
    Socket,
    SocketTable,
)
from portcheck.observe import second_look
from portcheck.observe.linux.backend import Linux
from portcheck.observe.windows.backend import Windows
from portcheck.profiles import PROFILES
from portcheck.rules import windows
from portcheck.rules.dual_stack import bound_addresses, pairs
from portcheck.target import Endpoint, Host, parse_host

LO4 = LocalAddress("127.0.0.1", "ipv4", "Loopback Pseudo-Interface 1")
LO6 = LocalAddress("::1", "ipv6", "Loopback Pseudo-Interface 1")
LAN = LocalAddress("192.0.2.7", "ipv4", "Ethernet")
SERVICE = process(5444, "Service.exe", uid=None, user=r"SHOP\ann", parent_pid=700)
POLICY = PortPolicy()
BOUND = BlindSpot("bound-not-visible", "TCP sockets that are bound without listening do not show")
HOSTS = ("0.0.0.0", "127.0.0.1", "192.0.2.7", "::", "::1")


class Held(NamedTuple):
    """A socket, and what nobody can read of it."""

    socket: Socket
    options: Any = "default"
    same_user: bool = True
    listed: bool = True  # False: bound without listening, which no table shows


class Kernel:
    """Binds by Microsoft's table, and remembers what it was asked."""

    def __init__(self, *held: Held, excluded: bool = False) -> None:
        self.held = held
        self.excluded = excluded
        self.asked: list[BindRequest] = []

    def __call__(self, new: BindRequest) -> Probe:
        self.asked.append(new)
        if self.excluded:
            return Probe("denied", "WSAEACCES")
        for old in self.held:
            answer = self._against(new, old)
            if answer != "ok":
                return Probe("in-use" if answer == "WSAEADDRINUSE" else "denied", answer)
        return Probe("free")

    def _against(self, new: BindRequest, old: Held) -> str:
        if (new.protocol, new.port) != (old.socket.protocol, old.socket.local_port):
            return "ok"
        met = pairs(
            bound_addresses(new.address, dual_stack=new.v6only is False),
            bound_addresses(old.socket.local_address, dual_stack=old.socket.v6only is False),
        )
        second: Any = "exclusive" if new.exclusive else "reuse" if new.reuseaddr else "default"
        answers = [
            windows.result((old.options, scope(held)), (second, scope(asked)), same_user=old.same_user)
            for asked, held in met
        ]
        return next((answer for answer in answers if answer != "ok"), "ok")


def scope(address: str) -> Any:
    return "wildcard" if address in ("0.0.0.0", "::") else "specific"


def host(text: str) -> Host:
    return parse_host(text, None)  # type: ignore[arg-type]  # addresses are not looked up


def scene(*sockets: Socket, policy: PortPolicy = POLICY, processes: tuple[Process, ...] = (SERVICE,)) -> Scene:
    tables = {
        "tcp": SocketTable(
            "tcp", tuple(s for s in sockets if s.protocol == "tcp"), sees_bound_only=False, blind_spots=(BOUND,)
        ),
        "udp": SocketTable("udp", tuple(s for s in sockets if s.protocol == "udp")),
    }
    return Scene(
        platform="windows",
        uid=None,
        tables=tables,  # type: ignore[arg-type]
        processes={one.pid: one for one in processes},
        hidden={},
        addresses=(LO4, LO6, LAN),
        families=("ipv4", "ipv6"),
        policy=policy,
        localhost=("::1", "127.0.0.1"),
        now=NOON,
    )


def listens(address: str = "0.0.0.0", **fields: Any) -> Socket:
    """As psutil lists it on Windows: no inode, no user, no v6only."""
    return listener(address, **{"inode": None, "pids": (5444,), "v6only": None, **fields})


def udp(address: str = "0.0.0.0", port: int = 53) -> Socket:
    return Socket("udp", "ipv4", address, port, pids=(5444,))


def answer(kernel: Kernel, asked: Endpoint | None = None, **fields: Any) -> Diagnosis:
    listed = [held.socket for held in kernel.held if held.listed]
    server = fields.pop("server", None)
    more = {"server": server} if server else {}
    return diagnosis(scene(*listed, **fields), asked or endpoint(), probe=kernel, **more)


def by_rules(found: Scene, asked: Endpoint | None = None) -> Diagnosis:
    """As with --no-probe."""
    from portcheck.diagnosis.bind_table import examine
    from portcheck.diagnosis.verdict import diagnose
    from portcheck.profiles import ANY_SERVER, USUAL

    asked = asked or endpoint()
    on_port = [s for s in found.tables[asked.protocol].sockets if s.local_port == asked.port]
    return diagnose(asked, examine(asked, on_port, found, USUAL, None), on_port, found, ANY_SERVER)


def row(found: Diagnosis, address: str) -> Any:
    return next(row for row in found.binds if row.bind.address == address and row.bind.v6only is not False)


def codes(found: Diagnosis) -> list[str]:
    return [spot.code for spot in found.blind_spots]


# The story that portcheck exists for


def test_service_exe_is_named_and_says_whom_it_leaves_what() -> None:
    found = answer(Kernel(Held(listens())))
    assert (found.verdict, found.cause, found.complete) == ("in-use", "listener", True)
    assert found.message.startswith(r"Port 80 is in use: Service.exe (PID 5444, SHOP\ann, since ")
    assert "127.0.0.1 and 192.0.2.7 can only be bound beside it, sharing its clients" in found.message
    assert {one.address: one.pids for one in found.answers}["127.0.0.1"] == (5444,)


def test_a_bind_that_goes_through_beside_its_owner_is_in_use_by_that_owner() -> None:
    found = answer(Kernel(Held(listens())), endpoint(host=host("127.0.0.1")))
    (only,) = found.binds
    assert (only.outcome, only.shadows, only.blocked_by) == ("free", (0,), ())
    assert (found.verdict, found.cause, [owner.pid for owner in found.owners]) == ("in-use", "listener", [5444])


def test_a_wildcard_beside_a_loopback_server() -> None:
    found = answer(Kernel(Held(listens("127.0.0.1"))))
    assert (row(found, "0.0.0.0").outcome, row(found, "0.0.0.0").shadows) == ("free", (0,))
    assert (row(found, "127.0.0.1").outcome, row(found, "127.0.0.1").error) == ("in-use", "WSAEADDRINUSE")
    assert found.verdict == "in-use"
    assert "the other addresses are free; 0.0.0.0 and :: for both families can only be bound beside it" in found.message
    assert "would fail" not in found.message


def test_a_server_that_would_start_beside_another_is_not_said_to_fail() -> None:
    found = answer(Kernel(Held(listens())), server=PROFILES["gunicorn"])
    assert found.message.startswith("gunicorn on 127.0.0.1:80 would only start beside another server: Service.exe")


@pytest.mark.parametrize("address", HOSTS)
@pytest.mark.parametrize("held", HOSTS)
@pytest.mark.parametrize("options", ["default", "reuse", "exclusive"])
@pytest.mark.parametrize("same_user", [True, False])
def test_never_free_where_they_would_share_clients(address: str, held: str, options: str, same_user: bool) -> None:
    """Every cell of Microsoft's table: whatever the first socket's options are, its owner is the answer."""
    kernel = Kernel(Held(listens(held, v6only=True if held == "::" else None), options, same_user))
    found = answer(kernel, endpoint(host=host(address)))
    pairs_met = pairs((address,) if address != "::" else ("::", "0.0.0.0"), (held,))
    assert (found.verdict == "in-use") == bool(pairs_met), found.message
    if pairs_met:
        assert found.cause == "listener"
        assert [owner.pid for owner in found.owners] == [5444]
    assert all(not asked.reuseaddr for asked in kernel.asked), "a probe never takes a port from its owner"


# 10013


@pytest.mark.parametrize("options", ["exclusive", "default"])
def test_10013_with_a_listener_is_a_conflict(options: str) -> None:
    held = Held(listens(), options, same_user=options == "exclusive")
    found = answer(Kernel(held), endpoint(host=host("127.0.0.1")))
    (only,) = found.binds
    assert (only.outcome, only.error, only.blocked_by, only.shadows) == ("in-use", "WSAEACCES", (0,), ())
    assert (found.verdict, found.cause, found.complete) == ("in-use", "listener", True)
    assert "privilege" not in found.message


def test_10013_in_an_excluded_range() -> None:
    policy = PortPolicy(
        excluded=(Exclusion("tcp", "ipv4", PortRange(60, 159)), Exclusion("udp", "ipv4", PortRange(1, 9))),
        exclusions={"tcp": True},
    )
    found = answer(Kernel(excluded=True), policy=policy)
    assert (found.verdict, found.cause, found.sockets) == ("denied", "reserved", ())
    assert "Windows keeps ports 60-159 to itself (WSAEACCES, an excluded port range)" in found.message


def test_10013_in_a_range_of_the_other_protocol() -> None:
    policy = PortPolicy(excluded=(Exclusion("udp", "ipv4", PortRange(1, 99)),), exclusions={"tcp": True, "udp": True})
    found = answer(Kernel(excluded=True), policy=policy)
    assert (found.cause, "keeps" in found.message) == ("policy", False)


def test_10013_without_any_reason() -> None:
    found = answer(Kernel(excluded=True), policy=PortPolicy(exclusions={"tcp": True}))
    assert (found.verdict, found.cause) == ("denied", "policy")
    assert found.message == "Port 80 cannot be bound: Windows refuses it (WSAEACCES); no socket is in the way."


def test_10013_where_the_excluded_ranges_cannot_be_read() -> None:
    found = answer(Kernel(excluded=True), policy=PortPolicy(exclusions={"tcp": False}))
    assert (found.verdict, found.cause, found.complete) == ("denied", None, False)
    assert "excluded-ranges-unknown" in codes(found)


# What no table shows


def test_a_free_port_is_proven_by_binding_it_alone() -> None:
    kernel = Kernel()
    found = answer(kernel)
    assert (found.verdict, found.complete, codes(found)) == ("free", True, [])
    assert found.message == "Port 80 is free on every IPv4 and IPv6 address.", "Windows has no privileged ports"
    assert {asked.exclusive for asked in kernel.asked} == {True, False}


@pytest.mark.parametrize("address", ["0.0.0.0", "127.0.0.1"])
def test_a_socket_that_is_bound_and_listed_nowhere(address: str) -> None:
    found = answer(Kernel(Held(listens(address, state="BOUND"), listed=False)), endpoint(host=host("0.0.0.0")))
    assert (found.verdict, found.cause, found.complete) == ("in-use", None, False)
    assert "holder-not-seen" in codes(found)


def test_an_exclusive_bind_that_fails_for_another_reason_proves_nothing() -> None:
    def odd(asked: BindRequest) -> Probe:
        return Probe("unknown", "WinError 10022") if asked.exclusive else Probe("free")

    found = diagnosis(scene(), probe=odd)
    assert (found.verdict, found.complete) == ("unknown", False)


def test_what_is_left_of_connections_does_not_make_a_port_taken() -> None:
    left = listens("127.0.0.1", state="TIME-WAIT", pids=(), remote_address="127.0.0.1", remote_port=5)
    kernel = Kernel()
    found = diagnosis(scene(left), probe=kernel)
    assert (found.verdict, found.cause) == ("free", None)
    assert not any(asked.exclusive for asked in kernel.asked), "by some accounts TIME_WAIT refuses such a bind"


@pytest.mark.parametrize(("outcome", "verdict", "cause"), [("free", "free", None), ("in-use", "in-use", "connection")])
def test_a_live_connection_is_what_the_kernel_says(outcome: Any, verdict: str, cause: str | None) -> None:
    alive = listens("192.0.2.7", state="ESTABLISHED", remote_address="192.0.2.9", remote_port=443)
    found = diagnosis(scene(alive), probe=lambda asked: Probe(outcome, None if outcome == "free" else "WSAEADDRINUSE"))
    assert (found.verdict, found.cause) == (verdict, cause)


def test_a_server_with_so_reuseaddr_is_answered_without_setting_it() -> None:
    kernel = Kernel()
    assert answer(kernel, server=PROFILES["python"]).verdict == "free"
    assert not any(asked.reuseaddr for asked in kernel.asked)


# UDP


def test_udp_beside_a_holder_is_never_bound() -> None:
    kernel = Kernel(Held(udp()))
    found = answer(kernel, endpoint(53, "udp"))
    assert (found.verdict, found.cause) == ("in-use", "udp-socket")
    assert {asked.address for asked in kernel.asked} == {"::", "::1"}, "where no datagram of its could come in"


def test_udp_in_an_excluded_range() -> None:
    policy = PortPolicy(excluded=(Exclusion("udp", "ipv4", PortRange(53, 53)),), exclusions={"udp": True})
    found = answer(Kernel(excluded=True), endpoint(53, "udp"), policy=policy)
    assert (found.verdict, found.cause) == ("denied", "reserved")
    assert "Windows keeps port 53 to itself" in found.message


# --no-probe


def test_without_binds_tcp_cannot_be_called_free() -> None:
    found = by_rules(scene(policy=PortPolicy(exclusions={"tcp": True})))
    assert (found.verdict, found.complete) == ("unknown", False)


def test_without_binds_a_listener_is_enough() -> None:
    found = by_rules(scene(listens()))
    assert (found.verdict, found.cause) == ("in-use", "listener")


def test_without_binds_an_excluded_range_is_denied() -> None:
    policy = PortPolicy(
        excluded=tuple(Exclusion("tcp", family, PortRange(80, 80)) for family in ("ipv4", "ipv6")),
        exclusions={"tcp": True},
    )
    found = by_rules(scene(policy=policy))
    assert (found.verdict, found.cause) == ("denied", "reserved")


@pytest.mark.parametrize(("known", "verdict"), [(True, "free"), (False, "unknown")])
def test_without_binds_udp_is_free_only_where_the_ranges_are_known(known: bool, verdict: str) -> None:
    found = by_rules(scene(policy=PortPolicy(exclusions={"udp": known})), endpoint(53, "udp"))
    assert (found.verdict, found.complete) == (verdict, known)


# Holders


def test_a_holder_that_has_ended_and_its_living_child() -> None:
    gone = Process(5444, condition=("ended",))
    child = process(6000, "node.exe", uid=None, user=r"SHOP\ann", parent_pid=5444)
    kernel = Kernel(Held(listens()))
    found = answer(kernel, processes=(gone, child))
    assert [owner.pid for owner in found.owners] == [5444]
    assert "PID 5444, has ended" in found.message
    (note,) = [note for note in found.notes if note.code == "holder-ended"]
    assert "node.exe (PID 6000" in note.message


def test_a_listener_without_a_pid_is_hidden_and_not_pid_0() -> None:
    found = answer(Kernel(Held(listens(pids=None))))
    assert (found.verdict, found.cause, found.complete) == ("in-use", "listener", False)
    assert [owner.pid for owner in found.owners] == [None]
    assert [spot.remedy for spot in found.blind_spots] == [None], "no sudo and no namespace there"


# The closer look


@pytest.fixture
def netsh(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """What netsh was asked for: it names one range."""
    asked: list[tuple[str, ...]] = []

    def with_exclusions(policy: PortPolicy, protocols: tuple[str, ...], families: object) -> PortPolicy:
        asked.append(protocols)
        return policy._replace(excluded=(Exclusion("tcp", "ipv4", PortRange(80, 81)),), exclusions={"tcp": True})

    monkeypatch.setattr("portcheck.observe.windows.netsh.with_exclusions", with_exclusions)
    return asked


def checked(monkeypatch: pytest.MonkeyPatch, kernel: Callable[[BindRequest], Probe], *ports: int) -> list[Diagnosis]:
    monkeypatch.setattr(pipeline, "look", lambda *_, **__: scene())
    monkeypatch.setattr(pipeline, "try_bind", kernel)
    monkeypatch.setattr(second_look, "BACK_END", Windows())
    return list(pipeline.checks([endpoint(port) for port in ports]))


def test_netsh_is_asked_once_and_only_for_what_was_refused(
    monkeypatch: pytest.MonkeyPatch, netsh: list[tuple[str, ...]]
) -> None:
    def kernel(asked: BindRequest) -> Probe:
        return Probe("denied", "WSAEACCES") if asked.port in (80, 81, 90) else Probe("free")

    found = checked(monkeypatch, kernel, 79, 80, 81, 82, 90)
    assert [(one.port, one.verdict, one.cause) for one in found] == [
        (79, "free", None),
        (80, "denied", "reserved"),
        (81, "denied", "reserved"),
        (82, "free", None),
        (90, "denied", "policy"),
    ]
    assert netsh == [("tcp",)]
    assert "ports 80-81" in found[2].message


def test_netsh_is_not_asked_for_free_ports(monkeypatch: pytest.MonkeyPatch, netsh: list[tuple[str, ...]]) -> None:
    assert checked(monkeypatch, lambda _: Probe("free"), 80)[0].verdict == "free"
    assert netsh == []


def test_netsh_is_asked_beforehand_where_no_bind_will_tell(netsh: list[tuple[str, ...]]) -> None:
    assert Windows().before_rules(scene()).policy.exclusions == {"tcp": True}
    assert netsh == [("tcp", "udp")]


def test_linux_has_nothing_to_ask_beforehand_and_no_closer_look() -> None:
    linux = scene()._replace(platform="linux")
    assert Linux().before_rules(linux) is linux
    assert Linux().second_look(linux, endpoint()) is None
