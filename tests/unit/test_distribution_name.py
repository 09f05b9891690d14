"""What installers call the project: one constant, and every place that cannot import it says the same."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from portcheck.cli.options import COMMANDS
from portcheck.cli.pages import in_the_name_of, page
from portcheck.observe.ourselves import DISTRIBUTION, NAMES

ROOT = Path(__file__).parents[2]
INSTALLS = re.compile(
    r"(?:pip|pipx|uv tool|uv pip) install (?:-\S+ )*[\"']?([a-z]\w*)(?=[\s\"'\[`])|uvx (?:--from \S+ )?[\"']?([a-z]\w*)"
)
DOCUMENTS = [ROOT / "README.md", ROOT / "action.yml", *sorted((ROOT / "docs").glob("*.md"))]


def test_the_package_is_called_so() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["name"] == DISTRIBUTION
    assert [*project["scripts"]] == [*NAMES]
    assert len(set(project["scripts"].values())) == 1


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_documents_install_it_by_that_name(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    named = {name for pair in INSTALLS.findall(text) for name in pair if name}
    assert named <= {DISTRIBUTION}
    assert "portcheck[" not in text


def called_as(name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    program = f"import sys; sys.argv[:1] = ['/nowhere/{name}']; from portcheck.__main__ import main; main()"
    argv = [sys.executable, "-c", program, *arguments]
    return subprocess.run(
        argv, cwd="/", env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False, timeout=60
    )


@pytest.mark.parametrize("name", NAMES)
def test_usage_and_advice_are_in_the_name_that_was_typed(name: str) -> None:
    assert called_as(name, "stop", "--help").stdout.startswith(f"Usage: {name} stop [OPTION]... TARGET...")
    mistake = called_as(name, "localhost", "3000").stderr
    assert mistake == f"portcheck: 'localhost' names no port; did you mean: {name} localhost:3000\n"
    assert f"→ {name} check --help shows" in called_as(name, "80", "--nonsense").stderr


@pytest.mark.parametrize("command", [None, *COMMANDS])
def test_a_whole_page_is_in_that_name(command: str | None) -> None:
    told = repr(in_the_name_of("whyport", page(command)))
    assert "portcheck " not in told
    assert told.replace("whyport ", "portcheck ") == repr(page(command))


def test_the_second_name_of_what_a_package_installs() -> None:
    (second,) = set(NAMES) - {"portcheck"}
    names = {path.name for path in (ROOT / "packaging").iterdir()} - {"README.md"}
    assert {name.partition(".")[0] for name in names} == {second}
    for script in (ROOT / "portcheck" / "cli" / "shells").iterdir():
        assert second in script.read_text(encoding="utf-8"), script.name
