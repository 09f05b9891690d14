"""The oldest versions that pyproject.toml allows, installed exactly, and portcheck run with them."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CHOSEN = [
    "tests/unit/test_command_line.py",
    "tests/unit/test_render_human.py",
    "tests/system/test_differential_psutil.py",
    "tests/cli/test_stories.py",
]


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python with portcheck and exactly the floors."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    floors = [re.sub(r">=([\d.]+)[^;]*", r"==\1", wanted, count=1) for wanted in project["dependencies"]]
    assert all("==" in floor.partition(";")[0] for floor in floors), floors
    directory = tmp_path_factory.mktemp("floors")
    subprocess.run([sys.executable, "-m", "venv", directory], check=True)
    made = directory / "bin" / "python"
    # With the newest click the oldest typer runs too, but uses what that calls deprecated: a warning is an error here.
    needs = ["click<8.2", "pytest", "hypothesis", "jsonschema"]
    quiet = ["--quiet", "--disable-pip-version-check"]
    subprocess.run([made, "-m", "pip", "install", *quiet, *floors, *needs, "--editable", ROOT], check=True)
    return made


@pytest.mark.parametrize("chosen", CHOSEN)
def test_the_floors_hold(python: Path, chosen: str) -> None:
    done = subprocess.run(
        [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", chosen],
        cwd=ROOT, capture_output=True, text=True, timeout=400, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout
