"""What `stop` prints: the plan before, the truth after."""

from __future__ import annotations

from portcheck.identify.describe import briefly
from portcheck.namedtuple import TYPE_CHECKING
from portcheck.render import plain
from portcheck.render.escape import visible
from portcheck.render.words import quoted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from portcheck.model import Diagnosis
    from portcheck.stop.outcome import Report
    from portcheck.stop.plan import Plan, Step

COMMAND = " " * 6  # what a command is indented by


def intention(before: Diagnosis, plan: Plan, *, force: bool) -> Iterator[str]:
    """Who holds the port, and what will be done about it."""
    yield visible(before.message)
    for step in plan.steps:
        yield f"  plan: {_step(step, force=force)}"


def _step(step: Step, *, force: bool) -> str:
    if step.command:
        with_it = [unit for root in step.roots for unit in root.process.required_by]
        return quoted(step.command) + (visible(f", which stops {' and '.join(with_it)} too") if with_it else "")
    names = " and ".join(briefly(process) for process in step.signalled)
    then = [root.process for root in step.roots if root.process not in step.signalled]
    after = f", which would start it again, then to {' and '.join(map(briefly, then))}" if then else ""
    return visible(f"SIGTERM{', if need be SIGKILL,' if force else ''} to {names}{after}")


def conclusion(report: Report) -> Iterator[str]:
    """How it ended, and what can be done now."""
    if report.outcome == "refused" and not report.plan.steps:
        yield visible(report.before.message)
    yield visible(report.message)
    for advice in report.advice:
        yield from plain.advice_lines(advice)


def wrapped(lines: Iterable[str], width: int) -> Iterator[str]:
    """For a terminal of so many columns: sentences break between words, a command stays one line to be copied."""
    from textwrap import wrap

    for line in lines:
        if line.startswith(COMMAND):
            yield line
        else:
            indent = "  " if line.startswith(" ") else ""
            yield from wrap(line, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
