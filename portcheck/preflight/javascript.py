"""`server: { port: 3000 }` in a configuration that is JavaScript or TypeScript: as a literal, or not at all.

No code is run, and none is understood.  A parser of the whole language would be a larger dependency than the rest of
preflight, and would know no more of what code computes; so this reads words, strings and braces, and gives up where the
port is anything but a number that is written there once.
"""

from __future__ import annotations

import re

from portcheck.namedtuple import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

_WORD = re.compile(
    r"""
    (?P<blank> \s+ | //[^\n]* | /\*.*?(?:\*/|\Z) )
  | (?P<string> "(?:\\.|[^"\\\n])*" | '(?:\\.|[^'\\\n])*' )
  | (?P<template> `(?:\\.|[^`\\])*` )
  | (?P<number> 0[xX][0-9a-fA-F_]+ | [0-9][0-9_]*(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)? )
  | (?P<name> [A-Za-z_$][\w$]* )
  | (?P<spread> \.\.\. )
  | (?P<sign> . )
    """,
    re.VERBOSE | re.DOTALL,
)
_REGEX = re.compile(r"/(?![*/])(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\[\n])+/[a-z]*")
# After these a slash begins a regular expression, and is no division.
_BEFORE_REGEX = set("(,=:[!&|?{};+-*%<>~^")
LONGEST_LINE = 1_000  # characters: nobody writes longer ones by hand
MOST_SECTIONS = 20
MERGES = {"mergeConfig", "merge", "extendDefaults", "withNuxt", "extends"}


class Literal(NamedTuple):
    """A number that is written in a file."""

    file: str
    line: int
    value: int


class NotLiteralError(Exception):
    """Where a port is said in a way that cannot be read; `why` goes on after the name of the file."""

    def __init__(self, file: str, line: int, why: str) -> None:
        super().__init__(f"{file}:{line}: {why}")
        self.file = file
        self.line = line
        self.why = why


class Word(NamedTuple):
    """A word of the text."""

    kind: str
    text: str
    line: int


def property_of(file: str, text: str, section: str, key: str) -> Literal | None:
    """The number of `section: { key: NUMBER }`, at any depth; None where nothing is said of it.

    Raises NotLiteralError where the section or the key is anything else than that.
    """
    for number, line in enumerate(text.split("\n"), 1):
        if len(line) > LONGEST_LINE:
            raise NotLiteralError(file, number, "has lines that nobody has written by hand")
    words = list(_words(text))
    sections = [number for number in range(len(words)) if _is_key(words, number, section)]
    if len(sections) > MOST_SECTIONS:
        raise NotLiteralError(file, words[sections[0]].line, "says it more than once")
    found = [each for number in sections for each in _in_section(file, words, number, key)]
    if len({each.value for each in found}) > 1:
        raise NotLiteralError(file, found[1].line, "says it more than once")
    if found:
        return found[0]
    if elsewhere := _more(words):
        raise NotLiteralError(file, elsewhere.line, "takes more from elsewhere")
    return None


def _words(text: str) -> Iterator[Word]:
    position, line, before, divides = 0, 1, "(", 0  # on the line `divides` a slash has begun none: no other one does
    while position < len(text):
        may_be_regex = text[position] == "/" and before in _BEFORE_REGEX and divides != line
        match = _REGEX.match(text, position) if may_be_regex else None
        if may_be_regex and not match:
            divides = line
        match = match or _WORD.match(text, position)
        if match is None:
            return
        kind = match.lastgroup or "regex"
        if kind != "blank":
            before = match[0][-1]
            yield Word(kind, match[0], line)
        line += match[0].count("\n")
        position = match.end()


def _is_key(words: list[Word], number: int, key: str) -> bool:
    """`key:` or `"key":`, in an object; also `key = {`, `key,` and `key }`, which lead elsewhere."""
    word = words[number]
    if word.text not in (key, f'"{key}"', f"'{key}'"):
        return False
    before = words[number - 1].text if number else ""
    after = words[number + 1].text if number + 1 < len(words) else ""
    return before in ("{", ",") and after in (":", ",", "}", "(")


def _in_section(file: str, words: list[Word], number: int, key: str) -> Iterator[Literal]:
    """The key's value in the object that follows the section's name."""
    if [word.text for word in words[number + 1 : number + 3]] != [":", "{"]:
        raise NotLiteralError(file, words[number].line, "computes it")
    depth = 0
    for at in range(number + 2, len(words)):
        word = words[at]
        if word.kind == "sign":
            depth += (word.text in "{([") - (word.text in "})]")
        if depth == 0:
            return
        if depth == 1 and word.kind == "spread":
            raise NotLiteralError(file, word.line, "takes more from elsewhere")
        if depth == 1 and _is_key(words, at, key):
            yield Literal(file, word.line, _number(file, words, at))
    raise NotLiteralError(file, words[number].line, "does not end")


def _number(file: str, words: list[Word], at: int) -> int:
    """`port: 3000,`"""
    following = words[at + 1 : at + 4]
    if len(following) == 3 and following[0].text == ":" and following[2].text in (",", "}"):
        digits = following[1].text.replace("_", "").strip("\"'")
        if following[1].kind in ("number", "string") and digits.isdecimal() and 1 <= int(digits[:6]) <= 65535:
            return int(digits[:6])
    raise NotLiteralError(file, words[at].line, "computes it")


def _more(words: list[Word]) -> Word | None:
    """Where an object takes what another one holds: `{ ...base }`, `mergeConfig(base, ...)`."""
    opened: list[str] = []
    for word in words:
        if word.text in MERGES or (word.kind == "spread" and opened and opened[-1] == "{"):
            return word
        if word.kind == "sign" and word.text in "{([":
            opened.append(word.text)
        elif word.kind == "sign" and word.text in "})]" and opened:
            opened.pop()
    return None
