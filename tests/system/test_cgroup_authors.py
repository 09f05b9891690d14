"""Who has given a cgroup its names: by real directories, as systemd delegates them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from support.needs import need

from portcheck.identify.cgroup import Authorship
from portcheck.observe.linux.cgroups import MOST_NAMES, authorship

ANN = 4001


@pytest.fixture
def hierarchy() -> Iterator[Path]:
    """A cgroup of root's in a version 2 hierarchy."""
    need()
    root = next((path for path in map(Path, ("/sys/fs/cgroup/unified", "/sys/fs/cgroup"))
                 if (path / "cgroup.procs").exists()), None)  # fmt: skip
    if root is None or not os.access(root, os.W_OK):
        pytest.skip("no cgroup v2 hierarchy that can be written to")
    made = root / f"portcheck-authors-{os.getpid()}"
    try:
        made.mkdir()
    except OSError:
        pytest.skip("no cgroup v2 hierarchy that can be written to")
    yield made
    for folder, *_ in os.walk(made, topdown=False):
        with suppress(OSError):
            os.rmdir(folder)


def make(hierarchy: Path, *names: str, owned_from: int | None = None) -> str:
    """The path of nested cgroups; from this one on they are ann's."""
    at = hierarchy
    for number, name in enumerate(names):
        at = at / name
        at.mkdir()
        if owned_from is not None and number >= owned_from:
            os.chown(at, ANN, ANN)
    return f"/{hierarchy.name}/{'/'.join(names)}"


def test_what_root_has_named(hierarchy: Path) -> None:
    path = make(hierarchy, "system.slice", "web.service")
    assert authorship(path) == Authorship(path)


def test_the_name_of_a_users_directory_is_roots_and_what_is_below_is_the_users(hierarchy: Path) -> None:
    path = make(hierarchy, "user@4001.service", "app.slice", "postgresql.service", owned_from=0)
    assert authorship(path) == Authorship(f"/{hierarchy.name}/user@4001.service", ANN)


def test_what_root_has_made_below_a_user_counts_no_more(hierarchy: Path) -> None:
    path = make(hierarchy, "ann", "web.service", owned_from=0)
    (hierarchy / "ann/web.service/inner").mkdir()
    assert authorship(f"{path}/inner") == Authorship(f"/{hierarchy.name}/ann", ANN)


def test_what_is_not_there_is_nobodys_word(hierarchy: Path) -> None:
    assert authorship(f"/{hierarchy.name}/gone.service") == Authorship("")
    assert authorship("/../outside") == Authorship("")


def test_no_path_takes_long(hierarchy: Path) -> None:
    path = make(hierarchy, *(["x"] * (MOST_NAMES + 10)))
    assert authorship(path) == Authorship(f"/{hierarchy.name}" + "/x" * MOST_NAMES)
