"""What has changed between two looks: pure, for any two of them."""

from __future__ import annotations

from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st
from support.examples import listener

from portcheck.model import Socket
from portcheck.watching.board import FADING_SECONDS, FLAPPING, Board
from portcheck.watching.changes import Event, Openings, compared, key, unnoticed

pids = st.none() | st.lists(st.integers(1, 3), max_size=2, unique=True).map(tuple)
sockets = st.builds(
    Socket,
    st.sampled_from(["tcp", "udp"]),
    st.just("ipv4"),
    st.sampled_from(["0.0.0.0", "127.0.0.1"]),
    st.integers(1, 3),
    state=st.sampled_from(["LISTEN", "BOUND"]),
    pids=pids,
    cookie=st.integers(1, 6),
)
looks = st.lists(sockets, max_size=6).map(lambda some: {key(socket): socket for socket in some})


@given(looks)
def test_nothing_changes_between_equal_looks(look: Mapping[object, Socket]) -> None:
    assert [*compared(look, dict(look))] == []


@given(looks, looks)
def test_the_changes_lead_from_one_look_to_the_other(before: dict[object, Socket], now: dict[object, Socket]) -> None:
    told = [*compared(before, now)]
    assert len({change.key for change in told}) == len(told)
    replayed = dict(before)
    for change in told:
        if change.kind == "closed":
            del replayed[change.key]
        else:
            assert (change.kind == "opened") is (change.key not in before)
            replayed[change.key] = change.socket
    assert replayed.keys() == now.keys()
    for each, socket in now.items():
        assert replayed[each].state == socket.state
        if socket.pids is not None:
            assert replayed[each].pids == socket.pids


@given(st.lists(looks, max_size=8))
def test_of_each_socket_openings_and_closings_take_turns(history: list[dict[object, Socket]]) -> None:
    """However it goes on: nothing is closed that was not opened, nor opened again before it is closed."""
    there: set[object] = set()
    for before, now in zip([{}, *history], history, strict=False):
        for change in compared(before, now):
            assert (change.key in there) is (change.kind != "opened")
            if change.kind == "closed":
                there.discard(change.key)
            else:
                there.add(change.key)
        assert there == now.keys()


def test_holders_that_cannot_be_seen_are_no_change() -> None:
    seen = listener("127.0.0.1", 80, 7)._replace(cookie=1)
    unseen = seen._replace(pids=None)
    assert [*compared({1: seen}, {1: unseen})] == []
    for before in (unseen, seen._replace(pids=(8,))):
        (change,) = compared({1: before}, {1: seen})
        assert (change.kind, change.what) == ("changed", ("owners",))


def test_a_successor_in_the_same_place_is_another_socket() -> None:
    before, after = (listener("127.0.0.1", 80, 7)._replace(cookie=cookie, inode=5) for cookie in (1, 2))
    assert [change.kind for change in compared({key(before): before}, {key(after): after})] == ["closed", "opened"]


def test_without_cookie_and_inode_a_socket_is_known_by_its_place_and_some_of_its_holders() -> None:
    one = listener("127.0.0.1", 80, 7)._replace(inode=None)
    assert key(one) == key(one._replace(queue=3)) != key(one._replace(interface="eth0"))

    def changes(*pids: int) -> list[str]:
        return [change.kind for change in compared({key(one): one}, {key(one): one._replace(pids=pids)})]

    assert changes(7, 8) == ["changed"]
    assert changes(8) == ["closed", "opened"]
    assert changes() == ["changed"]


def test_what_a_look_has_seen_is_not_told_again_by_a_notice() -> None:
    one, other = (listener("127.0.0.1", 80, 7)._replace(cookie=cookie) for cookie in (1, 2))
    assert [*unnoticed([one, other], {1: one}, {})] == [other]
    assert [*unnoticed([one, other], {1: one}, {2: 0.0})] == []


@given(st.lists(st.tuples(st.integers(1, 3), st.floats(0, 300)), max_size=30))
def test_openings_are_counted_for_as_long_as_they_are_remembered(opened: list[tuple[int, float]]) -> None:
    openings = Openings(seconds=60)
    for port, at in sorted(opened, key=lambda one: one[1]):
        openings.add(listener("127.0.0.1", port, 7), at)
        openings.forget(at)
        recent = [each for each in opened if each[0] == port and 0 <= at - each[1] < 60]
        assert openings.count(listener("127.0.0.1", port, 7)) <= len(recent)
    openings.forget(1000)
    assert [openings.count(listener("127.0.0.1", port, 7)) for port in (1, 2, 3)] == [0, 0, 0]


def event(kind: str, at: float, cookie: int = 1, times: int = 1) -> Event:
    socket = listener("127.0.0.1", 80, 7)._replace(cookie=cookie)
    return Event(kind, cookie, at, socket, times=times)  # type: ignore[arg-type]


def test_marks_fade_and_what_flaps_stays_marked_for_a_minute() -> None:
    board = Board()
    board.add([event("opened", 100)], 100)
    assert board.latest(1)
    board.add([], 100 + FADING_SECONDS)
    assert board.is_calm()
    board.add([event("opened", 200, times=FLAPPING)], 200)
    board.add([], 230)
    assert board.latest(1)
    board.add([], 260)
    assert board.is_calm()
    assert board.counts == {"opened": 2, "closed": 0, "changed": 0}


def test_of_one_place_only_the_last_closing_stays_in_sight() -> None:
    board = Board()
    board.add(
        [event("closed", 100, 1), event("opened", 100, 2), event("closed", 101, 2), event("present", 101, 3)], 101
    )
    assert [each.key for each in board.gone()] == [2]
