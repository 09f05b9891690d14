from __future__ import annotations

import io
import threading

import pytest

from portcheck.render.progress import Progress


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
    with Progress("reading the socket table", terminal, every=0):
        assert terminal.shown.wait(60)
    first, *_, blank, end = terminal.getvalue().split("\r")[1:]
    assert first == "reading the socket table (1 s)"
    assert blank.isspace()
    assert len(blank) >= len(first)
    assert end == ""


def test_a_short_wait_shows_nothing() -> None:
    terminal = Terminal()
    with Progress("reading", terminal, every=3600):
        pass
    assert terminal.getvalue() == ""


def test_no_terminal_no_sign() -> None:
    quiet = io.StringIO()
    before = threading.active_count()
    with Progress("reading", quiet, every=0):
        assert threading.active_count() == before
    assert quiet.getvalue() == ""


def test_an_error_passes_and_ends_it() -> None:
    before = threading.active_count()
    with pytest.raises(ZeroDivisionError), Progress("reading", Terminal(), every=3600):
        raise ZeroDivisionError
    assert threading.active_count() == before


@pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_terminal_that_goes_away_is_no_error() -> None:
    terminal = Gone()
    with Progress("reading", terminal, every=0):
        assert terminal.shown.wait(60)
