"""What the table of commands is made of: commands, operands, options, and ways to read an option's value."""

from __future__ import annotations

from portcheck.errors import UsageError
from portcheck.namedtuple import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any, Literal

    from portcheck.requests import Request

    # What a command line gives: by the name of an option True for a flag, else its text or texts, and by the request's
    # field the operands, and the command after `--`; what is not given is left out.
    Given = Mapping[str, Any]

    # What a shell can complete a value to.  Files and directories it knows by itself.
    Completes = Literal["ports", "hosts", "servers", "users", "pids", "programs", "commands", "files", "directories"]

UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
LONGEST_LEASE = 3600.0  # what leases/book.py heeds
MANY = 999_999_999  # more than there is of anything that is counted on a command line


class Option(NamedTuple):
    """An option of a command.  Two options that give one field different values exclude each other."""

    spellings: tuple[str, ...]
    help: str
    field: str  # of the request
    value: Any = True  # what a flag puts there
    metavar: str | None = None  # what its value is called; None: it is a flag, which has none
    read: Callable[[str], Any] = str  # the text of its value → what is put into the field
    repeatable: bool = False
    bare: str | None = None  # its value where none is given; None: one has to be
    default: str | None = None  # for --help; the request's own default means the same
    also: tuple[tuple[str, Any], ...] = ()  # other fields that follow from its being given
    group: str = "Options"  # the heading that it stands under in help
    completes: tuple[Completes, ...] = ()

    @property
    def name(self) -> str:
        """What it is called in messages, and in what a command line gives."""
        return self.spellings[0]


class Operands(NamedTuple):
    """What stands on a command line beside options."""

    metavar: str
    help: str
    field: str
    completes: tuple[Completes, ...] = ()


class Example(NamedTuple):
    """A line that can be typed, and what it is for."""

    line: str
    text: str


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
    examples: tuple[Example, ...]
    group: str = "Commands"  # the heading that it stands under in help
    aliases: tuple[str, ...] = ()  # habits of other tools' users
    details: tuple[str, ...] = ()  # paragraphs of --help
    needs: tuple[Need, ...] = ()
    excludes: tuple[tuple[str, str], ...] = ()  # beside options that fill the same field
    trailing: str | None = None  # the field of what stands after `--`, where that is no operand

    @property
    def usage(self) -> str:
        """What may be typed, in one line."""
        required = any(self.operands.field in need.one_of for need in self.needs)
        operands = f"{self.operands.metavar}..." if required else f"[{self.operands.metavar}]..."
        return f"portcheck {self.name} [OPTION]... {operands}{' -- CMD' if self.trailing else ''}"


# How the text of a value is read.  Each raises UsageError, which names the text and what is accepted.


def parse_duration(text: str) -> float:
    """`30`, `2s`, `500ms`, `1.5m` → seconds."""
    number = text.rstrip("hms")
    unit = text[len(number) :] or "s"
    digits = number.replace(".", "", 1)
    if unit not in UNITS or not (digits.isascii() and digits.isdigit()):
        raise UsageError(f"'{text}' is no duration; accepted: 30, 2s, 500ms, 1.5m, 1h")
    return float(number) * UNITS[unit]


def parse_lease(text: str) -> float:
    """The duration of a lease.  A longer one than others heed would be an empty promise."""
    seconds = parse_duration(text)
    if seconds > LONGEST_LEASE:
        raise UsageError(
            f"'{text}' is too long for a lease; accepted: up to {LONGEST_LEASE / UNITS['h']:g}h, 0 for none"
        )
    return seconds


class Whole:
    """Reads a whole number within bounds, both included."""

    def __init__(self, least: int, most: int | None = None) -> None:
        self.least = least
        self.most = most

    def __call__(self, text: str) -> int:
        """The number.  int() alone would take "1_0", " 5 " and "٣" too."""
        most = MANY if self.most is None else self.most
        digits = text[1:] if text[:1] == "-" else text
        if digits.isascii() and digits.isdigit() and len(digits) <= len(str(MANY)) and self.least <= int(text) <= most:
            return int(text)
        raise UsageError(f"'{text}' is no number from {self.least} to {most}")


class Choice:
    """Reads one of a few words; `what` they are is said where it is none of them."""

    def __init__(self, what: str, *words: str) -> None:
        self.what = what
        self.words = words

    def __call__(self, text: str) -> str:
        """The word."""
        if text not in self.words:
            raise UsageError(f"unknown {self.what} '{text}'; accepted: {', '.join(self.words)}")
        return text
