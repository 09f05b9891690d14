"""The errors that portcheck raises on purpose; everything else is a bug and exits 70."""

from __future__ import annotations

from portcheck.value import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from portcheck.model import Diagnosis
    from portcheck.waiting import Waited


class PortcheckError(Exception):
    """A failure with its cause in one line, and what to do about it where something can be done.

    `exit_code` is what the command line makes of it.
    """

    exit_code = 3

    def __init__(self, cause: str, remedy: str | None = None) -> None:
        super().__init__(cause)
        self.cause = cause
        self.remedy = remedy

    def __reduce__(self) -> tuple[Any, ...]:
        """As it is, to another process: not made again from its sentence alone."""
        return _again, (type(self), self.args, self.__dict__)


def _again(kind: type[PortcheckError], args: tuple[Any, ...], fields: dict[str, Any]) -> PortcheckError:
    made = kind.__new__(kind, *args)
    made.__dict__.update(fields)
    return made


class UsageError(PortcheckError):
    """What was asked for cannot be understood: names the bad part and the accepted form."""

    exit_code = 2


class WaitFailed(PortcheckError):
    """What was waited for did not come; `waited` tells how each target stood at the end.

    `exit_code` is 124 where time was up, 1 where waiting could not help.
    """

    def __init__(self, waited: Waited) -> None:
        missing = [standing.message for standing in waited.standings if not standing.met]
        super().__init__("; ".join(missing) or "it did not last")
        self.waited = waited
        self.exit_code = 1 if waited.outcome == "hopeless" else 124


class CannotStart(PortcheckError):
    """The command of `run` is not there (127, as a shell says it), or cannot be run (126)."""

    def __init__(self, command: str, error: OSError) -> None:
        super().__init__(f"{command} cannot be started: {error.strerror}")
        self.exit_code = 127 if isinstance(error, FileNotFoundError) else 126


class NoFreePort(PortcheckError):
    """Fewer candidates are free than were asked for; `diagnoses` holds every candidate looked at, in order."""

    def __init__(self, cause: str, diagnoses: Sequence[Diagnosis], remedy: str | None = None) -> None:
        super().__init__(cause, remedy)
        self.diagnoses = tuple(diagnoses)
        # not free is 1; where one could not be told, the answer could not be established
        self.exit_code = 3 if any(diagnosis.verdict == "unknown" for diagnosis in self.diagnoses) else 1
