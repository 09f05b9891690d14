"""Builds the site from docs/ and the pages for contributors: scripts/docs says how it is called.

The pages are plain Markdown whose links work on a code host as they are.  Here they are put beside one another, with
the links changed that lead out of docs/, and Zensical makes the site of them.  Nothing is fetched, now or by readers.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
CONFIGURATION = ROOT / "mkdocs.yml"
# Pages that a code host looks for outside of docs/ → where they are on the site.
BESIDE = {
    "CONTRIBUTING.md": "project/contributing.md",
    "SECURITY.md": "project/security.md",
    "CHANGELOG.md": "project/changelog.md",
}
LINK = re.compile(r"(?<=\]\()(?!\w+:)([^)#\s]+)")
COLOUR = re.compile("\x1b\\[[0-9;]*m")
# What a browser loads by itself when it shows a page: these, and links with such a relation.
LOADING = ("script", "img", "iframe", "source")
RELATIONS = {"stylesheet", "preload", "icon"}
ELSEWHERE = re.compile(r"(?:https?:)?//")


def places() -> dict[Path, Path]:
    """Every page and picture, and where it is on the site."""
    inside = {path: path.relative_to(DOCS) for path in DOCS.rglob("*") if path.is_file() and path.suffix != ".1"}
    return {**inside, **{ROOT / name: Path(place) for name, place in BESIDE.items()}}


def on_the_site(source: Path) -> str:
    """The text of a page, with its links as they are there."""
    found = places()

    def moved(link: re.Match[str]) -> str:
        target = Path(os.path.normpath(source.parent / link[1]))
        return os.path.relpath(found[target], found[source].parent) if target in found else link[1]

    return LINK.sub(moved, source.read_text(encoding="utf-8"))


def lay_out(directory: Path) -> None:
    """All that Zensical needs, in its own directory: it writes beside what it reads."""
    for source, place in places().items():
        target = directory / "docs" / place
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.suffix == ".md":
            target.write_text(on_the_site(source), encoding="utf-8")
        else:
            shutil.copyfile(source, target)
    shutil.copyfile(CONFIGURATION, directory / CONFIGURATION.name)


def build(directory: Path) -> Path:
    """The finished site; ends where Zensical has any warning."""
    lay_out(directory)
    command = [sys.executable, "-m", "zensical", "build", "--strict"]
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(COLOUR.sub("", f"{done.stdout}{done.stderr}").partition("Traceback")[0])
    site = directory / "site"
    if elsewhere := list(fetched(site)):
        sys.exit("\n".join(("a reader's browser would load something from elsewhere:", *elsewhere)))
    return site


def fetched(site: Path) -> Iterator[str]:
    """What pages and styles would have a browser load from other hosts."""
    for page in sorted(site.rglob("*.html")):
        loads = _Loads()
        loads.feed(page.read_text(encoding="utf-8"))
        yield from (f"{page.relative_to(site)}: {address}" for address in loads.addresses if ELSEWHERE.match(address))
    for style in sorted(site.rglob("*.css")):
        addresses = re.findall(r"""(?:url\(|@import )["']?([^"')]+)""", style.read_text(encoding="utf-8"))
        yield from (f"{style.relative_to(site)}: {address}" for address in addresses if ELSEWHERE.match(address))


class _Loads(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        if tag in LOADING or (tag == "link" and RELATIONS & {*found.get("rel", "").split()}):
            self.addresses.append(found.get("src") or found.get("href") or "")


if __name__ == "__main__":
    with TemporaryDirectory() as work:
        built = build(Path(work))
        if "--check" not in sys.argv:
            target = ROOT / "build" / "site"
            shutil.rmtree(target, ignore_errors=True)
            shutil.copytree(built, target)
            print(target)
