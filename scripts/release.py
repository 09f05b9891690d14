"""What scripts/release runs: a release is made in a clone, and brought here when all has gone well.

So a step that fails leaves nothing behind, and what is built holds what is committed and nothing else.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from packaging.version import InvalidVersion, Version

from portcheck.observe.ourselves import DISTRIBUTION

ROOT = Path(__file__).resolve().parents[1]
BIN = Path(sys.executable).parent
VERSION_LINE = re.compile(r'^__version__ = "(.*)"$', re.MULTILINE)
COLLECTIONS_LINE = re.compile(r"^version: \S+", re.MULTILINE)
UNRELEASED = "## [Unreleased]\n"
SUMS = "SHA256SUMS"


class CannotReleaseError(Exception):
    """Something that has to be put right first."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/release", description="Makes a release; dry unless told otherwise.")
    parser.add_argument("version", nargs="?", help="such as 0.2.0 or 0.2.0rc1")
    parser.add_argument("--really", action="store_true", help="commit and tag here, and keep dist/")
    parser.add_argument("--dist", action="store_true", help="only build and check what is checked out, into dist/")
    options = parser.parse_args()
    if bool(options.version) == options.dist:
        parser.error("name a version, or --dist")
    try:
        if options.dist:
            build(ROOT, ROOT / "dist")
        else:
            release(options.version, really=options.really)
    except CannotReleaseError as error:
        print(f"scripts/release: {error}", file=sys.stderr)
        return 1
    return 0


def release(version: str, *, really: bool) -> None:
    """Everything up to the push, which is left to a person."""
    check(version)
    with cloned(ROOT) as clone:
        notes = write(version, clone)
        say(f"the change of release {version}")
        print(output("git", "diff", at=clone))
        git("commit", "--quiet", "--all", f"--message=Release {version}", at=clone)
        build(clone, clone / "dist")
        if really:
            bring(version, notes, clone)
        else:
            say(f"dry run: nothing was changed here; --really would commit, tag v{version} and fill dist/")


# What is checked and written.


def check(version: str) -> None:
    """Raises CannotReleaseError where this checkout is no state to release from, or the version none that follows."""
    try:
        canonical = str(Version(version))
    except InvalidVersion:
        raise CannotReleaseError(f"'{version}' is no version; for example 0.2.0 or 0.2.0rc1") from None
    if canonical != version:
        raise CannotReleaseError(f"'{version}' is written {canonical}")
    if dirty := output("git", "status", "--porcelain"):
        raise CannotReleaseError(f"there are changes that are not committed:\n{dirty}")
    if output("git", "tag", "--list", f"v{version}"):
        raise CannotReleaseError(f"there is a tag v{version} already")
    current = version_of(ROOT)
    if Version(version) < Version(current):
        raise CannotReleaseError(f"{version} comes before {current}, which is the version now")


def version_of(checkout: Path) -> str:
    """What portcheck/__init__.py says, the one place that holds it."""
    found = VERSION_LINE.findall((checkout / "portcheck" / "__init__.py").read_text(encoding="utf-8"))
    if len(found) != 1:
        raise CannotReleaseError("portcheck/__init__.py has to say __version__ once")
    return str(found[0])


def write(version: str, checkout: Path) -> str:
    """Puts the version into its places, and what was unreleased under it; gives back what the release brings."""
    galaxy = checkout / "ansible" / "galaxy.yml"
    galaxy.write_text(COLLECTIONS_LINE.sub(f"version: {version}", galaxy.read_text(encoding="utf-8")), encoding="utf-8")
    init = checkout / "portcheck" / "__init__.py"
    text = init.read_text(encoding="utf-8")
    init.write_text(VERSION_LINE.sub(f'__version__ = "{version}"', text), encoding="utf-8")
    changelog = checkout / "CHANGELOG.md"
    before, heading, after = changelog.read_text(encoding="utf-8").partition(UNRELEASED)
    notes, older = re.fullmatch(r"(.*?)((?:^## .*)?)", after, re.DOTALL | re.MULTILINE).groups()  # type: ignore[union-attr]
    if not heading or not notes.strip():
        raise CannotReleaseError("CHANGELOG.md has nothing under [Unreleased]: what would the release bring?")
    dated = f"## [{version}] - {time.strftime('%Y-%m-%d', time.gmtime())}\n"
    changelog.write_text(f"{before}{heading}\n{dated}{notes}{older}", encoding="utf-8")
    return str(notes).strip()


def bring(version: str, notes: str, clone: Path) -> None:
    """The commit, a tag (signed where git is set up to sign) that tells what is new, and what was built."""
    git("pull", "--quiet", "--ff-only", str(clone), "HEAD")
    sign = "--sign" if output("git", "config", "--default=", "--get", "user.signingkey") else "--annotate"
    # verbatim: a heading of Markdown is no comment of git's
    git("tag", sign, "--cleanup=verbatim", f"--message=portcheck {version}\n\n{notes}\n", f"v{version}")
    shutil.rmtree(ROOT / "dist", ignore_errors=True)
    shutil.copytree(clone / "dist", ROOT / "dist")
    say(f"release {version} is committed, tagged and in dist/; to publish it: git push origin HEAD v{version}")


# What is built.


def build(checkout: Path, dist: Path) -> None:
    """All that is published, checked, with an SBOM and checksums; the same bytes whenever the same commit is built."""
    epoch = output("git", "log", "--max-count=1", "--format=%ct", at=checkout)
    environ = {**os.environ, "SOURCE_DATE_EPOCH": epoch, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
    shutil.rmtree(dist, ignore_errors=True)
    dist.mkdir()
    if (checkout / "scripts" / "build").exists():
        say("one file, and the Debian package")
        run("scripts/build", at=checkout, environ=environ)
    say("wheel and sdist")
    # The wheel comes from the sdist, so that one has all that it takes; hatchling is the locked one.
    run("python", "-m", "build", "--no-isolation", f"--outdir={dist}", at=checkout, environ=environ)
    wheel, sdist = one(dist, "*.whl"), one(dist, "*.tar.gz")
    run("twine", "check", "--strict", str(wheel), str(sdist), at=checkout, environ=environ)
    run("check-wheel-contents", str(wheel), at=checkout, environ=environ)
    say("SBOM")
    write_sbom(wheel, dist / f"{DISTRIBUTION}-{version_of(checkout)}.cdx.json", checkout, environ)
    (dist / SUMS).write_text("".join(sums(dist)), encoding="utf-8")
    say("what is published")
    print((dist / SUMS).read_text(encoding="utf-8"), end="")


def write_sbom(wheel: Path, path: Path, checkout: Path, environ: Mapping[str, str]) -> None:
    """CycloneDX, of what the package has beside it where it is installed with what requirements/run.txt names."""
    with tempfile.TemporaryDirectory(prefix="release.") as directory:
        lock = (checkout / "requirements" / "run.txt").read_text(encoding="utf-8")
        pins = re.findall(r"^\w[^\\\n]*", lock, re.MULTILINE)
        constraints, about = Path(directory) / "constraints.txt", Path(directory) / "pyproject.toml"
        constraints.write_text("\n".join(pins), encoding="utf-8")
        # Ours has its version in the package, where the tool does not look.
        about.write_text(f'[project]\nname = "{DISTRIBUTION}"\nversion = "{version_of(checkout)}"\n', encoding="utf-8")
        place = Path(directory) / "installed"
        run("uv", "venv", "--quiet", f"--python={sys.executable}", str(place), at=checkout, environ=environ)
        install = ("uv", "pip", "install", "--quiet", f"--python={place}", f"--constraint={constraints}")
        run(*install, str(wheel), at=checkout, environ=environ)
        run(
            "cyclonedx-py", "environment", "--output-reproducible", f"--pyproject={about}",
            "--mc-type=application", f"--output-file={path}", str(place), at=checkout, environ=environ,
        )  # fmt: skip


def sums(dist: Path) -> Iterator[str]:
    """As `sha256sum --check` reads them."""
    for path in sorted(dist.iterdir()):
        if path.is_file() and path.name != SUMS:
            yield f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n"


def one(folder: Path, pattern: str) -> Path:
    (path,) = folder.glob(pattern)
    return path


# Commands.


@contextmanager
def cloned(checkout: Path) -> Iterator[Path]:
    """A clone of what is committed, with the same author; it goes with the context."""
    with tempfile.TemporaryDirectory(prefix="release.") as directory:
        clone = Path(directory) / "clone"
        git("clone", "--quiet", "--no-hardlinks", str(checkout), str(clone), at=Path(directory))
        for name in ("user.name", "user.email"):
            git("config", name, output("git", "config", "--default=", "--get", name) or "unknown", at=clone)
        yield clone


def say(what: str) -> None:
    print(f"==> {what}", flush=True)


def git(*arguments: str, at: Path = ROOT) -> None:
    run("git", *arguments, at=at, environ=os.environ)


def output(*argv: str, at: Path = ROOT) -> str:
    return subprocess.run(argv, cwd=at, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


def run(*argv: str, at: Path, environ: Mapping[str, str]) -> None:
    program = shutil.which(argv[0], path=environ["PATH"]) or argv[0]
    done = subprocess.run([program, *argv[1:]], cwd=at, env=environ, check=False, stdin=subprocess.DEVNULL)
    if done.returncode:
        raise CannotReleaseError(f"{' '.join(argv[:3])} failed (exit code {done.returncode})")


if __name__ == "__main__":
    sys.exit(main())
