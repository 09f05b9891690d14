"""Without typer, rich and psutil every command still works on Linux, mistakes and help included."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from support.every_command import LINES, WITH_JSON, declare
from support.namespaces import Host
from support.needs import need
from support.portcheck_command import PORTCHECK

import portcheck
from portcheck.cli.options import COMMANDS
from portcheck.observe.linux import rare_holders

ROOT = Path(__file__).parents[2]
PROGRAM = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from portcheck.__main__ import main; main()"
WITHOUT = [sys.executable, "-I", "-S", "-c", PROGRAM]  # no site-packages: nothing is installed


@pytest.fixture
def busy(host: Host, tmp_path: Path) -> tuple[Host, Path]:
    """A host on which 8000 is held, and a project that declares it."""
    host.hold("127.0.0.1", 8000)
    declare(tmp_path)
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


# What differs at a terminal.
AT_A_TERMINAL = {
    "check 8000": "8000 is in use by python3",
    "check 8001": "8001 is free",
    "list": "PORT ADDRESS PROGRAM PID USER AGE",
    "stop 8000 --dry-run": "plan: send it SIGTERM",
    "wait 8000 --free --timeout 0": "timed out after 0 s: 8000 is in use by python3",
}


@pytest.mark.parametrize("line", LINES)
def test_a_terminal_gets_its_face_all_the_same(busy: tuple[Host, Path], line: str) -> None:
    need("script")
    host, project = busy
    code, words = LINES[line]
    words = AT_A_TERMINAL.get(line, words)
    typed = shlex.join([*WITHOUT, *shlex.split(line)])
    done = host.run(
        ["script", "-qec", typed, "/dev/null"], check=False, cwd=project, env={"TERM": "xterm", "NO_COLOR": "1"}
    )
    assert (done.returncode, words in " ".join(done.stdout.split())) == (code, True), done


@pytest.mark.parametrize("line", WITH_JSON)
def test_json(busy: tuple[Host, Path], line: str) -> None:
    host, project = busy
    done = host.run([*WITHOUT, *shlex.split(line), "--json"], check=False, cwd=project)
    assert (done.returncode, json.loads(done.stdout)["schema_version"]) == (LINES[line][0], 1), done


@pytest.mark.parametrize("line", ["", "--help", "-h", "check --help", "run --help", "help stop", "kill --help"])
def test_help_is_what_typer_prints(line: str) -> None:
    ways = (WITHOUT, [str(PORTCHECK)])
    without, by_typer = (
        subprocess.run([*way, *shlex.split(line)], capture_output=True, text=True, timeout=60, check=False)
        for way in ways
    )
    assert without.stdout.startswith("Usage: portcheck")
    assert (without.returncode, without.stdout) == (by_typer.returncode, by_typer.stdout)
    assert without.stderr == ""


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
import errno, sys
sys.path[:0] = [{root!r}, {tests!r}]
from support import seccomp
seccomp.refuse(seccomp.numbers()["socket"], errno.EPERM, first=16)
sys.path[:] = [place for place in sys.path if "site-packages" not in place]
from portcheck.__main__ import main
main()
"""


@pytest.mark.parametrize("line", LINES)
def test_where_netlink_is_refused_every_command_works_too(busy: tuple[Host, Path], line: str) -> None:
    """/proc/net is read instead: no psutil is needed for it."""
    host, project = busy
    code, words = LINES[line]
    program = REFUSED.format(root=str(ROOT), tests=str(ROOT / "tests"))
    done = host.run([sys.executable, "-c", program, *shlex.split(line)], check=False, cwd=project)
    assert (done.returncode, words in done.stdout + done.stderr) == (code, True), done


WITHOUT_CTYPES = "import sys; sys.modules['ctypes'] = None; from portcheck.__main__ import main; sys.exit(main())"


def test_a_python_without_ctypes_still_looks(busy: tuple[Host, Path]) -> None:
    """As a static one is built: every socket's holders are named, and `run` says why it starts nothing."""
    host, project = busy
    argv = [sys.executable, "-c", WITHOUT_CTYPES]
    looked, plain = (host.run([*way, "list", "--json"], check=False, cwd=project) for way in (argv, WITHOUT))
    assert (looked.returncode, json.loads(looked.stdout)) == (0, json.loads(plain.stdout))
    ran = host.run([*argv, "run", "8090", "--", "echo", "started"], check=False, cwd=project)
    assert (ran.returncode, ran.stdout) == (125, "")
    assert "without ctypes" in ran.stderr


def test_rare_holders_are_looked_for_without_ctypes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ctypes", None)
    (holders, *_), _ = rare_holders.search(frozenset(["socket:[0]"]))
    assert holders == {}
