"""scripts/release, in a clone of this checkout with a version that nobody has released."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest
from support.release_tools import ROOT, environment, tools

from portcheck.observe.ourselves import DISTRIBUTION

VERSION = "99.0.0rc1"


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone with what is in this working tree, and the tools that are set up here."""
    clone = tmp_path_factory.mktemp("release") / "portcheck"
    git("clone", "--quiet", "--no-hardlinks", str(ROOT), str(clone), at=ROOT)
    listed = git("ls-files", "--cached", "--others", "--exclude-standard", "-z", at=ROOT).split("\0")
    for name in filter(None, listed):
        if (ROOT / name).is_file():
            (clone / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, clone / name)
        else:
            (clone / name).unlink(missing_ok=True)
    for setting, value in (("user.name", "Ann"), ("user.email", "ann@example.org"), ("commit.gpgsign", "false")):
        git("config", setting, value, at=clone)
    git("add", "--all", at=clone)
    git("commit", "--quiet", "--allow-empty", "--message=all that is here", at=clone)
    return clone


def git(*arguments: str, at: Path) -> str:
    return subprocess.run(["git", *arguments], cwd=at, capture_output=True, text=True, check=True, timeout=60).stdout


def release(checkout: Path, *arguments: str, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """What scripts/release runs, once its environment is set up."""
    argv = [str(tools() / "python"), str(checkout / "scripts" / "release.py"), *arguments]
    return subprocess.run(
        argv, cwd="/", env={**environment(), **(env or {})}, capture_output=True, text=True, check=False, timeout=240
    )


def state(checkout: Path) -> tuple[str, str, str, set[str]]:
    head, tags = git("rev-parse", "HEAD", at=checkout), git("tag", at=checkout)
    return head, tags, git("status", "--porcelain", at=checkout), {path.name for path in checkout.iterdir()}


@pytest.mark.parametrize(
    ("version", "because"),
    [
        ("next", "'next' is no version"),
        ("1.02", "'1.02' is written 1.2"),
        ("0.0.1", "0.0.1 comes before"),
    ],
)
def test_a_version_that_cannot_be(checkout: Path, version: str, because: str) -> None:
    done = release(checkout, version)
    assert done.returncode == 1
    assert because in done.stderr


def test_what_is_not_committed_is_in_the_way(checkout: Path) -> None:
    left = checkout / "left-over"
    left.write_text("")
    done = release(checkout, VERSION)
    left.unlink()
    assert (done.returncode, "?? left-over" in done.stderr) == (1, True)


def test_a_changelog_with_nothing_new_is_no_release(checkout: Path, tmp_path: Path) -> None:
    git("clone", "--quiet", str(checkout), str(tmp_path / "clone"), at=tmp_path)
    (tmp_path / "clone" / "CHANGELOG.md").write_text(
        "# Changelog\n\n## [Unreleased]\n\n## [0.1.0] - 2026-01-01\n\n- x\n"
    )
    git("-c", "user.name=Ann", "-c", "user.email=a@example.org", "commit", "-qam", "none", at=tmp_path / "clone")
    done = release(tmp_path / "clone", VERSION)
    assert done.returncode == 1
    assert "nothing under [Unreleased]" in done.stderr


def test_a_dry_run_shows_everything_and_changes_nothing(checkout: Path) -> None:
    before = state(checkout)
    done = release(checkout, VERSION)
    assert done.returncode == 0, done.stderr
    assert state(checkout) == before
    assert f'+__version__ = "{VERSION}"' in done.stdout
    assert f"+## [{VERSION}] - " in done.stdout
    assert f"  {DISTRIBUTION}-{VERSION}-py3-none-any.whl\n" in done.stdout
    assert "dry run: nothing was changed here" in done.stdout


def test_really(checkout: Path) -> None:
    before = git("rev-parse", "HEAD", at=checkout).strip()
    done = release(checkout, VERSION, "--really")
    assert done.returncode == 0, done.stderr
    assert git("log", "-1", "--format=%s|%an|%P", at=checkout).strip() == f"Release {VERSION}|Ann|{before}"
    tag = git("cat-file", "tag", f"v{VERSION}", at=checkout)
    assert f"\nportcheck {VERSION}\n\n### " in tag
    changelog = (checkout / "CHANGELOG.md").read_text()
    assert changelog.index("## [Unreleased]\n\n## [99") < changelog.index("### Added")
    assert f"\nversion: {VERSION} " in (checkout / "ansible" / "galaxy.yml").read_text()
    assert git("status", "--porcelain", at=checkout) == ""
    _built(checkout / "dist")
    again = release(checkout, VERSION)
    assert (again.returncode, f"there is a tag v{VERSION} already" in again.stderr) == (1, True)


def _built(dist: Path) -> None:
    lines = (dist / "SHA256SUMS").read_text().splitlines()
    sums = {name: digest for digest, name in (line.split("  ") for line in lines)}
    assert sums.keys() == {path.name for path in dist.iterdir()} - {"SHA256SUMS"}
    assert all(hashlib.sha256((dist / name).read_bytes()).hexdigest() == digest for name, digest in sums.items())
    assert {name for name in sums if name.endswith((".whl", ".tar.gz"))} == {
        f"{DISTRIBUTION}-{VERSION}-py3-none-any.whl",
        f"{DISTRIBUTION}-{VERSION}.tar.gz",
    }
    text = (dist / f"{DISTRIBUTION}-{VERSION}.cdx.json").read_text()
    assert "file:" not in text
    bill = json.loads(text)
    assert bill["bomFormat"] == "CycloneDX"
    assert (bill["metadata"]["component"]["name"], bill["metadata"]["component"]["version"]) == (DISTRIBUTION, VERSION)
    locked = (ROOT / "requirements" / "run.txt").read_text()
    assert all(f"{each['name'].lower().replace('_', '-')}=={each['version']}" in locked for each in bill["components"])
    assert {"psutil", "rich", "typer"} <= {each["name"] for each in bill["components"]}
    assert not {"pip", "hatchling"} & {each["name"] for each in bill["components"]}


def test_the_tag_of_a_workflow_builds_the_same(checkout: Path) -> None:
    """`scripts/release --dist`, which the release workflow runs on what was tagged."""
    first = (checkout / "dist" / "SHA256SUMS").read_text()
    os.utime(checkout / "portcheck" / "__init__.py")
    done = release(checkout, "--dist")
    assert done.returncode == 0, done.stderr
    assert (checkout / "dist" / "SHA256SUMS").read_text() == first
