"""`list` at a terminal: its exact text, and what holds at every width."""

from __future__ import annotations

import pytest
from support.examples import HOSTILE, STARTED, listener

from portcheck.model import Container, Process, Socket
from portcheck.render.layout import Canvas, cells
from portcheck.render.listing import chain, entries, listing

NODE = Process(
    812,
    name="node",
    user="bo",
    command=("node", "server.js"),
    script="server.js",
    project_dir="/home/bo/shop",
    task="npm run dev",
    started_at=STARTED,
)
MAIN = Process(382, name="httpd", user="root", role="main", service="apache2.service", started_at=STARTED - 3 * 86400)
WORKERS = tuple(MAIN._replace(pid=pid, parent_pid=382, role="worker") for pid in (390, 391))
POSTGRES = Process(911, name="postgres", container=Container("docker", "4c01", "db", compose_project="shop",
                   compose_service="db"), started_at=STARTED)  # fmt: skip
PROCESSES = {process.pid: process for process in (NODE, MAIN, *WORKERS, POSTGRES)}
SOCKETS = (
    listener("0.0.0.0", 80, 382, 390, 391, user="root"),
    listener("::", 80, 382, 390, 391, user="root"),
    listener("127.0.0.1", 3000, 812, user="bo"),
    listener("0.0.0.0", 5432, 911, uid=999),
)
UNSEEN = Socket("udp", "ipv4", "127.0.0.53", 53, user="systemd-resolve", pids=None)


def shown(*sockets: Socket, width: int = 80, verbose: bool = False) -> list[str]:
    canvas = Canvas(width, now=STARTED + 12 * 60)
    return list(listing(entries(sockets, PROCESSES), canvas, verbose=verbose))


def test_the_port_first_and_addresses_of_one_holder_together() -> None:
    assert shown(*SOCKETS) == [
        "PORT  ADDRESS     PROGRAM         PID     USER     AGE     WHERE",
        "80    0.0.0.0 ::  httpd           382 +2  root     3 d     apache2.service",
        "3000  127.0.0.1   node server.js  812     bo       12 min  ~/shop (npm run dev)",
        "5432  0.0.0.0     postgres        911     uid 999  12 min  docker container db…",
    ]


def test_what_differs_has_a_column() -> None:
    bound = listener("127.0.0.1", 4000, 812)._replace(state="BOUND")
    assert shown(UNSEEN, bound, SOCKETS[2], width=120)[0].split()[:4] == ["PORT", "PROTO", "ADDRESS", "STATE"]
    connected = SOCKETS[2]._replace(state="ESTABLISHED", remote_address="::1", remote_port=7)
    assert "[::1]:7" in shown(connected, width=120)[1]


def test_a_row_that_has_more_to_tell_takes_no_columns_from_the_others() -> None:
    many = [listener(f"127.0.0.{last}", 4000, 813) for last in range(1, 30)]
    long = NODE._replace(pid=813, name="a-long-name-of-a-program", script=None, project_dir="/srv/x", task=None)
    lines = list(listing(entries([*SOCKETS, *many], {**PROCESSES, 813: long}), Canvas(80, now=STARTED + 720)))
    assert lines[0].split() == ["PORT", "ADDRESS", "PROGRAM", "PID", "USER", "AGE", "WHERE"]
    assert lines[4].split()[:4] == ["4000", "127.0.0.1", "+28", "a-long-name-of-a-program"]
    narrow = list(listing(entries([*SOCKETS, *many], {**PROCESSES, 813: long}), Canvas(76, now=STARTED + 720)))
    assert narrow[4].split()[3] == "a-long-name-of-…"
    wide = list(listing(entries(many, {813: long}), Canvas(120, now=STARTED + 720)))[1]
    assert "127.0.0.1 127.0.0.2 +27  a-long-name-of-a-program" in wide


def test_who_cannot_be_seen_is_no_empty_cell() -> None:
    assert shown(UNSEEN)[1].split() == ["53", "udp", "127.0.0.53", "?", "?", "systemd-resolve"]
    assert shown(UNSEEN._replace(pids=()))[1].split()[3:5] == ["-", "-"]


def test_verbose_shows_commands() -> None:
    assert shown(SOCKETS[2], verbose=True)[-1] == "    node server.js"


def test_nothing_is_no_heading() -> None:
    assert shown() == []


@pytest.mark.parametrize("width", [20, 40, 60, 79, 120, 1000])
def test_at_no_width_a_port_a_pid_or_a_name_is_cut(width: int) -> None:
    long = NODE._replace(pid=4194303, command=("node", "x" * 400), name="サーバー", script=None)
    processes = {**PROCESSES, long.pid: long}
    sockets = (*SOCKETS, listener("fe80::aaaa:bbbb:cccc:dddd", 65535, 4194303, interface="eth0"))
    lines = list(listing(entries(sockets, processes), Canvas(width)))
    text = "\n".join(lines)
    for words in ("65535", "4194303", "サーバー", "3000", "812", "node", "5432", "911", "postgres", "80", "382"):
        assert words in text
    if width >= 79:
        assert len(lines) == 5
        assert max(map(cells, lines)) <= max(width, 100)


def test_a_chain_tells_how_it_came_to_run() -> None:
    links = (Process(1, name="systemd", started_at=STARTED - 864000), Process(700, name="bash"), NODE)
    (line,) = chain(links, Canvas(120, now=STARTED + 60))
    assert line == "    systemd (PID 1, 10 d) → bash (PID 700) → node server.js (PID 812, 1 min)"


def test_hostile_text_is_only_text() -> None:
    stranger = Process(6, name=HOSTILE, user=HOSTILE, command=(HOSTILE,), project_dir=HOSTILE, task=HOSTILE)
    sockets = [listener("127.0.0.1", 6, 6, interface=HOSTILE, user=HOSTILE)]
    lines = [*listing(entries(sockets, {6: stranger}), Canvas(400), verbose=True), *chain((stranger,), Canvas(400))]
    assert all(map(str.isprintable, lines))
