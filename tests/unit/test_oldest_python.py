"""Nothing in the package is newer than the oldest Python that pyproject.toml allows, whether a test runs it or not."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
VERMIN = Path(sys.executable).with_name("vermin")
GUARDED = ("tomllib",)  # portcheck/toml.py imports it where it is


def oldest() -> str:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return str(project["requires-python"]).removeprefix(">=")


def newer_than(version: str, path: Path) -> str:
    """What vermin complains of: syntax, modules, functions and arguments that came later."""
    excluded = [word for name in GUARDED for word in ("--exclude", name)]
    argv = [str(VERMIN), "-q", "--no-tips", "--violations", f"-t={version}-", *excluded, str(path)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=120)
    assert done.stderr == ""
    return done.stdout if done.returncode else ""


def test_the_package_runs_on_the_oldest_python() -> None:
    assert newer_than(oldest(), ROOT / "portcheck") == ""


@pytest.mark.parametrize(
    "text",
    [
        "match 1:\n    case 1: pass\n",
        "zip([], [], strict=True)\n",
        "from itertools import pairwise\n",
    ],
)
def test_what_is_newer_is_seen(text: str, tmp_path: Path) -> None:
    (tmp_path / "module.py").write_text(text)
    assert newer_than(oldest(), tmp_path / "module.py")


def unions_at_run_time(text: str) -> list[int]:
    """Lines of `isinstance(x, int | str)`, which vermin takes for arithmetic."""
    calls = (node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call) and len(node.args) == 2)
    return [
        node.lineno
        for node in calls
        if ast.unparse(node.func) in ("isinstance", "issubclass") and isinstance(node.args[1], ast.BinOp)
    ]


def test_no_union_is_a_value() -> None:
    files = sorted((ROOT / "portcheck").rglob("*.py"))
    assert [path for path in files if unions_at_run_time(path.read_text(encoding="utf-8"))] == []


def test_a_union_as_a_value_is_seen() -> None:
    assert unions_at_run_time("isinstance(1, int | str)\n") == [1]
