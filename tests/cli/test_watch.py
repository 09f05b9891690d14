"""`portcheck watch` on hosts of their own, through the installed command: lines, JSON Lines, and at a terminal."""

from __future__ import annotations

import json
import signal
import subprocess
from importlib.resources import files
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from support.namespaces import Host
from support.patience import PATIENCE
from support.portcheck_command import PORTCHECK
from support.processes import NOBODY, python
from support.terminal import Terminal

SCHEMA = json.loads(files("portcheck").joinpath("schema.json").read_text(encoding="utf-8"))
EVENT = Draft202012Validator({"$ref": "#/$defs/watch", "$defs": SCHEMA["$defs"]})
OFTEN = ("--interval", "50ms")
# Listens; told to, leaves its socket to a child and ends.
HANDS_ON = """
import os, socket, sys, time
server = socket.create_server(("127.0.0.1", 8000))
print("ready", flush=True)
sys.stdin.readline()
if os.fork() == 0:
    print("child", os.getpid(), flush=True)
    time.sleep(600)
"""
ONE_AFTER_THE_OTHER = """
import socket, sys, time
for port in sys.argv[1:]:
    with socket.create_server(("127.0.0.1", int(port))):
        time.sleep(0.1)
"""
BINDS_THEN_LISTENS = """
import socket, sys
server = socket.socket()
server.bind(("127.0.0.1", 8000))
print("ready", flush=True)
sys.stdin.readline()
server.listen()
sys.stdin.readline()
"""


def watching(host: Host, *args: str, ready: bytes = b"TIMES", **options: Any) -> subprocess.Popen[bytes]:
    """A watch that has taken its first look."""
    return host.start([str(PORTCHECK), "watch", *OFTEN, *args], ready=ready, **options)


def watching_json(host: Host, *args: str) -> subprocess.Popen[bytes]:
    """The same; what is there at the start shows when that is."""
    host.hold("127.0.0.1", 7999)
    return watching(host, "--json", "--initial", *args, ready=b'"present"')


def event(program: subprocess.Popen[bytes]) -> dict[str, Any]:
    """The next one, which is as the schema says."""
    assert program.stdout is not None
    told: dict[str, Any] = json.loads(program.stdout.readline())
    EVENT.validate(told)
    return told


def ends(program: subprocess.Popen[bytes]) -> None:
    assert program.stdin is not None
    program.stdin.close()
    program.wait(PATIENCE)


def told_by(program: subprocess.Popen[bytes]) -> list[str]:
    assert program.stdout is not None
    return program.stdout.readline().decode().split()


def test_json_lines_tell_who_and_since_when(host: Host) -> None:
    watch = watching_json(host)
    server = host.hold("127.0.0.1", 8000)
    opened = event(watch)
    ends(server)
    closed = event(watch)
    for told, kind in ((opened, "opened"), (closed, "closed")):
        assert (told["event"], told["socket"]["local_port"], told["socket"]["state"]) == (kind, 8000, "LISTEN")
        assert [owner["pid"] for owner in told["owners"]] == [server.pid]
        assert (told["since"], told["times"], told["between_looks"]) == (opened["at"], 1, False)


def test_lines_are_flushed_at_once_and_what_is_there_is_no_event(host: Host) -> None:
    host.hold("127.0.0.1", 7999)
    watch = watching(host)
    server = host.hold("::1", 8000, "name", "a b")
    assert told_by(watch)[1:9] == ["opened", "1", "tcp", "::1", "8000", "LISTEN", str(server.pid), r"a\x20b"]
    ends(server)
    assert told_by(watch)[1:6] == ["closed", "1", "tcp", "::1", "8000"]


def test_an_owner_that_ends_and_leaves_its_socket_to_a_child(host: Host) -> None:
    server = host.start(python(HANDS_ON), ready=b"ready")
    watch = watching(host, "--json", "--initial", ready=b'"present"')
    assert server.stdin is not None
    server.stdin.write(b"\n")
    server.stdin.flush()
    child = int(told_by(server)[1])
    server.wait(PATIENCE)
    changed = event(watch)
    while changed["owners"][-1]["pid"] != child or len(changed["owners"]) > 1:  # a look may have seen both
        changed = event(watch)
    assert (changed["event"], changed["changed"], changed["since"]) == ("changed", ["owners"], None)


def test_a_bound_socket_that_listens_at_last(host: Host) -> None:
    server = host.start(python(BINDS_THEN_LISTENS), ready=b"ready")
    watch = watching(host, "--json", "--initial", ready=b'"BOUND"')
    assert server.stdin is not None
    server.stdin.write(b"\n")
    server.stdin.flush()
    changed = event(watch)
    assert (changed["event"], changed["changed"], changed["socket"]["state"]) == ("changed", ["state"], "LISTEN")


def test_nothing_that_lives_for_two_intervals_is_lost(host: Host) -> None:
    ports = [str(port) for port in range(9000, 9010)]
    watch = watching(host)
    host.start(python(ONE_AFTER_THE_OTHER, *ports))
    told = [told_by(watch) for _ in range(2 * len(ports))]
    for kind in ("opened", "closed"):
        assert [line[5] for line in told if line[1] == kind] == ports


def test_flapping_is_counted(host: Host) -> None:
    watch = watching(host)
    for times in "123":
        server = host.hold("127.0.0.1", 8000, "reuseaddr")
        assert told_by(watch)[1:3] == ["opened", times]
        ends(server)
        assert told_by(watch)[1:3] == ["closed", times]


@pytest.mark.parametrize(
    ("wanted", "shown"),
    [((), {"8000", "8001", "53"}), (("8000",), {"8000"}), (("192.0.2.7:1-65535",), {"8001"}), (("--udp",), {"53"}),
     (("kestrel",), {"8001"}), (("53/udp", "kestrel"), {"53", "8001"}),
     (("--tcp", "-4", "8000-8001"), {"8000", "8001"})],
)  # fmt: skip
def test_targets_and_names_as_list_takes_them(host: Host, wanted: tuple[str, ...], shown: set[str]) -> None:
    host.hold("127.0.0.1", 8000)
    host.hold("192.0.2.7", 8001, "name", "kestrel")
    host.hold("127.0.0.1", 53, "udp")
    done = host.portcheck("watch", "--for", "0", "--initial", *wanted)
    assert done.returncode == 0, done.stderr
    assert {line.split()[5] for line in done.stdout.splitlines()[1:]} == shown


def test_without_root_the_gap_is_told_once(host: Host, for_everyone: list[str]) -> None:
    host.hold("127.0.0.1", 8000)
    host.hold("127.0.0.1", 8001)
    done = host.run([*for_everyone, "watch", "--for", "200ms", *OFTEN, "--initial"], uid=NOBODY)
    assert [line.split()[7] for line in done.stdout.splitlines()[1:]] == ["?", "?"]
    assert done.stderr.count("the process that holds 2 of these sockets cannot be seen from here") == 1
    assert done.stderr.count("cannot be seen from here") == 1


def test_exit_on(host: Host) -> None:
    watch = watching(host, "--exit-on", "closed")
    ends(host.hold("127.0.0.1", 8000))
    assert watch.wait(PATIENCE) == 0
    assert host.portcheck("watch", "--exit-on", "opened", "--for", "0").returncode == 124


@pytest.mark.parametrize("line", ["--exit-on never", "--interval soon", "--for -1", "0"])
def test_bad_input_is_exit_2(line: str) -> None:
    done = subprocess.run([PORTCHECK, "watch", *line.split()], capture_output=True, timeout=PATIENCE, check=False)
    assert (done.returncode, done.stdout) == (2, b"")


def test_ctrl_c_is_130_without_a_word(host: Host) -> None:
    watch = watching(host, stderr=subprocess.PIPE)
    watch.send_signal(signal.SIGINT)
    out, err = watch.communicate(timeout=PATIENCE)
    assert (watch.returncode, out, err) == (130, b"", b"")


def test_it_ends_when_nobody_reads_any_more_even_if_nothing_happens(host: Host) -> None:
    watch = watching(host)
    assert watch.stdout is not None
    watch.stdout.close()
    assert watch.wait(PATIENCE) == 0


# At a terminal.


def at_a_terminal(host: Host, *args: str, term: str = "xterm-256color") -> Terminal:
    return Terminal(host, ["env", "COLUMNS=300", "LINES=300", f"TERM={term}", str(PORTCHECK), "watch", *OFTEN, *args])


ENTERED, LEFT, CURSOR = "\x1b[?1049h", "\x1b[?1049l", "\x1b[?25h"


def test_a_live_table_that_leaves_the_terminal_as_it_was(host: Host) -> None:
    with at_a_terminal(host) as terminal:
        assert ENTERED in terminal.shows("portcheck watch: 0 open")
        server = host.hold("127.0.0.1", 8000)
        terminal.shows("opened 0 s ago")
        ends(server)
        terminal.shows("closed 0 s ago")
        terminal.types(b"\x03")
        shown = terminal.shows("watched for")
        assert terminal.program.wait(PATIENCE) == 130
    assert shown.index(LEFT) < shown.index("watched for")
    assert CURSOR in shown
    assert "1 opened, 1 closed" in shown


def test_another_size_of_the_terminal_shows_at_once(host: Host) -> None:
    for port in range(8000, 8009):
        host.hold("127.0.0.1", port)
    with at_a_terminal(host, "--interval", "1h") as terminal:
        terminal.resizes(24, 80)
        terminal.shows("8008")
        terminal.resizes(6, 60)
        terminal.shows("... and 6 more")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_that_ends_it_leaves_the_terminal_as_it_was(host: Host, number: signal.Signals) -> None:
    with at_a_terminal(host) as terminal:
        terminal.shows("portcheck watch: 0 open")
        terminal.program.send_signal(number)
        terminal.shows(LEFT)
        assert terminal.program.wait(PATIENCE) == -number


def test_for_is_over_at_a_terminal(host: Host) -> None:
    with at_a_terminal(host, "--for", "100ms") as terminal:
        terminal.shows("nothing has changed")
        assert terminal.program.wait(PATIENCE) == 0


@pytest.mark.parametrize(("term", "args"), [("dumb", ()), ("xterm", ("--plain",))])
def test_lines_where_nothing_can_be_drawn_or_they_are_asked_for(host: Host, term: str, args: tuple[str, ...]) -> None:
    with at_a_terminal(host, "--for", "0", *args, term=term) as terminal:
        assert "\x1b" not in terminal.shows("COMMAND")
        assert terminal.program.wait(PATIENCE) == 0
