"""One process is ended, and no other: with pidfds, and as where there are none."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest
from support.patience import wait_for
from support.processes import NOBODY, in_child

from portcheck.errors import PortcheckError
from portcheck.model import Process
from portcheck.observe.system import process_now
from portcheck.stop.terminate import end, is_alive

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs Linux's /proc")


@pytest.fixture(params=["by pidfd", "by pid"])
def program(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[subprocess.Popen[bytes]]:
    if request.param == "by pid":
        monkeypatch.delattr(os, "pidfd_open")
    with subprocess.Popen(["sleep", "1000"]) as started:
        yield started
        started.kill()


def seen(program: subprocess.Popen[bytes]) -> Process:
    found = process_now(program.pid)
    assert found is not None
    return found


def test_it_gets_the_signal(program: subprocess.Popen[bytes]) -> None:
    assert is_alive(seen(program))
    end(seen(program), signal.SIGTERM)
    assert program.wait(30) == -signal.SIGTERM


def test_who_has_only_its_pid_does_not(program: subprocess.Popen[bytes]) -> None:
    before = seen(program)
    another = before._replace(start_ticks=(before.start_ticks or 0) - 1)
    assert not is_alive(another)
    with pytest.raises(PortcheckError, match=f"PID {program.pid} is no longer sleep"):
        end(another, signal.SIGTERM)
    assert program.poll() is None


def test_without_clock_ticks_the_time_of_its_start_tells(
    program: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As psutil knows processes."""
    now = seen(program)._replace(start_ticks=None, started_at=1000.5)
    monkeypatch.setattr("portcheck.stop.terminate.process_now", lambda pid: now if pid == program.pid else None)
    with pytest.raises(PortcheckError, match="no longer"):
        end(now._replace(started_at=1000.25), signal.SIGTERM)
    assert program.poll() is None
    end(now, signal.SIGTERM)
    assert program.wait(30) == -signal.SIGTERM


def test_one_that_has_ended(program: subprocess.Popen[bytes]) -> None:
    before = seen(program)
    program.kill()
    wait_for(lambda: seen(program).state == "Z", "a zombie")
    assert not is_alive(before)  # although its parent has not asked for it yet
    program.wait()
    with pytest.raises(PortcheckError, match="no longer"):
        end(before, signal.SIGTERM)


def test_one_that_is_stopped_is_continued_to_get_it(program: subprocess.Popen[bytes]) -> None:
    os.kill(program.pid, signal.SIGSTOP)
    wait_for(lambda: seen(program).state == "T", "a stopped process")
    end(seen(program), signal.SIGTERM)
    assert program.wait(30) == -signal.SIGTERM


def test_one_that_this_user_may_not_signal(program: subprocess.Popen[bytes]) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root")
    before = seen(program)

    def attempt() -> str:
        try:
            end(before, signal.SIGTERM)
        except PortcheckError as error:
            return error.cause
        return "it was signalled"

    assert in_child(attempt, uid=NOBODY) == f"sleep (PID {program.pid}) cannot be signalled: Operation not permitted"
    assert program.poll() is None
