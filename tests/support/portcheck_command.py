"""The command under test: as it is installed, and as other users of this machine can run it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from support.processes import SYSTEM_PYTHON

PORTCHECK = Path(sys.executable).with_name("portcheck")
PACKAGE = Path(__file__).parents[2] / "portcheck"


@contextmanager
def package_for_everyone(directory: Path) -> Iterator[list[str]]:
    """A command line that runs this portcheck, without its libraries, for users who cannot read this checkout."""
    if not Path(SYSTEM_PYTHON).exists():
        pytest.skip(f"needs {SYSTEM_PYTHON}")
    new_enough = subprocess.run([SYSTEM_PYTHON, "-c", "import sys; sys.exit(sys.version_info < (3, 9))"], check=False)
    if new_enough.returncode:
        pytest.skip(f"needs {SYSTEM_PYTHON} 3.9 or later")
    shutil.copytree(PACKAGE, directory / "portcheck", ignore=shutil.ignore_patterns("__pycache__"))
    for path in (directory, *directory.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    yield ["env", f"PYTHONPATH={directory}", "PYTHONDONTWRITEBYTECODE=1", SYSTEM_PYTHON, "-m", "portcheck"]
