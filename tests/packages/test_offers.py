"""What other people's CI takes from here: hooks for pre-commit, a component for GitLab."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from junitparser import JUnitXml
from support.namespaces import Host
from support.release_tools import ROOT, environment, run

COMPONENT = ROOT / "templates" / "preflight.yml"
TWICE = """\
services:
  web:
    image: web
    ports: ["8000:80"]
  api:
    image: api
    ports: ["8000:80"]
"""


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A repository whose Compose file declares a port twice."""
    folder = tmp_path / "shop"
    folder.mkdir()
    (folder / "compose.yaml").write_text(TWICE)
    git("init", "--quiet", at=folder)
    git("add", "compose.yaml", at=folder)
    return folder


def git(*arguments: str, at: Path) -> str:
    who = ("-c", "user.name=Ann", "-c", "user.email=ann@example.org", "-c", "commit.gpgsign=false")
    done = subprocess.run(["git", *who, *arguments], cwd=at, capture_output=True, text=True, check=True, timeout=60)
    return done.stdout


def test_pre_commit_takes_the_hook_from_a_clone(shop: Path, tmp_path: Path) -> None:
    hooks = tmp_path / "hooks"
    run("git", "clone", "--quiet", "--no-hardlinks", ROOT, hooks, cwd=tmp_path)
    for name in (".pre-commit-hooks.yaml", "pyproject.toml"):  # what is being worked on
        (hooks / name).write_text((ROOT / name).read_text())
    if git("status", "--porcelain", at=hooks):
        git("commit", "--quiet", "--all", "--message=now", at=hooks)
    argv = ["pre-commit", "try-repo", str(hooks), "portcheck-preflight", "--all-files", "--verbose"]
    done = run(*argv, cwd=shop, check=False, env={"PRE_COMMIT_HOME": str(tmp_path / "home")})
    assert done.returncode == 1, done.stdout
    assert "api (line 7) declares port 8000 too: whichever starts second fails." in done.stdout


def test_the_hook_is_for_the_files_that_preflight_reads() -> None:
    (hook,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    files = re.compile(hook["files"])
    read = ("compose.yaml", "docker-compose.override.yml", ".env", "Procfile", "Procfile.dev", "portcheck.toml")
    assert all(files.search(name) for name in (*read, ".devcontainer/devcontainer.json", "pyproject.toml"))
    assert not [name for name in ("main.py", "docs/ports.md", "config.yaml", "environment") if files.search(name)]


def component(**inputs: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The header and the job, as GitLab makes it: inputs put in as text, then read."""
    header, text = COMPONENT.read_text(encoding="utf-8").split("\n---\n")
    spec = yaml.safe_load(header)
    values = {name: each["default"] for name, each in spec["spec"]["inputs"].items()} | inputs
    filled = re.sub(r"\$\[\[ *inputs\.([\w-]+) *\]\]", lambda place: values[place[1]], text)
    return spec, yaml.safe_load(filled)


def test_the_component_fits_gitlabs_schema(tmp_path: Path) -> None:
    spec, job = component()
    for number, part in enumerate((spec, job)):
        (tmp_path / f"{number}.yml").write_text(yaml.safe_dump(part))
    paths = tmp_path / "0.yml", tmp_path / "1.yml"
    run("check-jsonschema", "--builtin-schema=vendor.gitlab-ci", "--data-transform=gitlab-ci", *paths)


def test_the_component_reports_each_port(shop: Path, host: Host, tmp_path: Path) -> None:
    _, jobs = component(package=f"{ROOT}[preflight]", args="--no-docker --strict", directory=".")
    (job,) = jobs.values()
    (shop / "compose.yaml").write_text(TWICE.replace("8000:80", "127.0.0.1:5432:5432", 1))
    host.hold("127.0.0.1", 5432)
    variables = {**environment(), **job["variables"], "TMPDIR": str(tmp_path)}
    *installing, _, check = job["script"]
    in_shell(installing, shop, variables)  # outside of the host, which has no network
    done = in_shell(["set -f", check], shop, variables, "nsenter", f"--net={host.path}")
    assert done.returncode == 1, done.stderr
    report = JUnitXml.fromfile(str(shop / job["artifacts"]["reports"]["junit"]))
    assert (report.tests, report.failures, report.errors) == (2, 1, 0)
    assert job["artifacts"]["when"] == "always"


def in_shell(
    lines: list[str], cwd: Path, variables: Mapping[str, str], *prefix: str
) -> subprocess.CompletedProcess[str]:
    """As a runner does it: all lines as one script, which ends with the first that fails."""
    argv = [*prefix, "sh", "-e", "-c", "\n".join(lines)]
    return subprocess.run(argv, cwd=cwd, env=variables, capture_output=True, text=True, check=False, timeout=240)


def test_an_input_is_no_part_of_the_components_script() -> None:
    _, jobs = component(args="$(touch x)", directory="`touch y`")
    (job,) = jobs.values()
    assert not [line for line in job["script"] if "touch" in line]
