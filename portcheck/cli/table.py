"""What the table of commands is made of."""

from __future__ import annotations

from portcheck.namedtuple import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from portcheck.requests import Request

    # What a command line gives: by the name of an option True for a flag, else its text or texts, and by the request's
    # field the operands, and the command after `--`; what is not given is left out.
    Given = Mapping[str, Any]


class Option(NamedTuple):
    """An option of a command.  Two options that give one field different values exclude each other."""

    spellings: tuple[str, ...]
    help: str
    field: str  # of the request
    value: Any = True  # what a flag puts there
    metavar: str | None = None  # what its value is called; None: it is a flag, which has none
    read: Callable[[str], Any] = str  # the text of its value → what is put into the field
    repeatable: bool = False
    default: str | None = None  # for --help; the request's own default means the same
    also: tuple[tuple[str, Any], ...] = ()  # other fields that follow from its being given

    @property
    def name(self) -> str:
        """What it is called in messages, and in what a command line gives."""
        return self.spellings[0]


class Operands(NamedTuple):
    """What stands on a command line beside options."""

    metavar: str
    help: str
    field: str


class Need(NamedTuple):
    """One of these has to be given."""

    one_of: tuple[str, ...]
    cause: str  # what is said otherwise
    remedy: str | None = None


class Command(NamedTuple):
    """A command: what it takes, and the request that it becomes."""

    name: str
    request: Callable[..., Request]
    summary: str
    operands: Operands
    options: tuple[Option, ...]
    examples: tuple[str, ...]
    details: tuple[str, ...] = ()  # paragraphs of --help
    needs: tuple[Need, ...] = ()
    excludes: tuple[tuple[str, str], ...] = ()  # beside options that fill the same field
    trailing: str | None = None  # the field of what stands after `--`, where that is no operand

    @property
    def requires_operands(self) -> bool:
        """Whether nothing can be done without operands."""
        return any(need.one_of == (self.operands.field,) for need in self.needs)
