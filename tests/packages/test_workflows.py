"""Workflows: the tools that know them have nothing to say, and they ask for the least rights that will do."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.release_tools import ROOT, run

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
PINNED = re.compile(r"^[\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$")
# What is in other repositories → the jobs that ask GitHub who they are.
IDENTIFIED = {("release", "pypi"), ("release", "github"), ("docs", "publish")}


def name(path: Path) -> str:
    return path.stem


def document(path: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return loaded


def jobs() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path in WORKFLOWS:
        for job, body in document(path)["jobs"].items():
            yield path.stem, job, body


def test_actionlint_has_nothing_to_say() -> None:
    assert run("actionlint", *WORKFLOWS).stdout == ""


def test_zizmor_has_nothing_to_say() -> None:
    done = run("zizmor", "--offline", "--persona=pedantic", "--no-progress", ".github", "action.yml", check=False)
    assert (done.returncode, "No findings to report" in done.stdout) == (0, True), done.stdout


def test_they_fit_their_schemas() -> None:
    run("check-jsonschema", "--builtin-schema=vendor.github-workflows", *WORKFLOWS)
    run("check-jsonschema", "--builtin-schema=vendor.github-actions", "action.yml")


@pytest.mark.parametrize("path", WORKFLOWS, ids=name)
def test_every_action_is_pinned_to_a_commit(path: Path) -> None:
    used = re.findall(r"uses: (.*)", path.read_text(encoding="utf-8"))
    assert used
    assert [each for each in used if not PINNED.fullmatch(each)] == []


def test_an_action_is_the_same_everywhere() -> None:
    used = {line for path in WORKFLOWS for line in re.findall(r"uses: (.*)", path.read_text(encoding="utf-8"))}
    assert len(used) == len({line.partition("@")[0] for line in used})


@pytest.mark.parametrize("path", WORKFLOWS, ids=name)
def test_a_workflow_has_no_rights_of_its_own(path: Path) -> None:
    whole: dict[Any, Any] = document(path)
    assert whole["permissions"] == {}
    assert "group" in whole["concurrency"]
    assert not {"pull_request_target", "workflow_run"} & set(whole[True])  # `on`, which YAML 1.1 reads as true


def test_each_job_says_what_it_may_and_how_long() -> None:
    for workflow, job, body in jobs():
        assert body["timeout-minutes"] <= 60, job
        writes = {scope for scope, right in body["permissions"].items() if right == "write"}
        if (workflow, job) in IDENTIFIED:
            assert "environment" in body, job
        else:
            assert not writes, job
    assert {(workflow, job) for workflow, job, body in jobs() if "id-token" in body["permissions"]} == IDENTIFIED


def test_no_checkout_keeps_its_token() -> None:
    steps = [step for _, _, body in jobs() for step in body["steps"]]
    checkouts = [step for step in steps if step.get("uses", "").startswith("actions/checkout@")]
    assert checkouts
    assert all(step["with"]["persist-credentials"] is False for step in checkouts)


def test_what_is_published_ran_nothing_of_others() -> None:
    """Who may publish runs pinned actions and `gh`, and checks nothing out."""
    for workflow, job, body in jobs():
        if (workflow, job) in IDENTIFIED:
            assert not [step for step in body["steps"] if step.get("uses", "").startswith("actions/checkout@")]
            assert [step["run"].split()[0] for step in body["steps"] if "run" in step] in ([], ["gh"])


def test_the_tests_that_a_workflow_names_exist() -> None:
    for _, _, body in jobs():
        for step in body["steps"]:
            for path in re.findall(r"tests/[\w./-]+", step.get("run", "")):
                assert (ROOT / path).exists(), path
