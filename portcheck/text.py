"""Text that can always be encoded, and seconds since the epoch as text.

Only `time` is imported: `datetime` would slow down the start.
"""

from __future__ import annotations

import time


def utc(seconds: float | None) -> str | None:
    """ISO 8601, as `2026-11-20T09:00:00Z`; None where it is unknown, or beyond any calendar."""
    try:
        return None if seconds is None else time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
    except (OverflowError, ValueError, OSError):
        return None


def local(seconds: float | None) -> str | None:
    """To the minute in this machine's time zone, as `2026-11-20 09:00`."""
    try:
        return None if seconds is None else time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))
    except (OverflowError, ValueError, OSError):
        return None


def utf8(text: str) -> str:
    """For JSON: what cannot be encoded (undecodable bytes, lone surrogates) becomes U+FFFD, one for each."""
    if text.isascii():
        return text
    return "".join("\ufffd" if "\ud800" <= character <= "\udfff" else character for character in text)


MOST_DIGITS = 18  # of what fits into 64 bits; int() takes a time that grows with the square, and refuses 4,301


def number(text: str) -> int | None:
    """A number as strangers write it; None for anything else, however long."""
    return int(text) if len(text) <= MOST_DIGITS and text.isdecimal() else None
