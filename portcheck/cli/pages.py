"""What --help, the manual page and the reference tell of a command: the table of commands, under headings."""

from __future__ import annotations

from portcheck.cli.options import (
    ALIASES,
    COMMANDS,
    DETAILS,
    HELP,
    INSTALL_COMPLETION,
    PROFILE,
    SHOW_COMPLETION,
    SUMMARY,
    VERSION,
)
from portcheck.namedtuple import TYPE_CHECKING, NamedTuple
from portcheck.profiles import PROFILES

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from portcheck.cli.table import Command, Option

COMMON = "Help"
EXAMPLES = "Examples"


class Row(NamedTuple):
    """Something that can be typed, and what it means."""

    typed: str
    text: str


class Section(NamedTuple):
    """Rows under a heading."""

    heading: str
    rows: tuple[Row, ...]


class Page(NamedTuple):
    """All that is told of a command, or of portcheck itself."""

    usage: str
    paragraphs: tuple[str, ...]
    sections: tuple[Section, ...]


def page(name: str | None = None) -> Page:
    """The page of a command; None: of portcheck itself."""
    return _of_command(ALIASES.get(name) or COMMANDS[name]) if name else _of_all()


def page_for(argv: Sequence[str], program: str = "portcheck") -> Page:
    """The page that a command line asks for (`stop --help`, `--help`), for whoever calls portcheck by this name."""
    return in_the_name_of(program, page(None if argv[0].startswith("-") else argv[0]))


def in_the_name_of(program: str, told: Page) -> Page:
    """The same page for whoever calls portcheck by another name."""

    def named(text: str) -> str:
        return text.replace("portcheck ", f"{program} ")

    sections = (
        Section(heading, tuple(Row(named(typed), named(text)) for typed, text in rows))
        for heading, rows in told.sections
    )
    return Page(named(told.usage), tuple(map(named, told.paragraphs)), tuple(sections))


def _of_all() -> Page:
    commands = _grouped((command.group, Row(command.name, command.summary)) for command in COMMANDS.values())
    options = tuple(map(_row, (VERSION, SHOW_COMPLETION, INSTALL_COMPLETION, HELP)))
    usage = "portcheck [COMMAND] [OPTION]... TARGET..."
    return Page(usage, (SUMMARY, DETAILS), (*commands, Section("Options", options)))


def _of_command(command: Command) -> Page:
    habits = (f"{' and '.join(command.aliases)} is taken for it, too.",) if command.aliases else ()
    operands = Section("Arguments", (Row(f"{command.operands.metavar}...", command.operands.help),))
    options = _grouped((option.group, _row(option)) for option in (*command.options, HELP._replace(group=COMMON)))
    servers = (_servers(),) if PROFILE in command.options else ()
    examples = Section(EXAMPLES, tuple(Row(*example) for example in command.examples))
    return Page(command.usage, (command.summary, *command.details, *habits), (operands, *options, *servers, examples))


def _servers() -> Section:
    """What `--as` knows, by kind."""
    by_kind: dict[str, list[str]] = {}
    for name, server in PROFILES.items():
        by_kind.setdefault(server.group, []).append(name)
    return Section("SERVER is one of", tuple(Row(kind, ", ".join(names)) for kind, names in by_kind.items()))


def _grouped(rows: Iterable[tuple[str, Row]]) -> tuple[Section, ...]:
    """Under their headings, in the order in which these come first."""
    under: dict[str, list[Row]] = {}
    for heading, row in rows:
        under.setdefault(heading, []).append(row)
    return tuple(Section(heading, tuple(some)) for heading, some in under.items())


def _row(option: Option) -> Row:
    spellings = ", ".join(sorted(option.spellings, key=len))
    default = "" if option.default is None else f" [default: {option.default}]"
    value = option.metavar if option.bare is None else f"[{option.metavar}]"
    return Row(f"{spellings} {value or ''}".strip(), option.help + default)
