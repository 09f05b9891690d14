"""What Compose calls a project; tests/system compares it with the real binary."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("yaml", reason="PyYAML is not installed (portcheck[preflight])")
pytest.importorskip("dotenv", reason="python-dotenv is not installed (portcheck[preflight])")

from portcheck.preflight.compose.read import read_compose

WEB = 'services: {web: {ports: ["80:80"]}}\n'
# directory, compose.yaml, its override, .env → the name
CASES = [
    ("shop", WEB, "", "", "shop"),
    ("My Shop_2.0", WEB, "", "", "myshop_20"),
    ("_-shop", WEB, "", "", "shop"),
    ("shop", "name: other\n" + WEB, "", "", "other"),
    ("shop", "name: one\n" + WEB, "name: two\n", "", "two"),
    ("shop", "name: one\n" + WEB, "services: {}\n", "", "one"),
    ("shop", "name: ${NAME:-default}\n" + WEB, "", "NAME=named\n", "named"),
    ("shop", "name: ${NAME:-default}\n" + WEB, "", "", "default"),
    ("shop", "name: other\n" + WEB, "", "COMPOSE_PROJECT_NAME=third\n", "third"),
    ("shop", "name: ''\n" + WEB, "", "", "shop"),
]


def make(folder: Path, compose: str, override: str, env: str) -> tuple[Path, ...]:
    folder.mkdir()
    files = {"compose.yaml": compose, "compose.override.yaml": override, ".env": env}
    for name, text in files.items():
        if text:
            (folder / name).write_text(text)
    return tuple(folder / name for name in files if files[name] and name != ".env")


@pytest.mark.parametrize(("directory", "compose", "override", "env", "expected"), CASES)
def test_the_name(tmp_path: Path, directory: str, compose: str, override: str, env: str, expected: str) -> None:
    files = make(tmp_path / directory, compose, override, env)
    (declared,) = read_compose(files, {}, docker=False).declarations
    assert declared.compose_project == expected


@pytest.mark.parametrize("name", ["${", "[a]", "${UNSET}"])
def test_a_name_that_is_none_is_the_directorys(tmp_path: Path, name: str) -> None:
    files = make(tmp_path / "shop", f"name: {name}\n{WEB}", "", "")
    (declared,) = read_compose(files, {}, docker=False).declarations
    assert declared.compose_project == "shop"


def test_from_inside_of_the_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path / "shop", WEB, "", "")
    monkeypatch.chdir(tmp_path / "shop")
    (declared,) = read_compose((Path("compose.yaml"),), {}, docker=False).declarations
    assert declared.compose_project == "shop"


def test_of_nothing_that_compose_takes_is_left(tmp_path: Path) -> None:
    files = make(tmp_path / "лавка", WEB, "", "")
    (declared,) = read_compose(files, {}, docker=False).declarations
    assert declared.compose_project is None
