"""The Pythons of this machine that portcheck says it runs on."""

from __future__ import annotations

import os
import shutil
import subprocess
from functools import cache
from pathlib import Path

MINORS = (9, 10, 11, 12, 13, 14)


def minor(python: str) -> int:
    """12 for Python 3.12; 0 where it does not start, as a shim of pyenv without its Python."""
    argv = [python, "-I", "-c", "import sys; print(sys.version_info[1])"]
    return int(subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60).stdout or 0)


@cache
def interpreter(wanted: int) -> str | None:
    """A Python 3.WANTED of this machine."""
    pyenv = Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser()
    candidates = [*map(str, pyenv.glob(f"versions/3.{wanted}.*/bin/python")), shutil.which(f"python3.{wanted}")]
    return next((python for python in candidates if python and minor(python) == wanted), None)
