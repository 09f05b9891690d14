"""The quick way in and typer read every command line alike, or the quick way leaves it to typer."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portcheck import cli, quick
from portcheck.errors import PortcheckError
from portcheck.requests import CheckRequest, ListRequest, PickRequest

WORDS = st.sampled_from(
    [
        "80", "8000-8010", "127.0.0.1:80", "[::1]:80", "http", "list", "check", "pick", "wait", "", "-", "--", "-5",
        "--json", "--plain", "--udp", "-q", "-v", "-qv", "--quiet", "--verbose", "--no-probe", "--no-reuseaddr",
        "--no-color", "--host", "--host=::1", "::1", "--as", "node", "-n", "2", "-n2", "--random", "--any", "--stable",
        "web", "--exclude", "--ver", "--jso", "--tcp", "--all", "--pids", "--help", "--version", "\x1b[31m", "\udcff",
    ]
)  # fmt: skip


def typed(argv: list[str]) -> object:
    try:
        return cli.parse(argv)
    except PortcheckError as error:
        return type(error)


@settings(max_examples=3000, deadline=None)
@given(st.lists(WORDS, max_size=7))
def test_the_two_ways_in_never_differ(argv: list[str]) -> None:
    request = quick.parse(argv)
    if request is not None:
        assert request == typed(argv)


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (["80"], CheckRequest(("80",))),
        (["check", "80", "443", "--json"], CheckRequest(("80", "443"), face="json")),
        (["--udp", "53", "--host", "::1", "-v"], CheckRequest(("53",), ("::1",), udp=True, verbose=True)),
        (["check", "list"], CheckRequest(("list",))),
        (["list", "--tcp", "80", "--pids"], ListRequest(("80",), tcp=True, pids=True)),
        (["pick", "1", "2-3"], PickRequest(("1", "2-3"))),
        (["pick", "80", "--any", "--json"], PickRequest(("80",), any=True, json=True)),
    ],
)
def test_plain_command_lines_take_the_quick_way(argv: list[str], expected: object) -> None:
    assert quick.parse(argv) == expected == typed(argv)


@pytest.mark.parametrize(
    "argv",
    [
        [],
        ["--help"],
        ["list", "--help"],
        ["list", "--user", "ann"],
        ["80", "--host=::1"],
        ["80", "-qv"],
        ["80", "--as", "node"],
        ["pick"],
        ["80", "--"],
    ],
)
def test_everything_else_is_left_to_typer(argv: list[str]) -> None:
    assert quick.parse(argv) is None
