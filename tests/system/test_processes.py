"""Processes as /proc tells them, checked with what the test did and with psutil."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from support.needs import need
from support.patience import wait_for
from support.processes import NOBODY, held_by_child, in_child

from portcheck.model import Process
from portcheck.observe.linux import processes, procfs
from portcheck.observe.portable import processes as portable_processes

if sys.platform != "linux":
    pytest.skip("/proc is Linux's", allow_module_level=True)

WAITER = "import sys; print('ready', flush=True); sys.stdin.read()"


@contextmanager
def waiting(argv: Sequence[str | bytes], cwd: Path | None = None, executable: str | None = None) -> Iterator[int]:
    """The PID of a Python program that has said that it is ready."""
    with subprocess.Popen(argv, executable=executable, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=cwd) as child:
        assert child.stdout
        assert child.stdin
        assert child.stdout.readline() == b"ready\n"
        yield child.pid
        child.stdin.close()


def seen(pid: int) -> Process:
    found = processes.process(pid)
    assert found
    return found


def test_a_process_as_it_was_started(tmp_path: Path) -> None:
    before = time.time()
    with waiting([sys.executable, "-c", WAITER, "an argument", ""], cwd=tmp_path) as pid:
        found = seen(pid)
    assert found.pid == pid
    assert found.command == (sys.executable, "-c", WAITER, "an argument")
    assert found.cwd == str(tmp_path)
    assert found.executable == os.path.realpath(sys.executable)
    assert (found.parent_pid, found.uid, found.user) == (
        os.getpid(),
        os.getuid(),
        psutil.Process().username(),
    )
    assert found.started_at is not None
    assert before - 1 < found.started_at < time.time() + 1  # clock ticks of 10 ms


def test_our_own_process_is_as_psutil_tells_it() -> None:
    assert_alike(os.getpid())


def test_another_process_is_as_psutil_tells_it() -> None:
    with waiting([sys.executable, "-c", WAITER]) as pid:
        assert_alike(pid)


def assert_alike(pid: int) -> None:
    ours, theirs = seen(pid), portable_processes.process(pid)
    assert theirs
    for field in ("pid", "name", "uid", "user", "command", "cwd", "parent_pid", "executable"):
        assert getattr(ours, field) == getattr(theirs, field), field
    assert ours.started_at == pytest.approx(theirs.started_at, abs=1.1)  # psutil's boot time has whole seconds


def test_start_ticks_are_the_kernels() -> None:
    ticks = seen(os.getpid()).start_ticks
    assert str(ticks) in Path("/proc/self/stat").read_text().split()[21:22]


def test_no_process() -> None:
    free = next(pid for pid in range(2**22 - 1, 1, -1) if not Path(f"/proc/{pid}").exists())
    assert processes.process(free) is None
    assert portable_processes.process(free) is None


@pytest.mark.parametrize("name", [b"a) R 1 (b", b"two\nlines", b"\xff\xfe\x1b[31m", b" "])
def test_a_name_can_hold_anything(name: bytes) -> None:
    program = f"import ctypes; ctypes.CDLL(None).prctl(15, {name!r}, 0, 0, 0); {WAITER}"
    with waiting([sys.executable, "-c", program]) as pid:
        wait_for(lambda: seen(pid).state == "S", "it waits for us")
        found = seen(pid)
    assert found.name is not None
    assert (os.fsencode(found.name), found.parent_pid) == (name, os.getpid())


def test_arguments_can_be_broken_utf8(tmp_path: Path) -> None:
    with waiting([sys.executable, "-c", WAITER, b"\xff\n\x1b"]) as pid:
        found = seen(pid)
    assert found.command is not None
    assert os.fsencode(found.command[-1]) == b"\xff\n\x1b"


def test_a_long_name_is_completed(tmp_path: Path) -> None:
    program = tmp_path / "a-server-with-a-very-long-name"
    program.symlink_to(sys.executable)
    with waiting([str(program), "-c", WAITER]) as pid:
        assert Path(f"/proc/{pid}/comm").read_text() == "a-server-with-a\n"
        assert seen(pid).name == program.name


def test_a_deleted_executable_still_shows(tmp_path: Path) -> None:
    sleep = shutil.which("sleep")
    assert sleep
    program = tmp_path / "sleeper"
    shutil.copy(sleep, program)
    with subprocess.Popen([program, "600"]) as child:
        try:
            wait_for(lambda: seen(child.pid).executable == str(program), "the program runs")
            program.unlink()
            assert seen(child.pid).executable == f"{program} (deleted)"
        finally:
            child.kill()


def test_a_stopped_process() -> None:
    with waiting([sys.executable, "-c", WAITER]) as pid:
        os.kill(pid, signal.SIGSTOP)
        wait_for(lambda: seen(pid).state == "T", "it stops")
        os.kill(pid, signal.SIGCONT)
        wait_for(lambda: seen(pid).state == "S", "it goes on")


def test_a_zombie() -> None:
    with subprocess.Popen(["true"]) as child:
        wait_for(lambda: seen(child.pid).state == "Z", "it ends")
        found = seen(child.pid)
    assert (found.name, found.command, found.executable, found.parent_pid) == ("true", (), None, os.getpid())


def test_a_kernel_thread() -> None:
    stat = procfs.stat(2)
    if not stat or not stat.is_kernel_thread:
        pytest.skip("no kernel threads in this PID namespace")
    found = seen(2)
    assert (found.name, found.command, found.executable, found.parent_pid) == ("kthreadd", (), None, None)


def test_another_users_process_shows_what_it_may() -> None:
    need()
    with held_by_child(lambda: None) as child:
        found = in_child(lambda: processes.process(child.pid), uid=NOBODY)
    assert found
    assert (found.uid, found.user, found.parent_pid) == (0, "root", os.getpid())
    assert (found.cwd, found.executable) == (None, None)
    assert found.command == seen(os.getpid()).command


def test_the_real_user_is_named() -> None:
    """A set-user-ID program acts as another user, but who started it may signal it."""
    need()
    program = f"import os; os.setresuid({NOBODY}, 0, 0); {WAITER}"
    with waiting([sys.executable, "-c", program]) as pid:
        assert seen(pid).uid == NOBODY == psutil.Process(pid).uids().real


def test_a_user_without_a_name() -> None:
    assert processes.user_name(0) == "root"
    assert processes.user_name(3_999_999_999) is None
