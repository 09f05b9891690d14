"""The reader of command lines: by the table it takes every line of every command, or names what is wrong with it.

The usual conventions: options and operands in any order, `--opt=value`, bundled short options (`-qv`, `-n2`), of two
values the last one, and `--` before operands that begin with a dash.  Options cannot be abbreviated: what is short for
one today would be ambiguous as soon as there is another.
"""

from __future__ import annotations

from portcheck.cli.options import CHECK, COMMANDS, COMPLETION, HELP, VERSION
from portcheck.errors import UsageError
from portcheck.namedtuple import TYPE_CHECKING
from portcheck.requests import HelpRequest, VersionRequest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from typing import Any

    from portcheck.cli.table import Command, Given, Option
    from portcheck.requests import Request


def parse(argv: Sequence[str]) -> Request | HelpRequest | VersionRequest:
    """The request of a command line.  Raises UsageError, naming what cannot be understood."""
    first = argv[0] if argv else HELP.name
    if first in (*HELP.spellings, *COMPLETION):
        return HelpRequest((first,))
    if first in VERSION.spellings:
        return VersionRequest()
    command, words = (COMMANDS[first], argv[1:]) if first in COMMANDS else (CHECK, argv)
    given = _Reader(command).read(words)
    return HelpRequest((command.name, HELP.name)) if HELP.name in given else request(command, given)


def request(command: Command, given: Given) -> Request:
    """The request of what was given.  Raises UsageError where that does not go together, or has a bad value."""
    for need in command.needs:
        if not any(name in given for name in need.one_of):
            raise UsageError(need.cause, need.remedy)
    for one, other in command.excludes:
        if one in given and other in given:
            raise _exclusive(one, other)
    words = {field: tuple(given.get(field, ())) for field in (command.operands.field, command.trailing) if field}
    return command.request(**words, **_filled(command, given))


def _filled(command: Command, given: Given) -> dict[str, Any]:
    """The fields that options fill."""
    fields: dict[str, Any] = {}
    filled_by: dict[str, str] = {}
    for option in command.options:
        if option.name not in given:
            continue
        value = _value(option, given[option.name])
        written = f"{option.name} {given[option.name]}" if option.metavar else option.name
        if fields.get(option.field, value) != value:
            raise _exclusive(filled_by[option.field], written)
        fields.update({option.field: value}, **dict(option.also))
        filled_by[option.field] = written
    return fields


def _value(option: Option, text: Any) -> Any:
    if option.repeatable:
        return tuple(map(option.read, text))
    return option.read(text) if option.metavar else option.value


def _exclusive(one: str, other: str) -> UsageError:
    return UsageError(f"{one} and {other} exclude each other")


class _Reader:
    """Takes the words of one command line apart."""

    def __init__(self, command: Command) -> None:
        self._command = command
        self._options = {spelling: option for option in (*command.options, HELP) for spelling in option.spellings}
        self._given: dict[str, Any] = {}

    def read(self, words: Sequence[str]) -> Given:
        """What the words give.  Raises UsageError."""
        if self._command.trailing and "--" in words:
            # The first one, wherever it stands: `run 8000 --host -- npm start` lacks an address
            end = words.index("--")
            self._add(self._command.trailing, words[end + 1 :])
            words = words[:end]
        rest = iter(words)
        for word in rest:
            if word == "--":
                self._add(self._command.operands.field, rest)
            elif word[:1] != "-" or word == "-":
                self._add(self._command.operands.field, [word])
            else:
                for option, spelling, attached in self._options_in(word):
                    self._take(option, spelling, attached, rest)
        return self._given

    def _add(self, name: str, words: Iterable[str]) -> None:
        if more := [*words]:
            self._given.setdefault(name, []).extend(more)

    def _options_in(self, word: str) -> Iterator[tuple[Option, str, str | None]]:
        """Each option in a word with its spelling, and the value that is attached to it.

        `--host=::1` is --host with ::1; `-qn2` is -q, and -n with 2.
        """
        if word.startswith("--"):
            spelling, equals, value = word.partition("=")
            yield self._option(spelling), spelling, value if equals else None
            return
        for place, letter in enumerate(word[1:], 2):
            option = self._option(f"-{letter}")
            if option.metavar:
                yield option, f"-{letter}", word[place:] or None
                return
            yield option, f"-{letter}", None

    def _take(self, option: Option, spelling: str, attached: str | None, rest: Iterator[str]) -> None:
        if not option.metavar:
            if attached is not None:
                raise self._mistake(f"option {spelling} takes no value")
            self._given[option.name] = True
            return
        # As everywhere, the next word is the value whatever it looks like: `--stable -x`
        value = next(rest, None) if attached is None else attached
        if value is None:
            raise self._mistake(f"option {spelling} needs a value: {spelling} {option.metavar}")
        if option.repeatable:
            self._add(option.name, [value])
        else:
            self._given[option.name] = value

    def _option(self, spelling: str) -> Option:
        if spelling in self._options:
            return self._options[spelling]
        from difflib import get_close_matches

        near = get_close_matches(spelling, self._options, 1, 0.7) if spelling.startswith("--") else []
        meant = f"; did you mean {near[0]}?" if near else ""
        raise self._mistake(f"unknown option {spelling}{meant}")

    def _mistake(self, cause: str) -> UsageError:
        return UsageError(cause, f"portcheck {self._command.name} --help shows what is accepted")
