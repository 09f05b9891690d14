"""Asking another program within a time limit."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from portcheck.model import Hands
from portcheck.observe.subprocesses import Answer, NoAnswerError, Patience, ask, is_there


def python(text: str) -> tuple[str, ...]:
    return (sys.executable, "-c", text)


def test_an_answer() -> None:
    script = "import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)"
    assert ask(python(script), Patience(30)) == Answer(False, "out\n", "err\n", status=3)
    assert ask(python("print(repr(input()))"), Patience(30)).ok is False  # there is no input
    named = Hands(variables=(("X", "1"),))
    assert ask(python("import os; print(os.environ['X'])"), Patience(30), named) == Answer(True, "1\n", "")


def test_a_long_answer_in_broken_utf_8() -> None:
    script = r"import sys; sys.stdout.buffer.write(b'\xff' * 1_000_000)"
    assert ask(python(script), Patience(30)) == Answer(True, "\udcff" * 1_000_000, "")


def test_nobody_is_asked_when_the_time_is_used_up(tmp_path: Path) -> None:
    patience = Patience(0)
    with pytest.raises(NoAnswerError, match="used up"):
        ask(python(f"open({str(tmp_path / 'asked')!r}, 'w')"), patience)
    assert not (tmp_path / "asked").exists()


def test_several_questions_share_one_time() -> None:
    patience = Patience(0.5)
    with pytest.raises(NoAnswerError, match=r"did not answer within 0\.5 s"):
        ask(python("import time; time.sleep(1000)"), patience)
    assert patience.left() == 0
    with pytest.raises(NoAnswerError, match="used up"):
        ask(python("pass"), patience)


def test_what_cannot_be_run(tmp_path: Path) -> None:
    with pytest.raises(NoAnswerError, match="cannot be run"):
        ask((str(tmp_path),), Patience(30))
    assert not is_there("no-such-program-here")
    assert is_there("sh")
