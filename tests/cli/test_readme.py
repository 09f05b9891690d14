"""Every block of the README, run from its first to its last on a made-up host, and compared word for word.

pytest tests/cli/test_readme.py --write    writes into the README what its commands print now
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from support.anns_computer import Computer, at_work
from support.from_pypi import installed
from support.rigs.sandbox import skip_if_unavailable

from portcheck.cli.parse import parse

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
BLOCK = re.compile(r"^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE)
INSTALL = "## Install\n"
PROMPT = "$ "


class Block(NamedTuple):
    """What stands between two fences."""

    language: str
    text: str
    section: str  # its heading


def blocks(readme: str) -> list[Block]:
    found = []
    for match in BLOCK.finditer(readme):
        headings = re.findall(r"^#+ .*\n", readme[: match.start()], re.MULTILINE)
        found.append(Block(match["language"], match["text"], headings[-1]))
    return found


# What a block should hold, found out by running it.


def console(host: Computer, block: Block) -> str:
    """Its commands, each with everything that ann's terminal shows after it."""
    commands = [line for line in block.text.splitlines() if line.startswith(PROMPT)]
    return "".join(f"{command}\n{host.types(command.removeprefix(PROMPT))}" for command in commands)


def toml(host: Computer, block: Block) -> str:
    """A file of the project, whose name is in its first line."""
    (host.home / "shop" / block.text.splitlines()[0].removeprefix("# ")).write_text(block.text)
    return block.text


def sh(host: Computer, block: Block) -> str:
    """A script, which ends well."""
    (host.home / "shop" / "script.sh").write_text(block.text)
    shown = host.types("sh -eu script.sh && echo ended well")
    assert shown.endswith("ended well\n"), shown
    return block.text


def python(host: Computer, block: Block) -> str:
    """A program; what it prints is the next block."""
    (host.home / "shop" / "program.py").write_text(block.text)
    return block.text


def text(host: Computer, _: Block) -> str:
    return host.types(f"{sys.executable} program.py")


RUN: dict[str, Callable[[Computer, Block], str]] = {
    "console": console, "toml": toml, "sh": sh, "python": python, "text": text,
}  # fmt: skip


def retold(readme: str) -> str:
    """The README with what every block should hold."""
    with at_work() as host:
        held = [
            block.text if block.section == INSTALL else RUN[block.language](host, block) for block in blocks(readme)
        ]
    texts = iter(held)
    return BLOCK.sub(lambda match: f"```{match['language']}\n{next(texts)}```", readme)


def test_every_block_is_true(pytestconfig: pytest.Config) -> None:
    readme = README.read_text(encoding="utf-8")
    with skip_if_unavailable("sandbox"):
        current = retold(readme)
    if pytestconfig.getoption("--write"):
        README.write_text(current, encoding="utf-8")
    else:
        assert readme.splitlines() == current.splitlines(), "pytest tests/cli/test_readme.py --write"


@pytest.fixture(scope="module")
def tools() -> Iterator[Path]:
    with installed("pipx", "uv") as environment:
        yield environment / "bin"


def ways_to_install() -> list[str]:
    (block,) = [block for block in blocks(README.read_text(encoding="utf-8")) if block.section == INSTALL]
    return [line.partition("#")[0].strip() for line in block.text.splitlines()]


@pytest.mark.parametrize("line", ways_to_install())
def test_every_way_to_install(line: str, tools: Path, tmp_path: Path) -> None:
    """As a newcomer runs it: a fresh copy, an empty home, no environment."""
    copy, home = tmp_path / "portcheck", tmp_path / "home"
    ignore = shutil.ignore_patterns(".git", ".venv", ".cache", ".*_cache", ".hypothesis", "__pycache__")
    shutil.copytree(ROOT, copy, ignore=ignore)
    home.mkdir()
    path = f"{home}/.local/bin:{tmp_path}/bin:/usr/bin:/bin"
    (tmp_path / "bin").mkdir()
    for tool in ("pipx", "uv") if not line.startswith("scripts/") else ():
        (tmp_path / "bin" / tool).symlink_to(tools / tool)
    index = {name: value for name, value in os.environ.items() if name.startswith(("PIP_", "UV_", "SSL_"))}

    def types(words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            words.split(), cwd=copy, env={"HOME": str(home), "PATH": path, **index},
            capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip

    first = types(line)
    assert first.returncode in (0, 1), first.stdout + first.stderr
    again = types(line if line.startswith("scripts/") else "portcheck 3000")
    assert again.stdout.startswith("Port 3000 is "), again.stdout + again.stderr
    assert again.stderr == ""


def test_every_command_in_the_prose_is_understood() -> None:
    prose = BLOCK.sub("", README.read_text(encoding="utf-8"))
    lines = [" ".join(line.split()) for line in re.findall(r"`portcheck ([^`]+)`", prose)]
    assert len(lines) > 10
    for line in lines:
        parse(shlex.split(line))  # a UsageError says what is wrong with it


def test_a_page_of_eighty_columns_is_enough() -> None:
    """For its prose: tables, pictures and links cannot be broken."""
    readme = README.read_text(encoding="utf-8")
    lines = BLOCK.sub("", readme).splitlines()
    assert [line for line in lines if len(line) > 80 and not line.startswith(("|", "  <", "["))] == []
