"""The Debian package: it installs, runs and goes without a trace, with Debian's own libraries and without any."""

from __future__ import annotations

import gzip
import shlex
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import artefacts
import debian_package
import pytest
from support.every_command import HELD, LINES, declare
from support.needs import need
from support.rigs.userland import WITH_LIBRARIES, Userland, entered

import portcheck

ROOT = Path(__file__).parents[2]
PLACE = "/usr/lib/python3/dist-packages/portcheck"


@pytest.fixture(scope="module")
def deb(tmp_path_factory: pytest.TempPathFactory) -> Path:
    need("dpkg-deb")
    return artefacts.debian(tmp_path_factory.mktemp("deb"))


@pytest.fixture(params=WITH_LIBRARIES)
def debian(
    request: pytest.FixtureRequest, userland_roots: Mapping[str, Path], deb: Path, tmp_path: Path
) -> Iterator[Userland]:
    """A Debian with the package and no library for it."""
    with entered(userland_roots[request.param]) as made:
        made.bring(deb, f"/srv/{deb.name}", mode="644")
        made.bring(declare(tmp_path), "/srv/Procfile")
        made.run(["dpkg", "--install", f"/srv/{deb.name}"])
        yield made


def at_a_terminal(debian: Userland, line: str) -> str:
    drawn = debian.run(["script", "-qec", line, "/dev/null"], environment={"TERM": "xterm", "LC_ALL": "C.UTF-8"})
    return drawn.stdout


def test_it_installs_runs_and_goes(debian: Userland) -> None:
    assert debian.run(["dpkg", "--verify", "portcheck"]).stdout == ""
    assert debian.run(["whyport", "--version"]).stdout == f"portcheck {portcheck.__version__}\n"
    with debian.held(*HELD):
        for line, (code, words) in LINES.items():
            done = debian.run(["portcheck", *shlex.split(line)], check=False)
            assert (done.returncode, words in done.stdout + done.stderr) == (code, True), done
    compiled = debian.run(["find", PLACE, "-name", "*.pyc"]).stdout.split()
    assert len(compiled) > 100
    debian.run(["dpkg", "--purge", "portcheck"])
    left = debian.run(["find", PLACE, "/usr/bin/portcheck", "/usr/bin/whyport"], check=False)
    assert (left.returncode, left.stdout) == (1, "")


def test_what_is_missing_is_debians(debian: Userland) -> None:
    debian.run(["sh", "-c", 'echo "services: {web: {ports: [\\"8001:80\\"]}}" >compose.yaml'])
    without = debian.run(["portcheck", "preflight", "compose.yaml"], check=False)
    assert without.returncode == 3
    assert without.stderr.splitlines()[1] == "  → sudo apt install python3-yaml"
    plain = debian.run(["portcheck", "stop", "--help"]).stdout
    assert "╭" not in at_a_terminal(debian, "portcheck stop --help")
    debian.run(["sh", "-c", "dpkg --force-unsafe-io --install /var/cache/apt/archives/*.deb"])
    assert "free" in debian.run(["portcheck", "preflight", "compose.yaml"]).stdout
    # rich, typer, and what comes with them, are older there than anything that pip would install beside portcheck
    assert "╭" in at_a_terminal(debian, "portcheck stop --help")
    assert debian.run(["portcheck", "stop", "--help"]).stdout == plain


def test_what_is_in_it(deb: Path, tmp_path: Path) -> None:
    subprocess.run(["dpkg-deb", "--extract", deb, tmp_path], check=True)
    manual = tmp_path / debian_package.MAN / "portcheck.1.gz"
    assert gzip.decompress(manual.read_bytes()) == (ROOT / "docs/portcheck.1").read_bytes()
    assert (manual.with_name("whyport.1.gz")).samefile(manual)
    for shell in (f"{debian_package.BASH}/portcheck", f"{debian_package.ZSH}/_portcheck"):
        assert "portcheck" in (tmp_path / shell).read_text(encoding="utf-8")
    assert "THE SOFTWARE IS PROVIDED" in (tmp_path / debian_package.DOC / "copyright").read_text(encoding="utf-8")
    listed = subprocess.run(["dpkg-deb", "--contents", deb], check=True, capture_output=True, text=True).stdout
    modes, owners = zip(*(line.split()[:2] for line in listed.splitlines()), strict=True)
    assert {*owners} == {"root/root"}
    assert {*modes} == {"drwxr-xr-x", "-rw-r--r--", "-rwxr-xr-x", "lrwxrwxrwx"}


def test_lintian_has_nothing_to_say(deb: Path) -> None:
    need("lintian")
    argv = ["lintian", "--allow-root", "--fail-on=error,warning,info", str(deb)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout) == (0, "")
