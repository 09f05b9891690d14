"""Repositories of strangers, checked as CI does it: nothing secret in any output, nothing executed, in bounded time.

Each is a directory as somebody could push it, on a runner that has a secret in its environment, in a file outside of
the checkout, in a `.env` that an earlier step has written, and in what git keeps.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.needs import need
from support.patience import PATIENCE
from support.portcheck_command import PORTCHECK

pytest.importorskip("yaml", reason="PyYAML is not installed (portcheck[preflight])")
pytest.importorskip("dotenv", reason="python-dotenv is not installed (portcheck[preflight])")
pytest.importorskip("pyjson5", reason="pyjson5 is not installed (portcheck[preflight])")

from portcheck.errors import UsageError
from portcheck.observe.subprocesses import NoAnswerError, Patience, ask
from portcheck.preflight import PreflightError, read

FORMATS = ("text", "json", "github", "junit")
MARK = "hunter2-" + os.urandom(6).hex()
SPELLINGS = (MARK, MARK.replace("-", ""), MARK.replace("-", "_"))  # a project's name drops what it does not like


class Runner(NamedTuple):
    """A checkout in its workspace, beside what is none of its business."""

    repository: Path
    outside: Path
    touched: Path

    def write(self, name: str, text: str) -> None:
        path = self.repository / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def link(self, name: str, target: str | Path) -> None:
        (self.repository / name).symlink_to(target)

    def run(
        self, *args: str, path: str = "/usr/bin:/bin", command: str = "preflight"
    ) -> subprocess.CompletedProcess[str]:
        """In a network of its own, which has no port in use."""
        environment = {
            "PATH": path, "HOME": str(self.outside), "SECRET": MARK, "PORT_OF_CI": "8123", "PIN": "54321",
            "LANG": "C.UTF-8",
        }  # fmt: skip
        return subprocess.run(
            ["/usr/bin/unshare", "--net", str(PORTCHECK), command, *args],
            cwd=self.repository, env=environment, capture_output=True, text=True, timeout=PATIENCE * 3, check=False,
        )  # fmt: skip


@pytest.fixture
def runner(tmp_path: Path) -> Runner:
    need("unshare")
    made = Runner(tmp_path / "work" / "shop", tmp_path / "home", tmp_path / "touched")
    for folder in (made.repository / ".git", made.outside):
        folder.mkdir(parents=True)
    (made.outside / "secret.yaml").write_text(f"{MARK}: {MARK}\n")
    (made.outside / "secret.env").write_text(f"PORT={MARK}\nTOKEN={MARK}\n{MARK}\n")
    (made.outside / "compose.yaml").write_text(
        f"services: {{web: {{image: x, ports: ['8000:{MARK}'], profiles: ['{MARK}']}}}}\n"
    )
    (made.repository / ".git" / "config").write_text(f"[http]\n\textraheader = {MARK}\n{MARK}: {MARK}\n")
    return made


def composed(entry: str) -> str:
    return f"services:\n  web:\n    image: x\n    ports: [{entry}]\n"


# What a stranger can push as plain files; ".env" stands for one that an earlier step of CI has written.
FILES: dict[str, dict[str, str]] = {
    "a port": {"compose.yaml": composed('"${SECRET}:80"')},
    "a part of a port": {"compose.yaml": composed('"80${SECRET}:80"')},
    "an address": {"compose.yaml": composed('"${SECRET}:80:80"')},
    "a protocol": {"compose.yaml": composed('"80:80/${SECRET}"')},
    "a long entry": {"compose.yaml": composed('{target: 80, published: "${SECRET}", host_ip: "${SECRET}"}')},
    "a default": {"compose.yaml": composed('"${NOT_SET:-${SECRET}}:80"')},
    "a message": {"compose.yaml": composed('"${NOT_SET:?$SECRET}:80"')},
    "a message of a message": {"compose.yaml": composed('"${NOT_SET:?${NOR_THIS:-$SECRET}}:80"')},
    "a profile": {"compose.yaml": composed('"80:80"').replace("image: x", 'profiles: ["${SECRET}"]')},
    "a project's name": {"compose.yaml": "name: x${SECRET}\n" + composed('"80:80"')},
    "a project's name in .env": {"compose.yaml": composed('"80:80"'), ".env": "COMPOSE_PROJECT_NAME=${SECRET}\n"},
    "an included file": {"compose.yaml": "include: ['${SECRET}.yaml']\n" + composed('"80:80"')},
    "an included file that is there": {
        "compose.yaml": "include: ['${SECRET}/../in.yaml', './${SECRET}/../in.yaml']\n",
        "in.yaml": composed('"x:80"'),
    },
    "a project's directory": {
        "compose.yaml": "include: [{path: in.yaml, project_directory: '${SECRET}', env_file: '${SECRET}'}]\n",
        "in.yaml": "services: {web: {extends: {file: x.yaml, service: x}}}\n",
    },
    "an extended file": {"compose.yaml": "services: {web: {extends: {file: '${SECRET}', service: x}}}\n"},
    "an extended service": {"compose.yaml": "services: {web: {extends: '${SECRET}'}}\n"},
    "an env_file": {"compose.yaml": composed('"${TOKEN}:80"').replace("image: x", "env_file: '${SECRET}'")},
    "COMPOSE_FILE": {".env": "COMPOSE_FILE=${SECRET}\n"},
    "COMPOSE_FILE outside": {".env": "COMPOSE_FILE=/${SECRET}/compose.yaml\n"},
    "PORT in .env": {".env": "PORT=${SECRET}\n"},
    "a .env of CI": {".env": f"PORT={MARK}\n", "compose.yaml": composed('"$PORT:80"'), "Procfile": "web: x -p $PORT\n"},
    "a .env as Compose file": {".env": f"{MARK}\n", "compose.yaml": "include: [.env]\n"},
    "a port of a Procfile": {"Procfile": "web: x --port $SECRET\n"},
    "a host of a Procfile": {"Procfile": "web: x --host $SECRET --port 8000\n"},
    "a host's zone": {"Procfile": "web: x --host fe80::1%$SECRET --port 8000\n"},
    "a host's domain": {"Procfile": "web: x --host $SECRET.example.org --port 8000\n"},
    "a bind of a Procfile": {"Procfile": "web: x --bind $SECRET:8000\napi: x -b tcp://$SECRET\n"},
    "a shell in a Procfile": {"Procfile": "web: SECRET=1 sh -c 'x --port ${NOT_SET:-$PORT$SECRET}'\n"},
    "broken YAML": {"compose.yaml": "services: [\n"},
    "broken TOML": {"portcheck.toml": "ports = [\n"},
    "broken JSON": {".devcontainer.json": '{"forwardPorts": [\n'},
}


def outputs(runner: Runner, *args: str, path: str = "/usr/bin:/bin") -> dict[str, subprocess.CompletedProcess[str]]:
    return {shape: runner.run("--format", shape, *args, path=path) for shape in FORMATS}


def assert_harmless(done: subprocess.CompletedProcess[str], runner: Runner) -> None:
    assert done.returncode in (0, 1, 2, 3), done.stderr
    assert not [word for word in SPELLINGS if word in (done.stdout + done.stderr).lower()]
    assert not runner.touched.exists()


@pytest.mark.parametrize("files", FILES.values(), ids=FILES)
def test_no_value_is_printed(files: dict[str, str], runner: Runner) -> None:
    for name, text in files.items():
        runner.write(name, text)
    for done in outputs(runner).values():
        assert_harmless(done, runner)
    assert_harmless(runner.run("--allow-outside"), runner)


def test_the_variable_is_named(runner: Runner) -> None:
    runner.write("compose.yaml", composed('"${SECRET}:80"'))
    done = runner.run()
    assert done.returncode == 3
    assert done.stderr == (
        "portcheck: compose.yaml:4: the value of SECRET is no port, range or address that can be published\n"
    )


def test_a_number_that_was_asked_about_is_shown_with_its_variable(runner: Runner) -> None:
    runner.write("compose.yaml", composed('"${PIN}:80"'))
    assert "compose.yaml:4  web  54321  free  from $PIN\n" in runner.run().stdout
    (result,) = json.loads(runner.run("--json").stdout)["results"]
    assert (result["port"], result["variables"]) == (54321, ["PIN"])


# What leads out of the project: told, and followed only when that is asked for.
LINKS: dict[str, Callable[[Runner], None]] = {
    "compose.yaml": lambda its: its.link("compose.yaml", its.outside / "secret.yaml"),
    "a relative link": lambda its: its.link("compose.yaml", "../../home/compose.yaml"),
    "a link to a link": lambda its: (its.link("a", its.outside / "secret.yaml"), its.link("compose.yaml", "a"))[0],
    "a directory": lambda its: (
        its.link("there", its.outside), its.write("compose.yaml", "include: [there/secret.yaml]\n")
    )[1],
    "an override": lambda its: (
        its.write("compose.yaml", composed('"81:80"')), its.link("compose.override.yaml", its.outside / "secret.yaml")
    )[1],
    "include": lambda its: its.write("compose.yaml", "include: [../../home/secret.yaml]\n"),
    "include's env_file": lambda its: (
        its.write("compose.yaml", "include: [{path: in.yaml, env_file: ../../home/secret.env}]\n"),
        its.write("in.yaml", composed('"${TOKEN:-82}:80"')),
    )[1],
    "extends": lambda its: its.write(
        "compose.yaml", "services: {web: {extends: {file: ../../home/compose.yaml, service: web}}}\n"
    ),
    "env_file": lambda its: its.write("compose.yaml", composed('"81:80"') + "    env_file: /etc/passwd\n"),
    ".env": lambda its: (its.link(".env", its.outside / "secret.env"), its.write("Procfile", "web: x -p $TOKEN\n"))[1],
    "COMPOSE_FILE": lambda its: its.write(".env", "COMPOSE_FILE=../../home/secret.yaml\n"),
    "Procfile": lambda its: its.link("Procfile", its.outside / "secret.env"),
    "devcontainer.json": lambda its: its.link(".devcontainer.json", its.outside / "secret.yaml"),
    "portcheck.toml": lambda its: its.link("portcheck.toml", its.outside / "secret.env"),
    "pyproject.toml": lambda its: its.link("pyproject.toml", its.outside / "secret.env"),
    "what git keeps": lambda its: its.link("Procfile", ".git/config"),
    "what git keeps, as YAML": lambda its: its.write("compose.yaml", "include: [.git/config]\n"),
    "/proc": lambda its: its.link("Procfile", "/proc/self/environ"),
    "a terminal": lambda its: its.link(".env", "/dev/tty"),
    "nothing": lambda its: its.link("Procfile", its.outside / "missing"),
}  # fmt: skip


@pytest.mark.parametrize("make", LINKS.values(), ids=LINKS)
def test_what_leads_outside_is_told_and_not_followed(make: Callable[[Runner], None], runner: Runner) -> None:
    make(runner)
    runner.write(".devcontainer/devcontainer.json", '{"forwardPorts": [8005]}')
    for done in outputs(runner).values():
        assert_harmless(done, runner)
    document = json.loads(runner.run("--json").stdout)
    assert "outside" in {spot["code"] for spot in document["blind_spots"]}
    assert 8005 in {result["port"] for result in document["results"]}  # the others are answered
    assert runner.run("--strict").returncode == 3
    for done in outputs(runner, "--allow-outside").values():
        assert_harmless(done, runner)


def test_asked_for_it_is_followed(runner: Runner) -> None:
    (runner.outside / "compose.yaml").write_text("services: {web: {image: x, ports: ['8000:80']}}\n")
    runner.write("compose.yaml", "include: [../../home/compose.yaml]\n")
    assert runner.run().returncode == 3
    done = runner.run("--allow-outside", "--strict")
    assert (done.returncode, "web  8000  free\n" in done.stdout) == (0, True)


def test_a_directory_that_was_replaced_by_a_link(runner: Runner) -> None:
    """CI names `services/api`; the pull request has put a link in its place."""
    runner.link("api", runner.outside)
    for done in outputs(runner, "--directory", "api").values():
        assert_harmless(done, runner)
        assert "8000" not in done.stdout
    named = runner.run("api/compose.yaml")
    assert (named.returncode, "leads outside of the project" in named.stdout) == (3, True)


PROGRAMS = ("docker", "docker-compose", "podman", "sh", "git", "python3", "systemctl", "iptables-save", "nft", "env")


@pytest.mark.parametrize("where", ["", ".", "bin", "./bin", "../shop/bin", "{repository}/bin", "{repository}"])
def test_nothing_of_the_repository_is_executed(where: str, runner: Runner) -> None:
    for folder in ("bin", "."):
        for program in PROGRAMS:
            runner.write(f"{folder}/{program}", f"#!/bin/sh\ntouch {runner.touched}\n")
            (runner.repository / folder / program).chmod(0o755)
    for module in ("yaml", "dotenv", "pyjson5", "json", "sitecustomize"):
        runner.write(f"{module}.py", f"open({str(runner.touched)!r}, 'w')\n")
    runner.write("compose.yaml", composed('"8000:80"'))
    path = f"{where.format(repository=runner.repository)}:/usr/bin:/bin"
    for done in outputs(runner, path=path).values():
        assert_harmless(done, runner)
        assert done.returncode == 0


@pytest.mark.parametrize("path", [".", "", "bin", "./bin:."])
def test_no_tool_is_found_by_a_relative_path(path: str, runner: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of those that are asked who holds a port."""
    for folder in ("bin", "."):
        runner.write(f"{folder}/docker", f"#!/bin/sh\ntouch {runner.touched}\n")
        (runner.repository / folder / "docker").chmod(0o755)
    monkeypatch.chdir(runner.repository)
    monkeypatch.setenv("PATH", path)
    with pytest.raises(NoAnswerError, match="is not on the PATH"):
        ask(("docker", "ps"), Patience(5))
    assert not runner.touched.exists()


def test_docker_is_not_told_what_the_repository_says(runner: Runner) -> None:
    """An engine's client outside of the project is asked, with the environment of CI alone."""
    tools, log = runner.outside / "bin", runner.outside / "log"
    tools.mkdir()
    (tools / "docker").write_text(f'#!/bin/sh\n(pwd; env) >>{log}\necho "bad value: $SECRET" >&2\n[ "$2" = version ]\n')
    (tools / "docker").chmod(0o755)
    runner.write("compose.yaml", composed('"8000:80"'))
    runner.write(".env", "LD_PRELOAD=x\nPATH=/x\nGODEBUG=x\n")
    for done in outputs(runner, path=f".:bin:{tools}:/usr/bin:/bin").values():
        assert_harmless(done, runner)
    written = log.read_text().splitlines()
    assert "/" in written
    assert f"PATH={tools}:/usr/bin:/bin" in written
    assert not [line for line in written if line.startswith(("LD_PRELOAD", "GODEBUG"))]
    log.unlink()
    runner.write(".env", "DOCKER_HOST=tcp://evil.example:1\n")
    assert runner.run(path=f"{tools}:/usr/bin:/bin").returncode == 0
    assert not log.exists()


# What takes time or memory: one blind spot, and the others are answered.
BOMBS: dict[str, dict[str, str]] = {
    "TOML keys": {"portcheck.toml": "a." * 24_000 + "a=1\n"},
    "TOML depth": {"pyproject.toml": "a = " + "[" * 100_000},
    ".env doubling": {".env": "A=aa\n" + "A=${A}${A}\n" * 40},
    "many long values": {".env": f"A={'a' * 60_000}\n" + "".join(f"B{n}=$A\n" for n in range(10_000))},
    "YAML aliases": {
        "compose.yaml": "a0: &a0 [x, x, x, x]\n" + "".join(f"a{n}: &a{n} [{f'*a{n - 1},' * 9}]\n" for n in range(1, 30))
    },
    "YAML depth": {"compose.yaml": "[" * 100_000},
    "a large file": {"compose.yaml": "#" * (1 << 20)},
    "includes of includes": {
        "compose.yaml": "include: [a.yaml, a.yaml]\n", "a.yaml": "include: [compose.yaml, compose.yaml]\n",
    },
    "large includes": {
        "compose.yaml": f"include: {[f'{n}.yaml' for n in range(50)]}\n",
        **{f"{n}.yaml": "x-a: [" + "a," * 100_000 + "]\n" for n in range(50)},
    },
    "more ports than anybody has": {"compose.yaml": composed('"1-65535:1-65535", "1-65535:1-65535/udp"')},
    "a long interpolation": {"compose.yaml": composed('"' + "$PATH" * 10_000 + ':80"')},
    "a Procfile of many lines": {"Procfile": "a: b\n" * 40_000},
    "a long command": {"Procfile": "web: " + "x" * 200_000 + "\n"},
    "a chain of extends": {
        "compose.yaml": "services:\n  s1000: {}\n" + "".join(f"  s{n}: {{extends: s{n + 1}}}\n" for n in range(1_000))
    },
    "JSON depth": {".devcontainer.json": "[" * 100_000},
}  # fmt: skip


@pytest.mark.parametrize("files", BOMBS.values(), ids=BOMBS)
def test_what_grows_out_of_bounds_is_given_up(files: dict[str, str], runner: Runner) -> None:
    for name, text in files.items():
        runner.write(name, text)
    runner.write(".devcontainer/devcontainer.json", '{"forwardPorts": [8005]}')
    before = time.monotonic()
    done = runner.run("--json")
    assert time.monotonic() - before < PATIENCE / 2
    assert_harmless(done, runner)
    document = json.loads(done.stdout)
    assert "limit" in {spot["code"] for spot in document["blind_spots"]}
    assert 8005 in {result["port"] for result in document["results"]}


@pytest.mark.parametrize("name", ["compose.yaml", ".env", "Procfile", ".devcontainer.json", "portcheck.toml"])
def test_what_is_no_file_is_not_opened(name: str, runner: Runner) -> None:
    os.mkfifo(runner.repository / name)
    runner.write("pyproject.toml", "tool.portcheck.ports.web = 8000\n")
    done = runner.run(name)
    assert_harmless(done, runner)
    assert "not a regular file" in done.stderr
    assert runner.run().returncode == 0


def test_a_million_complaints_are_cut(runner: Runner) -> None:
    runner.write("compose.yaml", composed(", ".join(['"${NOT_SET}:80"'] * 10_000)))
    spots = json.loads(runner.run("--json").stdout)["blind_spots"]
    assert len(spots) <= 1_001


PIECES = st.sampled_from([
    *("services", "web", "ports", "include", "extends", "file", "env_file", "PORT", "A", "8000", "80", "${A}", "${A:-"),
    *("$", "'", '"', ":", " ", "\n", "\n  ", "\n    - ", "-", "[", "]", "{", "}", ",", "=", "#", "&a ", "*a", "<<: "),
    *("/*", "//", "forwardPorts", "appPort", "[ports]\n", "tool.portcheck.", "web: ", "-p ", "--port ", ".."),
    *("\x00", "\u2028", "\r", "\t", "1-65535", "name", "!reset ", "|", ">", "0x1F", "é", "/etc/passwd", ".", "\\"),
])  # fmt: skip
NAMES = ("compose.yaml", ".env", "Procfile", ".devcontainer.json", "portcheck.toml", "pyproject.toml")


@settings(max_examples=60)
@given(name=st.sampled_from(NAMES), pieces=st.lists(PIECES, max_size=60), repeated=st.sampled_from([1, 1, 1, 400]))
def test_any_text_is_read_or_refused_in_time_and_memory(name: str, pieces: list[str], repeated: int) -> None:
    with tempfile.TemporaryDirectory() as made:
        path = Path(made, name)
        path.write_bytes(("".join(pieces) * repeated).encode())
        tracemalloc.start()
        before = time.process_time()
        try:
            found = read(directory=made, environment={"A": MARK, "PORT": MARK}, docker=False)
            told = [*(each.message for each in found.unresolved), *(str(each) for each in found.declarations)]
        except (PreflightError, UsageError) as error:
            told = [error.cause]
        finally:
            _, most = tracemalloc.get_traced_memory()
            tracemalloc.stop()
        assert time.process_time() - before < 10
        assert most < 200 << 20
        assert not [text for text in told if MARK in text]


@pytest.mark.parametrize("command", ["preflight", "verify"])
def test_scripts_and_configurations_lead_nowhere_and_run_nothing(runner: Runner, command: str) -> None:
    scripts = {
        "dev": "vite", "evil": f"touch {runner.touched}; $(touch {runner.touched}) next dev -p $SECRET",
        "named": "web --port $PIN --host $SECRET",
    }  # fmt: skip
    runner.write("package.json", json.dumps({"scripts": scripts}))
    runner.link("vite.config.js", runner.outside / "secret.env")
    runner.link("Procfile.dev", runner.outside / "secret.env")
    runner.link("Procfile.test", "/proc/self/environ")
    (runner.repository / ".devcontainer").symlink_to(runner.outside)
    for shape in FORMATS:
        done = runner.run("--format", shape, command=command)
        assert done.returncode in (0, 1, 3), done.stderr
        assert not [spelling for spelling in SPELLINGS if spelling in done.stdout + done.stderr]
    assert not runner.touched.exists()
    done = runner.run("--format", "json", command=command)
    assert {spot["code"] for spot in json.loads(done.stdout)["blind_spots"]} >= {"outside", "process"}
