"""`portcheck run` as if portcheck were not there: signals, exit status, terminal and process group."""

from __future__ import annotations

import os
import signal
import sys
import time

import pytest
from support.namespaces import Host
from support.patience import PATIENCE, wait_for
from support.portcheck_command import PORTCHECK
from support.processes import child_of, is_gone, python
from support.running import SERVER, Running, done
from support.terminal import Terminal

PORT = "8000"
# Tells of every signal that it takes; SIGTERM ends it with 7.
COUNTER = """
import os, signal, sys
def take(number, _):
    os.write(1, b"took %d\\n" % number)
    if number == signal.SIGTERM:
        os._exit(7)
for number in (1, 2, 3, 10, 12, 15, 28, 34):
    signal.signal(number, take)
signal.alarm(300)  # should the test fail to end it
print("serving", flush=True)
while True:
    signal.pause()
"""


# Python has no sigtimedwait() on macOS.
AS_ON_MACOS = [
    sys.executable,
    "-c",
    "import signal; del signal.sigtimedwait, signal.sigwaitinfo; from portcheck.__main__ import main; main()",
]


@pytest.mark.parametrize("status", [0, 1, 2, 42, 124, 255])
def test_the_exit_status_is_the_commands(host: Host, status: int) -> None:
    assert done(host, PORT, "--", "sh", "-c", f"exit {status}") == (status, "", "")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGSEGV, signal.SIGPIPE, signal.SIGUSR1])
def test_it_dies_of_the_signal_that_the_command_died_of(host: Host, number: int) -> None:
    assert done(host, PORT, "--", "sh", "-c", f"kill -{int(number)} $$")[0] == -number


def test_signals_to_portcheck_alone_are_passed_on(host: Host) -> None:
    run = Running(host, PORT, "--", *python(COUNTER), ready=b"serving")
    assert run.program.stdout is not None
    for number in (1, 2, 3, 10, 12, 28, 34, 15):
        run.program.send_signal(number)
        assert run.program.stdout.readline() == b"took %d\n" % number
    assert run.program.wait(PATIENCE) == 7


def test_what_the_command_sends_to_its_whole_group_comes_once(host: Host) -> None:
    signalling = "os.killpg(0, signal.SIGUSR1)\nprint('serving', flush=True)"
    program = COUNTER.replace('print("serving", flush=True)', signalling)
    run = Running(host, PORT, "--", *python(program), ready=b"took 10")
    assert run.program.stdout is not None
    assert run.program.stdout.readline() == b"serving\n"
    run.program.terminate()
    assert run.program.stdout.read() == b"took 15\n"
    assert run.program.wait(PATIENCE) == 7


def test_the_command_finds_signals_as_the_caller_left_them(host: Host) -> None:
    """Python ignores SIGPIPE, and portcheck blocks nearly everything: nothing of that is left."""
    command = ["grep", "-E", "^Sig(Blk|Ign|Cgt)", "/proc/self/status"]
    for caller in ([], ["env", "--ignore-signal=HUP,INT,CHLD"], ["env", "--block-signal=USR1"]):
        expected = host.run([*caller, "env", "--default-signal=PIPE", *command]).stdout
        assert host.run([*caller, str(PORTCHECK), "run", PORT, "--", *command]).stdout == expected


@pytest.mark.parametrize("portcheck", [[str(PORTCHECK)], AS_ON_MACOS], ids=["here", "without sigtimedwait"])
def test_ctrl_c_goes_to_the_process_group_once(host: Host, portcheck: list[str]) -> None:
    with Terminal(host, [*portcheck, "run", PORT, "--", *python(COUNTER)]) as terminal:
        terminal.shows("serving")
        child = child_of(terminal.program.pid)
        assert os.getpgid(child) == os.getpgid(terminal.program.pid) == terminal.program.pid
        assert os.getsid(child) == terminal.program.pid
        terminal.types(b"\x03")
        terminal.shows("took 2\r\n")
        terminal.types(b"\x1c")
        terminal.shows("took 3\r\n")
        terminal.program.terminate()
        assert terminal.program.wait(PATIENCE) == 7
        assert terminal.shows("took 15").count("took") == 3


def test_ctrl_c_ends_a_command_that_does_not_catch_it(host: Host) -> None:
    with Terminal(host, [str(PORTCHECK), "run", PORT, "--", *python(SERVER, "127.0.0.1")]) as terminal:
        terminal.shows("ready:")
        child = child_of(terminal.program.pid)
        terminal.types(b"\x03")
        assert terminal.program.wait(PATIENCE) == -signal.SIGINT
        assert is_gone(child)


def test_ctrl_z_and_fg(host: Host) -> None:
    """A shell with job control sees the whole job stop, and go on."""
    shell = 'set -m; "$@"; echo "status $?"; fg >/dev/null; echo "status $?"'
    program = COUNTER.replace("15, 28", "15, 18, 28")
    command = [str(PORTCHECK), "run", PORT, "--", *python(program)]
    with Terminal(host, ["bash", "-c", shell, "bash", *command]) as terminal:
        terminal.shows("serving")
        job = child_of(terminal.program.pid)
        terminal.types(b"\x1a")
        terminal.shows(f"status {128 + signal.SIGTSTP}")
        terminal.shows(f"took {int(signal.SIGCONT)}")
        terminal.types(b"\x03")
        terminal.shows("took 2\r\n")
        os.kill(job, signal.SIGTERM)
        terminal.shows("status 7")


def test_the_terminal_is_the_commands_to_read(host: Host) -> None:
    with Terminal(host, [str(PORTCHECK), "run", PORT, "--", "sh", "-c", "read word; echo got $word"]) as terminal:
        terminal.types(b"hello\n")
        terminal.shows("got hello")
        assert terminal.program.wait(PATIENCE) == 0


def test_a_hangup_reaches_the_command(host: Host) -> None:
    with Terminal(host, [str(PORTCHECK), "run", PORT, "--", *python(SERVER, "127.0.0.1")]) as terminal:
        terminal.shows("serving")
        child = child_of(terminal.program.pid)
    wait_for(lambda: is_gone(child), "the command has ended")


def test_the_command_does_not_outlive_a_killed_portcheck(host: Host) -> None:
    run = Running(host, PORT, "--", *python(SERVER, "127.0.0.1"), ready=b"serving")
    child = child_of(run.program.pid)
    run.program.kill()
    run.program.wait(PATIENCE)
    wait_for(lambda: is_gone(child), "the command has ended")


def test_it_waits_without_working(host: Host) -> None:
    """Once the command is proven to listen portcheck sleeps until there is a signal."""
    run = Running(host, PORT, "--", *python(SERVER, "127.0.0.1"), ready=b"serving")
    run.hears("ready:")

    def switches() -> int:
        with open(f"/proc/{run.program.pid}/status", encoding="ascii") as status:
            return sum(int(line.split()[1]) for line in status if "ctxt_switches" in line)

    def still() -> bool:
        before = switches()
        time.sleep(0.2)
        return switches() == before

    wait_for(still, "portcheck sleeps")
    assert run.ends() == 0
