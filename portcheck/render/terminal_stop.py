"""`stop` at a terminal: who holds the port and ends by the plan, then what came of it.

✗ 3000 is in use by node server.js (PID 812, ann) in ~/shop, for 12 min

  plan: send it SIGTERM
  It also serves 8404.
Stop it? [y/N] y
✓ 3000 is free now: node server.js (PID 812) has ended
"""

from __future__ import annotations

from portcheck.identify.describe import port_named, program
from portcheck.namedtuple import TYPE_CHECKING
from portcheck.render import terminal
from portcheck.render.escape import visible
from portcheck.render.headline import headline, holders_of, in_brackets, mark
from portcheck.render.layout import INDENT, Piece, marked, paint, table, wrapped
from portcheck.render.stop import MOST_NAMED, also_serves, signals
from portcheck.render.voice import helps
from portcheck.render.words import quoted, shortened, target, user
from portcheck.stop.plan import ended_by

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from portcheck.model import Advice, Diagnosis
    from portcheck.render.holder import Holder
    from portcheck.render.layout import Canvas, Mark
    from portcheck.render.voice import Lines
    from portcheck.stop.outcome import Report
    from portcheck.stop.plan import Ending, Plan, Step

LONGEST_NAME = 48  # characters of what strangers choose
SHOWN_PIDS = 3
HEADINGS = ("PID", "PROGRAM", "USER", "HOW IT ENDS", "ALSO SERVES")
STARTS = ("only", "no", "the", "there", "what", "whether")  # words of ours that a reason may begin with
NOTHING = "Nothing stopped:"
NO_KIN = "have nothing to do with each other"  # which a table shows


def intention(before: Diagnosis, plan: Plan, canvas: Canvas, *, force: bool) -> Iterator[str]:
    """Who holds the port, what will be done about it, and who ends by that."""
    holding = holders_of(before, canvas)
    yield from paint(marked(headline(before, None, holding), canvas, mark(before)), canvas)
    yield from paint(_plan(plan, holding, canvas.width, force=force), canvas)


def another_intention(stopped: Report, plan: Plan, canvas: Canvas, *, force: bool) -> Iterator[str]:
    """What came of the first plan, and what would have to be done next."""
    yield from paint(marked(_spoken(stopped), canvas, "bad"), canvas)
    yield from paint(_plan(plan, (), canvas.width, force=force), canvas)


def _plan(plan: Plan, holding: Sequence[Holder], width: int, *, force: bool) -> Lines:
    yield [Piece("")]
    for step in plan.steps:
        alone = len(plan.steps) == 1 and [holder.pid for holder in holding] == [each.pid for each in step.signalled]
        yield from _step(step, width, force=force, alone=alone)
        yield from _endings(step, width)


def _step(step: Step, width: int, *, force: bool, alone: bool) -> Lines:
    """The command, alone on its line, or the signals; `alone`: to the one process that has just been named."""
    start: list[Piece] = [Piece(INDENT), Piece("plan:", "dim"), Piece(" ")]
    if step.command:
        yield start
        yield [Piece(INDENT * 2), Piece(quoted(step.command), "bold")]
        with_it = [unit for root in step.roots for unit in root.process.required_by]
        if with_it:
            text = [Piece(visible(f"It stops {' and '.join(with_it)} too."))]
            yield from wrapped(text, width, start=[Piece(INDENT)], further=INDENT * 2)
        return
    need = ", if need be SIGKILL" if force else ""
    sent = f"send it {ended_by(step.signalled[0])}{need}" if alone else signals(step, force=force)
    yield from wrapped([Piece(visible(sent))], width, start=start, further=INDENT * 2)


def _endings(step: Step, width: int) -> Lines:
    """Everybody who ends by a step, unless that is one alone."""
    if len(step.endings) > 1:
        rows = _rows(step.endings)
        for lines in table(HEADINGS, rows[:MOST_NAMED], width, indent=INDENT, wrap=True):
            yield from lines
        if len(rows) > MOST_NAMED:
            yield [Piece(INDENT), Piece(f"{len(rows) - MOST_NAMED} more (--json names all)", "dim")]
    elif step.endings and step.endings[0].also_serves:
        text = [Piece(visible(f"It {also_serves(step.endings[0])}."))]
        yield from wrapped(text, width, start=[Piece(INDENT)], further=INDENT * 2)


def _rows(endings: Sequence[Ending]) -> list[tuple[Piece, ...]]:
    """A row for all that differ in nothing but their PIDs."""
    alike: dict[tuple[str, ...], list[int]] = {}
    for ending in endings:
        process = ending.process
        how = ended_by(process) if ending.role == "signalled" else ending.role
        name = shortened(program(process), LONGEST_NAME)
        ports = visible(", ".join(map(str, ending.also_serves)))
        alike.setdefault((name, user(process) or "?", how, ports), []).append(process.pid)
    styles = ("bold", "", "", "")
    return [(Piece(_numbers(pids), "bold"), *map(Piece, row, styles)) for row, pids in alike.items()]


def _numbers(pids: Sequence[int]) -> str:
    """`382`, `390, 391, 392 +7`"""
    more = len(pids) - SHOWN_PIDS
    return ", ".join(map(str, pids[:SHOWN_PIDS])) + (f" +{more}" if more > 0 else "")


def conclusion(report: Report, canvas: Canvas) -> Iterator[str]:
    """How it ended, and what can be done now."""
    if report.outcome == "refused" and not report.plan.steps:
        return paint(_refusal(report, canvas), canvas)
    if report.after is None and report.outcome in ("time-wait", "closing", "unknown"):
        return terminal.check(report.before, canvas)
    if report.outcome == "already-free":
        free = [Piece("Nothing to stop: "), *headline(report.before, None, ())]
        return paint(marked(free, canvas, "good"), canvas)
    return paint(_outcome(report, canvas), canvas)


def _outcome(report: Report, canvas: Canvas) -> Lines:
    if report.outcome == "planned":
        yield [Piece("")]
    yield from marked(_spoken(report), canvas, _mark(report))
    yield from _helps(report.advice, canvas, report.message)


def _mark(report: Report) -> Mark | None:
    """None where nothing was to be done."""
    if report.outcome in ("planned", "declined"):
        return None
    if report.outcome == "free":
        return "good"
    return "doubtful" if report.outcome == "unknown" else "bad"


def _spoken(report: Report) -> Iterator[Piece]:
    """The message, with the port as a headline has it."""
    about = report.after or report.before
    message = visible(report.message).removesuffix(".")
    named = port_named(about.protocol, about.port)
    start = named[:1].upper() + named[1:]
    refused = f"{start} is not stopped:"
    if message.startswith(refused):
        yield from (Piece(NOTHING, "red"), Piece(message[len(refused) :]))
    elif message.startswith(f"{start} "):
        yield from (Piece(target(about), "bold"), Piece(message[len(start) :]))
    else:
        yield Piece(message)


def _refusal(report: Report, canvas: Canvas) -> Lines:
    """Who holds the port all the same, and why that is so, unless the command says it."""
    before, reason, advice = report.before, visible(report.plan.refusal or ""), report.advice
    holding = holders_of(before, canvas)
    who = _who(before, holding) if holding else [Piece(reason)]
    yield from marked([Piece(NOTHING, "red"), Piece(" "), *who], canvas, "bad")
    if len(holding) > 1:
        yield [Piece("")]
        yield from terminal.table_of_holders(holding, before, canvas.width, INDENT)
        yield [Piece("")]
    if holding and not _says_it_all(advice, holding, reason):
        why = [Piece(_sentence(reason.rpartition(f"{NO_KIN}; ")[2]), "dim")]
        yield from wrapped(why, canvas.width, start=[Piece(INDENT)], further=INDENT)
    yield from _helps(advice, canvas, reason)


def _who(before: Diagnosis, holding: Sequence[Holder]) -> Iterator[Piece]:
    """`node server.js (PID 812, ann) holds 3000`"""
    if len(holding) > 1:
        yield from headline(before, None, holding)
        return
    (holder,) = holding
    yield from (
        Piece(holder.name, "bold"),
        in_brackets(holder.details),
        Piece(" holds "),
        Piece(target(before), "bold"),
    )


def _says_it_all(advice: Sequence[Advice], holding: Sequence[Holder], reason: str) -> bool:
    """A holder that only root sees, and sudo before a command, need no words between them."""
    by_root = len(advice) == 1 and (advice[0].command or ("",))[0] == "sudo"
    return by_root and advice[0].text == reason and all(holder.pid is None for holder in holding)


def _sentence(reason: str) -> str:
    """A reason begins with a name or a word of ours; a name keeps its letters."""
    is_ours = reason.partition(" ")[0] in STARTS
    return f"{reason[:1].upper() if is_ours else reason[:1]}{reason[1:]}."


def _helps(advice: Sequence[Advice], canvas: Canvas, told: str) -> Lines:
    if advice:
        yield [Piece("")]
    yield from helps(advice, canvas.width, INDENT, told=told)
