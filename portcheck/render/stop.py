"""What `stop` prints: the plan before, the truth after."""

from __future__ import annotations

from portcheck.identify.describe import briefly, by_pid, listed
from portcheck.namedtuple import TYPE_CHECKING
from portcheck.render import plain
from portcheck.render.escape import visible
from portcheck.render.words import quoted
from portcheck.stop.plan import ended_by

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from portcheck.model import Diagnosis, Process
    from portcheck.stop.outcome import Report
    from portcheck.stop.plan import Ending, Plan, Step

MOST_NAMED = 8  # of a list of processes or ports; a document has them all


def intention(before: Diagnosis, plan: Plan, *, force: bool) -> Iterator[str]:
    """Who holds the port, what will be done about it, and who ends by that."""
    yield visible(before.message)
    yield from _steps(plan, force=force)


def another_intention(stopped: Report, plan: Plan, *, force: bool) -> Iterator[str]:
    """What came of the first plan, and what would have to be done next."""
    yield visible(stopped.message)
    yield from _steps(plan, force=force)


def _steps(plan: Plan, *, force: bool) -> Iterator[str]:
    for step in plan.steps:
        yield f"  plan: {_step(step, force=force)}"
        yield from map(visible, _endings(step))


def _step(step: Step, *, force: bool) -> str:
    if step.command:
        with_it = [unit for root in step.roots for unit in root.process.required_by]
        return quoted(step.command) + (visible(f", which stops {' and '.join(with_it)} too") if with_it else "")
    return visible(signals(step, force=force))


def signals(step: Step, *, force: bool) -> str:
    """`SIGTERM to nodemon (PID 70), which would start it again, then to node (PID 812)`; to be escaped."""
    then = [root.process for root in step.roots if root.process not in step.signalled]
    after = f", which would start it again, then {_signals(then).removeprefix('SIGTERM ')}" if then else ""
    return f"{_signals(step.signalled, ', if need be SIGKILL,' if force else '')}{after}"


def _signals(processes: Sequence[Process], remark: str = "") -> str:
    """`SIGQUIT to nginx (PID 5) and SIGTERM to node (PID 6)`"""
    every = dict.fromkeys(map(ended_by, processes))
    return " and ".join(
        f"{name}{remark} to {listed((briefly(one) for one in processes if ended_by(one) == name), MOST_NAMED)}"
        for name in every
    )


def _endings(step: Step) -> Iterator[str]:
    """Who else ends by it, and what they serve; nothing where that is the process alone, and this port."""
    user = step.endings[0].process.uid if step.endings else None
    for part in ("ends with it", "may end with it"):
        those = [ending for ending in step.endings if ending.role == part]
        if those and (len(those) > 1 or those[0].process != step.roots[0].process or those[0].also_serves):
            yield f"  {part}: {listed((_ending(each, user) for each in those), MOST_NAMED)}"
    for ending in step.endings:
        if ending.role == "signalled" and ending.also_serves:
            yield f"  {by_pid(ending.process)} {also_serves(ending)}"


def _ending(ending: Ending, user: int | None) -> str:
    """`node s.js (PID 812, ann, also serves 8404 and 53/udp)`"""
    process = ending.process
    foreign = f", {process.user or f'uid {process.uid}'}" if process.uid not in (user, None) else ""
    also = f", {also_serves(ending)}" if ending.also_serves else ""
    return f"{by_pid(process)[:-1]}{foreign}{also})"


def also_serves(ending: Ending) -> str:
    """`also serves 8404 and 53/udp`"""
    return f"also serves {listed(map(str, ending.also_serves), MOST_NAMED)}"


def conclusion(report: Report) -> Iterator[str]:
    """How it ended, and what can be done now."""
    if report.outcome == "refused" and not report.plan.steps:
        yield visible(report.before.message)
    yield visible(report.message)
    for advice in report.advice:
        lines = plain.advice_lines(advice)
        if advice.command and advice.text in report.message:
            next(lines)  # it has just been said
        yield from lines
