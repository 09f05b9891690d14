"""Text from strangers made harmless: process names, command lines and paths can hold anything but NUL.

Inside portcheck such text stays as it was read (os.fsdecode, undecodable bytes as surrogate escapes).
"""

from __future__ import annotations

from portcheck.namedtuple import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


# Characters that str.isprintable() accepts although they are invisible: Unicode's Default_Ignorable_Code_Points that
# are neither Cf nor Cn, and the blank Braille cell.  Names that differ only by one of them look alike.
INVISIBLE = frozenset(
    map(
        chr,
        (
            *(0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x2800, 0x3164, 0xFFA0),
            *range(0x180B, 0x1810),
            *range(0xFE00, 0xFE10),
            *range(0xE0100, 0xE01F0),
        ),
    )
)
# Marks are drawn over the preceding character.  Burmese stacks seven; more would cover other lines.
MOST_MARKS = 8


def visible(text: str) -> str:
    r"""For a screen: an unprintable character becomes its escape, such as `\x1b`, `\n` or `\u202e`.

    Undecodable bytes become `\xff`.  A backslash stays one (Windows paths), so the way back is not unique.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(_shown(text))


def _shown(text: str) -> Iterator[str]:
    from unicodedata import category

    marks = MOST_MARKS  # none at the start: it would be drawn over our own text
    for character in text:
        marks = marks + 1 if category(character).startswith("M") else 0
        # isprintable() refuses controls, formats (bidi, zero width), surrogates, and every space but U+0020
        harmless = character.isprintable() and character not in INVISIBLE and marks <= MOST_MARKS
        yield character if harmless else _escape(character)


def _escape(character: str) -> str:
    if "\udc80" <= character <= "\udcff":  # surrogateescape's spelling of the byte 0x80-0xff
        return f"\\x{ord(character) - 0xDC00:02x}"
    return character.encode("unicode_escape").decode("ascii")
