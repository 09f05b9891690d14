"""Who holds a socket, of processes made for real: how they were started, what keeps them, what became of them."""

from __future__ import annotations

import json
import os
import pty
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
from support.patience import wait_for
from support.processes import is_gone

from portcheck.model import Container, Process, Socket
from portcheck.observe.identity import identities
from portcheck.observe.linux.processes import process

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs Linux's /proc")

SERVER = """
import os, socket, sys, time
listener = socket.create_server(("127.0.0.1", 0))
with open(sys.argv[1] + ".part", "w") as told:
    told.write(f"{os.getpid()} {listener.getsockname()[1]}")
os.rename(sys.argv[1] + ".part", sys.argv[1])
while True:
    time.sleep(1000)
"""
PREFORK = """
import os, socket, sys, time
listener = socket.create_server(("127.0.0.1", 0))
children = []
for _ in range(2):
    child = os.fork()
    if not child:
        while True:
            time.sleep(1000)
    children.append(child)
with open(sys.argv[1] + ".part", "w") as told:
    told.write(" ".join(map(str, (os.getpid(), listener.getsockname()[1], *children))))
os.rename(sys.argv[1] + ".part", sys.argv[1])
while True:
    time.sleep(1000)
"""
NODE_SERVER = """
const fs = require("fs"), server = require("http").createServer();
server.listen(0, "127.0.0.1", () => {
  fs.writeFileSync(process.argv[2] + ".part", `${process.pid} ${server.address().port}`);
  fs.renameSync(process.argv[2] + ".part", process.argv[2]);
});
"""
PLAIN = {"PATH": os.environ["PATH"]}


class Workshop:
    """Starts servers that tell their PID and port in a file; ends every one of them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.told = folder / "told"
        self.server = folder / "server.py"
        self.server.write_text(SERVER)
        self._started: list[subprocess.Popen[bytes]] = []
        self._pids: set[int] = set()

    def start(
        self,
        argv: Sequence[str | Path],
        *,
        environment: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        executable: str | Path | None = None,
        terminal: int | None = None,
    ) -> subprocess.Popen[bytes]:
        """In a session of its own, as a shell in a terminal has one; `terminal` becomes its controlling one."""
        started = subprocess.Popen(
            [str(word) for word in argv],
            env={**PLAIN, **(environment or {})},
            cwd=cwd or self.folder,
            executable=executable,
            stdin=subprocess.DEVNULL,
            start_new_session=terminal is None,
            preexec_fn=None if terminal is None else lambda: os.login_tty(terminal),  # noqa: PLW1509 - no threads here
            pass_fds=() if terminal is None else (terminal,),
        )
        self._started.append(started)
        return started

    def python(self, *arguments: str | Path) -> list[str | Path]:
        return [sys.executable, self.server, self.told, *arguments]

    def holders(self) -> tuple[list[int], Socket]:
        """The PIDs that a server has told, and the socket that they all hold."""
        wait_for(self.told.exists, "the server listens")
        pid, port, *more = map(int, self.told.read_text().split())
        pids = [pid, *more]
        self._pids.update(pids)
        return pids, Socket("tcp", "ipv4", "127.0.0.1", port, state="LISTEN", pids=tuple(pids))

    def known(self) -> Process:
        """Who holds the socket that the only server has told."""
        (pid,), socket = self.holders()
        return who(socket)[pid]

    def end(self) -> None:
        """First what was started from here, which may start the others again."""
        for started in self._started:
            started.kill()
            started.wait()
        for pid in self._pids - {started.pid for started in self._started}:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        wait_for(lambda: all(map(is_gone, self._pids)), "every server is gone")


def who(socket: Socket) -> dict[int, Process]:
    seen = {pid: found for pid in socket.pids or () if (found := process(pid))}
    known = identities(seen, [socket])
    assert known.blind_spots == ()
    return known.processes


@pytest.fixture
def workshop(tmp_path: Path) -> Iterator[Workshop]:
    made = Workshop(tmp_path)
    yield made
    made.end()


# What runs


def test_a_python_script(workshop: Workshop) -> None:
    workshop.start(workshop.python())
    found = workshop.known()
    assert found.script == str(workshop.server)
    assert (found.role, found.service, found.container, found.condition) == (None, None, None, ())


def test_a_python_module(workshop: Workshop) -> None:
    workshop.start([sys.executable, "-um", "server", workshop.told], environment={"PYTHONPATH": str(workshop.folder)})
    assert workshop.known().script == "-m server"


def test_a_node_script(workshop: Workshop) -> None:
    if not shutil.which("node"):
        pytest.skip("needs node")
    (workshop.folder / "server.js").write_text(NODE_SERVER)
    workshop.start(["node", "server.js", workshop.told])
    assert workshop.known().script == "server.js"


def test_main_and_workers_of_a_prefork_server(workshop: Workshop) -> None:
    workshop.server.write_text(PREFORK)
    workshop.start(workshop.python())
    pids, socket = workshop.holders()
    assert [who(socket)[pid].role for pid in pids] == ["main", "worker", "worker"]


# Where it was started


def test_the_project_above_its_directory(workshop: Workshop) -> None:
    deep = workshop.folder / "shop" / "src" / "server"
    deep.mkdir(parents=True)
    (workshop.folder / "shop" / "package.json").write_text('{"name": "@ann/shop"}')
    workshop.start(workshop.python(), cwd=deep)
    found = workshop.known()
    assert (found.project, found.project_dir) == ("@ann/shop", str(workshop.folder / "shop"))


def test_a_home_directory_is_no_project(workshop: Workshop) -> None:
    (workshop.folder / "package.json").write_text('{"name": "by-accident"}')
    below = workshop.folder / "downloads"
    below.mkdir()
    workshop.start(workshop.python(), cwd=below, environment={"HOME": str(workshop.folder)})
    assert workshop.known().project is None


@pytest.mark.parametrize("trap", ["fifo", "link", "folder", "huge"])
def test_a_project_file_that_is_a_trap_is_not_read(workshop: Workshop, trap: str) -> None:
    manifest = workshop.folder / "shop" / "package.json"
    manifest.parent.mkdir()
    if trap == "fifo":
        os.mkfifo(manifest)
    elif trap == "link":
        (workshop.folder / "secret.json").write_text('{"name": "secret"}')
        manifest.symlink_to("../secret.json")
    elif trap == "folder":
        manifest.mkdir()
    else:
        manifest.write_text('{"name": "huge"}' + " " * (1 << 20))
    workshop.start(workshop.python(), cwd=manifest.parent)
    assert workshop.known().project == "shop"


def test_an_npm_script(workshop: Workshop) -> None:
    if not shutil.which("npm"):
        pytest.skip("needs npm")
    scripts = {"dev": f"node server.js {workshop.told}"}
    (workshop.folder / "package.json").write_text(json.dumps({"name": "shop", "scripts": scripts}))
    (workshop.folder / "server.js").write_text(NODE_SERVER)
    home = {"HOME": str(workshop.folder / "home"), "npm_config_update_notifier": "false"}
    workshop.start(["npm", "run", "dev"], environment=home)
    found = workshop.known()
    assert (found.task, found.project, found.script) == ("npm run dev", "shop", "server.js")
    assert found.supervisor_pid == os.getpid()  # npm and its shell only pass on what we have started


@pytest.fixture
def terminal() -> Iterator[int]:
    """The slave side of a pseudo-terminal."""
    with ExitStack() as stack:
        for end in (pair := pty.openpty()):
            stack.callback(os.close, end)
        yield pair[1]


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, "terminal {}"),
        ({"SSH_CONNECTION": "10.0.0.1 5022 10.0.0.2 22", "SSH_TTY": "/dev/pts/0"}, "ssh ({})"),
        ({"TERM_PROGRAM": "vscode", "VSCODE_IPC_HOOK_CLI": "/run/x.sock"}, "VS Code ({})"),
        ({"TERMINAL_EMULATOR": "JetBrains-JediTerm"}, "a JetBrains IDE ({})"),
    ],
)
def test_a_session_with_a_terminal(
    workshop: Workshop, terminal: int, environment: dict[str, str], expected: str
) -> None:
    device = os.ttyname(terminal).removeprefix("/dev/")
    workshop.start(workshop.python(), environment=environment, terminal=terminal)
    found = workshop.known()
    assert (found.session, found.terminal) == (expected.format(device), device)


def test_a_tmux_pane(workshop: Workshop) -> None:
    tmux = shutil.which("tmux")
    if not tmux:
        pytest.skip("needs tmux")
    server = [tmux, "-L", "portcheck", "-f", "/dev/null"]
    environment = {**PLAIN, "TMUX_TMPDIR": str(workshop.folder), "TERM": "xterm", "SHELL": "/bin/sh"}
    subprocess.run([*server, "new-session", "-d", "--", *workshop.python()], env=environment, check=True)
    try:
        found = workshop.known()
    finally:
        subprocess.run([*server, "kill-server"], env=environment, check=True)
    assert found.session == "tmux pane %0"
    assert (found.started_by, found.condition) == (None, ())


def test_a_daemon_by_choice_has_no_session(workshop: Workshop) -> None:
    workshop.start(workshop.python(), environment={"SSH_CONNECTION": "10.0.0.1 5022 10.0.0.2 22"})
    assert workshop.known().session is None


# What keeps it


def test_supervisord(workshop: Workshop) -> None:
    supervisord = shutil.which("supervisord")
    if not supervisord:
        pytest.skip("needs supervisord")
    configuration = workshop.folder / "supervisord.conf"
    command = " ".join(map(str, workshop.python()))
    configuration.write_text(
        f"[supervisord]\nnodaemon=true\nlogfile=/dev/null\nlogfile_maxbytes=0\npidfile={workshop.folder}/pid\n"
        f"childlogdir={workshop.folder}\n[program:web]\ncommand={command}\n[group:shop]\nprograms=web\n"
    )
    daemon = workshop.start([supervisord, "-c", configuration])
    (pid,), socket = workshop.holders()
    seen = process(pid)
    assert seen is not None
    named, _, (spot,) = identities({pid: seen}, [socket])
    found = named[pid]
    # it takes no commands, and so confirms nothing
    assert (found.supervisor, found.supervisor_pid, found.supervised) == ("supervisord", daemon.pid, None)
    assert (found.confirmed, found.claim, spot.code) == (False, "supervisord's shop:web", "supervisor-no-answer")
    assert found.unanswered and found.unanswered.startswith("supervisorctl gave no answer")


def test_runit(workshop: Workshop) -> None:
    runsv = shutil.which("runsv")
    if not runsv:
        pytest.skip("needs runsv")
    service = workshop.folder / "web"
    service.mkdir()
    run = service / "run"
    run.write_text(f"#!/bin/sh\nexec {' '.join(map(str, workshop.python()))}\n")
    run.chmod(0o755)
    daemon = workshop.start([runsv, "web"])
    found = workshop.known()
    assert (found.supervisor, found.supervisor_pid, found.supervised) == ("runit", daemon.pid, str(service))
    assert (found.confirmed, found.claim) == (True, None)


def test_a_shell_loop(workshop: Workshop) -> None:
    command = " ".join(map(str, workshop.python()))
    shell = workshop.start(["sh", "-c", f"while :; do {command}; sleep 1; done"])
    found = workshop.known()
    assert (found.supervisor, found.supervisor_pid) == ("a shell loop", shell.pid)


def test_a_parent_of_which_nothing_is_known(workshop: Workshop) -> None:
    keeper = workshop.folder / "keeper.py"
    keeper.write_text("import subprocess, sys\nsubprocess.run(sys.argv[1:])\n")
    parent = workshop.start([sys.executable, keeper, *workshop.python()])
    found = workshop.known()
    assert (found.supervisor, found.started_by, found.supervisor_pid) == (None, "keeper.py", parent.pid)


# What became of it


def test_an_orphan(workshop: Workshop) -> None:
    command = " ".join(map(str, workshop.python()))
    shell = workshop.start(["sh", "-c", f"{command} &"], environment={"TMUX": "x,1,0", "TMUX_PANE": "%7"})
    shell.wait()
    found = workshop.known()
    assert found.condition == ("orphaned",)
    assert (found.started_by, found.session) == (None, "detached from tmux pane %7")


def test_a_child_is_no_orphan(workshop: Workshop) -> None:
    workshop.start(["sh", "-c", " ".join(map(str, workshop.python())) + "; true"])
    assert workshop.known().condition == ()


def test_a_stopped_process(workshop: Workshop) -> None:
    workshop.start(workshop.python())
    (pid,), socket = workshop.holders()
    os.kill(pid, signal.SIGSTOP)
    wait_for(lambda: (seen := process(pid)) and seen.state == "T", "it is stopped")
    assert who(socket)[pid].condition == ("stopped",)


def test_a_deleted_program(workshop: Workshop) -> None:
    program = workshop.folder / "python"
    shutil.copy(Path(sys.executable).resolve(), program)
    home = {"PYTHONHOME": sys.base_prefix, "LD_LIBRARY_PATH": f"{sys.base_prefix}/lib"}
    workshop.start([program, "-S", workshop.server, workshop.told], environment=home)
    workshop.holders()
    program.unlink()
    assert workshop.known().condition == ("deleted-executable",)


def test_a_process_that_has_ended_meanwhile_is_told_as_it_was_seen(workshop: Workshop) -> None:
    server = workshop.start(workshop.python())
    (pid,), socket = workshop.holders()
    seen = process(pid)
    assert seen is not None
    server.kill()
    server.wait()
    named = identities({pid: seen}, [socket]).processes
    assert (named[pid].pid, named[pid].command, named[pid].condition) == (pid, seen.command, ())


# Container engines


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder at the head of PATH."""
    folder = tmp_path / "tools"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return folder


def install(folder: Path, name: str, script: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


def proxy(workshop: Workshop) -> tuple[int, Socket]:
    """A process that looks like docker's, and its socket."""
    home = {"PYTHONHOME": sys.base_prefix}  # which Python finds by its argv[0] otherwise
    workshop.start(["docker-proxy", workshop.server, workshop.told], executable=sys.executable, environment=home)
    (pid,), socket = workshop.holders()
    return pid, socket


def test_an_engine_that_hangs_is_a_blind_spot_and_is_killed_with_its_children(workshop: Workshop, tools: Path) -> None:
    pids = workshop.folder / "pids"
    install(tools, "docker", f"sleep 1000 & echo $$ $! >>{pids}; wait")
    pid, socket = proxy(workshop)
    seen = process(pid)
    assert seen is not None
    named, _, (spot,) = identities({pid: seen}, [socket])
    assert (spot.code, named[pid].role, named[pid].container) == ("engine-no-answer", "proxy", Container("docker"))
    assert "within 1 s" in spot.message
    started = [int(word) for line in pids.read_text().splitlines() for word in line.split()]
    assert len(started) == 2  # asked once
    wait_for(lambda: all(map(is_gone, started)), "the tool and its child are gone")


def test_an_engine_that_refuses_is_a_blind_spot(workshop: Workshop, tools: Path) -> None:
    install(tools, "docker", "echo 'permission denied while trying to connect' >&2; exit 1")
    pid, socket = proxy(workshop)
    seen = process(pid)
    assert seen is not None
    (spot,) = identities({pid: seen}, [socket]).blind_spots
    assert spot.code == "engine-no-answer"
    assert "permission denied" in spot.message


def test_a_proxy_is_traced_to_its_container(workshop: Workshop, tools: Path) -> None:
    pid, socket = proxy(workshop)
    bindings = {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(socket.local_port)}]}
    web = {"Id": "f" * 64, "Name": "/web", "Config": {"Image": "nginx"}, "NetworkSettings": {"Ports": bindings}}
    (workshop.folder / "web.json").write_text(json.dumps([web]))
    asked = workshop.folder / "asked"
    answers = f"case $1 in ps) echo {'f' * 64};; container) cat {workshop.folder}/web.json;; esac"
    install(tools, "docker", f'echo "$*" >>{asked}; {answers}')
    assert who(socket)[pid].container == Container("docker", "f" * 64, "web", "nginx")
    assert asked.read_text().splitlines() == [
        f"ps --quiet --no-trunc --filter=publish={socket.local_port}/tcp",
        f"container inspect {'f' * 64}",
    ]


def test_the_container_behind_a_proxy_that_is_hidden(workshop: Workshop, tools: Path) -> None:
    """As an ordinary user who may talk to docker sees it: of docker-proxy, root's, only the socket's cgroup shows."""
    web = {"Id": "f" * 64, "NetworkSettings": {"Ports": {"80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "8088"}]}}}
    (workshop.folder / "web.json").write_text(json.dumps([web]))
    install(tools, "docker", f"case $1 in ps) echo {'f' * 64};; container) cat {workshop.folder}/web.json;; esac")
    unit = "/system.slice/docker.service"
    socket = Socket("tcp", "ipv4", "0.0.0.0", 8088, state="LISTEN", uid=0, user="root", inode=5, cgroup=unit)
    (hidden,) = identities({}, [socket]).hidden.items()
    assert hidden == (
        5,
        Process(
            0, uid=0, user="root", cgroup=unit, role="proxy", container=Container("docker", "f" * 64), confirmed=True
        ),
    )


def test_a_service_manager_that_hangs_is_a_blind_spot(workshop: Workshop, tools: Path) -> None:
    install(tools, "systemctl", "sleep 1000")
    socket = Socket("tcp", "ipv4", "0.0.0.0", 80, state="LISTEN", uid=0, user="root", inode=5, cgroup="/init.scope")
    found = identities({}, [socket])
    assert [spot.code for spot in found.blind_spots] == ["service-manager-no-answer"]
    assert found.hidden[5].role == "service manager"


def test_nobody_is_asked_of_an_ordinary_process(workshop: Workshop, tools: Path) -> None:
    asked = workshop.folder / "asked"
    for name in ("docker", "podman", "systemctl"):
        install(tools, name, f"echo {name} >>{asked}")
    workshop.start(workshop.python())
    assert workshop.known().container is None
    assert not asked.exists()
