"""Wheel and sdist: what is in them, that they are the same whenever they are built, and that what they install runs."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest
from support.namespaces import Host
from support.pythons import MINORS, interpreter
from support.release_tools import ROOT, environment, run

from portcheck.observe.ourselves import DISTRIBUTION, NAMES

EPOCH = "1700000000"
SHARED = {
    "share/man/man1/portcheck.1",
    "share/man/man1/whyport.1",
    "share/bash-completion/completions/portcheck",
    "share/bash-completion/completions/whyport",
    "share/fish/vendor_completions.d/portcheck.fish",
    "share/fish/vendor_completions.d/whyport.fish",
    "share/zsh/site-functions/_portcheck",
    "share/doc/whyport/README.md",
    "share/doc/whyport/docs/install.md",
    "share/doc/whyport/docs/reference.md",
}


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both, the wheel made from the sdist as `python -m build` does."""
    folder = tmp_path_factory.mktemp("dist")
    run("python", "-m", "build", "--no-isolation", "--outdir", folder, env={"SOURCE_DATE_EPOCH": EPOCH})
    return folder


@pytest.fixture(scope="module")
def wheel(dist: Path) -> Path:
    (path,) = dist.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def sdist(dist: Path) -> Path:
    (path,) = dist.glob("*.tar.gz")
    return path


def test_the_checkers_have_nothing_to_say(wheel: Path, sdist: Path) -> None:
    run("twine", "check", "--strict", wheel, sdist)
    assert run("check-wheel-contents", wheel).stdout.strip() == f"{wheel}: OK"


def test_both_have_all_that_belongs_to_them(wheel: Path, sdist: Path) -> None:
    inside = zipfile.ZipFile(wheel).namelist()
    assert {"portcheck/py.typed", "portcheck/schema.json"} <= set(inside)
    assert {name.partition(".data/data/")[2] for name in inside} >= SHARED
    (entry_points,) = (name for name in inside if name.endswith("entry_points.txt"))
    text = zipfile.ZipFile(wheel).read(entry_points).decode()
    assert re.findall(r"^(\w+) = portcheck\.__main__:main$", text, re.MULTILINE) == [*NAMES]
    with tarfile.open(sdist) as archive:
        source = {name.partition("/")[2] for name in archive.getnames()}
    assert {"tests/conftest.py", "scripts/release", "requirements/run.txt", "docs/install.md", "LICENSE"} <= source
    assert not [name for name in (*inside, *source) if "__pycache__" in name or ".venv" in name]


def test_a_build_elsewhere_and_at_another_time_gives_the_same_bytes(dist: Path, sdist: Path, tmp_path: Path) -> None:
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    (source,) = tmp_path.iterdir()
    os.utime(source / "portcheck" / "model.py")  # an hour that no archive has
    run("python", "-m", "build", "--no-isolation", cwd=source, env={"SOURCE_DATE_EPOCH": EPOCH})
    again = {path.name: path.read_bytes() for path in (source / "dist").iterdir()}
    assert again == {path.name: path.read_bytes() for path in dist.iterdir()}


@pytest.mark.parametrize("kind", ["wheel", "sdist"])
@pytest.mark.parametrize("minor", MINORS, ids=lambda minor: f"3.{minor}")
def test_what_is_installed_runs(minor: int, kind: str, wheel: Path, sdist: Path, tmp_path: Path) -> None:
    python = interpreter(minor)
    if python is None:
        pytest.skip(f"no Python 3.{minor} on this machine")
    place = tmp_path / "installed"
    run("uv", "venv", "--quiet", "--python", python, place)
    run("uv", "pip", "install", "--quiet", "--python", place / "bin" / "python", wheel if kind == "wheel" else sdist)
    assert all((place / name).is_file() for name in SHARED)
    _runs(place / "bin")


def _runs(folder: Path) -> None:
    """Both names, from anywhere, as what they were called by."""
    for name in NAMES:
        assert said(folder / name, "pick", "--any").strip().isdigit()
        assert said(folder / name, "--help").startswith(f"Usage: {name} [COMMAND]")
        assert json.loads(said(folder / name, "--json", "1-2", "--no-probe", code=None))["schema_version"] == 1
        assert "compdef" in said(folder / name, "--show-completion", "zsh")


def said(program: Path, *arguments: str, code: int | None = 0) -> str:
    done = subprocess.run([program, *arguments], cwd="/", capture_output=True, text=True, check=False, timeout=60)
    assert code in (None, done.returncode), done
    return done.stdout


def test_the_ten_commands_on_the_oldest_python(wheel: Path, host: Host, tmp_path: Path) -> None:
    """tests/elsewhere, as far as it is not about Windows and macOS: as workflows run it there."""
    python = interpreter(MINORS[0])
    if python is None:
        pytest.skip(f"no Python 3.{MINORS[0]} on this machine")
    run("uv", "venv", "--quiet", "--python", python, tmp_path)
    installed = tmp_path / "bin" / "python"
    run("uv", "pip", "install", "--quiet", "--python", installed, wheel, "pytest")
    elsewhere = ROOT / "tests" / "elsewhere"
    done = host.run([str(installed), "-m", "pytest", "-c", f"{elsewhere}/pytest.ini", str(elsewhere)], check=False)
    assert "7 passed, 6 skipped" in done.stdout, done.stdout
    assert done.returncode == 0


def test_uvx_and_uv_tool(wheel: Path, tmp_path: Path) -> None:
    folder = tmp_path / "bin"
    uv = {"UV_TOOL_DIR": str(tmp_path / "tools"), "UV_TOOL_BIN_DIR": str(folder)}
    done = run("uvx", "--from", wheel, DISTRIBUTION, "pick", "--any", env=uv)
    assert done.stdout.splitlines()[-1].isdigit()
    run("uv", "tool", "install", "--quiet", wheel, env=uv)
    assert {path.name for path in folder.iterdir()} == set(NAMES)
    assert _hint(folder / DISTRIBUTION, tmp_path) == 'uv tool install --force "whyport[preflight]"'


def test_pipx(wheel: Path, tmp_path: Path) -> None:
    folder = tmp_path / "bin"
    run("pipx", "install", wheel, env={"PIPX_HOME": str(tmp_path / "home"), "PIPX_BIN_DIR": str(folder)})
    assert {path.name for path in folder.iterdir()} == set(NAMES)
    assert said(folder / DISTRIBUTION, "pick", "--any").strip().isdigit()
    assert _hint(folder / DISTRIBUTION, tmp_path) == 'pipx install --force "whyport[preflight]"'


def _hint(program: Path, project: Path) -> str:
    """What it says where a file needs the extra."""
    (project / "compose.yaml").write_text('services: {web: {image: x, ports: ["8000:80"]}}\n')
    argv = [str(program), "preflight", "--no-docker"]
    done = subprocess.run(argv, cwd=project, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 3, done
    return done.stderr.splitlines()[1].removeprefix("  → ")


def test_the_second_name_is_completed_and_has_a_manual_page(wheel: Path, tmp_path: Path) -> None:
    """As shells and man look for them: by the name of the command."""
    python = interpreter(11) or shutil.which("python3")
    run("uv", "venv", "--quiet", "--python", python or "python3", tmp_path)
    run("uv", "pip", "install", "--quiet", "--no-deps", "--python", tmp_path / "bin" / "python", wheel)
    script = tmp_path / "share/bash-completion/completions/whyport"
    line = 'COMP_WORDS=(whyport st) COMP_CWORD=1 COMP_LINE="whyport st" COMP_POINT=10 COMP_TYPE=9'
    ask = f'. {script}; complete -p whyport; {line}; _portcheck whyport; echo "${{COMPREPLY[*]}}"'
    variables = {**environment(), "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}"}
    done = subprocess.run(["bash", "--norc", "-c", ask], env=variables, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["complete -F _portcheck whyport", "stop"]
    page = (tmp_path / "share/man/man1/whyport.1").read_text().split()
    assert page == [".so", "man1/portcheck.1"]
    assert (tmp_path / "share/man" / page[1]).is_file()


def test_fish_completes_the_second_name(wheel: Path, tmp_path: Path) -> None:
    if shutil.which("fish") is None:
        pytest.skip("needs fish")
    run("uv", "venv", "--quiet", tmp_path)
    run("uv", "pip", "install", "--quiet", "--no-deps", "--python", tmp_path / "bin" / "python", wheel)
    folder = tmp_path / "share/fish/vendor_completions.d"
    ask = f"set fish_complete_path {folder}; complete --do-complete 'whyport st'"
    variables = {"PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}", "HOME": str(tmp_path)}
    done = run("fish", "--no-config", "-c", ask, env=variables)
    assert done.stdout.startswith("stop\t")


def test_the_name_is_in_one_place(wheel: Path) -> None:
    """pyproject.toml cannot import it; everything else that tells it is held to the same."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["name"] == DISTRIBUTION == wheel.name.partition("-")[0]
    assert [*project["scripts"]] == [*NAMES]
