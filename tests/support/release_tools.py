"""What releases are built and checked with: requirements/release.txt, in an environment of its own."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SET_UP = 'checkout=$1; . "$checkout/scripts/environment.sh"; environment "$checkout/.venv/release" release 11'
SETTING_UP = 600  # seconds, once


@cache
def tools() -> Path:
    """The folder of their programs."""
    done = subprocess.run(
        ["sh", "-c", SET_UP, "sh", ROOT], capture_output=True, text=True, check=False, timeout=SETTING_UP
    )
    if done.returncode:
        pytest.skip(f"needs the tools of requirements/release.txt: {done.stderr[-300:]}")
    return ROOT / ".venv" / "release" / "bin"


@cache
def environment() -> dict[str, str]:
    """With these programs first on the PATH, and for uv the index and the certificates that pip is set up to use."""
    script = '. "$1/scripts/environment.sh"; environment_uv "$1/.venv/release"; env -0'
    variables = {**os.environ, "PATH": f"{tools()}{os.pathsep}{os.environ['PATH']}"}
    argv = ["sh", "-c", script, "sh", str(ROOT)]
    shown = subprocess.run(argv, env=variables, capture_output=True, text=True, check=True, timeout=60).stdout
    return dict(line.split("=", 1) for line in shown.split("\0") if line)


def run(
    *argv: str | Path,
    cwd: Path = ROOT,
    check: bool = True,
    timeout: float = 240,
    env: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """A program among them, or any other, with what it has said on both streams."""
    done = subprocess.run(
        [*map(str, argv)], cwd=cwd, env={**environment(), **(env or {})}, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, timeout=timeout,
    )  # fmt: skip
    assert not check or done.returncode == 0, f"{argv}: {done.stdout}"
    return done
