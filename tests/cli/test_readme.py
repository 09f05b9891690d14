"""Every example of the README, run."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.namespaces import Host
from support.needs import need

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
SERVER = """
const [port, host] = [process.argv[2] || 3000, process.argv[3] || '127.0.0.1'];
require('http').createServer().listen(+port, host, () => console.log('ready'));
"""


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def examples() -> list[tuple[str, list[str]]]:
    """(command, the lines that it is said to print) in order."""
    found: list[tuple[str, list[str]]] = []
    for block in blocks("console"):
        for line in block.splitlines():
            if line.startswith("$ "):
                found.append((line[2:], []))
            else:
                found[-1][1].append(line)
    return found


@pytest.fixture
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Host, Path]]:
    """The host of the README: node on 127.0.0.1:3000, Service.exe and node on two addresses of port 20000."""
    need("node")
    shop = tmp_path_factory.mktemp("home") / "shop"
    shop.mkdir()
    (shop / "server.js").write_text(SERVER)
    (shop / "package.json").write_text('{"name": "shop"}')
    (shop / ".env").write_text("PORT=8000\n")
    with Host(link_local=False) as made:
        made.start(["node", "server.js"], ready=b"ready", cwd=shop)
        made.hold("127.0.0.1", 20000, "name", "Service.exe")
        made.start(["node", "server.js", "20000", "::1"], ready=b"ready", cwd=shop)
        yield made, shop


def normal(text: str, home: Path) -> str:
    """Without what differs from run to run: PIDs, times, users, places, and who started it."""
    text = text.replace(str(home), "~").replace("node server.js 20000 ::1", "node server.js")
    text = re.sub(r"PID \d+", "PID N", text)
    text = re.sub(r"^\d{2,}$", lambda found: found[0] if found[0] == "20001" else "N", text)
    text = re.sub(r"\(PID N, \w+[^()]*?, since [\d-]*[ ]?[\d:]+", "(PID N, USER, since T", text)
    text = re.sub(r"(LISTEN +)\d+( +\S+ +)\S+", r"\1N\2USER", text)
    text = re.sub(r"\[(project shop )?in ~/shop[^\]]*\]", "[PLACE]", text)
    return re.sub(r" +", " ", text).rstrip()


@pytest.mark.parametrize(("command", "said"), examples(), ids=[command for command, _ in examples()])
def test_console_example(host: tuple[Host, Path], command: str, said: list[str]) -> None:
    made, shop = host
    argv = shlex.split(command)
    assert argv.pop(0) == "portcheck"
    done = made.portcheck(*argv, cwd=shop)
    printed = [normal(line, shop.parent) for line in (done.stdout + done.stderr).splitlines()]
    expected = [normal(line, shop.parent) for line in said]
    assert matches(printed, expected), "\n".join(["printed:", *printed, "expected:", *expected])


def matches(printed: list[str], expected: list[str]) -> bool:
    """Line by line; `...` at the end of a line stands for its rest, and alone for any lines."""
    if not expected:
        return not printed
    if expected[0] == "...":
        return any(matches(printed[start:], expected[1:]) for start in range(len(printed) + 1))
    if not printed:
        return False
    same = printed[0].startswith(expected[0][:-3]) if expected[0].endswith("...") else printed[0] == expected[0]
    return same and matches(printed[1:], expected[1:])


def test_python_example(host: tuple[Host, Path]) -> None:
    made, _ = host
    made.hold("127.0.0.1", 3001)
    (code,) = blocks("python")
    done = made.run([sys.executable, "-c", code.replace("127.0.0.1:3000", "127.0.0.1:3001")])
    assert done.stdout.startswith("in-use listener ['python3")


def test_the_first_command_sets_up_what_it_needs(tmp_path: Path) -> None:
    """As a newcomer runs it: a fresh copy, no environment, nothing installed."""
    (command,) = [line for block in blocks("sh") for line in block.splitlines() if line.startswith("scripts/")]
    copy = tmp_path / "portcheck"
    ignore = shutil.ignore_patterns(".git", ".venv", ".cache", ".*_cache", ".hypothesis", "__pycache__")
    shutil.copytree(ROOT, copy, ignore=ignore)
    done = subprocess.run(
        command.split(),
        cwd=copy,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env={"PATH": "/usr/bin:/bin"},
    )
    assert done.returncode in (0, 1), done.stderr
    assert done.stdout.startswith("Port 80 is ")
    again = subprocess.run(command.split(), cwd=copy, capture_output=True, text=True, timeout=60, check=False)
    assert again.stderr == ""
    assert again.stdout.startswith("Port 80 is ")


def test_every_link_leads_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        if "://" not in target:
            assert (ROOT / target).exists(), target
