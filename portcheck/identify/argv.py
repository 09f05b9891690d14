"""getopt(3)'s reading of a command line: what is an option, what is its value, what is left."""

from __future__ import annotations

from portcheck.namedtuple import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence


class Arguments(NamedTuple):
    """Options in order, each with its value (None for a flag), and the operands from the first one on."""

    options: tuple[tuple[str, str | None], ...]
    rest: tuple[str, ...]

    def values(self, *options: str) -> tuple[str, ...]:
        """Every value given to any of these options."""
        return tuple(value for option, value in self.options if option in options and value is not None)

    def has(self, *options: str) -> bool:
        """Whether any of these options was given."""
        return any(option in options for option, _ in self.options)


def parse(arguments: Sequence[str], short: str = "", long: frozenset[str] = frozenset(), end: str = "") -> Arguments:
    """Reads options up to the first operand or `--`.

    `short` names the letters that take a value (`-Lx`, `-L x`, `-NfL x`), `long` the words that take one as
    an argument of its own (every word takes `--word=value`), `end` those letters that end the options.
    """
    pairs: list[tuple[str, str | None]] = []
    at = 0
    while at < len(arguments) and arguments[at].startswith("-") and arguments[at] != "-":
        word, at = arguments[at], at + 1
        if word == "--":
            break
        options, wants = _options(word, short, long)
        if wants:
            options[-1] = (options[-1][0], arguments[at] if at < len(arguments) else "")
            at += 1
        pairs += options
        if end and options[-1][0][1:] in end:
            break
    return Arguments(tuple(pairs), tuple(arguments[at:]))


def _options(word: str, short: str, long: frozenset[str]) -> tuple[list[tuple[str, str | None]], bool]:
    """What one argument holds; True where the value of its last option is the next argument."""
    name, equals, value = word.partition("=")
    # Java, PHP and .NET spell words with one dash.
    if word.startswith("--") or name in long:
        return [(name, value if equals else None)], not equals and name in long
    return _letters(word[1:], short)


def _letters(letters: str, short: str) -> tuple[list[tuple[str, str | None]], bool]:
    """`NfL8080:db:5432` → -N, -f, -L with its value."""
    options: list[tuple[str, str | None]] = []
    for at, letter in enumerate(letters, 1):
        if letter in short:
            value = letters[at:]
            options.append((f"-{letter}", value or None))
            return options, not value
        options.append((f"-{letter}", None))
    return options, False
