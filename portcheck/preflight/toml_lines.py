"""The lines of a TOML document's keys, which a TOML parser does not give: each statement is parsed by itself."""

from __future__ import annotations

from portcheck import toml
from portcheck.namedtuple import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

# Characters parsed in all; a statement of many lines is tried at each line that could be its last.
_MAX_WORK = 1 << 20
_LAST_CHARACTERS = ("]", "}", '"', "'")


def lines_of(text: str, prefix: tuple[str, ...]) -> dict[tuple[str, ...], int]:
    """Path of keys below `prefix` → 1-based line of the statement that first names it; () is `prefix` itself.

    `text` is valid TOML.  Paths are followed two keys deep, which is as deep as a declaration is named.
    """
    lines: dict[tuple[str, ...], int] = {}
    table: tuple[str, ...] = ()
    for line, written, statement in _statements(text):
        if written.lstrip().startswith("["):
            table = _only_path(statement)
            paths = [table]
        else:
            paths = [(*table, *path) for path in _paths(statement, len(prefix) + 2 - len(table))]
        for path in paths:
            if path[: len(prefix)] == prefix:
                for end in range(len(prefix), min(len(path), len(prefix) + 2) + 1):
                    lines.setdefault(path[len(prefix) : end], line)
    return lines


def _statements(text: str) -> Iterator[tuple[int, str, dict[str, Any]]]:
    """Line, text and value of each statement (header or assignment), which ends where it can be parsed."""
    work = 0
    start, lines = 0, list[str]()
    for number, line in enumerate(text.split("\n"), 1):
        if not lines:
            start = number
        lines.append(line)
        if len(lines) > 1 and "#" not in line and not line.rstrip().endswith(_LAST_CHARACTERS):
            continue
        written = "\n".join(lines)
        work += len(written)
        if work > _MAX_WORK:
            return
        try:
            statement = toml.loads(written)
        except ValueError:
            continue
        if statement:
            yield start, written, statement
        lines = []


def _only_path(statement: dict[str, Any]) -> tuple[str, ...]:
    """`[a.b]` and `[[a.b]]` parse to one empty table inside others."""
    path: list[str] = []
    inner: Any = statement
    while inner:
        key, inner = next(iter(inner.items()))
        inner = inner[0] if isinstance(inner, list) else inner
        path.append(key)
    return tuple(path)


def _paths(value: Any, depth: int) -> Iterator[tuple[str, ...]]:
    """The paths of keys in a value, down to `depth`."""
    if not isinstance(value, dict) or depth <= 0:
        yield ()
        return
    for key, inner in value.items():
        for path in _paths(inner, depth - 1):
            yield (key, *path)
