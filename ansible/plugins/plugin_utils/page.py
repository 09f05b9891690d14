"""The matrix of plugin_utils/report.py as one page of HTML, and as Markdown.

The page needs no network and no script to be read; its script filters.  Verdicts are words, never colours alone.  Every
cell with a finding is a link to it, so that it can be reached with the keyboard and is read out with its words.
"""

from __future__ import annotations

import html
import re

from .escape import visible
from .report import GOOD, VERDICTS, Report, Row

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from .report import Cell, Finding

WORDS = {
    "in-use": "in use",
    "missing": "not listening",
    "differs": "not as declared",
    "denied": "denied",
    "unavailable": "no address",
    "unasked": "not asked",
    "unknown": "unknown",
    "free": "free",
    "fine": "as declared",
}
# Classes of the page: of each cell one letter, there may be hundreds of thousands.
LETTERS = {"in-use": "i", "missing": "m", "differs": "x", "denied": "d", "unavailable": "a", "unasked": "n"}
LETTERS |= {"unknown": "u", "free": "f", "fine": "o"}
OWNER_AT_MOST = 40  # characters in a cell; the finding has it whole
HOSTS_AT_MOST = 5  # named without being asked for


def page(report: Report, *, title: str, subtitle: str = "") -> str:
    """The whole page."""
    return PAGE.format(
        title=shown(title),
        subtitle=shown(subtitle),
        style=STYLE,
        script=SCRIPT,
        policy="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'",
        totals="".join(_totals(report)),
        unasked="".join(_unasked(report)),
        filters="".join(_filters(report)),
        columns="".join(f'<th role="columnheader" scope="col">{shown(column)}' for column in report.columns),
        width=len(report.columns),
        rows="".join(_rows(report)),
        findings="".join(_findings(report)) or "<p>None.",
        unseen="".join(_unseen(report)),
    )


def shown(text: str) -> str:
    """Strangers' text on a page."""
    return html.escape(visible(text), quote=True)


def _number(count: int, word: str) -> str:
    return f"{count:,} {word}{'' if count == 1 else 's'}"


def _totals(report: Report) -> Iterator[str]:
    yield f"<li>{_number(len(report.rows), 'host')}<li>{_number(len(report.columns), 'port')}"
    for verdict in VERDICTS:
        if count := report.count(verdict):
            words = f"{_number(count, 'host')} not asked" if verdict == "unasked" else f"{count:,} {WORDS[verdict]}"
            yield f'<li class="{LETTERS[verdict]}">{words}'


def _unasked(report: Report) -> Iterator[str]:
    if report.unasked:
        yield '<section aria-labelledby="un"><h2 id="un">Not asked</h2><ul>'
        for reason, hosts in report.reasons().items():
            yield f"<li>{shown(reason)} {_hosts(hosts)}"
        yield "</ul></section>"


def _hosts(hosts: list[str]) -> str:
    """Few by their names, many on request."""
    names = ", ".join(map(shown, hosts))
    if len(hosts) <= HOSTS_AT_MOST:
        return f"<b>{names}</b>"
    return f"<details><summary>{_number(len(hosts), 'host')}</summary>{names}</details>"


def _filters(report: Report) -> Iterator[str]:
    for verdict in VERDICTS:
        if report.count(verdict):
            letter = LETTERS[verdict]
            yield f'<label><input type="checkbox" name="verdict" value="{letter}" checked> {WORDS[verdict]}</label> '


def _rows(report: Report) -> Iterator[str]:
    numbers = {
        (finding.column, finding.verdict, finding.owner): number for number, finding in enumerate(report.findings)
    }
    for row in report.rows:
        yield f'<tr role="row" class="{LETTERS[row.worst]}"><th role="rowheader" scope="row">{shown(row.host)}'
        if row.reason:
            yield f'<td role="cell" class="n" colspan="{max(len(report.columns), 1)}"><a href="#un">not asked</a>'
        for column in () if row.reason else report.columns:
            cell = row.cells.get(column)
            yield "<td role=cell>" if cell is None else _cell(cell, numbers.get((column, cell.verdict, cell.owner)))


def _cell(cell: Cell, number: int | None) -> str:
    owner = visible(cell.owner)
    short = owner if len(owner) <= OWNER_AT_MOST else owner[: OWNER_AT_MOST - 1] + "…"
    words = f"{WORDS[cell.verdict]}{f' <b>{html.escape(short)}</b>' if short else ''}"
    cell_start = f"<td role=cell class={LETTERS[cell.verdict]}>"
    return f"{cell_start}{words}" if number is None else f"{cell_start}<a href=#f{number}>{words}</a>"


def _findings(report: Report) -> Iterator[str]:
    for number, finding in enumerate(report.findings):
        yield (
            f'<details id="f{number}" class="{LETTERS[finding.verdict]}"><summary>{_headline(finding)}</summary><ul>'
            + "".join(f"<li><b>{shown(host)}</b> {shown(message)}" for host, message in finding.hosts)
            + "</ul></details>"
        )


def _headline(finding: Finding) -> str:
    owner = f" <b>{shown(finding.owner)}</b>" if finding.owner else ""
    place = shown(finding.hosts[0][0]) if len(finding.hosts) == 1 else _number(len(finding.hosts), "host")
    return f"{shown(finding.column)} <span>{WORDS[finding.verdict]}</span>{owner} on {place}"


def _unseen(report: Report) -> Iterator[str]:
    told = report.unseen()
    if told:
        yield '<section aria-labelledby="bs"><h2 id="bs">What could not be seen</h2><ul>'
        for text, hosts in told.items():
            yield f"<li>{shown(text)} {_hosts(hosts)}"
        yield "</ul></section>"


STYLE = """
:root{color-scheme:light dark;--bg:#fff;--fg:#1b1f24;--dim:#59636e;--line:#d1d9e0;--head:#f6f8fa;--link:#0550ae;
--i:#a40e26;--ib:#ffebe9;--d:#7d4e00;--db:#fff8c5;--u:#6639ba;--ub:#fbefff;--f:#59636e}
@media(prefers-color-scheme:dark){:root{--bg:#0d1117;--fg:#e6edf3;--dim:#9198a1;--line:#3d444d;--head:#151b23;
--link:#79c0ff;--i:#ffa198;--ib:#3c1618;--d:#e3b341;--db:#332a0c;--u:#d2a8ff;--ub:#2b1d45;--f:#9198a1}}
*{box-sizing:border-box}
body{margin:0 auto;padding:1rem;background:var(--bg);color:var(--fg);font:15px/1.45 system-ui,sans-serif;
overflow-wrap:anywhere}
h1{font-size:1.5rem;margin:0}h2{font-size:1.1rem;margin:1.5rem 0 .5rem}
p{margin:.25rem 0;color:var(--dim)}a{color:inherit}
a:focus-visible,summary:focus-visible,input:focus-visible,.scroll:focus-visible{outline:3px solid var(--link);
outline-offset:1px}
.totals{display:flex;flex-wrap:wrap;gap:.25rem .5rem;list-style:none;margin:.75rem 0;padding:0}
.totals li{padding:.1rem .6rem;border:1px solid var(--line);border-radius:1rem}
form{display:flex;flex-wrap:wrap;gap:.5rem 1rem;align-items:center;margin:.5rem 0}
input[type=search]{font:inherit;padding:.2rem .5rem;width:18rem;max-width:100%}
.scroll{overflow:auto;max-height:75vh;border:1px solid var(--line)}
table,thead,tbody{display:block;width:calc(14rem + var(--n)*8rem)}
tr{display:grid;grid-template-columns:14rem repeat(auto-fill,8rem);height:3rem;content-visibility:auto;
contain-intrinsic-size:auto 3rem}
thead{position:sticky;top:0;z-index:2}thead tr{height:1.75rem;content-visibility:visible}
th,td{padding:.1rem .5rem;border-bottom:1px solid var(--line);border-right:1px solid var(--line);text-align:left;
overflow:hidden;text-overflow:ellipsis;white-space:nowrap;font-weight:400}
th{background:var(--head);font-weight:600;white-space:normal;line-height:1.3;position:sticky;left:0;z-index:1}
thead th{position:static;white-space:nowrap}
thead th:first-child{position:sticky}
td[colspan]{grid-column:2/-1}
td a{display:block;text-decoration:none}td a:hover{text-decoration:underline}
b{font-weight:600}td b{display:block;overflow:hidden;text-overflow:ellipsis}
.i,.m,.x{color:var(--i)}.d,.a{color:var(--d)}.n,.u{color:var(--u)}.f,.o{color:var(--f)}
td.i,td.m,td.x{background:var(--ib)}td.d,td.a{background:var(--db)}td.n,td.u{background:var(--ub)}
tr{color:var(--fg)}
details{margin:.15rem 0}details:target>summary{outline:2px solid var(--link)}
details ul{color:var(--fg);margin:.25rem 0 .5rem}summary{cursor:pointer}
[hidden]{display:none!important}
@media print{.scroll{max-height:none;overflow:visible}form{display:none}}
"""

# Filters by text (host, owner, verdict, port) and by verdict, opens the finding that a link leads to, and tells how
# many rows are left, which a screen reader reads out.
SCRIPT = """
(() => {
const form = document.querySelector('form'), table = document.querySelector('table');
const rows = [...table.tBodies[0].rows], heads = [...table.tHead.rows[0].cells];
let texts;
const open = () => { const to = location.hash && document.getElementById(location.hash.slice(1));
  if (to && to.tagName === 'DETAILS') { to.open = true; to.firstElementChild.focus(); } };
const apply = () => {
  const word = form.word.value.trim().toLowerCase();
  const wanted = new Set([...form.querySelectorAll('[name=verdict]:checked')].map(box => box.value));
  const every = wanted.size === form.querySelectorAll('[name=verdict]').length;
  let left = 0;
  texts = texts || rows.map(row => row.textContent.toLowerCase());
  rows.forEach((row, number) => {
    const fits = texts[number].includes(word) &&
      (every || [...row.cells].some(cell => wanted.has(cell.className)));
    row.hidden = !fits; left += fits;
  });
  if (form.narrow.checked !== narrow) { narrow = form.narrow.checked; fold(); }
  document.getElementById('left').textContent = left + (left === 1 ? ' host' : ' hosts') + ' shown';
};
let narrow = false;
const fold = () => {
  let shown = 0;
  for (let at = 1; at < heads.length; at++) {
    const hide = narrow && rows.every(row => !row.cells[at] || ['f', 'o', ''].includes(row.cells[at].className));
    heads[at].hidden = hide; shown += !hide;
    rows.forEach(row => { if (row.cells[at]) row.cells[at].hidden = hide; });
  }
  table.style.setProperty('--n', shown);
};
form.hidden = false;
form.addEventListener('input', apply);
form.addEventListener('submit', event => event.preventDefault());
addEventListener('hashchange', open);
open();
})();
"""

PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<title>{title}</title>
<style>{style}</style>
<main>
<h1>{title}</h1>
<p>{subtitle}</p>
<ul class="totals">{totals}</ul>
{unasked}
<section aria-labelledby="ma">
<h2 id="ma">Hosts and ports</h2>
<form hidden role="search" aria-label="Filter the table">
<label>Filter <input type="search" name="word" placeholder="host, owner, verdict"></label>
<fieldset style="border:0;padding:0;margin:0;display:contents"><legend hidden>Verdicts</legend>{filters}</fieldset>
<label><input type="checkbox" name="narrow"> only ports with findings</label>
<output id="left" aria-live="polite"></output>
</form>
<div class="scroll" role="region" aria-labelledby="ma" tabindex="0">
<table role="table" style="--n:{width}">
<thead role="rowgroup"><tr role="row"><th role="columnheader" scope="col">Host{columns}</thead>
<tbody role="rowgroup">{rows}</tbody></table>
</div>
</section>
<section aria-labelledby="fi"><h2 id="fi">Findings, worst first</h2>
{findings}
</section>
{unseen}
</main>
<script>{script}</script>
"""


def markdown(report: Report, *, title: str, subtitle: str = "") -> str:
    """The same as Markdown: the table, and what there is to say about it."""
    lines = [f"# {plain(title)}", "", plain(subtitle), ""] if subtitle else [f"# {plain(title)}", ""]
    counts = [f"{report.count(verdict):,} {WORDS[verdict]}" for verdict in VERDICTS if report.count(verdict)]
    lines += [", ".join([_number(len(report.rows), "host"), _number(len(report.columns), "port"), *counts]), ""]
    lines += _table(report)
    if report.findings:
        lines += ["", "## Findings, worst first", "", *map(_told, report.findings)]
    if report.unasked:
        lines += ["", "## Not asked", ""]
        lines += [f"- {plain(reason)} ({_named(hosts)})" for reason, hosts in report.reasons().items()]
    if told := report.unseen():
        lines += ["", "## What could not be seen", ""]
        lines += [f"- {plain(text)} ({_named(hosts)})" for text, hosts in told.items()]
    return "\n".join(lines) + "\n"


def _table(report: Report) -> Iterator[str]:
    yield _line(["Host", *map(plain, report.columns)])
    yield _line(["---"] * (1 + len(report.columns)))
    for row in report.rows:
        yield _line([plain(row.host), *(_briefly(row, column) for column in report.columns)])


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _briefly(row: Row, column: str) -> str:
    if row.reason:
        return "not asked"
    cell = row.cells.get(column)
    if cell is None:
        return ""
    words = WORDS[cell.verdict] if cell.verdict in GOOD else f"**{WORDS[cell.verdict]}**"
    return f"{words}{f' {plain(cell.owner)}' if cell.owner else ''}"


def _told(finding: Finding) -> str:
    owner = f" {plain(finding.owner)}" if finding.owner else ""
    return f"- {plain(finding.column)} {WORDS[finding.verdict]}{owner}: {_named([told[0] for told in finding.hosts])}"


def _named(hosts: list[str]) -> str:
    more = len(hosts) - HOSTS_AT_MOST
    named = ", ".join(map(plain, hosts[:HOSTS_AT_MOST]))
    return f"{named} and {more} more" if more > 0 else named


# Of Markdown and of what code hosts make of plain text: links, and mentions.
MARKUP = re.compile(r"([\\`*_{}\[\]()#+!|~]|:(?=//)|(?<=www)\.)", re.IGNORECASE)


def plain(text: str) -> str:
    """Strangers' text in Markdown, where nothing of it is markup, a link or a mention."""
    return MARKUP.sub(r"\\\1", html.escape(visible(text), quote=False)).replace("@", "&#64;")
