"""The scripts on a machine that lacks something: one clear line, never a traceback."""

from __future__ import annotations

import shutil
import subprocess
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
