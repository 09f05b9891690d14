"""The report: the matrix of what hosts answered, as one page and as Markdown."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Callable, Mapping
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from markdown_it import MarkdownIt

from . import chromium
from .conftest import HOSTILE, Play, task
from .madeup import answers

HOSTS = "web-1,web-3,db-1,gone,slow"
ASKED = ["80", "8080", "8081", "53/udp", "127.0.0.1:5432"]


class Reports(NamedTuple):
    html: Callable[..., str]
    markdown: Callable[..., str]


@pytest.fixture(scope="session")
def reports(collections: Path) -> Reports:
    """The filters, without Ansible around them."""
    sys.path.insert(0, str(collections))
    names = ("html", "markdown")
    modules = [
        importlib.import_module(f"ansible_collections.whyport.portcheck.plugins.filter.report_{name}") for name in names
    ]
    return Reports(modules[0].report_html, modules[1].report_markdown)


@pytest.fixture(scope="module")
def written(play: Play, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the role writes about real hosts, one of which cannot be reached."""
    folder = tmp_path_factory.mktemp("report")
    variables = {
        "report_targets": ASKED,
        "report_html": str(folder / "ports.html"),
        "report_markdown": str(folder / "ports.md"),
        "report_title": "Ports of <the> shop",
    }
    verify = task("verify", "verified", ports={"web": 8080, "none": 81}, fail=False)
    declared = {"report_registered": "verified", "report_targets": [], "report_html": str(folder / "verified.html")}
    play(
        [
            {"include_role": {"name": "whyport.portcheck.report"}, "vars": variables},
            {**verify, "register": "verified", "ignore_unreachable": True},
            {"include_role": {"name": "whyport.portcheck.report"}, "vars": declared},
        ],
        HOSTS,
    )
    return folder


class Page(HTMLParser):
    """The rows of a page's table as words, and every start tag."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self._in_cell = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag == "tr":
            self.rows.append([])
            self._in_cell = False
        if tag in ("td", "th"):
            self.rows[-1].append("")
            self._in_cell = True

    def handle_endtag(self, tag: str) -> None:
        if tag in ("table", "thead", "td", "th"):
            self._in_cell = False

    def handle_data(self, data: str) -> None:
        if self._in_cell:
            self.rows[-1][-1] += data


def test_the_matrix_of_real_hosts(written: Path) -> None:
    page = Page((written / "ports.html").read_text(encoding="utf-8"))
    head, *rows = page.rows
    assert head == ["Host", "53/udp", "80", "127.0.0.1:5432", "8080", "8081"]
    by_host = {row[0]: row[1:] for row in rows}
    shop = ["in use shop", "free", "in use shop", "in use shop", "free"]
    assert by_host["web-1"] == by_host["slow"] == shop
    assert by_host["db-1"] == ["free", "free", "in use postgres", "free", "free"]
    assert by_host["gone"] == ["not asked"]
    assert [row[0] for row in rows] == ["slow", "web-1", "web-3", "db-1", "gone"]  # worst first


def test_why_a_host_was_not_asked(written: Path) -> None:
    for name in ("ports.html", "ports.md"):
        text = (written / name).read_text(encoding="utf-8")
        assert re.search(r"No route to host.*gone", text.partition("Not asked")[2], re.DOTALL)


def test_what_is_declared_against_what_runs(written: Path) -> None:
    rows = {row[0]: row[1:] for row in Page((written / "verified.html").read_text(encoding="utf-8")).rows}
    assert rows["web-1"] == ["not listening", "as declared shop"]
    assert rows["db-1"] == ["not listening", "not listening"]


def test_a_strangers_name_is_no_markup(written: Path) -> None:
    text = (written / "ports.html").read_text(encoding="utf-8")
    assert "&lt;/b&gt;&lt;i&gt;|`\\x1b[31" in text
    assert "\x1b" not in text
    assert not {tag for tag, _ in Page(text).tags} & {"i", "img", "iframe"}
    markdown = (written / "ports.md").read_text(encoding="utf-8")
    tokens = [
        inner
        for token in MarkdownIt("commonmark", {"html": True}).enable("table").parse(markdown)
        for inner in [token, *(token.children or [])]
    ]
    assert not {token.type for token in tokens} & {"html_inline", "html_block", "link_open", "image", "code_inline"}
    cells = [token.content for token in tokens if token.type == "inline" and "x1b" in token.content]
    assert cells and all("\\|" in cell or "|" in cell for cell in cells)
    assert {len(row) for row in Page(MarkdownIt("commonmark").enable("table").render(markdown)).rows} == {
        1 + len(ASKED)
    }


NASTY = {
    "web-1": {
        "results": [
            {
                "port": 80, "protocol": "tcp", "host": None, "verdict": "in-use",
                "message": "<script>alert(1)</script> [x](javascript:1) http://evil.example www.evil.example @all",
                "owners": [{"name": '"><img src=x onerror=alert(1)>', "container": {"name": "\u202egnp"}}],
                "blind_spots": [{"message": "<svg onload=alert(1)>", "remedy": "|`*_"}],
            }
        ]
    },
    "<h1>": {"msg": "</style><script>alert(2)</script>"},
    "never": None,
}  # fmt: skip


def test_nothing_of_a_host_is_run_or_drawn(reports: Reports) -> None:
    page = reports.html(NASTY, title="</title><script>x</script>")
    tags = Page(page).tags
    assert [tag for tag, _ in tags].count("script") == 1
    assert not {tag for tag, _ in tags} & {"img", "svg"}
    assert not [name for _, attributes in tags for name in attributes if name.startswith("on")]
    assert "\u202e" not in page
    rendered = MarkdownIt("gfm-like", {"linkify": False, "html": True}).render(reports.markdown(NASTY))
    assert not re.search(r"<(a|img|script|svg|code|em|h1>&lt;)", rendered)
    assert "@" not in reports.markdown(NASTY)


def test_the_page_needs_no_network(reports: Reports) -> None:
    page = reports.html(answers(3, 5))
    assert not re.search(r"""(src|href)=["']?(?!#)|url\(|@import""", page)
    assert "default-src 'none'" in page


def test_a_page_can_be_read_without_seeing_it(reports: Reports) -> None:
    """Landmarks, headings, headers of rows and columns, labels; words, not colours alone; a link to every finding."""
    page = reports.html(answers(30, 6))
    tags = Page(page).tags
    of = {tag: [attributes for each, attributes in tags if each == tag] for tag, _ in tags}
    assert of["html"] == [{"lang": "en"}]
    assert len(of["main"]) == len(of["h1"]) == 1
    assert all(each.get("scope") in ("row", "col") for each in of["th"])
    assert all("aria-labelledby" in each for each in of["section"])
    assert page.count("<input") == page.count("<label>")
    identifiers = [attributes["id"] for _, attributes in tags if attributes.get("id")]
    assert len(identifiers) == len(set(identifiers))
    targets = {str(each["href"])[1:] for each in of["a"]}
    assert targets <= set(identifiers)
    assert {f"f{number}" for number in range(len(of["details"]))} >= targets - {"un"}
    findings = [row for row in Page(page).rows for cell in row if "in use" in cell]
    assert findings


SMALL, LARGE = (50, 40), (1000, 100)
OVERFLOW = "const e = document.documentElement; return e.scrollWidth - e.clientWidth;"


@pytest.fixture(scope="module", params=[SMALL, LARGE], ids=["50x40", "1000x100"])
def large(request: pytest.FixtureRequest, reports: Reports, tmp_path_factory: pytest.TempPathFactory) -> Path:
    page = tmp_path_factory.mktemp("page") / "ports.html"
    page.write_text(reports.html(answers(*request.param), title="Ports of the shop"), encoding="utf-8")
    return page


def browser() -> None:
    if not chromium.is_there():
        pytest.skip("needs chromium")


@pytest.mark.parametrize("width", [1280, 500])
def test_the_page_itself_does_not_scroll_sideways(large: Path, width: int) -> None:
    browser()
    assert chromium.found(large, OVERFLOW, width=width) == 0


FILTERED = """
const form = document.querySelector('form'), rows = [...document.querySelectorAll('tbody tr')];
const shown = () => rows.filter(row => !row.hidden).length;
const set = change => { change(); form.dispatchEvent(new Event('input')); return shown(); };
const boxes = [...form.querySelectorAll('[name=verdict]')];
return {
  all: shown(),
  one: set(() => form.word.value = 'WEB-0011'),
  none: set(() => form.word.value = 'no such thing'),
  told: document.getElementById('left').textContent,
  denied: set(() => { form.word.value = ''; boxes.forEach(box => box.checked = box.value === 'd'); }),
  counted: rows.filter(row => row.querySelector('td.d')).length,
  narrow: set(() => { boxes.forEach(box => box.checked = true); form.narrow.checked = true; }),
};
"""


def test_filters(reports: Reports, tmp_path: Path) -> None:
    browser()
    page = tmp_path / "ports.html"
    page.write_text(reports.html(answers(*SMALL)), encoding="utf-8")
    found: Mapping[str, Any] = chromium.found(page, FILTERED)
    assert (found["all"], found["one"], found["none"], found["told"]) == (50, 1, 0, "0 hosts shown")
    assert 0 < found["denied"] == found["counted"] < 50
    assert found["narrow"] == 50


def test_a_hostile_name_that_the_kernel_takes() -> None:
    assert len(HOSTILE.encode()) <= 15
