"""What could come next on a command line, by the table of commands alone: for the scripts in `shells/`.

A script gives the words up to the cursor, the last of which is being typed.  It gets back what kind of thing it is:
`words`, with a line for each, or `files`, `directories` and `commands`, which a shell can complete by itself.
"""

from __future__ import annotations

from portcheck.cli.options import (
    CHECK,
    COMMANDS,
    COMPLETION,
    HELP,
    HELP_COMMAND,
    INSTALL_COMPLETION,
    SHELLS,
    SHOW_COMPLETION,
    VERSION,
    command_of,
)
from portcheck.cli.pages import Row
from portcheck.cli.table import Choice
from portcheck.namedtuple import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from portcheck.cli.table import Command, Completes, Option

SCRIPTS = {"bash": "portcheck.bash", "zsh": "_portcheck", "fish": "portcheck.fish", "powershell": "portcheck.ps1"}
BY_THE_SHELL = ("files", "directories", "commands")


class Expected(NamedTuple):
    """What the last word could become."""

    typed: str = ""  # of it, as far as it is completed
    base: str = ""  # what stands before that: `localhost:`
    kinds: tuple[Completes, ...] = ()
    rows: tuple[Row, ...] = ()  # words of the table

    @property
    def by_the_shell(self) -> str | None:
        """The kind, where the shell knows best."""
        return next((kind for kind in self.kinds if kind in BY_THE_SHELL), None)


def script(shell: str) -> str:
    """What a shell has to read once; raises UsageError for one that is not known."""
    from pkgutil import get_data  # from the one file, too

    return (get_data("portcheck.cli", f"shells/{SCRIPTS[SHELLS(shell)]}") or b"").decode()


def expected(words: Sequence[str]) -> Expected:
    """What could come next, after these words; the last one is being typed."""
    *before, typed = words or ("",)
    if not before:
        return _first(typed)
    if before[0] == HELP_COMMAND:
        return Expected(typed, rows=_commands() if len(before) == 1 else ())
    if before[0] in COMPLETION:
        return Expected(typed, rows=tuple(Row(shell, "") for shell in SHELLS.words))
    command, rest = command_of(before)
    if command.trailing and "--" in rest:
        return Expected(typed, kinds=("commands",) if rest[-1] == "--" else ("files",))
    return _within(command, rest, typed)


def _first(typed: str) -> Expected:
    if typed.startswith("-") and "=" not in typed:
        spellings = (VERSION, SHOW_COMPLETION, INSTALL_COMPLETION)
        return Expected(typed, rows=(*_spellings(CHECK), *(Row(each.name, each.help) for each in spellings)))
    within = _within(CHECK, (), typed)
    return within if within.base else within._replace(rows=_commands())


def _commands() -> tuple[Row, ...]:
    return (*(Row(command.name, command.summary) for command in COMMANDS.values()), Row(HELP_COMMAND, HELP.help))


def _within(command: Command, words: Sequence[str], typed: str) -> Expected:
    options = {spelling: option for option in command.options for spelling in option.spellings}
    lacking: Option | None = None  # its value is what comes next
    for word in words:
        lacking = None if lacking else _lacks_a_value(word, options)
    if lacking:
        return _value(lacking, typed)
    spelling, equals, value = typed.partition("=")
    if equals and spelling in options and spelling.startswith("--"):
        return _value(options[spelling], value)._replace(base=f"{spelling}=")
    if typed.startswith("-") and "--" not in words:
        return Expected(typed, rows=_spellings(command))
    return _operand(command.operands.completes, typed)


def _lacks_a_value(word: str, options: dict[str, Option]) -> Option | None:
    """The option whose value is the next word: `--host`, `-p`, `-qp`."""
    if word.startswith("--"):
        option = options.get(word)
        return option if option and option.metavar else None
    for place, letter in enumerate(word[1:], 2) if word.startswith("-") else ():
        option = options.get(f"-{letter}")
        if option and option.metavar:
            return None if word[place:] else option
    return None


def _value(option: Option, typed: str) -> Expected:
    if isinstance(option.read, Choice):
        return Expected(typed, rows=tuple(Row(word, "") for word in option.read.words))
    return _operand(option.completes, typed)


def _operand(kinds: tuple[Completes, ...], typed: str) -> Expected:
    """A target's port stands after its host and other ports: `localhost:80,443`."""
    place = max(map(typed.rfind, ":,")) + 1 if "ports" in kinds else 0
    return Expected(typed[place:], typed[:place], kinds)


def _spellings(command: Command) -> tuple[Row, ...]:
    """Long ones first: what they mean can be seen."""
    every = [Row(spelling, option.help) for option in (*command.options, HELP) for spelling in option.spellings]
    return tuple(sorted(every, key=lambda row: not row.typed.startswith("--")))
