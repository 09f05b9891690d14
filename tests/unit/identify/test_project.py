"""The name that a project gives itself."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portcheck.identify.facts import ProjectFile
from portcheck.identify.project import NAMED, Project, project

SHOP = "/home/ann/shop"


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("package.json", '{"name": "@ann/shop"}', "@ann/shop"),
        ("package.json", '\ufeff{"name": "shop-web"}', "shop-web"),
        ("package.json", '{"private": true}', "shop"),
        ("package.json", '{"name": 7}', "shop"),
        ("package.json", '{"name": " "}', "shop"),
        ("package.json", "[" * 100_000, "shop"),
        ("package.json", "not json", "shop"),
        ("pyproject.toml", '[project]\nname = "shop-api"', "shop-api"),
        ("pyproject.toml", '[tool.poetry]\nname = "shop-api"', "shop-api"),
        ("pyproject.toml", "[tool.ruff]", "shop"),
        ("pyproject.toml", "project = 1", "shop"),
        ("Cargo.toml", '[package]\nname = "shopd"', "shopd"),
        ("Cargo.toml", '[workspace]\nmembers = ["a"]', "shop"),
        ("go.mod", "// x\nmodule example.org/ann/shop\n\ngo 1.22", "example.org/ann/shop"),
        ("go.mod", "module ", "shop"),
        ("composer.json", '{"name": "ann/shop"}', "ann/shop"),
        ("deno.json", '{"name": "@ann/shop"}', "@ann/shop"),
    ],
)
def test_names(name: str, text: str, expected: str) -> None:
    assert project((ProjectFile(SHOP, name, text.encode()),)) == Project(expected, SHOP)


def test_a_repository_is_named_by_its_directory() -> None:
    assert project((ProjectFile(SHOP, ".git"),)) == Project("shop", SHOP)


def test_the_first_that_tells_wins() -> None:
    files = (
        ProjectFile(SHOP, "pyproject.toml", b'[project]\nname = "api"'),
        ProjectFile(SHOP, "package.json", b"{}"),
        ProjectFile(SHOP, ".git"),
    )
    assert project(files) == Project("api", SHOP)


def test_a_python_without_a_toml_parser_names_the_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    project.cache_clear()
    for parser in ("tomllib", "tomli"):
        monkeypatch.setitem(sys.modules, parser, None)
    ours = ProjectFile(SHOP, "pyproject.toml", b'[project]\nname = "api"')
    assert project((ours,)) == Project("shop", SHOP)
    assert project((ours, ProjectFile(SHOP, "go.mod", b"module shop-go"))) == Project("shop-go", SHOP)
    project.cache_clear()


def test_no_files_no_project() -> None:
    assert project(()) is None


@given(st.sampled_from(sorted(NAMED)), st.binary())
def test_no_file_is_too_broken(name: str, text: bytes) -> None:
    found = project((ProjectFile(SHOP, name, text),))
    assert found is not None and found.directory == SHOP and found.name
