"""The bind table and who answers, in words, where they add something to the message."""

from __future__ import annotations

from portcheck.namedtuple import TYPE_CHECKING, NamedTuple
from portcheck.render.escape import visible
from portcheck.render.owners import behind, holders
from portcheck.render.words import address, listed

if TYPE_CHECKING:
    from portcheck.model import Answer, Diagnosis, Row

SHOWN_ADDRESSES = 8
NOBODY = "nobody"


class BindLine(NamedTuple):
    """Ways to bind that have the same fate."""

    addresses: str
    outcome: str
    by: str  # what is in the way; empty where nothing is
    how: str = ""  # how it is known


def bind_lines(diagnosis: Diagnosis, *, verbose: bool) -> list[BindLine]:
    """Every row if `verbose`; else the rows by their fate, where they do not all share one."""
    if verbose:
        return [_every_detail(row, diagnosis) for row in diagnosis.binds]
    fates: dict[tuple[str, str], list[str]] = {}
    for row in _possible(diagnosis):
        fates.setdefault((row.outcome, _in_the_way(row, diagnosis)), []).append(address(row.bind))
    if len(fates) < 2:
        return []
    return [BindLine(listed(where, SHOWN_ADDRESSES), *fate) for fate, where in fates.items()]


def _possible(diagnosis: Diagnosis) -> tuple[Row, ...]:
    """Without the rows of a family that is off, unless there are no others."""
    absent = ("not-available", "unsupported")
    return tuple(row for row in diagnosis.binds if row.outcome not in absent) or diagnosis.binds


def _in_the_way(row: Row, diagnosis: Diagnosis) -> str:
    shared = behind(diagnosis, row.shadows)
    beside = f"only beside {shared}" if shared else ""
    return ", ".join(filter(None, (behind(diagnosis, row.blocked_by), beside)))


def _every_detail(row: Row, diagnosis: Diagnosis) -> BindLine:
    details = [row.method, row.error]
    if row.with_reuseaddr != row.without_reuseaddr:
        details.append(f"{row.with_reuseaddr} with SO_REUSEADDR")
        others = behind(diagnosis, row.conflicts)
        details.append(f"{row.without_reuseaddr} without" + (f" by {others}" if others else ""))
    how = visible(", ".join(filter(None, details)))
    return BindLine(address(row.bind), row.outcome, _in_the_way(row, diagnosis), how)


def answer_lines(diagnosis: Diagnosis, *, verbose: bool) -> list[tuple[str, str]]:
    """Addresses and the server that a client reaches there, unless it is the same everywhere (and not `verbose`)."""
    reached: dict[str, list[str]] = {}
    for answer in diagnosis.answers:
        reached.setdefault(_who(answer, diagnosis), []).append(visible(answer.address))
    servers = reached.keys() - {NOBODY}
    if len(servers) < 2 and not (verbose and servers):
        return []
    return [(listed(where, SHOWN_ADDRESSES), who) for who, where in reached.items()]


def _who(answer: Answer, diagnosis: Diagnosis) -> str:
    if not answer.pids:
        hidden = "a process that cannot be seen" if answer.pids is None else NOBODY
        return behind(diagnosis, answer.sockets) or hidden
    there = set(answer.pids)
    owners = [owner for owner in diagnosis.owners if owner.pid in there]
    unknown = there.difference(owner.pid for owner in owners)
    return ", ".join(filter(None, (holders(owners), *(f"PID {pid}" for pid in sorted(unknown)))))
