"""How an option's value is read.  All of these raise UsageError, naming the text and what is accepted."""

from __future__ import annotations

from portcheck.errors import UsageError

UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
MANY = 999_999_999  # more than there is of anything that is counted on a command line


def parse_duration(text: str) -> float:
    """`30`, `2s`, `500ms`, `1.5m` → seconds."""
    number = text.rstrip("hms")
    unit = text[len(number) :] or "s"
    digits = number.replace(".", "", 1)
    if unit not in UNITS or not (digits.isascii() and digits.isdigit()):
        raise UsageError(f"'{text}' is no duration; accepted: 30, 2s, 500ms, 1.5m, 1h")
    return float(number) * UNITS[unit]


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
