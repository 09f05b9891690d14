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
        ("pyproject.toml", "[ project ] # ours\r\n  name='shop-api'  # its name\r\n", "shop-api"),
        ("pyproject.toml", '[project]\nversion = "1"\n[project.urls]\nname = "other"', "shop"),
        ("pyproject.toml", '[tool.ruff]\nname = "ruff"\n[project]\n"name" = "shop-api"', "shop-api"),
        ("pyproject.toml", '[project]\nname = "shop', "shop"),
        ("pyproject.toml", '[project]\nname = "a\\nb"', "shop"),
        ("pyproject.toml", "[project]\nname = 7", "shop"),
        ("pyproject.toml", "[project]\nname =", "shop"),
        ("pyproject.toml", '[project]\nname = """shop"""', "shop"),
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


@pytest.mark.parametrize("parser", ["tomllib", "tomli"])
def test_no_parser_of_toml_is_needed_nor_used(parser: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """One takes quadratic time for what a stranger may have written."""
    project.cache_clear()
    monkeypatch.setitem(sys.modules, parser, None)
    quadratic = b"a." * 20_000 + b'a = 1\n[project]\nname = "api"'
    assert project((ProjectFile(SHOP, "pyproject.toml", quadratic),)) == Project("api", SHOP)
    project.cache_clear()


def test_no_files_no_project() -> None:
    assert project(()) is None


@given(st.sampled_from(sorted(NAMED)), st.binary())
def test_no_file_is_too_broken(name: str, text: bytes) -> None:
    found = project((ProjectFile(SHOP, name, text),))
    assert found is not None and found.directory == SHOP and found.name
