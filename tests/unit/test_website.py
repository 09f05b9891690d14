"""The pages of docs/ as a code host shows them and as a site: links, anchors, and a place for each one."""

from __future__ import annotations

import json
import re
import shlex
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import json_page
import pytest
import website
import yaml

from portcheck.cli.parse import parse
from portcheck.profiles import DUAL, LOOPBACK, PROFILES, V4

ROOT = website.ROOT
PAGES = sorted(path for path in website.places() if path.suffix == ".md")
LINKED = sorted({*PAGES, ROOT / "README.md"})
LINK = re.compile(r"\]\((?!\w+:)([^)#\s]*)(?:#([^)\s]*))?\)")
HEADING = re.compile(r"(?m)^#+ (.+)$")


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def prose(path: Path) -> str:
    """Without blocks of code, in which nothing is a link or a heading."""
    return re.sub(r"(?ms)^ *```.*?^ *```$", "", path.read_text(encoding="utf-8"))


def headings(path: Path) -> list[str]:
    return [re.sub(r"[`*]|\]\([^)]*\)|\[", "", heading) for heading in HEADING.findall(prose(path))]


def on_a_code_host(heading: str) -> str:
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def on_the_site(heading: str) -> str:
    """As Python-Markdown's table of contents makes it."""
    plain = unicodedata.normalize("NFKD", heading).encode("ascii", "ignore").decode()
    return re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", plain).strip().lower())


@pytest.mark.parametrize("page", LINKED, ids=name)
def test_every_link_and_anchor_leads_somewhere(page: Path) -> None:
    for link, anchor in LINK.findall(prose(page)):
        target = (page.parent / link).resolve() if link else page
        assert target.exists(), link
        if anchor:
            assert target.suffix == ".md", link
            for slug in (on_a_code_host, on_the_site) if page in PAGES else (on_a_code_host,):
                assert anchor in map(slug, headings(target)), f"{link}#{anchor}"


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_what_a_page_links_to_is_on_the_site_too(page: Path) -> None:
    """In the place to which the site's own text of the page leads."""
    places = website.places()
    here = Path("/") / places[page]
    reached = {(here.parent / link).resolve() for link, _ in LINK.findall(website.on_the_site(page)) if link}
    assert reached <= {Path("/") / place for place in places.values()}


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_code_in_a_list_belongs_to_it(page: Path) -> None:
    """On a code host it would with two or three spaces, too."""
    assert {*re.findall(r"(?m)^( *)```", page.read_text(encoding="utf-8"))} <= {"", " " * 4}


def in_nav(entry: Any) -> Iterator[str]:
    if isinstance(entry, str):
        yield entry
    elif isinstance(entry, dict):
        for value in entry.values():
            yield from in_nav(value)
    else:
        for each in entry:
            yield from in_nav(each)


def test_every_page_has_its_place_in_the_navigation() -> None:
    """A page that is not there is left out silently, and one that is not named cannot be found."""
    places = [str(website.places()[page]) for page in PAGES]
    navigation = yaml.safe_load(website.CONFIGURATION.read_text(encoding="utf-8"))["nav"]
    assert sorted(in_nav(navigation)) == sorted(places), "see nav in mkdocs.yml; some have a place as a comment"


def test_what_a_browser_would_load_from_elsewhere_is_noticed(tmp_path: Path) -> None:
    style = '<link rel="stylesheet" href="https://fonts.example/a.css">'
    rest = '<a href="https://host.example">x</a><link rel="icon" href="icon.png"><script src="a.js"></script>'
    (tmp_path / "index.html").write_text(style + rest)
    (tmp_path / "a.css").write_text("body { background: url(//host.example/a.png), url(b.png) }")
    assert list(website.fetched(tmp_path)) == [
        "index.html: https://fonts.example/a.css",
        "a.css: //host.example/a.png",
    ]


def test_every_key_of_the_json_has_a_meaning() -> None:
    parts = json.loads(json_page.SCHEMA.read_text(encoding="utf-8"))["$defs"]
    keys = [(part, key, value) for part in parts for key, value in parts[part].get("properties", {}).items()]
    assert [(part, key) for part, key, value in keys if not json_page.meaning_of(value, parts)] == []
    page = json_page.page()
    assert all(f"| `{key}` |" in page for _, key, _ in keys)


# What stands for a word of the reader's, and one that it could be.
BLANKS = {"PORT": "3000", "PID": "812", "NAME": "shop", "SERVER": "node"}


def commands(page: Path) -> set[str]:
    """What the text tells to type; not the mere name of a command, and no form of one."""
    typed = re.findall(r"`(portcheck [^`\n]*?)(?: \\?\| [^`]*)?`", prose(page))
    return {line for line in typed if not re.fullmatch(r"portcheck [a-z]+( --json)?|.*(\.\.\.|\[).*", line)}


@pytest.mark.parametrize("page", [page for page in PAGES if commands(page)], ids=name)
def test_every_command_in_the_text_is_understood(page: Path) -> None:
    for line in commands(page):
        words = shlex.split(re.sub("|".join(map(re.escape, BLANKS)), lambda blank: BLANKS[blank[0]], line))
        parse(words[1:])


def test_servers_bind_as_the_page_says() -> None:
    text = (ROOT / "docs" / "as.md").read_text(encoding="utf-8")
    assert {*PROFILES} <= {*re.findall(r"`([\w.]+)`", text)}
    for words, bind in (("`::`, for both families", DUAL), ("`0.0.0.0`", V4), ("`127.0.0.1`", LOOPBACK)):
        (row,) = re.findall(rf"(?m)^\| (.*) \| {re.escape(words)} \| .*\|$", text)
        assert {PROFILES[server].binds for server in re.findall(r"`(\w+)`", row)} == {(bind,)}
