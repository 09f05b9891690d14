"""Mistyped lines, as people type them: one line on stderr that names the nearest right form, and exit 2."""

from __future__ import annotations

import shlex
from difflib import get_close_matches

import pytest

from portcheck.__main__ import run
from portcheck.addresses import Address
from portcheck.cli.mistakes import MEANT, NEAR
from portcheck.cli.options import ALIASES, COMMANDS
from portcheck.cli.parse import parse
from portcheck.identify.names import called
from portcheck.model import Process
from portcheck.observe.names import SystemNames
from portcheck.observe.system import BACK_END
from portcheck.requests import HelpRequest

# As typed → the end of the one line that answers it.
LINES = {
    "--json": "check needs a target, such as 80, 8000-8010 or 127.0.0.1:80",
    "-1": "did you mean: portcheck 1",
    "-a": "did you mean: portcheck list --all",
    "-i :3000": "did you mean: portcheck 3000",
    "-i:3000": "did you mean: portcheck 3000",
    "-iTCP:3000": "did you mean: portcheck 3000",
    "-i": "did you mean: portcheck list",
    "-l": "did you mean: portcheck list",
    "-tlnp": "did you mean: portcheck list --tcp",
    "-tulpn": "did you mean: portcheck list",
    "-ulnp 53": "did you mean: portcheck list --udp 53",
    "-an": "did you mean: portcheck list --all",
    "list -tlnp": "did you mean: portcheck list --tcp",
    "-k 3000/tcp": "did you mean: portcheck stop 3000/tcp",
    "-9 3000": "did you mean: portcheck stop 3000",
    "kill -9 3000": "did you mean: portcheck stop --force 3000",
    "0": "port 0 is out of range; a port is a number from 1 to 65535 (for any free one: portcheck pick --any)",
    "99999": "port 99999 is out of range; a port is a number from 1 to 65535",
    "127.0.0.1": "'127.0.0.1' names no port; for example 127.0.0.1:80",
    "127.0.0.1 3000": "did you mean: portcheck 127.0.0.1:3000",
    "::1 3000": "did you mean: portcheck '[::1]:3000'",
    "localhost": "'localhost' names no port; for example localhost:80",
    "localhost 3000": "did you mean: portcheck localhost:3000",
    "example.com 443 -q": "did you mean: portcheck example.com:443 -q",
    "stop localhost 3000 -y": "did you mean: portcheck stop localhost:3000 -y",
    "lo": "'lo' names no port; for example lo:80",
    "53 udp": "did you mean: portcheck 53/udp",
    "3000 --kill": "did you mean: portcheck stop 3000",
    "3000 --stop": "did you mean: portcheck stop 3000",
    "3000 -y": "did you mean: portcheck stop 3000 -y",
    "3000 --yes": "did you mean: portcheck stop 3000 --yes",
    "3000,": "did you mean 3000?",
    "3000-3001-3002": "did you mean 3000-3002 or 3000,3001,3002?",
    "3000:3000": "did you mean 3000?",
    "127.0.0.1:8080:80": "did you mean 127.0.0.1:8080?",
    "stop 3000:3000": "did you mean 3000?",
    "wait 3000:3000": "did you mean 3000?",
    "3001-3000": "write 3000-3001",
    "tcp/3000": "did you mean 3000/tcp?",
    "localhost:5173/shop": "did you mean localhost:5173?",
    "8080 -j": "did you mean --json?",
    "8080 -json": "did you mean --json?",
    "8080 -verbose": "did you mean --verbose?",
    "all": "did you mean: portcheck list",
    "check --hots 127.0.0.1 3000": "did you mean --host?",
    "chek 3000": "did you mean: portcheck check 3000",
    "lst": "did you mean: portcheck list",
    "sotp 3000 --yes": "did you mean: portcheck stop 3000 --yes",
    "hlep": "did you mean: portcheck help",
    "help sotp": "did you mean: portcheck help stop",
    "find": "did you mean: portcheck list",
    "find 3000": "did you mean: portcheck 3000",
    "who 3000": "did you mean: portcheck 3000",
    "free 3000": "did you mean: portcheck 3000 (is it free?) or portcheck stop 3000 (free it)",
    "version": "did you mean: portcheck --version",
    "3000 stop": "did you mean: portcheck stop 3000",
    "nginx": "did you mean: portcheck list nginx",
    "node": "did you mean: portcheck list node",
    "vite": "did you mean: portcheck list vite",
    "stop node": "did you mean: portcheck list node",
    "list --json --pids": "--pids and --json exclude each other",
    "pick": "pick needs candidates, such as 8000 8001 9000-9010, or --any",
    "wait": "wait needs a target, such as 5432 or http://localhost:3000/",
    "run -- npm start": "did you mean: portcheck run 8000-8010 -- npm start",
    "run 3000 npm start": "did you mean: portcheck run 3000 -- npm start",
    "run npm start": "did you mean: portcheck run 8000-8010 -- npm start",
    "run 3000 npm run dev --open": "did you mean: portcheck run 3000 -- npm run dev --open",
    "wait 3000 --fre": "did you mean --free?",
    "wait 3000 --force": "did you mean: portcheck stop 3000 --force",
    "3000 --timeout 5": "did you mean: portcheck stop 3000 --timeout 5",
    "-p": "option -p needs a value: -p PORT",
    "3000 --json=yes": "option --json takes no value",
    "80 tcp": "did you mean: portcheck 80/tcp",
    "udp 53": "did you mean: portcheck 53/udp",
    "53udp": "did you mean 53/udp?",
    "/80": "did you mean 80?",
    "127.0.0.1/80": "did you mean 127.0.0.1:80?",
    "80/sctp": "unknown protocol 'sctp' in '80/sctp'; accepted: tcp, udp (53/udp)",
    "0x50": "did you mean 80?",
    "+80": "did you mean 80?",
    "3000.": "did you mean 3000?",
    "3,000": "did you mean 3000?",
    "3_000": "did you mean 3000?",
    "٣٠٠٠": "did you mean 3000?",  # Arabic digits
    "PORT=3000": "did you mean 3000?",
    "'3000 '": "did you mean 3000?",
    "'8000 8001'": "did you mean 8000,8001?",
    "8000-": "did you mean 8000?",
    "8000..8010": "did you mean 8000-8010?",
    "8000 - 8010": "did you mean: portcheck 8000-8010",
    "stop 8000 to 8010 --yes": "did you mean: portcheck stop 8000-8010 --yes",
    "8000:8010": "did you mean 8000 or the range 8000-8010?",
    "HTTP": "did you mean http?",
    "a:b:c": "'a:b:c' is no address with a port; for example 127.0.0.1:80 or [::1]:80",
    "3000 --host 127.0.0.1:80": "names a port as well: a host stands alone, such as 127.0.0.1",
    "close 3000": "did you mean: portcheck stop 3000",
    "open 3000": "did you mean: portcheck 3000",
    "killall node": "did you mean: portcheck list node",
    "stop all": "did you mean: portcheck list",
    "stop 3000 force": "did you mean: portcheck stop 3000 --force",
    "pick any": "did you mean: portcheck pick --any",
    "stop help": "did you mean: portcheck stop --help",
    "help 3000": "did you mean: portcheck 3000",
    "completion bash": "did you mean: portcheck --install-completion bash",
    "run -p 3000 npm start": "did you mean: portcheck run 3000 -- npm start",
}


@pytest.mark.parametrize("line", LINES)
def test_one_line_names_what_was_meant(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    code = run(shlex.split(line))
    out, err = capsys.readouterr()
    assert (code, out) == (125 if line.startswith("run") else 2, "")
    (said,) = err.splitlines()
    assert said.startswith("portcheck: ")
    assert said.endswith(LINES[line])


@pytest.mark.parametrize("line", [line for line, said in LINES.items() if "did you mean: " in said])
def test_what_was_meant_can_be_typed(line: str) -> None:
    for meant in LINES[line].partition("did you mean: ")[2].split(" or "):
        program, *argv = shlex.split(meant.partition(" (")[0])
        assert program == "portcheck"
        parse(argv)


HABITS = (
    "-p 3000", "--port 3000", "3000 --tcp", "3000 -4", "3000 -6", "kill 3000", "ls", "list --port 3000", "list 3000",
    "list :3000", "list localhost:3000", "list node", "list --name node", "stop --pid 33 --dry-run", "tcp:3000",
    "3000/tcp", "http://localhost:5173", ":3000", "3000/TCP", "UDP:53",
)  # fmt: skip


@pytest.mark.parametrize("line", HABITS)
def test_habits_are_taken(line: str) -> None:
    assert not isinstance(parse(shlex.split(line)), HelpRequest)


def test_no_other_word_is_a_command() -> None:
    assert not MEANT.keys() & {*COMMANDS, *ALIASES}
    assert {*MEANT.values()} <= {*COMMANDS}


@pytest.mark.parametrize("word", ["node", "vite", "nginx", "redis", "host", "rails", "flask", "postgres", "python"])
def test_programs_are_near_no_command(word: str) -> None:
    assert get_close_matches(word, [*COMMANDS, *ALIASES], 1, NEAR) == []


@pytest.mark.parametrize(
    ("process", "said"),
    [
        (Process(100812, name="node", command=("node", "x.js")), "the PID of node; did you mean: portcheck list --pid"),
        (Process(100812, name="kworker/0:1"), "out of range"),  # a kernel thread
        (None, "out of range"),
    ],
)
def test_a_pid_where_a_port_is_expected(
    process: Process | None, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = []

    def look(pid: int) -> Process | None:
        asked.append(pid)
        return process

    monkeypatch.setattr(BACK_END, "process", look, raising=False)
    assert run(["100812"]) == 2
    assert said in capsys.readouterr().err
    assert asked == [100812]  # and nobody else is looked at
    assert process is None or called(process)


def test_a_name_in_a_mistake_is_escaped(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    hostile = Process(100812, name="\x1b[31mred\n", command=("\x1b[31mred\n",))
    monkeypatch.setattr(BACK_END, "process", lambda pid: hostile, raising=False)
    run(["100812"])
    (line,) = capsys.readouterr().err.splitlines()
    assert "\\x1b[31mred\\n" in line


def test_no_name_server_is_asked_for_a_mistyped_word(monkeypatch: pytest.MonkeyPatch) -> None:
    def resolve(self: object, host: str) -> tuple[Address, ...]:
        raise AssertionError(host)

    monkeypatch.setattr(SystemNames, "resolve", resolve)
    for word in ("chek", "localhost", "example.com", "3000:3000"):
        assert run([word, "3000"]) == 2
