"""What `watch` prints: its lines, its documents, and the table at every size of a terminal."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st
from support.examples import HOSTILE, STARTED, listener
from test_render_document import validate

from portcheck.model import BlindSpot, Owner, Process, Socket
from portcheck.render.json_documents import dumps, watch_event
from portcheck.render.layout import Canvas, cells, painted
from portcheck.render.listing import entries
from portcheck.render.watch import Frame, frame, heading, line, notes, summary
from portcheck.watching.board import Board
from portcheck.watching.changes import Event

NODE = Process(812, name="node", user="bo", command=("node", "server.js"), script="server.js",
               project_dir="/home/bo/shop", task="npm run dev", started_at=STARTED)  # fmt: skip
HOME = listener("127.0.0.1", 3000, 812, user="bo")._replace(cookie=1)
DATABASE = listener("127.0.0.1", 5432, 911, user="bo")._replace(cookie=2)
POSTGRES = Process(911, name="postgres", user="bo", started_at=STARTED)
PROCESSES = {812: NODE, 911: POSTGRES}
NOW = STARTED + 720
BRIEF = Socket("tcp", "ipv4", "0.0.0.0", 8000, state="CLOSED", cookie=3)


def happened(kind: str, socket: Socket, at: float = NOW - 2, **more: object) -> Event:
    owners = tuple(Owner(pid, PROCESSES[pid], (0,)) for pid in socket.pids or ())
    return Event(kind, socket.cookie, at, socket, owners, **{"times": 1, **more})  # type: ignore[arg-type]


def drawn(*sockets: Socket, events: tuple[Event, ...] = (), width: int = 100, height: int = 24,
          told: tuple[str, ...] = ()) -> list[str]:  # fmt: skip
    board = Board()
    board.add(events, NOW)
    made = Frame(entries(sockets, PROCESSES), board, "portcheck watch", told)
    return [painted(one, colour=False) for one in frame(made, Canvas(width, now=NOW), height)]


def test_a_line_says_when_what_where_and_who() -> None:
    assert heading().split() == [
        "AT", "EVENT", "TIMES", "PROTO", "ADDRESS", "PORT", "STATE", "PID", "NAME", "USER", "COMMAND",
    ]  # fmt: skip
    words = line(happened("opened", HOME)).split()
    assert words[1:] == ["opened", "1", "tcp", "127.0.0.1", "3000", "LISTEN", "812", "node", "bo", "node", "server.js"]
    assert line(happened("closed", BRIEF, times=4)).split()[1:] == [
        "closed", "4", "tcp", "0.0.0.0", "8000", "CLOSED", "?", "?", "?",
    ]  # fmt: skip


def test_nobodys_name_breaks_a_line() -> None:
    process = NODE._replace(name=HOSTILE, command=(HOSTILE,), user=None)
    told = line(happened("opened", HOME)._replace(owners=(Owner(812, process, (0,)),)))
    assert all(character.isprintable() for character in told)
    assert len(told.split()[:10]) == 10


def test_a_document_is_as_the_schema_says() -> None:
    spot = BlindSpot("brief-not-seen", "gone")
    for event in (
        happened("opened", HOME, since=NOW - 2),
        happened("changed", DATABASE, what=("owners", "state")),
        happened("present", HOME, times=0),
        happened("closed", BRIEF, between_looks=True, blind_spots=(spot,)),
    ):
        text = dumps(watch_event(event))
        assert "\n" not in text
        document = json.loads(text)
        validate(document, "watch")
        assert document["complete"] is not bool(document["blind_spots"])
        assert [owner["sockets"] for owner in document["owners"]] == [[0]] * len(event.owners)


def test_the_table() -> None:
    closed = happened("closed", BRIEF, NOW - 5)
    assert drawn(HOME, DATABASE, events=(happened("opened", DATABASE), closed), told=("not seen: much",)) == [
        "portcheck watch: 2 open; 1 opened, 1 closed",
        "   PORT  ADDRESS    STATE   PROGRAM         PID  USER  AGE     CHANGE          WHERE",
        "   3000  127.0.0.1  LISTEN  node server.js  812  bo    12 min                  ~/shop (npm run dev)",
        "+  5432  127.0.0.1  LISTEN  postgres        911  bo    12 min  opened 2 s ago",
        "-  8000  0.0.0.0    CLOSED  ?               ?    ?             closed 5 s ago",
        "not seen: much",
    ]


def test_what_is_opened_again_and_again_says_so_and_has_one_row() -> None:
    again = happened("opened", DATABASE, times=4)
    rows = drawn(DATABASE, events=(happened("closed", DATABASE._replace(cookie=9)), again))
    assert len(rows) == 3
    assert "opened 4 times in a minute" in rows[2]


def test_another_owner_and_another_state_are_told_apart() -> None:
    assert "new owner 2 s ago" in drawn(HOME, events=(happened("changed", HOME, what=("owners",)),))[2]
    assert "new state 2 s ago" in drawn(HOME, events=(happened("changed", HOME, what=("state",)),))[2]


def test_a_narrow_terminal_does_without_what_is_missed_least() -> None:
    rows = drawn(HOME, DATABASE, events=(happened("opened", DATABASE),), width=55)
    assert rows[1].split() == ["PORT", "ADDRESS", "PROGRAM", "PID", "CHANGE"]


def test_on_a_low_terminal_what_has_changed_comes_first() -> None:
    many = [listener("127.0.0.1", port, 812)._replace(cookie=port) for port in range(100, 120)]
    rows = drawn(*many, DATABASE, events=(happened("opened", DATABASE),), height=6)
    assert len(rows) == 6
    assert "5432" in rows[2]
    assert rows[-1] == "   ... and 18 more"


sizes = st.tuples(st.integers(1, 200), st.integers(1, 60))


@given(sizes, st.integers(0, 30), st.booleans())
def test_no_line_is_wider_than_the_terminal_and_there_are_no_more_of_them(
    size: tuple[int, int], count: int, calm: bool
) -> None:
    width, height = size
    many = [listener("127.0.0.1", port, 812)._replace(cookie=port) for port in range(1, count + 1)]
    events = () if calm else tuple(happened("opened", socket) for socket in many[::2])
    rows = drawn(*many, events=events, width=width, height=height, told=("not seen: " + "x" * 99,) * 4)
    assert len(rows) <= height
    assert all(cells(row) <= width for row in rows[-4:] if "not seen" in row)


def test_the_summary() -> None:
    board = Board()
    assert summary(board, 61) == "watched for 1 min: nothing has changed"
    board.add([happened("opened", HOME), happened("closed", HOME)], NOW)
    assert summary(board, 5) == "watched for 5 s: 1 opened, 1 closed"


def test_notes_are_harmless() -> None:
    (failure, gap) = notes([BlindSpot("owner-hidden", "the owner", "look")], ["\x1b[31m"])
    assert (failure, gap) == ("\\x1b[31m", "not seen: the owner → look")
