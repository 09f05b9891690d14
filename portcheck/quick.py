"""The quick way in: plain `check`, `list` and `pick` command lines, without the time that typer takes to import.

It takes only an argv that it understands completely and returns None for everything else, which then goes to typer:
`--opt=value`, bundled short options, abbreviations, mistakes, help.  A property test asks both with thousands of
argument lists and compares the requests.
"""

from __future__ import annotations

from portcheck.namedtuple import TYPE_CHECKING
from portcheck.requests import CheckRequest, ListRequest, PickRequest

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

COMMANDS = ("check", "list", "pick", "wait", "run", "stop", "preflight")

# option → (field, value)
CHECK_FLAGS: dict[str, tuple[str, Any]] = {
    "--udp": ("udp", True),
    "--no-reuseaddr": ("reuseaddr", False),
    "--no-probe": ("probe", False),
    "--plain": ("face", "plain"),
    "--json": ("face", "json"),
    "-q": ("quiet", True),
    "--quiet": ("quiet", True),
    "-v": ("verbose", True),
    "--verbose": ("verbose", True),
    "--no-color": ("color", False),
}
PICK_FLAGS: dict[str, tuple[str, Any]] = {
    "--udp": ("udp", True),
    "--no-reuseaddr": ("reuseaddr", False),
    "--no-probe": ("probe", False),
    "--random": ("random", True),
    "--any": ("any", True),
    "--json": ("json", True),
}
LIST_FLAGS: dict[str, tuple[str, Any]] = {
    "--tcp": ("tcp", True),
    "--udp": ("udp", True),
    "--all": ("all", True),
    "--pids": ("pids", True),
    "--plain": ("face", "plain"),
    "--json": ("face", "json"),
    "--no-color": ("color", False),
}


def parse(argv: Sequence[str]) -> CheckRequest | ListRequest | PickRequest | None:
    """The request of a plain command line; None where typer has to read it."""
    command, words = (argv[0], argv[1:]) if argv and argv[0] in COMMANDS else ("check", argv)
    if command == "check":
        return _check(words)
    if command == "list":
        return _list(words)
    return _pick(words) if command == "pick" else None


def _check(words: Sequence[str]) -> CheckRequest | None:
    split = _split(words, CHECK_FLAGS)
    if split is None or not split[0]:
        return None
    targets, hosts, fields = split
    return CheckRequest(targets, hosts, **fields)


def _list(words: Sequence[str]) -> ListRequest | None:
    split = _split(words, LIST_FLAGS)
    if split is None or split[1] or ("--pids" in words and "--json" in words):
        return None
    ports, _, fields = split
    return ListRequest(ports, **fields)


def _pick(words: Sequence[str]) -> PickRequest | None:
    split = _split(words, PICK_FLAGS)
    if split is None:
        return None
    candidates, hosts, fields = split
    return PickRequest(candidates, hosts, **fields) if candidates else None


def _split(
    words: Sequence[str], flags: dict[str, tuple[str, Any]]
) -> tuple[tuple[str, ...], tuple[str, ...], dict[str, Any]] | None:
    """The positional words, the values of `--host`, and the fields that flags set; None where anything is unclear."""
    if "--json" in words and "--plain" in words:
        return None
    positional, hosts, fields = [], [], {}
    rest = iter(words)
    for word in rest:
        if word == "--host":
            value = next(rest, "-")
            if value.startswith("-"):
                return None
            hosts.append(value)
        elif word in flags:
            field, setting = flags[word]
            fields[field] = setting
        elif word.startswith("-"):
            return None
        else:
            positional.append(word)
    return tuple(positional), tuple(hosts), fields
