"""What is the same for everybody who is asked whether a process is really theirs.

Each is asked as the user to whom it belongs, and within a time limit: those of root and of whoever asks share one, and
every other user's has one of its own (a few of them at most), so that a stranger's takes no time from theirs.
"""

from __future__ import annotations

from portcheck.model import Hands
from portcheck.namedtuple import TYPE_CHECKING, NamedTuple
from portcheck.observe.system import own_uid

if TYPE_CHECKING:
    from collections.abc import Sequence

    from portcheck.identify.managers import Subject
    from portcheck.model import BlindSpot
    from portcheck.observe.subprocesses import Answer, Patience

STRANGERS = 3  # so many of other users' managers may use up their whole time


class Asked(NamedTuple):
    """Everybody, in the order given, with what was learned; and who did not answer."""

    subjects: tuple[Subject, ...]
    blind_spots: tuple[BlindSpot, ...] = ()


class Patiences:
    """How long managers are waited for, in seconds: by whose they are."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._shared: Patience | None = None
        self._strangers: Patience | None = None

    def with_(self, hands: Hands) -> Patience:
        """What is left of the time for the manager that answers these."""
        from portcheck.observe.subprocesses import Patience

        if hands.uid in (None, 0, own_uid()):
            self._shared = self._shared or Patience(self._seconds)
            return self._shared
        self._strangers = self._strangers or Patience(self._seconds * STRANGERS)
        return Patience(min(self._seconds, self._strangers.left()))


def named(hands: Hands) -> Hands:
    """With the user's name, which sudo takes."""
    if hands.uid is None or hands.user is not None:
        return hands
    import pwd

    try:
        return hands._replace(user=pwd.getpwuid(hands.uid).pw_name)
    except KeyError:
        return hands


def answer_of(argv: Sequence[str], patience: Patience, hands: Hands) -> Answer:
    """An answer that is one.  Raises NoAnswerError."""
    from portcheck.observe.subprocesses import NoAnswerError, ask, reason

    answer = ask(argv, patience, hands)
    if not answer.ok:
        raise NoAnswerError(f"gave no answer ({reason(answer.err)})")
    if answer.is_cut:
        raise NoAnswerError("gave an answer that is too long")
    return answer
