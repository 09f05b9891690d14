"""The face for a terminal: the answer first, in colour, then as little else as explains it, in tables."""

from __future__ import annotations

from portcheck.namedtuple import TYPE_CHECKING
from portcheck.render import plain
from portcheck.render.binds import answer_lines, bind_lines
from portcheck.render.escape import visible
from portcheck.render.owners import owner_lines
from portcheck.render.words import quoted, remarks

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from portcheck.model import Advice, Diagnosis, Process, Socket
    from portcheck.render.owners import OwnerLine

MANY = 200  # rich takes 0.4 ms for a row
COMMAND_FITS = 100  # columns of a terminal
# of verdicts and outcomes; everything else is yellow
COLOURS = {"free": "green", "in-use": "red", "denied": "red"}


def checks(
    diagnoses: Iterable[Diagnosis], *, verbose: bool = False, width: int = 80, colour: bool = False
) -> Iterator[str]:
    """The lines for several ports, with an empty line around every answer of more than one line."""
    before: list[str] = []
    for diagnosis in diagnoses:
        lines = list(check(diagnosis, verbose=verbose, width=width, colour=colour))
        if before and len(before) + len(lines) > 2:
            yield ""
        yield from lines
        before = lines


def check(diagnosis: Diagnosis, *, verbose: bool = False, width: int = 80, colour: bool = False) -> Iterator[str]:
    """The lines for one port, with escape codes only if `colour`."""
    if not (verbose or plain.says_more(diagnosis)) and len(diagnosis.message) <= width:
        return _sentence(diagnosis, colour=colour)
    console = _console(width, colour=colour)
    console.print(_text(visible(diagnosis.message), f"bold {_colour(diagnosis.verdict)}"))
    tables = list(_tables(diagnosis, verbose=verbose))
    for table in tables:
        console.print()
        _indented(console, table)
    if tables and (diagnosis.notes or diagnosis.blind_spots or diagnosis.advice):
        console.print()
    for remark in remarks(diagnosis, verbose=verbose):
        _indented(console, _text(remark))
    for advice in diagnosis.advice:
        _advice(console, advice)
    return _lines(console)


def _sentence(diagnosis: Diagnosis, *, colour: bool) -> Iterator[str]:
    """A free port's only line, as rich would print it: importing rich takes longer than everything else."""
    yield f"\x1b[1;32m{visible(diagnosis.message)}\x1b[0m" if colour else visible(diagnosis.message)


def listing(
    sockets: Sequence[Socket],
    processes: Mapping[int, Process],
    *,
    remote: bool = False,
    width: int = 80,
    colour: bool = False,
) -> Iterator[str]:
    """A table of sockets; more than 200 are plain lines, which come out as they are made."""
    from portcheck.render.table import Listed, rows

    if len(sockets) > MANY:
        return plain.listing(sockets, processes, remote=remote)
    left_out = {"remote": not remote, "command": width < COMMAND_FITS}
    fields = [field for field in Listed._fields if not left_out.get(field)]
    table = _table(*map(str.upper, fields))
    for column in table.columns:
        column.no_wrap, column.overflow = column.header not in ("ADDRESS", "REMOTE"), "ellipsis"
        column.justify = "right" if column.header in ("PORT", "PID") else "left"
    for row in rows(sockets, processes):
        table.add_row(*(_text(getattr(row, field)) for field in fields))
    console = _console(width, colour=colour)
    console.print(table)
    return _lines(console)


def _tables(diagnosis: Diagnosis, *, verbose: bool) -> Iterator[Table]:
    owners, more = owner_lines(diagnosis, verbose=verbose)
    if owners:
        yield _owners(owners, more)
    if binds := bind_lines(diagnosis, verbose=verbose):
        table = _table("ADDRESS", "OUTCOME", "BLOCKED BY", *(["HOW"] * verbose))
        for line in binds:
            outcome = _text(line.outcome, _colour(line.outcome))
            table.add_row(_text(line.addresses), outcome, _text(line.by), _text(line.how, "dim"))
        yield table
    if answers := answer_lines(diagnosis, verbose=verbose):
        table = _table("CLIENTS OF", "REACH")
        for answer in answers:
            table.add_row(*map(_text, answer))
        yield table


def _owners(lines: Iterable[OwnerLine], more: int) -> Table:
    table = _table("PID", "NAME", "USER", "SINCE", "COMMAND")
    for line in lines:
        command = _text(line.command)
        if line.identity:
            command.append(("\n" if line.command else "") + line.identity, "cyan")
        cells = (line.pids or "?", line.name, line.user or "?", line.since or "?")
        table.add_row(*map(_text, cells), command)
    if more:
        table.add_row("...", _text(f"{more} more"), "", "", "-v shows all")
    return table


def _advice(console: Console, advice: Advice) -> None:
    """What to do; a command stays on one line, however long, so that it can be copied."""
    _indented(console, _text(f"→ {visible(advice.text)}"))
    if advice.command:
        console.print(_text(f"      {quoted(advice.command)}", "bold"), soft_wrap=True)


def _console(width: int, *, colour: bool) -> Console:
    """A console that writes into memory and asks the environment nothing: `stream` knows what lines go to.

    (On a closed pipe rich would end the process with status 1.)
    """
    from io import StringIO

    from rich.console import Console, detect_legacy_windows

    return Console(
        file=StringIO(),
        width=width,
        height=25,  # without it rich takes 80 columns where TERM is dumb
        color_system="standard" if colour and not detect_legacy_windows() else None,
        no_color=False,
        legacy_windows=False,
        highlight=False,
        markup=False,
        emoji=False,
        _environ={},
    )


def _lines(console: Console) -> Iterator[str]:
    text: str = console.file.getvalue()  # type: ignore[attr-defined]
    return (line.rstrip() for line in text.removesuffix("\n").split("\n"))


def _table(*headings: str) -> Table:
    from rich.table import Column, Table

    columns = (Column(heading, overflow="fold") for heading in headings)
    return Table(*columns, box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")


def _text(text: str, style: str = "") -> Text:
    """Text as it is: rich reads no markup and finds no emoji in it."""
    from rich.text import Text

    return Text(text, style)


def _indented(console: Console, thing: Table | Text) -> None:
    from rich.padding import Padding

    console.print(Padding(thing, (0, 0, 0, 2), expand=False))


def _colour(word: str) -> str:
    return COLOURS.get(word, "yellow")
