"""The core on every Python that it says it runs on: each one that is on this machine, without any package installed."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from support.namespaces import Host
from support.processes import HOLDER, SYSTEM_PYTHON
from support.pythons import MINORS, interpreter, minor

ROOT = Path(__file__).parents[2]
PROGRAM = "import sys; sys.path.insert(0, sys.argv.pop(1)); from portcheck.__main__ import main; main()"
HELD, FREE = "3000", "4000"
PICK = ("pick", "--any", "--lease=0", FREE)


class Line(NamedTuple):
    """A command line, and the exit code of the contract."""

    args: tuple[str, ...]
    code: int


CORE = [
    Line((HELD,), 1),
    Line(("-v", HELD), 1),
    Line(("--json", HELD), 1),
    Line((FREE,), 0),
    Line(("--json", f"{FREE}-4002", "53/udp"), 1),
    Line(("--no-probe", f"127.0.0.1:{HELD}"), 1),
    Line(("list",), 0),
    Line(("list", "--json"), 0),
    Line(("list", "--pids", HELD), 0),
    Line(("watch", "--for", "0"), 0),
    Line(("watch", "--for", "0", "--exit-on", "opened", "--json"), 124),
    Line(("pick", "--lease=0", f"{HELD}-3002"), 0),
    Line(("pick", "--json", HELD), 1),
    Line(("70000",), 2),
    Line(("wait", HELD), 0),
    Line(("wait", HELD, "--json"), 0),
    Line(("wait", FREE, "--free", "--json"), 0),
    Line(("wait", FREE, "--timeout", "0.2"), 124),
    Line(("run", "--lease=0", f"{HELD}-3002", "--", "sh", "-c", "echo $PORT"), 0),
    Line(("run", "--lease=0", "--listen", FREE, "--", "sh", "-c", "echo $LISTEN_FDS"), 0),
    Line(("run", "--lease=0", FREE, "--", "/nowhere"), 127),
    Line(("stop", HELD, "--dry-run"), 0),
    Line(("stop", HELD, "--dry-run", "--json"), 0),
    Line(("preflight", "--no-docker"), 1),
    Line(("preflight", "--no-docker", "--json"), 1),
    Line(("preflight", "--no-docker", "--format", "github"), 1),
    Line(("preflight", "--no-docker", "--format", "junit"), 1),
    Line(("stop", HELD, "--nonsense"), 2),
    Line(("--help",), 0),
]


@pytest.fixture(params=MINORS, ids=lambda minor: f"3.{minor}")
def python(request: pytest.FixtureRequest) -> str:
    path = interpreter(request.param)
    if path is None:
        pytest.skip(f"no Python 3.{request.param} on this machine")
    return path


@pytest.fixture(scope="module")
def shared_host(project: Path) -> Iterator[Host]:
    """One host for all: nothing that is asked here changes it."""
    with Host(link_local=False) as made:
        for words in (("127.0.0.1", HELD), ("::1", "53", "udp")):
            made.start([SYSTEM_PYTHON, "-c", HOLDER, *words], ready=b"ready", cwd=project.parent)
        yield made


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nothing that takes a library to read; TOML does, before Python 3.11."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "Procfile").write_text(f"web: gunicorn -b 0.0.0.0:{HELD} app\napi: gunicorn -b 127.0.0.1:{FREE} app\n")
    return folder


def asked(host: Host, python: str, project: Path, args: tuple[str, ...]) -> tuple[int, str, str]:
    """Exit code and both outputs, of a Python that sees no site-packages and takes every warning for an error."""
    argv = [python, "-I", "-S", "-W", "error", "-c", PROGRAM, str(ROOT), *args]
    done = host.run(argv, check=False, cwd=project)
    return done.returncode, timeless(done.stdout), timeless(done.stderr)


def timeless(text: str) -> str:
    """Without how long it took."""
    return re.sub(r'("seconds": |time=")[\d.]+', r"\1N", text)


@pytest.mark.parametrize("line", CORE, ids=lambda line: " ".join(line.args))
def test_every_python_says_the_same(python: str, line: Line, shared_host: Host, project: Path) -> None:
    answer = asked(shared_host, python, project, line.args)
    assert answer[0] == line.code, answer
    assert answer == asked(shared_host, sys.executable, project, line.args)


def test_toml_is_read_or_what_is_missing_is_said(python: str, shared_host: Host, tmp_path: Path) -> None:
    (tmp_path / "portcheck.toml").write_text(f"[ports]\nweb = {FREE}\n")
    code, out, err = asked(shared_host, python, tmp_path, ("preflight", "--no-docker"))
    if minor(python) >= 11:
        assert (code, err) == (0, "")
        assert FREE in out
    else:
        assert (code, err.splitlines()[0]) == (3, "portcheck: portcheck.toml: reading it needs tomli")


def test_a_projects_name_is_read_without_a_parser_of_toml(python: str, host: Host, tmp_path: Path) -> None:
    """tomllib is not there before 3.11, and slow on what strangers write."""
    shop = tmp_path / "shop"
    shop.mkdir()
    (shop / "pyproject.toml").write_text('[project]\nname = "shop-api"\n')
    host.start([SYSTEM_PYTHON, "-c", HOLDER, "127.0.0.1", HELD], ready=b"ready", cwd=shop)
    code, out, err = asked(host, python, tmp_path, ("--json", HELD))
    assert (code, err) == (1, "")
    (owner,) = json.loads(out)["results"][0]["owners"]
    assert owner["project"] == "shop-api"


IMPORT_ALL = """
import importlib, pkgutil, sys
sys.path.insert(0, sys.argv[1])
import portcheck
for module in pkgutil.walk_packages(portcheck.__path__, "portcheck."):
    if module.name != "portcheck.__main__":
        try:
            importlib.import_module(module.name)
        except ModuleNotFoundError as missing:
            assert not missing.name.startswith("portcheck"), missing
        print(module.name)
"""


def test_every_module_can_be_imported(python: str, shared_host: Host) -> None:
    """Those of other systems too; what wants a library that is not there has got as far as asking for it."""
    done = shared_host.run([python, "-I", "-S", "-W", "error", "-c", IMPORT_ALL, str(ROOT)])
    assert (done.stderr, "portcheck.observe.windows.netsh" in done.stdout.split()) == ("", True)


def test_a_terminal_has_its_face_without_any_library(python: str, shared_host: Host, project: Path) -> None:
    argv = " ".join([python, "-I", "-S", "-W", "error", "-c", f"'{PROGRAM}'", str(ROOT), HELD])
    environment = {"TERM": "xterm", "NO_COLOR": "1", "LC_ALL": "C.UTF-8"}
    on_terminal = shared_host.run(["script", "-qec", argv, "/dev/null"], check=False, cwd=project, env=environment)
    assert on_terminal.returncode == 1
    assert on_terminal.stdout.startswith(f"✗ {HELD} is in use by python3")


@pytest.fixture(scope="module")
def oldest() -> str:
    path = interpreter(MINORS[0])
    if path is None:
        pytest.skip(f"no Python 3.{MINORS[0]} on this machine")
    return path


@pytest.fixture(scope="module")
def installed(oldest: str, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """scripts/portcheck of a fresh checkout, by the oldest Python and the lock."""
    checkout = tmp_path_factory.mktemp("checkout")
    for name in ("portcheck", "requirements", "scripts"):
        shutil.copytree(ROOT / name, checkout / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("LICENSE", "README.md", "pyproject.toml"):
        shutil.copy(ROOT / name, checkout)
    script = ["env", f"PYTHON={oldest}", str(checkout / "scripts" / "portcheck")]
    first = subprocess.run([*script, *PICK], capture_output=True, text=True, check=False, timeout=300)
    assert first.stdout.strip().isdigit(), first.stderr
    assert first.stderr.splitlines() == [f"portcheck: setting up {checkout / '.venv' / 'run'} (once)"]
    return script


def test_the_lock_installs_on_the_oldest_python(installed: list[str]) -> None:
    done = subprocess.run([*installed, *PICK], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout.strip().isdigit(), done.stderr) == (0, True, "")


def test_a_link_to_it_will_do(installed: list[str], tmp_path: Path) -> None:
    *environment, script = installed
    (tmp_path / "portcheck").symlink_to(script)
    argv = [*environment, str(tmp_path / "portcheck"), *PICK]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout.strip().isdigit(), done.stderr) == (0, True, "")


def test_help_on_the_oldest_python(installed: list[str]) -> None:
    done = subprocess.run([*installed, "stop", "--help"], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert "--dry-run" in done.stdout


def test_pip_finds_a_release_of_everything_for_the_oldest_python(oldest: str, tmp_path: Path) -> None:
    subprocess.run([oldest, "-m", "venv", tmp_path / "venv"], check=True)
    python = str(tmp_path / "venv" / "bin" / "python")
    argv = [python, "-m", "pip", "install", "--quiet", "--dry-run", str(ROOT)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
