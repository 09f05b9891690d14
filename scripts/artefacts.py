"""What scripts/build makes in dist/.

The same checkout gives the same bytes, whenever and wherever it is built: names are sorted, modes and owners are given,
and every time is SOURCE_DATE_EPOCH, or the last commit's.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePath

import debian_package

CHECKOUT = Path(__file__).resolve().parents[1]
PACKAGE = CHECKOUT / "portcheck"
ONE_FILE = CHECKOUT / "scripts" / "one_file"
DIST = CHECKOUT / "dist"
SHEBANG = b"#!/usr/bin/env python3\n"
OLDEST = 315532800  # 1980-01-01, the first day of zip


def main() -> None:
    makers = {"one-file": one_file, "full": full, "deb": debian}
    parser = argparse.ArgumentParser(prog="scripts/build", description="Makes what can be given away, in dist/.")
    parser.add_argument("what", nargs="*", metavar="WHAT", help=f"of {', '.join(makers)}; everything if none is named")
    asked = parser.parse_args().what or list(makers)
    if unknown := set(asked) - set(makers):
        parser.error(f"{', '.join(sorted(unknown))}: not one of {', '.join(makers)}")
    DIST.mkdir(exist_ok=True)
    for name in asked:
        print(makers[name](DIST).relative_to(CHECKOUT))


def one_file(folder: Path) -> Path:
    """portcheck.pyz: the package, and what starts it."""
    return archive(folder / "portcheck.pyz", one_file_content())


def full(folder: Path) -> Path:
    """portcheck-full.pyz: with what requirements/one-file.txt names, as far as that is Python."""
    with tempfile.TemporaryDirectory() as place:
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--target", place]
        # Whatever runs this: what was released for the oldest Python. Those that have compiled parts work without.
        oldest = ["--python-version=3.9", "--platform=manylinux2014_x86_64", "--only-binary=:all:"]
        lock = ["--no-deps", "--require-hashes", "--no-compile", f"--requirement={CHECKOUT}/requirements/one-file.txt"]
        if subprocess.run([*pip, *oldest, *lock], check=False).returncode:
            sys.exit("scripts/build: pip could not fetch what portcheck-full.pyz carries (see above)")
        libraries = {name: content for name, content in files(Path(place)).items() if is_carried(PurePath(name))}
    return archive(folder / "portcheck-full.pyz", {**one_file_content(), **libraries})


def debian(folder: Path) -> Path:
    """portcheck_VERSION_all.deb."""
    version = re.search(r'^__version__ = "(.+)"$', (PACKAGE / "__init__.py").read_text(encoding="utf-8"), re.MULTILINE)
    assert version, "portcheck/__init__.py tells no version"
    try:
        return debian_package.build(folder, version[1], files(PACKAGE, "portcheck/"), timestamp())
    except FileNotFoundError as error:
        sys.exit(f"scripts/build: the Debian package needs {error.filename}")


def is_carried(path: PurePath) -> bool:
    """Modules, and the licences of those who wrote them."""
    return path.suffix == ".py" or (".dist-info" in path.parts[0] and path.name.startswith(("LICENSE", "COPYING")))


def one_file_content() -> dict[str, bytes]:
    return {**files(ONE_FILE), **files(PACKAGE, "portcheck/"), "LICENSE": (CHECKOUT / "LICENSE").read_bytes()}


def files(folder: Path, prefix: str = "") -> dict[str, bytes]:
    """Name → content of everything below, but what Python has compiled."""
    return {f"{prefix}{path.relative_to(folder).as_posix()}": path.read_bytes() for path in _written(folder)}


def _written(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            yield path


def archive(target: Path, content: Mapping[str, bytes]) -> Path:
    """A zip file that starts with its interpreter; appears complete or not at all."""
    part = target.with_name(f"{target.name}.part")
    with part.open("wb") as file:
        file.write(SHEBANG)
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as made:
            for name in sorted(content):
                made.writestr(_entry(name), content[name])
    part.chmod(0o755)
    return part.replace(target)


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, time.gmtime(max(timestamp(), OLDEST))[:6])
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.create_system = 3  # Unix, whose modes these are
    entry.external_attr = 0o100644 << 16
    return entry


def timestamp() -> int:
    """When this was made, as far as anybody is told: seconds."""
    if given := os.environ.get("SOURCE_DATE_EPOCH"):
        return int(given)
    told = subprocess.run(
        ["git", "-C", CHECKOUT, "log", "-1", "--format=%ct"], capture_output=True, text=True, check=False
    )
    return int(told.stdout) if told.returncode == 0 else OLDEST


if __name__ == "__main__":
    main()
