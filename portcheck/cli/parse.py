"""The reader of command lines: by the table it takes every line of every command, or names what is wrong with it.

The usual conventions: options and operands in any order, `--opt=value`, bundled short options (`-qv`, `-n2`), of two
values the last one, and `--` before operands that begin with a dash.  Options cannot be abbreviated: what is short for
one today would be ambiguous as soon as there is another.
"""

from __future__ import annotations

from portcheck.cli.options import (
    COLOR,
    COLOR_WISHES,
    COMPLETION,
    HELP,
    HELP_COMMAND,
    INSTALL_COMPLETION,
    NO_COLOR,
    SHELLS,
    VERSION,
    command_of,
)
from portcheck.errors import UsageError
from portcheck.namedtuple import TYPE_CHECKING
from portcheck.requests import CompletionRequest, HelpRequest, VersionRequest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from typing import Any

    from portcheck.cli.table import Command, Given, Option
    from portcheck.requests import Color, Request


def parse(argv: Sequence[str]) -> Request | CompletionRequest | HelpRequest | VersionRequest:
    """The request of a command line.  Raises UsageError, naming what cannot be understood."""
    first = argv[0] if argv else HELP.name
    if first in HELP.spellings:
        return HelpRequest((first,))
    if first == HELP_COMMAND:
        return _help(argv[1:])
    if first in VERSION.spellings:
        return VersionRequest()
    if first.partition("=")[0] in COMPLETION:
        return _completion(argv)
    command, words = command_of(argv)
    given = _Reader(command, argv).read(words)
    if HELP.name in given:
        return HelpRequest((command.name, HELP.name))
    try:
        return request(command, given)
    except UsageError as error:
        from portcheck.cli.mistakes import lacking

        raise lacking(error, command, given) from None


def wish_for_colour(argv: Sequence[str]) -> Color:
    """What --color and --no-color say on a line that may be wrong otherwise."""
    words = [*argv[: argv.index("--")]] if "--" in argv else [*argv]
    wish: Color = "auto"
    for word, following in zip(words, [*words[1:], ""]):
        spelling, equals, attached = word.partition("=")
        value = attached if equals else following
        if word in NO_COLOR.spellings:
            wish = "never"
        elif spelling in COLOR.spellings:
            wish = next((color for color in COLOR_WISHES if color == value), wish)
    return wish


def _help(words: Sequence[str]) -> HelpRequest:
    """`help`, `help stop`."""
    if not words:
        return HelpRequest((HELP.name,))
    command, rest = command_of(words)
    if rest is words and words[0] not in HELP.spellings:
        from portcheck.cli.mistakes import unknown_command

        raise unknown_command(words[0], (HELP_COMMAND,), ())
    return HelpRequest((command.name, HELP.name))


def _completion(argv: Sequence[str]) -> CompletionRequest:
    """`--show-completion`, `--install-completion zsh`, `--show-completion=fish`."""
    spelling, equals, attached = argv[0].partition("=")
    words = [attached, *argv[1:]] if equals else argv[1:]
    if len(words) > 1:
        raise UsageError(f"{spelling} takes the name of one shell: {', '.join(SHELLS.words)}")
    return CompletionRequest(SHELLS(words[0]) if words else None, install=spelling in INSTALL_COMPLETION.spellings)


def request(command: Command, given: Given) -> Request:
    """The request of what was given.  Raises UsageError where that does not go together, or has a bad value."""
    for need in command.needs:
        if not any(name in given for name in need.one_of):
            raise UsageError(need.cause, need.remedy)
    for one, other in command.excludes:
        if one in given and other in given:
            raise _exclusive(one, other)
    words = {field: tuple(given.get(field, ())) for field in (command.operands.field, command.trailing) if field}
    return command.request(**_filled(command, given, words))


def _filled(command: Command, given: Given, operands: dict[str, Any]) -> dict[str, Any]:
    """The fields that operands and options fill."""
    fields = {**operands}
    filled_by: dict[str, str] = {}
    for option in command.options:
        if option.name not in given:
            continue
        value = _value(option, given[option.name])
        if option.field in operands:  # `-p 3000` is a target like any other
            fields[option.field] += value
            continue
        written = f"{option.name} {given[option.name]}" if option.metavar else option.name
        if option.field in filled_by and fields[option.field] != value:
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

    def __init__(self, command: Command, argv: Sequence[str]) -> None:
        self._command = command
        self._argv = argv
        self._options = {spelling: option for option in (*command.options, HELP) for spelling in option.spellings}
        self._given: dict[str, Any] = {}

    def read(self, words: Sequence[str]) -> Given:
        """What the words give.  Raises UsageError."""
        if self._command.trailing and "--" in words:
            # The first one, wherever it stands: `run 8000 --host -- npm start` lacks an address
            end = words.index("--")
            self._add(self._command.trailing, words[end + 1 :])
            words = words[:end]
        rest = [*reversed(words)]
        while rest:
            word = rest.pop()
            if word == "--":
                self._add(self._command.operands.field, reversed(rest))
                break
            if word[:1] != "-" or word == "-":
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
            yield self._option(spelling, word), spelling, value if equals else None
            return
        for place, letter in enumerate(word[1:], 2):
            option = self._option(f"-{letter}", word)
            if option.metavar:
                yield option, f"-{letter}", word[place:] or None
                return
            yield option, f"-{letter}", None

    def _take(self, option: Option, spelling: str, attached: str | None, rest: list[str]) -> None:
        if not option.metavar:
            if attached is not None:
                raise UsageError(f"option {spelling} takes no value")
            self._given[option.name] = True
            return
        # As everywhere, the next word is the value whatever it looks like: `--exclude -x`
        value = attached
        if attached is None:
            value = option.bare if not rest or _is_bare(option, rest[-1]) else rest.pop()
        if value is None:
            raise UsageError(f"option {spelling} needs a value: {spelling} {option.metavar}")
        if option.repeatable:
            self._add(option.name, [value])
        else:
            self._given[option.name] = value

    def _option(self, spelling: str, word: str) -> Option:
        if spelling in self._options:
            return self._options[spelling]
        from portcheck.cli.mistakes import unknown_option

        raise unknown_option(spelling, word, self._command, self._argv)


def _is_bare(option: Option, following: str) -> bool:
    """Whether an option that may stand alone does: before another option, and before what can only be a port."""
    return option.bare is not None and (following[:1] == "-" or following[:1].isdigit())
