"""The sandbox below the rigs: private, and gone without a trace however the test run ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.patience import wait_for
from support.rigs import keeper
from support.rigs.sandbox import PATH, RigUnavailableError, Sandbox, enter, need_root_and, run, skip_if_unavailable

ENVIRONMENT = {"PATH": PATH}

# A test run of its own, which can be killed.
OWNER = """
import sys, time
from support.rigs.sandbox import PATH, Sandbox
with Sandbox(["sleep", "infinity"], {"PATH": PATH}) as sandbox:
    print(sandbox.init, *sandbox.cgroups(), flush=True)
    time.sleep(600)
"""


@pytest.fixture(autouse=True)
def available() -> None:
    with skip_if_unavailable("sandbox"):
        need_root_and([])
        with Sandbox(["true"], ENVIRONMENT):
            pass


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(["sleep", "infinity"], ENVIRONMENT) as sandbox:
        yield sandbox


def namespaces(pid: int | str) -> set[str]:
    return {str(entry.readlink()) for entry in Path(f"/proc/{pid}/ns").iterdir()}


def traces(init: int, cgroups: list[Path]) -> list[str]:
    """What is left of a sandbox that ended."""
    left = [str(path) for path in (Path(f"/proc/{init}"), *cgroups) if path.exists()]
    return left + [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if "/run/root" in line]


def test_it_has_its_own_processes_mounts_and_network(sandbox: Sandbox) -> None:
    shared = namespaces("self") & namespaces(sandbox.init)
    assert {name.partition(":")[0] for name in shared} == {"cgroup", "time", "user"}
    assert run(enter(sandbox.init, ["cat", "/proc/1/comm"]), ENVIRONMENT).stdout == "sleep\n"
    assert run(enter(sandbox.init, ["ls", "/sys/class/net"]), ENVIRONMENT).stdout.split() == ["lo"]


def test_a_command_that_runs_out_of_time_dies_inside_too(sandbox: Sandbox) -> None:
    with pytest.raises(subprocess.TimeoutExpired):
        run(enter(sandbox.init, ["sleep", "1234"]), ENVIRONMENT, timeout=1)
    count = ["sh", "-c", "cat /proc/[0-9]*/cmdline | tr '\\0' ' '"]
    wait_for(lambda: "sleep 1234 " not in run(enter(sandbox.init, count), ENVIRONMENT).stdout, "the command died")


def test_a_failure_shows_what_the_command_said(sandbox: Sandbox) -> None:
    with pytest.raises(subprocess.CalledProcessError) as failure:
        run(enter(sandbox.init, ["sh", "-c", "echo why >&2; exit 5"]), ENVIRONMENT)
    assert failure.value.returncode == 5
    assert "why" in failure.value.__notes__[0]


def test_nothing_is_left_after_the_context() -> None:
    with Sandbox(["sh", "-c", "setsid sleep infinity & wait"], ENVIRONMENT) as sandbox:
        init, cgroups = sandbox.init, sandbox.cgroups()
        assert traces(init, cgroups) == [f"/proc/{init}", *map(str, cgroups)]
    assert traces(init, cgroups) == []


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_nothing_is_left_when_the_test_run_is_ended(end: signal.Signals) -> None:
    here = str(Path(keeper.__file__).parents[2])
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER],
        env={**os.environ, "PYTHONPATH": here},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert owner.stdout is not None
    init, *folders = owner.stdout.readline().split()
    cgroups = [Path(folder) for folder in folders]
    assert traces(int(init), cgroups)
    owner.send_signal(end)
    owner.communicate()
    wait_for(lambda: not traces(int(init), cgroups), "everything is gone")


def test_nothing_runs_on_when_the_keeper_itself_is_killed() -> None:
    with (
        pytest.raises(RuntimeError, match="did not end cleanly"),
        Sandbox(["sleep", "9"], ENVIRONMENT) as sandbox,
    ):
        os.kill(int(sandbox.cgroups()[0].name.rpartition("-")[2]), signal.SIGKILL)
        wait_for(lambda: not Path(f"/proc/{sandbox.init}").exists(), "the sandbox died with its keeper")
    for folder in sandbox.cgroups():
        keeper.remove_tree(folder)


def test_a_first_process_that_ends_says_why() -> None:
    with Sandbox(["sh", "-c", "echo the reason >&2; exit 3"], ENVIRONMENT) as sandbox:
        reported = wait_for(lambda: last_words(sandbox), "the end is noticed")
    assert reported == "the reason"


def last_words(sandbox: Sandbox) -> str | None:
    try:
        sandbox.check()
    except RigUnavailableError as reason:
        return str(reason)
    return None
