"""Completes a plan with everybody who ends by it: looks at who there is, and who of them serves what."""

from __future__ import annotations

from portcheck.identify.interpreters import script
from portcheck.namedtuple import TYPE_CHECKING
from portcheck.observe.census import residents, sockets_held
from portcheck.observe.system import process_now
from portcheck.stop.company import endings, parts

if TYPE_CHECKING:
    from collections.abc import Collection

    from portcheck.model import Diagnosis, Process
    from portcheck.stop.plan import Plan

MOST_READ = 1000  # processes that are read in full: of a stranger's 30,000 children the name must do


def complete(plan: Plan, finding: Diagnosis, asking: Collection[int]) -> Plan:
    """The plan, whose steps name every process that will not be there afterwards; `asking`: portcheck's own."""
    if not plan.steps:
        return plan
    everybody, held = residents(), sockets_held()
    known = {owner.pid: owner.process for owner in finding.owners if owner.pid}
    known.update((process.pid, process) for step in plan.steps for process in step.signalled)
    left = MOST_READ

    def read(pid: int) -> Process:
        nonlocal left
        if pid in known:
            return known[pid]
        left -= 1
        brief = everybody[pid]
        now = process_now(pid) if left >= 0 else None
        return now._replace(script=script(now)) if now and now.born == brief.born else brief

    steps = zip(plan.steps, parts(plan, everybody, read, asking))
    return plan._replace(
        steps=tuple(step._replace(endings=endings(those, read, held, finding)) for step, those in steps)
    )
