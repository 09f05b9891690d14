"""The manual page and the reference are those of the table of commands, and can be read."""

from __future__ import annotations

import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
import reference

from portcheck.cli.options import COMMANDS

ROOT = Path(__file__).parents[2]
MANUAL = ROOT / "docs" / "portcheck.1"


@pytest.mark.parametrize("path", reference.FILES, ids=lambda path: path.name)
def test_it_is_current(path: Path) -> None:
    assert path.read_text(encoding="utf-8") == reference.FILES[path](), "run scripts/reference"


def test_every_command_and_option_is_told() -> None:
    for text in (reference.manual().replace("\\-", "-"), reference.reference()):
        for command in COMMANDS.values():
            assert command.usage.replace("|", "\\|") in text or command.usage in text
            assert all(option.name in text for option in command.options)


def lint(*argv: str) -> str:
    if not shutil.which(argv[0]):
        pytest.skip(f"needs {argv[0]}")
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    return done.stdout + done.stderr


def test_mandoc_has_nothing_to_say_of_the_manual_page() -> None:
    said = lint("mandoc", "-T", "lint", "-W", "warning", str(MANUAL))
    # the date is left out: the page changes with the table, and not with the day
    assert [line for line in said.splitlines() if "missing date" not in line and "cannot parse date" not in line] == []


def test_the_manual_page_is_shown_as_it_is_typed() -> None:
    """A hyphen stays one that can be copied, and nothing is taken for a request."""
    text = lint("mandoc", "-T", "ascii", str(MANUAL))
    plain = "".join(
        text[place] for place in range(len(text)) if text[place] != "\b" and text[place + 1 : place + 2] != "\b"
    )
    for command in COMMANDS.values():
        assert command.examples[0].line in plain
        assert all(option.name in plain for option in command.options)


def test_the_wheel_brings_it_along() -> None:
    """Where man and the shells look for it."""
    shared = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["hatch"]["build"]["targets"][
        "wheel"
    ]["shared-data"]
    assert all((ROOT / source).is_file() for source in shared)
    assert {*shared.values()} >= {
        "share/man/man1/portcheck.1",
        "share/bash-completion/completions/portcheck",
        "share/zsh/site-functions/_portcheck",
        "share/fish/vendor_completions.d/portcheck.fish",
    }
