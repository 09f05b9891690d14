"""`--as SERVER` against the real programs, started beside holders of every kind: what is said is what they do."""

from __future__ import annotations

import os
import shlex
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from support.from_pypi import installed
from support.namespaces import Host
from support.needs import need
from support.patience import wait_for
from support.portcheck_command import PORTCHECK
from support.processes import end
from support.servers import FROM_NPM, FROM_PYPI, INSTALLING, PORT, Server, servers, working_in

from portcheck.profiles import PROFILES

# Read from strace once, and not run here: Go (its MPTCP sockets need 1.24), Docker's proxy, .NET.
NOT_RUN = {"go", "docker", "dotnet"}
HOLDERS: dict[str, tuple[tuple[str, ...], ...]] = {
    "nobody": (),
    "0.0.0.0": (("0.0.0.0",),),
    "127.0.0.1": (("127.0.0.1",),),
    "::1": (("::1",),),
    "dual-stack": (("::",),),
    ":: alone": (("::", "v6only"),),
    "192.0.2.7": (("192.0.2.7",),),
    "fd00::7": (("fd00::7",),),
    "both loopbacks": (("127.0.0.1",), ("::1",)),
    "bound": (("127.0.0.1", "bound"),),
}
ONE_LOCALHOST = "127.0.0.1 localhost\n"
TWO_LOCALHOSTS = "127.0.0.1 localhost\n::1 localhost\n"


@pytest.fixture(scope="module")
def known() -> Iterator[dict[str, Server]]:
    """Every server with its command line."""
    need("ip", "unshare", "npm", "node")
    with installed(*FROM_PYPI) as python, tempfile.TemporaryDirectory() as node:
        os.chmod(node, 0o755)
        command = ["npm", "install", "--no-audit", "--no-fund", "--silent", "--prefix", node, *FROM_NPM]
        done = subprocess.run(command, capture_output=True, text=True, timeout=INSTALLING, check=False)
        if done.returncode:
            pytest.skip(f"needs {', '.join(FROM_NPM)}, which npm cannot install: {done.stderr[-200:]}")
        yield servers(python, Path(node))


@dataclass
class Trial:
    """One server beside one set of holders, in a host of its own whose /etc/hosts is as given."""

    host: Host
    holders: set[int]
    listens: int
    program: subprocess.Popen[bytes]
    forecast: subprocess.CompletedProcess[str]

    @classmethod
    def begin(cls, name: str, server: Server, how: tuple[tuple[str, ...], ...], hosts: str, stack: ExitStack) -> Trial:
        """Asks first, and starts the server then."""
        host = stack.enter_context(Host())
        place = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        argv, env = working_in(place, server)
        (place / "hosts").write_text(hosts)
        named = ["unshare", "-m", "sh", "-c", f'mount --bind {place}/hosts /etc/hosts; exec "$@"', "sh"]
        holders = {host.hold(address, PORT, *options).pid for address, *options in how}
        forecast = host.run([*named, str(PORTCHECK), "--as", name, str(PORT)], check=False)
        user = ["setpriv", f"--reuid={server.uid}", f"--regid={server.uid}", "--clear-groups"] if server.uid else []
        program = host.start([*named, *user, *argv], cwd=place, env=env, stderr=subprocess.DEVNULL)
        return cls(host, holders, server.listens, program, forecast)

    def started(self) -> bool:
        """Whether it listens on the port in the end; a server that ends, or listens elsewhere, does not."""
        return wait_for(self._ending, "the server has listened or ended") == "here"

    def _ending(self) -> str | None:
        lines = [line.split() for line in self.host.run(["ss", "-Hltnp"]).stdout.splitlines()]
        ours = [fields[3] for fields in lines if not any(f"pid={pid}," in fields[-1] for pid in self.holders)]
        if self.program.poll() is not None:
            return "ended"
        here = sum(address.endswith(f":{PORT}") for address in ours)
        return "here" if here >= self.listens else "elsewhere" if ours and not here else None


def test_every_profile_is_compared_or_named_as_not(known: dict[str, Server]) -> None:
    assert set(known) | NOT_RUN == set(PROFILES)


@pytest.mark.parametrize("name", [name for name in PROFILES if name not in NOT_RUN])
def test_what_is_said_of_a_server_is_what_it_does(name: str, known: dict[str, Server]) -> None:
    need(*known[name].needs)
    compared: dict[str, tuple[bool, bool]] = {}
    for hosts in (ONE_LOCALHOST, TWO_LOCALHOSTS) if PROFILES[name].localhost else (ONE_LOCALHOST,):
        with ExitStack() as stack:  # side by side: most of the time they wait
            trials = {state: Trial.begin(name, known[name], how, hosts, stack) for state, how in HOLDERS.items()}
            for state, trial in trials.items():
                assert trial.forecast.returncode in (0, 1), trial.forecast
                compared[f"{state}, {hosts!r}"] = trial.forecast.returncode == 0, trial.started()
    wrong = {state: pair for state, pair in compared.items() if pair[0] != pair[1]}
    assert not wrong, "said to start, did start"
    assert {did for _, did in compared.values()} == {True, False}


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("vite", "{bin}/vite"),
        ("vite", "{bin}/vite --port 5199"),
        ("django", "{python} manage.py runserver --noreload"),
        ("flask", "{flask} --app a run"),
        ("php", "php -S localhost:5199"),
    ],
)
def test_run_says_what_gives_the_port_to_a_server_that_does_not_heed_it(
    host: Host, name: str, command: str, known: dict[str, Server], tmp_path: Path
) -> None:
    server = known[name]
    need(*server.needs)
    _, env = working_in(tmp_path, server)
    first = server.command[0]
    written = command.format(bin=Path(first).parent, python=first, flask=first)
    argv = [str(PORTCHECK), "run", str(PORT), "--"]
    complaint = line_with("try: ... -- ", host, [*argv, *written.split()], tmp_path, env)
    advised = shlex.split(complaint.partition("try: ... -- ")[2])
    assert any("{port}" in word for word in advised)
    assert f":{PORT}" in line_with("ready: ", host, [*argv, *advised], tmp_path, env)


def line_with(wanted: str, host: Host, argv: list[str], cwd: Path, env: Mapping[str, str]) -> str:
    """The first line of its standard error that has this in it; the command is ended then."""
    program = host.start(argv, cwd=cwd, env=env, stderr=subprocess.PIPE)
    assert program.stderr is not None
    lines = (line.decode() for line in program.stderr)
    line = next((line for line in lines if wanted in line), "").strip()
    end(program)
    return line
