"""What a `Watcher` sees of real sockets: between two looks too, by the kernel's own notices."""

from __future__ import annotations

import errno
import gc
import itertools
import os
import socket
import sys
import tracemalloc
from collections.abc import Iterator
from typing import NoReturn

import pytest
from support.namespaces import Host
from support.patience import wait_for
from support.processes import held_by_child

from portcheck.listing import Filter
from portcheck.model import Scene
from portcheck.observe.linux import departures
from portcheck.observe.names import SystemNames
from portcheck.observe.system import BACK_END
from portcheck.target import parse_targets
from portcheck.watching.changes import Event
from portcheck.watching.look import Watcher

if sys.platform != "linux":
    pytest.skip("this kernel has no notices of sockets that are gone", allow_module_level=True)


@pytest.fixture
def watcher(host: Host) -> Iterator[Watcher]:
    """One that has taken its first look, in the host's network; this thread is there, too."""
    with host.entered(), Watcher(Filter()) as made:
        assert made() == []
        yield made


def by_notice(watcher: Watcher, port: int) -> list[Event]:
    """What is told of a port once the kernel has freed its socket, which it does in its own time."""
    told: list[Event] = []

    def look() -> bool:
        told.extend(event for event in watcher() if event.socket.local_port == port)
        return bool(told)

    wait_for(look, f"a notice of port {port}")
    return told


@pytest.mark.parametrize(("family", "address"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")])
def test_a_listener_that_lived_between_two_looks(watcher: Watcher, family: int, address: str) -> None:
    socket.create_server((address, 8000), family=family).close()
    told = by_notice(watcher, 8000)
    assert [(event.kind, event.socket.local_address) for event in told] == [("opened", address), ("closed", address)]
    for event in told:
        assert event.between_looks
        assert event.owners == ()
        assert (event.socket.state, event.socket.pids, event.socket.uid, event.times) == ("CLOSED", None, None, 1)
        assert [spot.code for spot in event.blind_spots] == ["brief-not-seen"]
    assert watcher() == []


def test_a_udp_server_between_two_looks(watcher: Watcher) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 53))
    assert [event.kind for event in by_notice(watcher, 53)] == ["opened", "closed"]


def test_clients_are_told_apart_and_what_a_look_has_seen_is_told_once(watcher: Watcher) -> None:
    with socket.create_server(("127.0.0.1", 8000)) as server:
        (opened,) = watcher()
        with socket.create_connection(("127.0.0.1", 8000)):
            server.accept()[0].close()
    for port in (0, 7777):  # refused; of one that was bound before nothing but the packets' size tells
        with socket.socket() as client:
            client.bind(("127.0.0.1", port))
            with pytest.raises(ConnectionRefusedError):
                client.connect(("127.0.0.1", 9))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.sendto(b"", ("127.0.0.1", 9))
    socket.create_server(("127.0.0.1", 8001)).close()  # the notice that comes last
    told = [*watcher()]

    def look() -> bool:
        told.extend(watcher())
        return any(event.between_looks for event in told)

    wait_for(look, "the last notice")
    assert [(event.kind, event.socket.local_port) for event in told] == [
        ("closed", 8000), ("opened", 8001), ("closed", 8001),
    ]  # fmt: skip
    assert opened.key == told[0].key


def test_a_watch_for_other_ports_or_names_does_not_tell_of_it(host: Host) -> None:
    elsewhere = parse_targets(["9000"], SystemNames())
    with (
        host.entered(),
        Watcher(Filter(endpoints=elsewhere)) as other,
        Watcher(Filter(programs=("node",))) as named,
        Watcher(Filter()) as wide,
    ):
        for each in (other, named, wide):
            each()
        socket.create_server(("127.0.0.1", 8000)).close()
        by_notice(wide, 8000)
        assert (other(), named()) == ([], [])


def test_more_than_the_notices_have_room_for_is_a_blind_spot(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(departures, "_BUFFER", 1)
    with host.entered(), Watcher(Filter()) as watcher:
        watcher()

        def overflows() -> bool:
            for _ in range(50):
                socket.create_server(("127.0.0.1", 8000)).close()
            watcher()
            return "brief-not-seen" in watcher.unseen

        wait_for(overflows, "an overflow")


@pytest.mark.parametrize("refusal", [errno.EPERM, None])
def test_where_there_are_no_notices_that_is_told(
    watcher: Watcher, monkeypatch: pytest.MonkeyPatch, refusal: int | None
) -> None:
    def refused(*_: object) -> None:
        if refusal:
            raise OSError(refusal, os.strerror(refusal))

    assert "brief-not-seen" not in watcher.unseen
    monkeypatch.setattr(type(BACK_END), "departures", refused)
    with Watcher(Filter()) as blind, Watcher(Filter(), notices=False) as unasked:
        blind()
    for each in (blind, unasked):
        assert "may be missed: " in each.unseen["brief-not-seen"].message
    with socket.create_server(("127.0.0.1", 8000)):
        assert [event.kind for event in blind()] == ["opened"]
    assert [event.kind for event in blind()] == ["closed"]


def test_notices_are_of_no_use_where_proc_net_is_read_instead(
    watcher: Watcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object, **__: object) -> None:
        raise OSError(errno.ENOENT, os.strerror(errno.ENOENT))

    monkeypatch.setattr("portcheck.observe.linux.sock_diag.table", refused)
    with socket.create_server(("127.0.0.1", 8000)), socket.create_server(("127.0.0.1", 8001)):
        assert [event.kind for event in watcher()] == ["opened", "opened"]
        socket.create_server(("127.0.0.1", 8002)).close()

        def told() -> bool:
            assert watcher() == []
            return "brief-not-seen" in watcher.unseen

        wait_for(told, "a notice")
    assert {event.kind for event in watcher()} == {"closed"}


def test_a_look_that_fails_loses_no_notice(watcher: Watcher, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(_: Scene) -> NoReturn:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(watcher, "_walked", refused)
    with socket.create_server(("127.0.0.1", 8001)):  # calls for a walk

        def gone() -> bool:
            with pytest.raises(OSError, match="Too many open files"):
                watcher()
            return bool(watcher._notices)

        socket.create_server(("127.0.0.1", 8000)).close()
        wait_for(gone, "a notice")
        monkeypatch.undo()
        told = [(event.kind, event.socket.local_port) for event in watcher()]
    assert told == [("opened", 8000), ("closed", 8000), ("opened", 8001)]


def test_an_owner_that_comes_in_addition_is_found_by_a_walk(host: Host) -> None:
    with (
        host.entered(),
        socket.create_server(("127.0.0.1", 8000)),
        Watcher(Filter(), clock=lambda: 0.0) as watcher,  # walks take no time: one is always due
    ):
        watcher()
        with held_by_child(list) as child:
            (changed,) = watcher()
            assert (changed.kind, changed.what) == ("changed", ("owners",))
            assert {owner.pid for owner in changed.owners} == {os.getpid(), child.pid}


def test_descriptors_are_walked_over_only_when_something_calls_for_it(
    watcher: Watcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    walks = []
    real = watcher._walked

    def walked(scene: Scene) -> Scene:
        walks.append(scene)
        return real(scene)

    monkeypatch.setattr(watcher, "_walked", walked)
    with socket.create_server(("127.0.0.1", 8000)):
        watcher()
        watcher._next_walk = float("inf")
        for _ in range(20):
            assert watcher() == []
        assert len(walks) == 1


def test_memory_stays_flat(host: Host) -> None:
    """However often a port is opened and closed: what is remembered for a minute is forgotten then."""
    seconds = itertools.count(step=10.0)
    with host.entered(), Watcher(Filter(), now=lambda: next(seconds)) as watcher:

        def live(times: int) -> None:
            for number in range(times):
                with socket.create_server(("127.0.0.1", 8000 + number % 7)):
                    watcher()
                watcher()

        live(10)
        tracemalloc.start()
        live(10)
        gc.collect()
        before = tracemalloc.get_traced_memory()[0]
        live(40)
        gc.collect()
        grown = tracemalloc.get_traced_memory()[0] - before
        tracemalloc.stop()
    assert grown < 20_000
