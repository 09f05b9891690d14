"""The locks hold all that pyproject.toml asks for, each version with its hashes, and no word of where it came from."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from portcheck.observe.ourselves import IN_THE_FULL_FILE

ROOT = Path(__file__).parents[2]
BUILDS = ("hatchling", "editables", "pip")  # what an editable install takes
PYTHONS = {"run": range(9, 15), "test": range(11, 15), "docs": range(11, 15), "release": range(11, 15)}


def locked(name: str) -> list[Requirement]:
    """Every pin, with its marker."""
    text = (ROOT / "requirements" / f"{name}.txt").read_text(encoding="utf-8")
    return [Requirement(line.rstrip(" \\")) for line in text.splitlines() if re.match(r"\w", line)]


def wanted(name: str) -> Iterator[Requirement]:
    document = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    project = document["project"]
    extras = project["optional-dependencies"]
    more = {
        "test": [*extras["test"], *extras["preflight"]],
        "docs": extras["docs"],
        "release": document["dependency-groups"]["release"],
    }
    lines = (*project["dependencies"], *more.get(name, ()), *BUILDS)
    return (Requirement(line) for line in lines if not line.startswith(f"{project['name']}["))


@pytest.mark.parametrize("name", PYTHONS)
def test_one_version_of_all_that_is_wanted_for_each_python(name: str) -> None:
    pins = locked(name)
    for minor in PYTHONS[name]:
        here = {"python_version": f"3.{minor}", "python_full_version": f"3.{minor}.0"}
        versions: dict[str, list[str]] = {}
        for pin in pins:
            if pin.marker is None or pin.marker.evaluate(here):
                versions.setdefault(canonicalize_name(pin.name), []).append(str(pin.specifier).removeprefix("=="))
        assert [found for found in versions.items() if len(found[1]) > 1] == []
        for requirement in wanted(name):
            if requirement.marker is None or requirement.marker.evaluate(here):
                (version,) = versions[canonicalize_name(requirement.name)]
                assert requirement.specifier.contains(version), f"scripts/lock: {requirement} is locked to {version}"


def test_the_full_file_has_one_version_for_every_python() -> None:
    pins = locked("one-file")
    assert {canonicalize_name(pin.name) for pin in pins} == {*map(canonicalize_name, IN_THE_FULL_FILE)}
    assert [str(pin) for pin in pins if pin.marker] == []


@pytest.mark.parametrize("name", [*PYTHONS, "one-file"])
def test_every_version_has_its_hashes_and_nothing_else(name: str) -> None:
    text = (ROOT / "requirements" / f"{name}.txt").read_text(encoding="utf-8")
    assert "://" not in text
    for entry in re.split(r"\n(?=\w)", text)[1:]:
        first, *hashes = entry.splitlines()
        assert "==" in first
        assert hashes
        assert all(re.fullmatch(r" {4}--hash=sha256:[0-9a-f]{64}( \\)?", line) for line in hashes), first
