"""The errors that portcheck raises on purpose; everything else is a bug and exits 70."""

from __future__ import annotations

from portcheck import exit_codes
from portcheck.namedtuple import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any

SPEAKER = "portcheck: "  # who complains, where several programs share a terminal or a log


class PortcheckError(Exception):
    """A failure with its cause in one line, and a remedy where there is one.

    `exit_code` is the status that the command line exits with.
    """

    exit_code = exit_codes.UNKNOWN

    def __init__(self, cause: str, remedy: str | None = None) -> None:
        super().__init__(cause)
        self.cause = cause
        self.remedy = remedy

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickles every field: an exception is rebuilt from its arguments alone otherwise."""
        return _again, (type(self), self.args, self.__dict__)


def _again(kind: type[PortcheckError], args: tuple[Any, ...], fields: dict[str, Any]) -> PortcheckError:
    made = kind.__new__(kind, *args)
    made.__dict__.update(fields)
    return made


class UnresolvedError(PortcheckError):
    """A host whose name could not be looked up: whether there is one is not known."""


class UsageError(PortcheckError):
    """What was asked for cannot be understood: names the bad part and the accepted form."""

    exit_code = exit_codes.USAGE


class NotATarget(UsageError):
    """A word that stands where a target belongs and is none; a command line may tell what was meant by it."""

    def __init__(self, cause: str, word: str, *, host: bool = False) -> None:
        super().__init__(cause)
        self.word = word
        self.host = host  # it is a host, without the port
