"""Writes docs/portcheck.1 and docs/reference.md from the table of commands, and two more references from their sources.

With --check it only says whether they are current.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import json_page
import python_page

from portcheck import exit_codes
from portcheck.cli.options import COMMANDS, SUMMARY
from portcheck.cli.pages import EXAMPLES, Page, Section, page

DOCS = Path(__file__).resolve().parents[1] / "docs"
BY = "written by scripts/reference from portcheck/cli/options.py"
CODES = {
    exit_codes.FREE: "check, preflight: every target is free (with --static: no port is declared twice). verify: all "
    "is as declared. pick, wait, list, stop, watch: done; nothing to list and nothing to stop are done, too.",
    exit_codes.NOT_FREE: "A target is not free; verify: a port is not as declared, or an undeclared one is open; "
    "pick: fewer than asked for; wait --fail-fast: waiting cannot help; stop: still held, refused or declined.",
    exit_codes.USAGE: "The command line cannot be understood; preflight, verify: nothing is declared.",
    exit_codes.UNKNOWN: "The answer could not be established, and no target is known to be taken.",
    exit_codes.INTERNAL_ERROR: "A bug in portcheck; never shared with a verdict.",
    exit_codes.TIME_IS_UP: "wait: time ran out; watch --exit-on: --for was over before it happened.",
    exit_codes.NOT_STARTED: "run: whatever fails before its command starts; else run has its command's own code.",
    exit_codes.CANNOT_RUN: "run: its command cannot be run.",
    exit_codes.NOT_FOUND: "run: its command was not found.",
    exit_codes.INTERRUPTED: "Interrupted.",
}
VARIABLES = {
    "NO_COLOR": "No colours, unless --color=always.",
    "FORCE_COLOR, CLICOLOR_FORCE": "Colours at a terminal that would get none, such as TERM=dumb; none in a pipe.",
    "COLUMNS": "The width to draw for.",
    "PORTCHECK_TRACEBACK": "Where a bug is reported, show where it is.",
}


def manual() -> str:
    """man portcheck, in the macros of man(7), which every system has."""
    return "\n".join((f'.\\" {BY}', *_manual(), ""))


def _manual() -> Iterator[str]:
    yield '.TH PORTCHECK 1 "" portcheck "User Commands"'
    yield from (".SH NAME", rf"portcheck \- {_escaped(SUMMARY[0].lower() + SUMMARY[1:].rstrip('.'))}", ".SH SYNOPSIS")
    for number, command in enumerate(COMMANDS.values()):
        yield from ([".br"] if number else [])
        yield f".B {_escaped(command.usage)}"
    yield ".SH DESCRIPTION"
    yield from _paragraphs(page())
    for section in page().sections:
        yield f".SS {_escaped(section.heading)}"
        yield from _rows(section)
    for name in COMMANDS:
        told = page(name)
        yield f".SH {_escaped(f'PORTCHECK {name}'.upper())}"
        yield from (f".B {_escaped(told.usage)}", ".PP")
        yield from _paragraphs(told)
        for section in told.sections:
            yield f".SS {_escaped(section.heading)}"
            yield from _rows(section)
    yield ".SH EXIT STATUS"
    for code, text in CODES.items():
        yield from (".TP", f".B {code}", _escaped(text))
    yield ".SH ENVIRONMENT"
    for name, text in VARIABLES.items():
        yield from (".TP", f".B {_escaped(name)}", _escaped(text))
    yield from (".SH SEE ALSO", ".BR ss (8),", ".BR lsof (8),", ".BR fuser (1)")


def _paragraphs(told: Page) -> Iterator[str]:
    for number, paragraph in enumerate(told.paragraphs):
        yield from ([".PP"] if number else [])
        yield _escaped(paragraph)


def _rows(section: Section) -> Iterator[str]:
    for typed, text in section.rows:
        yield from (".TP", f".B {_escaped(typed)}", _escaped(text))


def _escaped(text: str) -> str:
    """For roff: a backslash, a hyphen that is to be copied, and a line that would begin as a request."""
    escaped = text.replace("\\", r"\e").replace("-", r"\-").replace("'", r"\(aq").replace("`", r"\(ga")
    return rf"\&{escaped}" if escaped.startswith(".") else escaped


def reference() -> str:
    """The same for readers of docs/."""
    return "\n".join((f"<!-- {BY} -->", "# Commands and options", "", *_reference()))


def _reference() -> Iterator[str]:
    yield from _markdown(page())
    for name in COMMANDS:
        yield from (f"## portcheck {name}", "")
        yield from _markdown(page(name))
    yield from ("## Exit codes", "", "| code | meaning |", "|---|---|")
    yield from (f"| {code} | {text} |" for code, text in CODES.items())
    yield from ("", "## Environment", "", "| variable | meaning |", "|---|---|")
    yield from (f"| `{name}` | {text} |" for name, text in VARIABLES.items())
    yield ""


def _markdown(told: Page) -> Iterator[str]:
    yield from (f"    {told.usage}", "")
    for paragraph in told.paragraphs:
        yield from (_plain(paragraph), "")
    for section in told.sections:
        if section.heading == EXAMPLES:
            width = max(len(row.typed) for row in section.rows)
            yield from (f"{EXAMPLES}:", "", "```sh")
            yield from (f"{row.typed:<{width}}  # {row.text}" for row in section.rows)
            yield from ("```", "")
        else:
            yield from (f"| {section.heading} | |", "|---|---|")
            yield from (f"| `{row.typed.replace('|', chr(92) + '|')}` | {_plain(row.text)} |" for row in section.rows)
            yield ""


def _plain(text: str) -> str:
    """`*` and `[` are themselves."""
    return text.replace("*", r"\*").replace("[", r"\[").replace("|", r"\|")


FILES = {
    DOCS / "portcheck.1": manual,
    DOCS / "reference.md": reference,
    DOCS / "json-reference.md": json_page.page,
    DOCS / "python-reference.md": python_page.page,
}

if __name__ == "__main__":
    old = [path for path, text in FILES.items() if not path.exists() or path.read_text(encoding="utf-8") != text()]
    if "--check" in sys.argv:
        sys.exit(f"not current: {', '.join(path.name for path in old)}" if old else 0)
    for path in old:
        path.write_text(FILES[path](), encoding="utf-8")
