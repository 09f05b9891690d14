"""Commands of ours as they have to be typed here, and what installs what is missing."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from portcheck.observe import ourselves

STOP = ("portcheck", "stop", "3000")


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    monkeypatch.setattr(ourselves, "_called_as", None)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.chdir(tmp_path)
    return monkeypatch


def program(path: Path, mode: int = 0o755) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(mode)
    return str(path)


def test_a_command_on_the_path_is_called_by_its_name(called: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = program(tmp_path / "bin" / "portcheck")
    called.setattr(sys, "argv", [path])
    assert ourselves.as_called(STOP) == STOP
    assert ourselves.as_called(("sudo", *STOP)) == ("sudo", path, "stop", "3000")
    assert ourselves.as_called(("kill", "812")) == ("kill", "812")


def test_one_that_is_not_on_the_path_by_its_own(called: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program(tmp_path / "bin" / "portcheck")  # another one
    path = program(tmp_path / "venv" / "bin" / "portcheck")
    called.setattr(sys, "argv", [path])
    assert ourselves.as_called(STOP) == (path, "stop", "3000")


def test_a_script_that_starts_it_says_how_it_was_called(called: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program(tmp_path / "scripts" / "portcheck")
    called.setattr(ourselves, "_called_as", "scripts/portcheck")
    assert ourselves.as_called(STOP)[0] == "scripts/portcheck"
    assert ourselves.as_called(("sudo", *STOP))[1] == str(tmp_path / "scripts" / "portcheck")


@pytest.mark.parametrize("file", ["whyport", "whyport.exe"])
def test_by_the_other_name(called: pytest.MonkeyPatch, tmp_path: Path, file: str) -> None:
    path = program(tmp_path / "bin" / file)
    called.setattr(sys, "argv", [path])
    assert ourselves.as_called(STOP) == (file, "stop", "3000")
    assert ourselves.as_called(("sudo", *STOP)) == ("sudo", path, "stop", "3000")
    assert ourselves.in_our_name("portcheck 80 is portcheck check 80") == "whyport 80 is whyport check 80"


def test_a_name_that_is_not_ours_is_not_shown(called: pytest.MonkeyPatch) -> None:
    called.setattr(sys, "argv", ["/x/server.py"])
    assert ourselves.in_our_name("portcheck 80, portcheck.toml") == "portcheck 80, portcheck.toml"


def test_as_a_module(called: pytest.MonkeyPatch) -> None:
    called.setattr(sys, "argv", ["/x/portcheck/__main__.py"])
    assert ourselves.as_called(("sudo", *STOP)) == ("sudo", sys.executable, "-m", *STOP)


@pytest.mark.parametrize(("mode", "typed"), [(0o755, ("./a.pyz",)), (0o644, (sys.executable, "./a.pyz"))])
def test_as_one_file(called: pytest.MonkeyPatch, tmp_path: Path, mode: int, typed: tuple[str, ...]) -> None:
    if os.access(program(tmp_path / "a.pyz", mode), os.X_OK) is (mode == 0o644):
        pytest.skip("every file can be run here")
    called.setattr(sys, "argv", ["a.pyz"])
    assert ourselves.as_called(STOP) == (*typed, "stop", "3000")


@pytest.mark.parametrize("argv0", ["/usr/lib/python3/pytest/__main__.py", "", "server.py"])
def test_for_another_program_it_is_just_portcheck(called: pytest.MonkeyPatch, argv0: str) -> None:
    called.setattr(sys, "argv", [argv0])
    assert ourselves.as_called(STOP) == STOP


@pytest.mark.parametrize(
    ("file", "text", "hint"),
    [
        ("pipx_metadata.json", "{}", 'pipx install --force "whyport[preflight]"'),
        ("uv-receipt.toml", "", 'uv tool install --force "whyport[preflight]"'),
        ("pyvenv.cfg", "home = /x\nuv = 0.4\n", f'uv pip install --python {sys.executable} "whyport[preflight]"'),
        ("pyvenv.cfg", "home = /x\n", f'{sys.executable} -m pip install "whyport[preflight]"'),
    ],
)
def test_a_hint_is_for_the_environment_that_runs(
    called: pytest.MonkeyPatch, tmp_path: Path, file: str, text: str, hint: str
) -> None:
    (tmp_path / file).write_text(text)
    called.setattr(sys, "prefix", str(tmp_path))
    assert ourselves.install_hint("PyYAML", "preflight") == hint
    assert ourselves.install_hint("psutil").endswith(" whyport")


def test_a_python_of_the_system_takes_no_pip(called: pytest.MonkeyPatch) -> None:
    called.setattr(sys, "prefix", sys.base_prefix)
    called.setattr(ourselves, "_is_managed_by_the_system", lambda: True)
    assert ourselves.install_hint("PyYAML", "preflight") == 'pipx install "whyport[preflight]"'


def test_the_one_file_points_to_the_full_one(called: pytest.MonkeyPatch, tmp_path: Path) -> None:
    called.setattr(ourselves, "__file__", str(tmp_path / "portcheck.pyz" / "portcheck" / "observe" / "ourselves.py"))
    assert ourselves.install_hint("PyYAML", "preflight") == "portcheck-full.pyz has it"
    assert ourselves.install_hint("pyjson5", "preflight").endswith('install "whyport[preflight]"')


def test_debians_package_takes_debians_packages(called: pytest.MonkeyPatch) -> None:
    place = Path(f"{ourselves.DEBIAN}portcheck/observe/ourselves.py")
    called.setattr(ourselves, "__file__", str(place))
    called.setattr(os.path, "exists", lambda path: path == str(place))
    assert ourselves.install_hint("PyYAML", "preflight") == "sudo apt install python3-yaml"
