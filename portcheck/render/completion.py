"""Candidates for a shell that completes a word: what is typed, a tab, and what it is, one a line."""

from __future__ import annotations

from portcheck.namedtuple import TYPE_CHECKING
from portcheck.render.escape import visible

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from portcheck.cli.pages import Row

# Names of interfaces, users and programs are strangers' text.  One that a shell would read as anything but itself is
# not offered: each shell quotes in another way, and some evaluate what they complete.
HARMLESS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._:%+-")
LONGEST = 72  # characters of what it is


def candidates(rows: Iterable[Row], typed: str, base: str = "") -> Iterator[str]:
    """Those that begin with what is typed, each once; `base` stands before each, as it was typed."""
    offered = set()
    for row in rows:
        if row.typed.startswith(typed) and row.typed not in offered and HARMLESS.issuperset(row.typed):
            offered.add(row.typed)
            yield f"{base}{row.typed}\t{_short(visible(row.text))}"


def _short(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
