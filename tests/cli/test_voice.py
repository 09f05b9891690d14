"""What stop, wait, pick, run, preflight and errors say at a terminal, for real, at several widths."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from support.namespaces import Host
from support.patience import PATIENCE
from support.portcheck_command import PORTCHECK
from support.processes import end, python
from support.running import SERVER, Gate
from support.terminal import Terminal

ESCAPE = re.compile("\x1b\\[[0-9;]*[A-Za-z]")
COLOUR = re.compile("\x1b\\[[0-9;]*m")
CURSOR_HIDDEN = "\x1b[?25l"
NO_COLOUR = {"NO_COLOR": "1"}
TWICE = """
import socket, sys
held = [socket.create_server(("127.0.0.1", port)) for port in (3000, 3001)]
print("ready", flush=True)
sys.stdin.read()
"""
AT_80 = ("env", "TERM=xterm", "LC_ALL=C.UTF-8", "COLUMNS=80", "NO_COLOR=1")


def at(
    host: Host, line: str, width: int = 80, *, cwd: Path | None = None, env: Mapping[str, str] = NO_COLOUR
) -> tuple[int, str]:
    """The status, and all that a terminal of this width was sent."""
    variables = {"TERM": "xterm", "LC_ALL": "C.UTF-8", "COLUMNS": "", **env}
    path = f"{PORTCHECK.parent}{os.pathsep}{os.environ['PATH']}"
    done = host.run(
        ["script", "-qec", f"stty cols {width}; {line}", "/dev/null"],
        check=False,
        env={"PATH": path, **variables},
        cwd=cwd,
    )
    return done.returncode, done.stdout.replace("\r\n", "\n")


def shown(host: Host, line: str, width: int = 80, *, cwd: Path | None = None) -> list[str]:
    """Its lines, without colours."""
    return at(host, line, width, cwd=cwd)[1].splitlines()


def narrow(lines: list[str], width: int) -> list[str]:
    """Lines that are wider than the terminal, though they are no command."""
    return [line for line in lines if len(line) > width and not line.strip().startswith(("portcheck", "sudo"))]


# stop


@pytest.mark.parametrize("width", [20, 40, 120])
def test_a_plan_is_the_headline_and_what_will_be_done(host: Host, width: int) -> None:
    server = host.start(python(TWICE), ready=b"ready")
    lines = shown(host, "portcheck stop 3000 --dry-run", width)
    whole = " ".join(" ".join(lines).split())
    assert re.match(rf"✗ 3000 is in use by python3 \(PID {server.pid}, \w+\)", whole)
    assert whole.endswith("plan: send it SIGTERM It also serves 3001. Nothing was done (--dry-run)")
    assert whole.count("3000") == whole.count("python3") == 1
    assert narrow(lines, width) == []


def test_everybody_who_ends_is_in_a_table(host: Host) -> None:
    shell = host.start(["sh", "-c", 'sh -c "$@"; true', "sh", '"$0" "$@"; true', *python(TWICE)], ready=b"ready")
    lines = shown(host, "portcheck stop 3000 --dry-run", 120)
    (heading,) = [number for number, line in enumerate(lines) if line.split()[:2] == ["PID", "PROGRAM"]]
    server, *starters = filter(None, lines[heading + 1 : -1])
    assert server.split()[1:] == ["python3", "root", "SIGTERM", "3001"]
    assert [line.split("  ")[-1] for line in map(str.strip, starters)] == ["may end with it"] * len(starters)
    assert str(shell.pid) in " ".join(starters)


def test_a_question_and_what_came_of_it(host: Host) -> None:
    server = host.hold("127.0.0.1", 3000)
    with Terminal(host, [*AT_80, str(PORTCHECK), "stop", "3000", "--settle", "0"]) as terminal:
        assert "  plan: send it SIGTERM\r\nStop it? [y/N] " in terminal.shows("[y/N] ")
        terminal.types(b"y\n")
        told = ESCAPE.sub("", terminal.shows("has ended"))
    assert told.splitlines()[-1] == f"✓ 3000 is free now: python3 (PID {server.pid}) has ended"


def test_strangers_on_one_port_are_in_a_table_and_each_has_a_command(host: Host) -> None:
    first, second = host.hold("127.0.0.1", 3000), host.hold("::1", 3000, "v6only")
    lines = shown(host, "portcheck stop 3000")
    assert " ".join(lines[:2]) == (
        "✗ Nothing stopped: 3000 is in use by 2 programs that have nothing to do with   each other"
    )
    assert "  --all stops them all." in lines
    commands = [line.strip() for line in lines if line.startswith("    portcheck")]
    assert commands == [f"portcheck stop 3000 --pid {each.pid}" for each in (first, second)]


def test_what_only_root_may_stop(host: Host, for_everyone: list[str]) -> None:
    host.hold("127.0.0.1", 6379)
    line = f"setpriv --reuid=65534 --regid=65534 --clear-groups {' '.join(for_everyone)} stop 6379"
    first, empty, command = shown(host, line)
    assert (first, empty) == ("✗ Nothing stopped: a process of root (hidden from here) holds 6379", "")
    assert re.fullmatch(r"  sudo /.* stop 6379", command)


def test_nothing_to_stop(host: Host) -> None:
    assert shown(host, "portcheck stop 3999") == ["✓ Nothing to stop: 3999 is free on every IPv4 and IPv6 address"]


def test_no_terminal_to_ask(host: Host) -> None:
    host.hold("127.0.0.1", 3000)
    code, text = at(host, "echo y | portcheck stop 3000")
    assert code == 1
    assert text.splitlines()[-2:] == [
        "  plan: send it SIGTERM",
        "✗ Nothing stopped: there is no terminal to ask, and --yes was not given",
    ]


# wait


def test_wait_says_at_once_who_is_in_the_way(host: Host) -> None:
    server = host.hold("127.0.0.1", 3000)
    with Terminal(host, [*AT_80, str(PORTCHECK), "wait", "3000", "--free"]) as terminal:
        first, second = " ".join(terminal.shows(f"(PID {server.pid}, root)").split()).split(" ✗ ")
        assert first == "waiting until port 3000 is free (for 30 s at most)"
        assert second.startswith(f"3000 is in use by python3 (PID {server.pid}, root)")
        end(server)
        assert "\x1b[2K" not in terminal.shows("✓ 3000 is free on every").rpartition("\n")[2]


def test_waiting_that_cannot_help_says_all_at_once(host: Host) -> None:
    server = host.hold("127.0.0.1", 3000)
    first, *_, command = shown(host, "portcheck wait 3000 --free --fail-fast", 160)
    assert first.startswith(f"✗ waiting cannot help: 3000 is in use by python3 (PID {server.pid}")
    assert command == "  portcheck stop 3000"


def test_what_is_met(host: Host) -> None:
    host.hold("127.0.0.1", 3000)
    assert shown(host, "portcheck wait 3999 --free") == ["✓ 3999 is free on every IPv4 and IPv6 address"]
    assert " ".join(shown(host, "portcheck wait 3000")).endswith("listens on 127.0.0.1, port 3000")


# pick and run


@pytest.mark.parametrize("line", ["pick 3000-3002", "run 3000-3002 -- echo {port}"])
def test_what_is_skipped_is_shown_as_in_a_check(host: Host, line: str) -> None:
    server = host.hold("127.0.0.1", 3000)
    skipped, port = shown(host, f"portcheck {line}", 120)
    assert skipped.startswith(f"✗ 3000  python3 (PID {server.pid}, root")
    assert port == "3001"


def test_what_was_handed_out_is_shown(host: Host) -> None:
    assert shown(host, "portcheck pick 3000-3002") == ["3000"]
    leased, port = shown(host, "portcheck pick 3000-3002", 120)
    assert leased.startswith("! 3000 handed out by another portcheck (PID ")
    assert port == "3001"


def test_ports_that_need_root(host: Host, for_everyone: list[str]) -> None:
    """In the same words wherever they are said, to scripts on stderr too."""
    unprivileged = f"setpriv --reuid=65534 --regid=65534 --clear-groups {' '.join(for_everyone)}"
    needs = "needs root (ports below 1024 do); nothing is using it"
    assert shown(host, f"{unprivileged} 443")[0] == f"✗ 443 {needs}"
    assert shown(host, f"{unprivileged} pick 443 8000")[0] == f"✗ 443  {needs}"
    assert shown(host, f"{unprivileged} stop 443") == [f"✓ Nothing to stop: 443 {needs}"]
    assert shown(host, f"{unprivileged} pick 443 8000 2>&1 | cat")[0] == f"443: {needs}"
    (first, *_) = shown(host, f"{unprivileged} wait 443 --free --fail-fast 2>&1 | cat")
    assert first == f"portcheck: waiting cannot help: port 443 {needs}"


@pytest.fixture
def vite(tmp_path: Path) -> Path:
    """A project whose server ignores PORT, as vite does."""
    program = tmp_path / "node_modules" / "vite" / "bin" / "vite.js"
    program.parent.mkdir(parents=True)
    program.write_text(
        f"#!{sys.executable}\nimport socket, time\n"
        "held = socket.create_server(('127.0.0.1', 5174))\nprint('up', flush=True)\ntime.sleep(600)\n"
    )
    program.chmod(0o755)
    return program


def test_a_command_that_is_not_ready_is_told_where_it_listens_and_what_to_add(host: Host, vite: Path) -> None:
    for patience in ("1", "5", "30"):  # a busy machine may need long to start it
        told = shown(host, f"portcheck run 8000 --wait-ready --timeout {patience} -- {vite}", 400)
        if "up" in told:
            break
    assert told[-1] == (
        f"✗ portcheck: not ready within {patience} s (vite listens on 5174, not on 8000), so it was stopped."
        f" It ignores PORT; try: ... -- {vite} --port {{port}}"
    )


def test_run_asks_for_patience_and_is_glad(host: Host, tmp_path: Path) -> None:
    gate = Gate(tmp_path)
    variables = [f"{name}={value}" for name, value in gate.environ.items()]
    command = [str(PORTCHECK), "run", "8000", "--wait-ready", "--", *python(SERVER, "127.0.0.1")]
    with Terminal(host, [*AT_80, *variables, *command]) as terminal:
        assert "portcheck: waiting until " in terminal.shows("listens on port 8000, 60 s at most")
        gate.open()
        assert "✓ portcheck: ready: http://127.0.0.1:8000, " in terminal.shows("ready: ")
        assert terminal.program.wait(PATIENCE) == 0


# preflight

COMPOSE = """services:
  web: {image: x, ports: ["8000-8002:80-82"]}
  db: {image: x, ports: ["5432:5432"]}
  admin: {image: x, ports: ["${ADMIN_PORT}:80"]}
"""


@pytest.mark.parametrize("width", [40, 120])
def test_preflight_begins_with_what_is_in_the_way(host: Host, tmp_path: Path, width: int) -> None:
    (tmp_path / "compose.yaml").write_text(COMPOSE)
    server = host.hold("127.0.0.1", 5432)
    code, text = at(host, "portcheck preflight --no-docker", width, cwd=tmp_path)
    problem, command, fine, left_open, summary = (" ".join(block.split()) for block in text.strip().split("\n\n"))
    assert code == 1
    assert problem.startswith(f"✗ compose.yaml:3 db: 5432 is in use by python3 (PID {server.pid}, root)")
    assert command == "portcheck stop 5432"
    assert fine == "✓ compose.yaml:2 web 8000-8002"
    assert left_open == (
        "! 1 entry could not be resolved: compose.yaml:4 admin: ADMIN_PORT is not set and has no default"
    )
    assert summary == "4 declared ports: 3 free, 1 in-use"
    assert narrow(text.splitlines(), width) == []


def test_only_marks_and_verdicts_have_colours(host: Host, tmp_path: Path) -> None:
    (tmp_path / "compose.yaml").write_text(COMPOSE)
    host.hold("127.0.0.1", 5432)
    text = at(host, "portcheck preflight --no-docker", cwd=tmp_path, env={})[1]
    assert re.findall(r"\x1b\[1;3\dm([^\x1b]*)", text) == ["✗", "in use", "✓", "!"]


# errors and help


@pytest.mark.parametrize(
    ("line", "env", "coloured"),
    [
        ("stop 3000 --foo", {}, True),
        ("stop 3000 --foo --color=never", {}, False),
        ("stop --color never --foo 3000", {}, False),
        ("stop 3000 --foo --color always", {"NO_COLOR": "1"}, True),
        ("run 8000 --color=never", {}, False),
        ("help stop", {}, True),
        ("stop --help --color=never", {}, False),
        ("stop --help", {"NO_COLOR": "1"}, False),
        ("stop --help", {"TERM": "dumb", "FORCE_COLOR": "1"}, True),
        ("stop 3000 --foo", {"TERM": "dumb", "CLICOLOR_FORCE": "1"}, True),
        ("pick 3000 --color=never", {}, False),
    ],
)
def test_colour_of_errors_and_help(
    host: Host, tmp_path: Path, line: str, env: dict[str, str], *, coloured: bool
) -> None:
    host.hold("127.0.0.1", 3000)
    assert bool(COLOUR.search(at(host, f"portcheck {line}", cwd=tmp_path, env=env)[1])) is coloured


def test_an_error_has_a_mark_and_says_who_speaks(host: Host) -> None:
    assert shown(host, "portcheck stop 3000 --foo") == [
        "✗ portcheck: unknown option --foo",
        "  → portcheck stop --help shows what is accepted",
    ]


def test_colour_in_a_pipe_is_had_by_asking_for_it(host: Host) -> None:
    host.hold("127.0.0.1", 3000)
    asked = host.portcheck("3000", "8000", "--color=always").stdout
    assert COLOUR.sub("", asked).split()[-2:] == ["✓", "8000"]
    assert COLOUR.search(asked)
    forced = host.portcheck("3000", "8000", env={"FORCE_COLOR": "1"}).stdout
    assert forced == host.portcheck("3000", "8000").stdout
    assert not COLOUR.search(forced)


@pytest.mark.parametrize(
    "line",
    [
        "stop 3000 --dry-run",
        "stop 3000",
        "wait 3000 --free --timeout 0",
        "pick 3000 3001",
        "preflight --no-docker",
        "--foo",
    ],
)
def test_ascii_where_the_terminal_has_no_more(host: Host, tmp_path: Path, line: str) -> None:
    (tmp_path / "compose.yaml").write_text(COMPOSE.replace("5432:5432", "3000:80"))
    host.hold("127.0.0.1", 3000)
    env = {**NO_COLOUR, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii"}
    text = at(host, f"portcheck {line} </dev/null", cwd=tmp_path, env=env)[1]
    assert text.isascii()
    assert re.search("^x ", text, re.MULTILINE)


# the sign of life


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("wait 3999", "waiting for port 3999 ("),
        ("stop 3000 --yes --settle 60", "watching whether port 3000 stays free ("),
    ],
)
def test_it_comes_after_a_second_and_ctrl_c_leaves_nothing_of_it(host: Host, line: str, words: str) -> None:
    host.hold("127.0.0.1", 3000)
    with Terminal(host, [*AT_80, str(PORTCHECK), *line.split()]) as terminal:
        terminal.shows(words)
        terminal.types(b"\x03")
        sent = terminal.shows("\x1b[1A\x1b[2K")
        assert terminal.program.wait(PATIENCE) == 130
    assert sent.endswith("\x1b[1A\x1b[2K")  # the last thing that was done: its line was taken away
    assert CURSOR_HIDDEN not in sent


def test_none_in_a_pipe(host: Host) -> None:
    waiting = host.portcheck("wait", "3999", "--timeout", "1.5")
    assert waiting.stderr == "portcheck: timed out after 1.5 s: nothing listens on port 3999\n"
