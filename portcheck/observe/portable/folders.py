"""Files around a process, by their paths."""

from __future__ import annotations

import os

from portcheck.namedtuple import TYPE_CHECKING
from portcheck.observe.files import small_file

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


def climb(folder: str, names: Iterable[str], at_most: int) -> Iterator[dict[str, bytes | None]]:
    """This folder, then each above it: those of the names that are there, with the text of regular files."""
    before = ""
    while folder != before:
        yield {name: small_file(path, at_most) for name in names if os.path.lexists(path := os.path.join(folder, name))}
        folder, before = os.path.dirname(folder), folder
