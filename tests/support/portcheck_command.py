"""The command under test: as it is installed, and as other users of this machine can run it."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import distributions
from pathlib import Path

import pytest

from support.processes import SYSTEM_PYTHON

PORTCHECK = Path(sys.executable).with_name("portcheck")
PACKAGE = Path(__file__).parents[2] / "portcheck"


def requirements_for_everyone(directory: Path) -> None:
    """What portcheck's command line imports, beside a package that is for everyone."""
    names, seen = ["typer"], set[str]()
    while names:
        name = re.split(r"[^\w.-]", names.pop())[0]
        if name in seen or not (found := next(iter(distributions(name=name)), None)):
            continue
        seen.add(name)
        names += [line for line in found.requires or () if "extra" not in line]
        for file in found.files or ():
            if ".." not in file.parts and file.suffix in (".py", ".so"):
                (directory / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(str(found.locate_file(file)), directory / file)
    loads = subprocess.run([SYSTEM_PYTHON, "-c", "import typer"], env={"PYTHONPATH": str(directory)}, check=False)
    if loads.returncode:
        pytest.skip(f"{SYSTEM_PYTHON} is another version than the Python of these tests")


@contextmanager
def package_for_everyone(directory: Path, *, typer: bool = False) -> Iterator[list[str]]:
    """A command line that runs this portcheck for users who cannot read this checkout or its environment.

    Without `typer` it takes plain `check`, `pick` and `list` lines only.
    """
    if not Path(SYSTEM_PYTHON).exists():
        pytest.skip(f"needs {SYSTEM_PYTHON}")
    new_enough = subprocess.run([SYSTEM_PYTHON, "-c", "import sys; sys.exit(sys.version_info < (3, 11))"], check=False)
    if new_enough.returncode:
        pytest.skip(f"needs {SYSTEM_PYTHON} 3.11 or later")
    shutil.copytree(PACKAGE, directory / "portcheck", ignore=shutil.ignore_patterns("__pycache__"))
    if typer:
        requirements_for_everyone(directory)
    for path in (directory, *directory.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    yield ["env", f"PYTHONPATH={directory}", "PYTHONDONTWRITEBYTECODE=1", SYSTEM_PYTHON, "-m", "portcheck"]
