"""Without typer, rich and psutil every command still works on Linux; help says what it needs."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support.namespaces import Host
from support.needs import need

import portcheck
from portcheck.cli.options import COMMANDS

ROOT = Path(__file__).parents[2]
PROGRAM = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from portcheck.__main__ import main; main()"
WITHOUT = [sys.executable, "-I", "-S", "-c", PROGRAM]  # no site-packages: nothing is installed
# A line of each command, on a host where 8000 is held → its exit code, and words of its text.
LINES = {
    "check 8000": (1, "Port 8000 is in use: python3"),
    "check 8001": (0, "Port 8001 is free"),
    "list": (0, "LISTEN"),
    "pick 8000-8010": (0, "8001"),
    "stop 8000 --dry-run": (0, "plan: SIGTERM to python3"),
    "wait 8000": (0, "listens on 127.0.0.1, port 8000"),
    "wait 8000 --free --timeout 0": (124, "Port 8000 is in use: python3"),
    "run 8000-8010 -- sh -c 'echo got $PORT'": (0, "got 8001"),
    "preflight": (1, "web"),
}


@pytest.fixture
def busy(host: Host, tmp_path: Path) -> tuple[Host, Path]:
    """A host on which 8000 is held, and a project that declares it."""
    host.hold("127.0.0.1", 8000)
    (tmp_path / "portcheck.toml").write_text("[ports]\nweb = 8000\n")
    return host, tmp_path


def test_every_command_is_tried() -> None:
    assert {line.split()[0] for line in LINES} == {*COMMANDS}


@pytest.mark.parametrize("line", LINES)
def test_text(busy: tuple[Host, Path], line: str) -> None:
    host, project = busy
    code, words = LINES[line]
    done = host.run([*WITHOUT, *shlex.split(line)], check=False, cwd=project)
    assert (done.returncode, words in done.stdout + done.stderr) == (code, True), done
    assert (done.stdout, done.stderr) == with_everything(busy, line)


def with_everything(busy: tuple[Host, Path], line: str) -> tuple[str, str]:
    host, project = busy
    done = host.portcheck(*shlex.split(line), cwd=project)
    return done.stdout, done.stderr


@pytest.mark.parametrize("line", LINES)
def test_a_terminal_gets_plain_lines(busy: tuple[Host, Path], line: str) -> None:
    need("script")
    host, project = busy
    code, words = LINES[line]
    typed = shlex.join([*WITHOUT, *shlex.split(line)])
    done = host.run(["script", "-qec", typed, "/dev/null"], check=False, cwd=project, env={"TERM": "xterm"})
    assert (done.returncode, words in " ".join(done.stdout.split())) == (code, True), done


@pytest.mark.parametrize("line", [line for line in LINES if not line.startswith("run ")])
def test_json(busy: tuple[Host, Path], line: str) -> None:
    host, project = busy
    done = host.run([*WITHOUT, *shlex.split(line), "--json"], check=False, cwd=project)
    assert (done.returncode, json.loads(done.stdout)["schema_version"]) == (LINES[line][0], 1), done


@pytest.mark.parametrize("line", ["", "--help", "-h", "check --help", "run --help", "help stop"])
def test_help_says_what_it_needs(line: str) -> None:
    done = subprocess.run([*WITHOUT, *shlex.split(line)], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "portcheck: help needs typer: pip install typer\n"


@pytest.mark.parametrize(
    ("line", "code", "out", "err"),
    [
        ("--version", 0, f"portcheck {portcheck.__version__}\n", ""),
        ("80 --jsn", 2, "", "portcheck: unknown option --jsn; did you mean --json?"),
        ("run 80 --jsn -- true", 125, "", "portcheck: unknown option --jsn"),
    ],
)
def test_the_version_and_mistakes_need_nothing(line: str, code: int, out: str, err: str) -> None:
    done = subprocess.run([*WITHOUT, *shlex.split(line)], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (code, out)
    assert done.stderr.startswith(err)


# As in a sandbox: whatever of netlink is refused there.
REFUSED = """
import errno, json, sys
sys.modules["psutil"] = None
import portcheck
from portcheck.observe.linux import rtnetlink, sock_diag
def refuse(*args, **more): raise PermissionError(errno.EPERM, "Operation not permitted")
for module, function in (("sock_diag", "dump"), ("rtnetlink", "addresses")):
    if module in sys.argv:
        setattr(globals()[module], function, refuse)
try:
    print(json.dumps(portcheck.check("8000", probe=False).to_dict()))
except portcheck.PortcheckError as error:
    print(json.dumps({"cause": error.cause, "remedy": error.remedy}))
"""


def checked_while_refused(*modules: str) -> dict[str, Any]:
    argv = [sys.executable, "-c", REFUSED, *modules]
    answer: dict[str, Any] = json.loads(subprocess.run(argv, stdout=subprocess.PIPE, timeout=60, check=True).stdout)
    return answer


def test_a_socket_list_that_only_psutil_could_read_is_a_blind_spot() -> None:
    answer = checked_while_refused("sock_diag")
    spots = {spot["code"]: spot for spot in answer["blind_spots"]}
    assert (answer["verdict"], answer["complete"]) == ("unknown", False)
    assert spots["sockets-not-visible"]["message"].endswith("psutil is not installed")
    assert spots["sockets-not-visible"]["remedy"] == "pip install psutil"


def test_addresses_that_only_psutil_could_list_are_an_error() -> None:
    answer = checked_while_refused("sock_diag", "rtnetlink")
    assert answer["cause"].endswith("psutil is not installed")
    assert answer["remedy"].startswith("pip install psutil")
