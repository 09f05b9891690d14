"""`portcheck run` ends everything that its command has started, and nothing else."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.namespaces import Host
from support.patience import PATIENCE, wait_for
from support.portcheck_command import PORTCHECK
from support.processes import NOBODY, SYSTEM_PYTHON, child_of, is_gone
from support.running import Gate, Running
from support.terminal import Terminal
from support.trees import KINDS, STAYS, Tree

PORT = 8000
CANDIDATES = "8000-8009"
GENTLE = tuple(kind for kind in KINDS if kind not in ("deaf", "phoenix"))  # what SIGTERM ends
SLOW = """
def slow(*_):
    open(os.environ["STARTED"], "w").close()
    while not os.path.exists(os.environ["GO"]):
        time.sleep(0.01)
    os._exit(7)
"""
ARMED = f"signal.signal(signal.SIGTERM, {{}})\nprint('armed', flush=True)\n{STAYS}"
WAITS = """
while not os.path.exists(os.environ["GO"]):
    time.sleep(0.01)
"""
SERVES = f'import socket\nheld = socket.create_server(("127.0.0.1", int(os.environ["PORT"])))\n{STAYS}'

# `theirs & exec mine`, once theirs has grown.
CALLER = """
import json, os, subprocess, sys
theirs, mine = map(json.loads, sys.argv[1:])
subprocess.Popen(theirs, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE).stdout.readline()
os.execvp(mine[0], mine)
"""


@pytest.fixture
def tree(tmp_path: Path) -> Iterator[Tree]:
    made = Tree(tmp_path)
    yield made
    made.end()


def is_armed(run: Running) -> None:
    assert run.program.stdout is not None
    assert run.program.stdout.readline() == b"armed\n"


def over(run: Running) -> int:
    """Its exit code; what it says until then goes to `run.said`."""
    assert run.program.stderr is not None
    run.said += run.program.stderr.read().decode().splitlines()
    return run.program.wait(PATIENCE)


def impatient(run: Running) -> int:
    """Its exit code, with a second signal so that it does not wait for what ignores SIGTERM."""
    run.hears("waiting for ", " to end; another signal kills at once")
    run.program.terminate()
    return over(run)


# what ends


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_portcheck_alone_ends_the_whole_tree(host: Host, tree: Tree, number: signal.Signals) -> None:
    run = Running(host, CANDIDATES, "--", *tree.command(STAYS), ready=b"grown")
    assert len(tree.pids()) >= len(KINDS) + 49
    run.program.send_signal(number)
    assert impatient(run) == -number
    assert tree.pids() == []
    assert not any("still" in line for line in run.said), run.said


def test_the_command_is_asked_first_and_may_take_its_time(host: Host, tree: Tree, tmp_path: Path) -> None:
    gate = Gate(tmp_path)
    command = tree.command(f"{SLOW}\n{ARMED.format('slow')}", *GENTLE)
    run = Running(host, CANDIDATES, "--", *command, ready=b"grown", env=gate.environ)
    is_armed(run)
    grown = sorted(tree.pids())
    run.program.terminate()
    gate.wait()
    assert sorted(tree.pids()) == grown
    gate.open()
    assert over(run) == 7
    assert (run.said, tree.pids()) == ([], [])


def test_ctrl_c_at_a_terminal_ends_what_ignores_it(host: Host, tree: Tree) -> None:
    """A script's background jobs ignore SIGINT, and daemons do not even get it."""
    with Terminal(host, [str(PORTCHECK), "run", CANDIDATES, "--", *tree.command(STAYS, *GENTLE)]) as terminal:
        terminal.shows("grown")
        terminal.types(b"\x03")
        assert terminal.program.wait(PATIENCE) == -signal.SIGINT
        assert tree.pids() == []


def test_what_is_not_ready_in_time_ends_with_its_tree(host: Host, tree: Tree) -> None:
    for patience in ("2s", "8s", "32s"):  # a busy machine may need long to start it all
        args = (CANDIDATES, "--wait-ready", "--timeout", patience, "--", *tree.command(STAYS))
        run = Running(host, *args)
        assert impatient(run) == 124
        assert tree.pids() == []
        assert run.said[-1].endswith("s, so it was stopped"), run.said
        assert run.program.stdout is not None
        if run.program.stdout.read() == b"grown\n":
            return
    pytest.fail("it has never grown")


@pytest.mark.parametrize(("how", "code"), [("sys.exit(3)", 3), ("sys.exit(0)", 125)])
def test_what_ends_before_it_is_ready_leaves_nothing(host: Host, tree: Tree, how: str, code: int) -> None:
    run = Running(host, CANDIDATES, "--wait-ready", "--", *tree.command(how, *GENTLE), ready=b"grown")
    assert over(run) == code
    assert tree.pids() == []


def test_a_failed_attempt_leaves_nothing_to_the_next(host: Host, tree: Tree, tmp_path: Path) -> None:
    gate = Gate(tmp_path)
    command = tree.command(f'open(os.environ["STARTED"], "w").close(){WAITS}{SERVES}', *GENTLE)
    run = Running(host, CANDIDATES, "--retries", "1", "--", *command, env=gate.environ)
    gate.wait()
    assert tree.pids(PORT)
    host.hold("127.0.0.1", PORT)
    gate.open()
    run.hears("port 8000 was taken in the meantime")
    run.hears("ready: http://127.0.0.1:8001")
    assert tree.pids(PORT) == []
    assert tree.pids(PORT + 1)
    run.program.terminate()
    assert over(run) == -signal.SIGTERM
    assert tree.pids() == []


def test_a_fork_bomb_ends(host: Host, tree: Tree) -> None:
    limited = ["setpriv", "--reuid=54321", "--regid=54321", "--clear-groups", "prlimit", "--nproc=100"]
    bomb = 'b() { b | b & }; (trap "" TERM; b) 2>&-; echo lit; sleep 1000'
    run = Running(host, CANDIDATES, "--", *limited, *tree.mark, "bash", "-c", bomb, ready=b"lit")
    run.program.terminate()
    assert impatient(run) == -signal.SIGTERM
    assert tree.pids() == []


def test_what_is_told_to_end_is_not_left_running_because_it_gets_ready(host: Host, tree: Tree, tmp_path: Path) -> None:
    gate = Gate(tmp_path)
    late = f"def late(*_):\n{textwrap.indent(SERVES.replace(STAYS, WAITS), ' ')}\n sys.exit(5)"
    command = tree.command(f"{late}\n{ARMED.format('late')}", "daemon")
    run = Running(host, CANDIDATES, "--wait-ready", "--", *command, ready=b"grown", env=gate.environ)
    is_armed(run)
    run.program.terminate()
    run.hears("ready: ")
    gate.open()
    assert over(run) == 5
    assert tree.pids() == []


# what lives on


def test_a_ready_command_lives_on_with_all_its_children(host: Host, tree: Tree) -> None:
    run = Running(host, CANDIDATES, "--wait-ready", "--", *tree.command(SERVES), ready=b"grown")
    assert run.program.wait(PATIENCE) == 0
    assert len(tree.pids()) >= len(KINDS) + 49


@pytest.mark.parametrize("code", [0, 1])
def test_what_a_command_leaves_that_ends_by_itself_lives_on(host: Host, tree: Tree, code: int) -> None:
    run = Running(host, CANDIDATES, "--", *tree.command(f"sys.exit({code})", "daemon"), ready=b"grown")
    assert over(run) == code
    assert len(tree.pids()) == 1


def test_a_neighbour_of_the_same_name_lives_on(host: Host, tree: Tree, tmp_path: Path) -> None:
    neighbours = Tree(f"{tmp_path}/neighbours")
    host.start(neighbours.command(STAYS, *GENTLE), ready=b"grown")
    before = sorted(neighbours.pids())
    run = Running(host, CANDIDATES, "--", *tree.command(STAYS, *GENTLE), ready=b"grown")
    run.program.terminate()
    assert over(run) == -signal.SIGTERM
    assert tree.pids() == []
    assert sorted(neighbours.pids()) == before
    neighbours.end()


def test_children_of_the_caller_live_on(host: Host, tree: Tree, tmp_path: Path) -> None:
    """`server & exec portcheck run ...`: portcheck is their parent, and adopts theirs, but has not started them."""
    others = Tree(f"{tmp_path}/others")
    mine = [str(PORTCHECK), "run", CANDIDATES, "--", *tree.command(STAYS, "session", "job", "deaf")]
    theirs = others.command(STAYS, *GENTLE)
    run = host.start([SYSTEM_PYTHON, "-c", CALLER, *map(json.dumps, (theirs, mine))], ready=b"grown")
    before = sorted(others.pids())
    run.send_signal(signal.SIGTERM)
    wait_for(lambda: len(tree.pids()) == 1, "only what ignores SIGTERM is left")

    def insisted() -> bool:
        run.send_signal(signal.SIGTERM)
        return run.poll() is not None

    wait_for(insisted, "it has no more patience")
    assert run.returncode == -signal.SIGTERM
    assert tree.pids() == []
    assert sorted(others.pids()) == before
    others.end()


# what cannot be ended


def test_what_may_not_be_signalled_is_named(host: Host, for_everyone: list[str], tmp_path: Path) -> None:
    """As sudo does, it becomes root."""
    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o755)
        become_root = Path(directory) / "become-root"
        shutil.copy("/usr/bin/setpriv", become_root)
        become_root.chmod(0o4755)
        root = f"{become_root} --reuid=0 --regid=0 --clear-groups python3 -c 'print(flush=True); input()'"
        argv = [*for_everyone, "run", CANDIDATES, "--", "sh", "-c", f"exec 3<&0; {root} <&3 2>&- & wait"]
        run = host.start(argv, uid=NOBODY, ready=b"\n", stderr=subprocess.PIPE)
        ours = child_of(child_of(run.pid))
        run.terminate()
        assert run.stderr is not None
        said = run.stderr.read().decode()
        assert re.fullmatch(rf"portcheck: still running: python3 .*\(PID {ours}, root, .*\)\n", said)
        assert run.wait(PATIENCE) == -signal.SIGTERM
        assert not is_gone(ours)


def test_who_has_the_port_even_so(host: Host, tree: Tree) -> None:
    run = Running(host, CANDIDATES, "--", *tree.command(STAYS, "daemon"), ready=b"grown")
    stranger = host.hold("127.0.0.1", PORT)
    run.program.terminate()
    assert over(run) == -signal.SIGTERM
    assert any(f"port 8000 is still held: python3 (PID {stranger.pid}, " in line for line in run.said), run.said


# where orphans are not adopted


def test_without_adoption_what_has_been_seen_is_ended(host: Host, tree: Tree) -> None:
    """As on macOS: what loses its parent before portcheck has looked is out of sight."""
    portcheck = (
        "import portcheck.traits as traits; traits.HERE = traits.HERE._replace(has_prctl=False)\n"
        "from portcheck.__main__ import main; main()"
    )
    visible = [kind for kind in GENTLE if kind not in ("daemon", "orphan")]
    run = host.start(
        [sys.executable, "-c", portcheck, "run", CANDIDATES, "--", *tree.command(STAYS, *visible)], ready=b"grown"
    )
    run.terminate()
    assert run.wait(PATIENCE) == -signal.SIGTERM
    assert tree.pids() == []
