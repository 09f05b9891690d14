"""Plain help without typer: what typer prints, line by line, at every width."""

from __future__ import annotations

import pytest

from portcheck.cli.help import answer
from portcheck.cli.options import ALIASES, COMMANDS
from portcheck.cli.pages import page_for
from portcheck.render.help import plain


@pytest.mark.parametrize("width", [30, 51, 80, 200])
def test_plain_help_is_what_typer_prints(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    for argv in (["--help"], *([name, "--help"] for name in (*COMMANDS, *ALIASES))):
        assert [*plain(page_for(argv), width)] == answer(argv)[1].splitlines()
