from __future__ import annotations

import io
import re
import threading
from collections.abc import Iterator

import pytest

from portcheck.render.progress import Progress, with_progress

CURSOR_HIDDEN = "\x1b[?25l"


class Terminal(io.StringIO):
    """Lets a test wait until something was shown."""

    def __init__(self) -> None:
        super().__init__()
        self.shown = threading.Event()

    def isatty(self) -> bool:
        return True

    def flush(self) -> None:
        self.shown.set()


class Gone(Terminal):
    def write(self, text: str) -> int:
        self.shown.set()
        raise OSError(5, "Input/output error")


def test_a_long_wait_shows_and_goes_away() -> None:
    terminal = Terminal()
    with Progress("reading [bold]the socket table", "never", terminal, after=0):
        assert terminal.shown.wait(60)
    assert "- reading [bold]the socket table (0 s)" in terminal.getvalue()
    assert left_of(terminal.getvalue()) == ""
    assert CURSOR_HIDDEN not in terminal.getvalue()  # whoever is killed could not bring it back


def left_of(written: str) -> str:
    """What remains on the screen: the codes that are used take lines away, and go up."""
    lines, row = [""], 0
    for part in re.split("(\r|\n|\x1b\\[2K|\x1b\\[1A)", written):
        if part == "\n":
            row += 1
            lines += [""] * (row == len(lines))
        elif part == "\x1b[2K":
            lines[row] = ""
        elif part == "\x1b[1A":
            row -= 1
        elif part != "\r":
            lines[row] += part
    return "".join(lines)


def test_each_line_is_written_without_it() -> None:
    def lines() -> Iterator[str]:
        yield "one"
        yield "two"

    assert list(with_progress(lines(), "checking")) == ["one", "two"]


@pytest.mark.parametrize("term", ["dumb", ""])
def test_a_terminal_that_cannot_take_a_line_back_gets_none(monkeypatch: pytest.MonkeyPatch, term: str) -> None:
    monkeypatch.setenv("TERM", term)
    before = threading.active_count()
    with Progress("reading", stream=Terminal(), after=3600):
        assert threading.active_count() == before + (term != "dumb")


def test_a_short_wait_shows_nothing() -> None:
    terminal = Terminal()
    with Progress("reading", stream=terminal, after=3600):
        pass
    assert terminal.getvalue() == ""


def test_no_terminal_no_sign() -> None:
    quiet = io.StringIO()
    before = threading.active_count()
    with Progress("reading", stream=quiet, after=0):
        assert threading.active_count() == before
    assert quiet.getvalue() == ""


def test_an_error_passes_and_ends_it() -> None:
    before = threading.active_count()
    with pytest.raises(ZeroDivisionError), Progress("reading", stream=Terminal(), after=3600):
        raise ZeroDivisionError
    assert threading.active_count() == before


@pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_terminal_that_goes_away_is_no_error() -> None:
    terminal = Gone()
    with Progress("reading", stream=terminal, after=0):
        assert terminal.shown.wait(60)
