"""Three-valued logic: True, False, and None for what nobody can read.

Kleene's strong logic: an unknown term decides only where the known ones leave it the choice, so an answer built from
these is certain exactly when no value of the unreadable flags could change it.
"""

from __future__ import annotations

from portcheck.namedtuple import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection


def negate(term: bool | None) -> bool | None:  # noqa: FBT001 - a truth value is all it takes
    """True and False change places; what is unknown stays so."""
    return None if term is None else not term


def all_of(*terms: bool | None) -> bool | None:
    """False if any term is False, else None if any is unknown, else True."""
    return False if False in terms else None if None in terms else True


def any_of(*terms: bool | None) -> bool | None:
    """True if any term is True, else None if any is unknown, else False."""
    return True if True in terms else None if None in terms else False


def agreed(cases: Collection[bool]) -> bool | None:
    """What all possible cases say; None where they differ."""
    return None if True in cases and False in cases else True in cases
