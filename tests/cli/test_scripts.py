"""The scripts on a machine that lacks something: one clear line, never a traceback."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOOLS = ("cat", "cksum", "dirname", "flock", "mkdir", "rm", "sh")
OLD = "#!/bin/sh\nexit 1\n"
WITHOUT_VENV = """#!/bin/sh
case "$*" in
    *version_info*) exit 0 ;;
    *) echo "Error: Command '...ensurepip' returned non-zero exit status 1." >&2; exit 1 ;;
esac
"""


@pytest.mark.parametrize(
    ("python", "cause"),
    [
        (None, "Python {} or later is needed, and none was found"),
        (OLD, "Python {} or later is needed, and none was found"),
        (WITHOUT_VENV, "apt install python3-venv"),
    ],
    ids=["no Python", "an old Python", "no venv module"],
)
@pytest.mark.parametrize(("script", "oldest"), [("portcheck", "3.9"), ("test", "3.11")])
def test_what_is_missing_is_one_clear_line(
    tmp_path: Path, script: str, oldest: str, python: str | None, cause: str
) -> None:
    copy, tools = tmp_path / "copy", tmp_path / "bin"
    shutil.copytree(ROOT / "scripts", copy / "scripts")
    shutil.copytree(ROOT / "requirements", copy / "requirements")
    shutil.copy(ROOT / "pyproject.toml", copy)
    tools.mkdir()
    for tool in TOOLS:
        (tools / tool).symlink_to(str(shutil.which(tool)))
    if python:
        (tools / "python3").write_text(python)
        (tools / "python3").chmod(0o755)
    done = subprocess.run(
        [str(copy / "scripts" / script), "80"],
        env={"PATH": str(tools)}, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    lines = done.stderr.splitlines()
    assert (done.returncode, done.stdout) == (1, "")
    assert cause.format(oldest) in lines[-1]
    assert lines[-1].startswith("portcheck: ")
    assert "Traceback" not in done.stderr


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout whose test environment is there already: its programs only say that they are run."""
    shutil.copytree(ROOT / "scripts", tmp_path / "scripts")
    shutil.copytree(ROOT / "requirements", tmp_path / "requirements")
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    programs = tmp_path / ".venv" / "test" / "bin"
    programs.mkdir(parents=True)
    for name in ("python", "ruff", "mypy"):
        (programs / name).write_text(f'#!/bin/sh\necho {name} "$@"\n')
        (programs / name).chmod(0o755)
    summed = ["sh", "-c", "cat pyproject.toml requirements/test.txt | cksum"]
    stamp = subprocess.run(summed, cwd=tmp_path, capture_output=True, text=True, check=True).stdout.strip()
    (tmp_path / ".venv" / "test" / "stamp").write_text(f"{stamp} {tmp_path}\n")
    return tmp_path


@pytest.mark.parametrize(
    ("args", "checked"),
    [((), True), (("--long",), True), (("-k", "word"), False), (("tests/unit/test_model.py::test_x", "-x"), False)],
    ids=["nothing", "--long", "-k", "a path"],
)
def test_chosen_tests_run_without_ceremony(checkout: Path, args: tuple[str, ...], checked: bool) -> None:
    done = subprocess.run(
        [str(checkout / "scripts" / "test"), *args], capture_output=True, text=True, timeout=60, check=False
    )
    *before, tests = done.stdout.splitlines()
    assert (done.returncode, done.stderr, tests) == (0, "", " ".join(["python -m pytest", *args]))
    assert {line.split()[0] for line in before} == ({"ruff", "mypy"} if checked else set())


def test_an_environment_is_made_again_from_its_own_python(tmp_path: Path) -> None:
    """With its bin directory first on the PATH, as after `activate`."""
    script = f'. "{ROOT}/scripts/environment.sh"; environment_create "{tmp_path}/venv" 11'
    tools = tmp_path / "tools"  # without uv
    tools.mkdir()
    for tool in TOOLS:
        (tools / tool).symlink_to(str(shutil.which(tool)))
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    path = f"{tmp_path / 'venv' / 'bin'}:{tools}"
    done = subprocess.run(
        ["sh", "-c", script], env={"PATH": path}, capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "venv" / "bin" / "pip").exists()


def test_what_pip_says_is_heard_only_where_it_fails(checkout: Path) -> None:
    script = f'. "{checkout}/scripts/environment.sh"; environment_pip "{checkout}/.venv/test" things; echo installed'
    quiet = subprocess.run(["sh", "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert (quiet.returncode, quiet.stdout, quiet.stderr) == (0, "installed\n", "")
    (checkout / ".venv" / "test" / "bin" / "python").write_text("#!/bin/sh\necho no such thing\nexit 1\n")
    loud = subprocess.run(["sh", "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert (loud.returncode, loud.stdout) == (1, "")
    assert loud.stderr.splitlines()[0] == "no such thing"
    assert loud.stderr.splitlines()[1].startswith("portcheck: pip could not install")


def test_the_report_on_the_newest_never_fails(tmp_path: Path) -> None:
    """Here without any Python at all."""
    for tool in (*TOOLS, "mktemp"):
        (tmp_path / tool).symlink_to(str(shutil.which(tool)))
    shutil.copytree(ROOT / "scripts", tmp_path / "copy" / "scripts")
    done = subprocess.run(
        [str(tmp_path / "copy" / "scripts" / "test-newest")],
        env={"PATH": str(tmp_path)}, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "newest: not tested: no environment\n")


@pytest.mark.parametrize(
    ("profile", "derandomized", "examples"), [("default", False, 100), ("ci", True, 100), ("busy", False, 20)]
)
def test_hypothesis_profiles(tmp_path: Path, profile: str, derandomized: bool, examples: int) -> None:
    (tmp_path / "test_settings.py").write_text(
        "from hypothesis import settings\n"
        "def test_settings():\n"
        "    chosen = settings()\n"
        f"    assert (chosen.derandomize, chosen.max_examples) == ({derandomized}, {examples})\n"
        "    assert chosen.deadline is None\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", ROOT / "pyproject.toml",
         "--rootdir", ROOT, "--confcutdir", ROOT, "-p", "conftest", tmp_path / "test_settings.py"],
        cwd=ROOT / "tests", env={**os.environ, "PORTCHECK_HYPOTHESIS": profile, "PYTHONPATH": str(ROOT / "tests")},
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
