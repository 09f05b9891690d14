"""What is wrong with a process, only where it is certain."""

from __future__ import annotations

from portcheck.identify.names import DELETED
from portcheck.value import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from portcheck.identify.facts import Facts

# Programs that run from memory have no file that could be there: /memfd:runc (deleted)
IN_MEMORY = "/memfd:"


def condition(facts: Facts, *, managed: bool = False) -> tuple[str, ...]:
    """orphaned, stopped, zombie-parent, deleted-executable; `managed`: a service manager or engine looks after it."""
    return tuple(_conditions(facts, managed=managed))


def _conditions(facts: Facts, *, managed: bool) -> Iterator[str]:
    process = facts.process
    if not managed and is_orphaned(facts):
        yield "orphaned"
    if process.state == "T":
        yield "stopped"
    if facts.ancestors and facts.ancestors[0].state == "Z":
        yield "zombie-parent"
    executable = process.executable or ""
    if executable.endswith(DELETED) and not executable.startswith(IN_MEMORY):
        yield "deleted-executable"


def is_orphaned(facts: Facts) -> bool:
    """Whether another process than its present parent started it, which has ended since.

    A child is born into its parent's session.  One that is in neither its parent's nor its own (as a daemon
    by choice is) was given to this parent when its first one died.
    """
    if facts.session_id is None or facts.parent_session_id is None:
        return False
    return facts.session_id not in (facts.process.pid, facts.parent_session_id)
