"""The documents for contributors say what is there: rooms, files, links, and forms that a code host can read."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import structure
import yaml

ROOT = structure.PACKAGE.parent
ARCHITECTURE = ROOT / "docs" / "architecture.md"
DECISIONS = sorted((ROOT / "docs" / "decisions").glob("[0-9]*.md"))
GUIDES = (
    ARCHITECTURE,
    ROOT / "CONTRIBUTING.md",
    ROOT / "SECURITY.md",
    ROOT / "docs" / "security.md",
    ROOT / "docs" / "ci.md",
    ROOT / "docs" / "rivals.md",
    ROOT / "docs" / "install.md",
    ROOT / "docs" / "releasing.md",
    ROOT / "docs" / "watch.md",
    ROOT / "docs" / "fleet.md",
    ROOT / "docs" / "decisions" / "README.md",
    *DECISIONS,
)
FORMS = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"))
# A path in backticks: it has a slash or an ending, and may be followed by words of a command.
PATH = re.compile(
    r"`((?:[\w.*-]+/)*[\w.*-]+(?:\.(?:py|md|toml|json|yaml)|/)|(?:scripts|tests|docs)/[\w./-]+)(?: [^`]*)?`"
)
LINK = re.compile(r"\]\(([^)#]+)(?:#[^)]*)?\)")
# What recipes tell people to make.
TO_BE_MADE = {"portcheck/observe/freebsd/"}


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def named(text: str) -> set[str]:
    return set(PATH.findall(text)) - TO_BE_MADE


def exists(path: str, document: Path) -> bool:
    """In the project, in the package, or (named alone) in one of the rooms that the document is about."""
    if any((place / path).exists() for place in (ROOT, structure.PACKAGE, document.parent)):
        return True
    return "/" not in path and any(structure.PACKAGE.rglob(path))


@pytest.mark.parametrize("document", GUIDES, ids=name)
def test_every_file_that_is_named_exists(document: Path) -> None:
    assert [path for path in sorted(named(document.read_text(encoding="utf-8"))) if not exists(path, document)] == []


@pytest.mark.parametrize(
    "document", [*GUIDES, ROOT / "docs" / "verify.md", ROOT / "README.md", ROOT / "CHANGELOG.md"], ids=name
)
def test_every_link_leads_somewhere(document: Path) -> None:
    links = [link for link in LINK.findall(document.read_text(encoding="utf-8")) if not link.startswith("http")]
    assert [link for link in links if not (document.parent / link).exists()] == []


def test_every_room_is_on_the_page() -> None:
    rooms = {module.partition(".")[0] for module in structure.modules()}
    table = ARCHITECTURE.read_text(encoding="utf-8").partition("## The rooms")[2].partition("\n## ")[0]
    shown = {path.split("/")[0].removesuffix(".py") for path in named(table)}
    assert rooms - shown == set()


def test_the_floors_on_the_page_are_those_of_the_house() -> None:
    from test_house import FLOORS

    picture = ARCHITECTURE.read_text(encoding="utf-8").partition("## The floors")[2].partition("\n## ")[0]
    lines = [line[4:] for line in picture.splitlines() if line.startswith("    ")]
    floors = [frozenset(line[14:].split(", ")) for line in lines]
    assert floors == [frozenset(floor) for floor in reversed(FLOORS)]


def test_every_decision_is_dated_and_listed() -> None:
    index = (ROOT / "docs" / "decisions" / "README.md").read_text(encoding="utf-8")
    for number, decision in enumerate(DECISIONS, 1):
        title, date, *sections = decision.read_text(encoding="utf-8").split("\n\n")
        assert decision.name.startswith(f"{number:04d}-")
        assert re.fullmatch(r"\d{4}-\d\d-\d\d", date)
        assert [line for line in sections if line.startswith("## ")] == ["## Context", "## Decision", "## Consequences"]
        assert f"| {date} | [{title.removeprefix('# ')}]({decision.name}) |" in index


def load(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("form", [path for path in FORMS if path.name != "config.yml"], ids=name)
def test_the_forms_can_be_read(form: Path) -> None:
    document = load(form)
    assert document.keys() == {"name", "description", "labels", "body"}
    fields = [field for field in document["body"] if field["type"] != "markdown"]
    assert {field["type"] for field in fields} <= {"input", "textarea"}
    assert all(field["attributes"]["label"] for field in fields)
    assert len({field["id"] for field in fields}) == len(fields)


def test_a_report_has_what_an_answer_needs() -> None:
    for form in ("bug.yml", "wrong-verdict.yml"):
        text = (ROOT / ".github" / "ISSUE_TEMPLATE" / form).read_text(encoding="utf-8")
        assert all(words in text for words in ("portcheck --version", "portcheck PORT --json", "Operating system"))


def test_the_hooks_run_what_is_there() -> None:
    (local,) = load(ROOT / ".pre-commit-config.yaml")["repos"]
    assert local["repo"] == "local"  # nothing is downloaded when somebody commits
    words = [word for hook in local["hooks"] for word in hook["entry"].split()]
    files = [word for word in words if word.startswith("tests/")]
    assert files
    assert all((ROOT / file).exists() for file in files)
    assert {hook["entry"].split()[0].rpartition("/")[2] for hook in local["hooks"]} == {"ruff", "mypy", "python"}
