from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from portcheck.render import stream


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def encoded(encoding: str, *lines: str) -> bytes:
    raw = io.BytesIO()
    out = io.TextIOWrapper(raw, encoding=encoding, newline="\n")
    assert stream.write_to(out, lines)
    return raw.getvalue()


def run(code: str, **more: object) -> subprocess.CompletedProcess[bytes]:
    """In a Python of its own: what happens at its exit counts too."""
    script = f"import sys\nfrom portcheck.render import stream\n{code}"
    return subprocess.run([sys.executable, "-c", script], stderr=subprocess.PIPE, check=False, **more)  # type: ignore[call-overload,no-any-return]


@pytest.mark.parametrize(
    ("encoding", "written"),
    [
        ("utf-8", "→ café …\n".encode()),
        ("ascii", b"-> caf\\xe9 ...\n"),
        ("cp1252", "-> café …\n".encode("cp1252")),
        ("iso-8859-1", "-> café ...\n".encode("latin-1")),
    ],
)
def test_no_encoding_is_too_small(encoding: str, written: bytes) -> None:
    assert encoded(encoding, "→ café …") == written


def test_not_even_a_surrogate_fails() -> None:
    assert encoded("utf-8", "\udcff\ud800") == b"\\udcff\\ud800\n"


def test_a_string_takes_everything() -> None:
    text = io.StringIO()
    assert stream.write_to(text, ["→", "\udcff"])
    assert text.getvalue() == "→\n\udcff\n"


def test_lines_are_written_some_at_once_and_never_all() -> None:
    out = Terminal()

    def lines() -> Iterator[str]:
        yield from ["first"] * stream.AT_ONCE
        assert out.getvalue() == "first\n" * stream.AT_ONCE
        yield "second"

    assert stream.write_to(out, lines())
    assert out.getvalue().endswith("first\nsecond\n")


def test_a_closed_pipe_is_quiet() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    code = "done = stream.write(f'line {n}' for n in range(100_000))\nstream.write(['more'])\n"
    try:
        finished = run(code + "sys.exit(13 if done is False else 1)", stdout=writer)
    finally:
        os.close(writer)
    assert (finished.returncode, finished.stderr) == (13, b"")


def test_a_stdout_that_was_closed_before_is_quiet() -> None:
    code = "import sys; from portcheck.render import stream; sys.exit(13 if stream.write(['x']) is False else 1)"
    finished = subprocess.run(["sh", "-c", f'"{sys.executable}" -c "{code}" >&-'], capture_output=True, check=False)
    assert (finished.returncode, finished.stderr) == (13, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_disk_is_an_error_of_one_line() -> None:
    code = "from portcheck.errors import PortcheckError\ntry:\n  stream.write(['x'])\n"
    code += "except PortcheckError as error:\n  sys.exit(str(error))"
    with Path("/dev/full").open("w") as full:
        finished = run(code, stdout=full)
    assert finished.stderr.decode() == "the answer cannot be written: No space left on device\n"
    assert finished.returncode == 1  # sys.exit()'s own, and not the 120 of a flush that fails at exit


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_complaint_that_cannot_be_written_leaves_the_exit_code() -> None:
    with Path("/dev/full").open("w") as full:
        code = "from portcheck.render import stream; stream.complain('no'); raise SystemExit(13)"
        finished = subprocess.run([sys.executable, "-c", code], stderr=full, check=False)
    assert finished.returncode == 13


def test_a_mistake_of_ours_is_not_taken_for_a_closed_pipe() -> None:
    with pytest.raises(ZeroDivisionError):
        stream.write_to(io.StringIO(), (str(1 // n) for n in (1, 0)))


def test_complaints(capsys: pytest.CaptureFixture[str]) -> None:
    stream.complain("port 0 is not\na port", "ports are 1-65535")
    stream.complain("no remedy")
    told = capsys.readouterr()
    assert told.err == "portcheck: port 0 is not\\na port\n  → ports are 1-65535\nportcheck: no remedy\n"
    assert told.out == ""


def test_is_terminal() -> None:
    assert stream.is_terminal(Terminal())
    assert not stream.is_terminal(io.StringIO())
    assert not stream.is_terminal(None)
    shut = io.TextIOWrapper(io.BytesIO())
    shut.close()
    assert not stream.is_terminal(shut)


@pytest.mark.parametrize(
    ("environ", "on_terminal", "in_pipe"),
    [
        ({}, True, False),
        ({"TERM": "xterm"}, True, False),
        ({"TERM": "dumb"}, False, False),
        ({"NO_COLOR": "1"}, False, False),
        ({"NO_COLOR": ""}, True, False),
        ({"CLICOLOR": "0"}, False, False),
        ({"CLICOLOR": "1"}, True, False),
        ({"FORCE_COLOR": "1"}, True, True),
        ({"CLICOLOR_FORCE": "1"}, True, True),
        ({"CLICOLOR_FORCE": "0", "FORCE_COLOR": ""}, True, False),
        ({"FORCE_COLOR": "1", "TERM": "dumb"}, True, True),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, False, False),
    ],
)
def test_colour(environ: dict[str, str], *, on_terminal: bool, in_pipe: bool) -> None:
    assert stream.wants_colour(Terminal(), environ) is on_terminal
    assert stream.wants_colour(io.StringIO(), environ) is in_pipe
    assert not stream.wants_colour(Terminal(), environ, "never")
    assert stream.wants_colour(io.StringIO(), environ, "always")


@pytest.mark.parametrize(("columns", "width"), [("132", 132), ("0", 80), ("", 80), ("wide", 80), ("-5", 80), ("²", 80)])
def test_width_by_environment(columns: str, width: int) -> None:
    assert stream.width(io.StringIO(), {"COLUMNS": columns}) == width


def test_width_of_a_terminal() -> None:
    pty = pytest.importorskip("pty", reason="no pseudo-terminals here")
    termios = pytest.importorskip("termios")
    main, terminal = pty.openpty()
    try:
        with os.fdopen(terminal, "w", encoding="utf-8") as out:
            termios.tcsetwinsize(terminal, (24, 100))
            assert stream.width(out, {}) == 100
            termios.tcsetwinsize(terminal, (0, 0))  # a terminal that does not know
            assert stream.width(out, {}) == 80
    finally:
        os.close(main)


def test_width_of_nothing() -> None:
    assert stream.width(None, {}) == 80
