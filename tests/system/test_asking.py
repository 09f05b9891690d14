"""Asking another program within a time limit."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.needs import need
from support.processes import NOBODY, SYSTEM_PYTHON

from portcheck.model import Hands
from portcheck.observe.ownership import is_owned_by
from portcheck.observe.subprocesses import (
    MOST_BYTES,
    Answer,
    NoAnswerError,
    Patience,
    ask,
    folder_off_path,
    is_there,
    path_of,
)


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


def test_a_flood_is_cut_and_says_so() -> None:
    script = "import sys; sys.stdout.buffer.write(bytes(9_000_000)); sys.stderr.write('e')"
    flood = ask(python(script), Patience(30))
    assert (len(flood.out), flood.err, flood.ok, flood.is_cut) == (MOST_BYTES, "e", True, True)


def test_a_name_that_no_command_line_can_hold() -> None:
    for name in ("\0", "\ud800"):
        with pytest.raises(NoAnswerError, match="cannot be run"):
            ask(python(name), Patience(30))


# With clean hands


def program(path: Path, text: str = "#!/bin/sh\nenv; pwd\n") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


def test_nothing_is_handed_on_but_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool = program(tmp_path / "tool")
    monkeypatch.setenv("PATH", f".:relative:{os.environ['PATH']}::")
    monkeypatch.setenv("PYTHONPATH", "/home/ann/evil")
    monkeypatch.setenv("HOME", "/home/ann")
    monkeypatch.setenv("DOCKER_HOST", "unix:///run/mine.sock")
    monkeypatch.chdir(tmp_path)
    *lines, directory = ask((str(tool),), Patience(30), Hands(variables=(("PM2_HOME", "/srv/pm2"),))).out.splitlines()
    variables = dict(line.split("=", 1) for line in lines)
    assert directory == "/"
    assert all(os.path.isabs(folder) for folder in variables["PATH"].split(":"))
    assert (variables["LC_ALL"], variables["PM2_HOME"]) == ("C", "/srv/pm2")
    assert variables["DOCKER_HOST"] == "unix:///run/mine.sock"  # whoever asks has chosen it
    assert "PYTHONPATH" not in variables
    assert variables["HOME"] != "/home/ann"


def test_no_program_is_found_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path / "tool")
    program(tmp_path / "bin" / "tool")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", ".:bin::")
    assert not is_there("tool")
    with pytest.raises(NoAnswerError, match="is not on the PATH"):
        ask(("tool",), Patience(30))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    assert path_of("tool") == str(tmp_path / "bin/tool")


def test_as_another_user(monkeypatch: pytest.MonkeyPatch) -> None:
    need()
    monkeypatch.setenv("DOCKER_HOST", "unix:///run/roots.sock")
    script = "import os; print(os.getresuid(), os.getresgid(), os.getgroups(), 'DOCKER_HOST' in os.environ)"
    answer = ask((SYSTEM_PYTHON, "-S", "-c", script), Patience(30), Hands(4001))
    assert answer.out == "(4001, 4001, 4001) (4001, 4001, 4001) [] False\n"
    named = ask((SYSTEM_PYTHON, "-S", "-c", "import os; print(os.environ['USER'], os.getuid())"), Patience(30),
                Hands(NOBODY))  # fmt: skip
    assert named.out == f"nobody {NOBODY}\n"


def test_only_root_lends_hands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(NoAnswerError, match="answers ann and root alone"):
        ask(python("pass"), Patience(30), Hands(1001, "ann"))


# Beside its manager


@pytest.fixture
def everybodys() -> Iterator[Path]:
    need()
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def test_a_tool_beside_its_manager_is_taken_where_nobody_else_could_put_it(everybodys: Path) -> None:
    tool = program(everybodys / "bin" / "supervisor-tool")
    beside = str(everybodys / "bin" / "supervisord")
    for uid in (0, 4001):
        assert path_of("supervisor-tool", Hands(uid, beside=(beside,))) == str(tool)
    assert folder_off_path("supervisor-tool", Hands(0, beside=(beside,))) == str(tool.parent)
    assert folder_off_path("sh", Hands(0, beside=(beside,))) is None
    os.chown(tool, 4001, 4001)
    assert path_of("supervisor-tool", Hands(4001, beside=(beside,))) == str(tool)
    assert path_of("supervisor-tool", Hands(0, beside=(beside,))) is None
    assert path_of("supervisor-tool", Hands(4002, beside=(beside,))) is None


def test_whose_a_file_is_goes_down_from_the_root(everybodys: Path) -> None:
    file = program(everybodys / "a" / "b" / "file")
    assert is_owned_by(str(file), 0)
    (everybodys / "link").symlink_to("a/b/file")
    assert is_owned_by(str(everybodys / "link"), 4001)
    os.chown(file.parent, 4001, 4001)  # who could put another file there
    assert (is_owned_by(str(file), 0), is_owned_by(str(file), 4001)) == (False, True)
    os.chown(file.parent, 0, 0)
    file.parent.chmod(0o777)
    assert not is_owned_by(str(file), 0)
    file.parent.chmod(0o1777)  # as in /tmp: a name is its owner's
    assert is_owned_by(str(file), 0)
    file.chmod(0o666)
    assert not is_owned_by(str(file), 0)
    assert not is_owned_by(str(everybodys / "absent"), 0)
