"""Help: in panels of rich's at a terminal, or as plain lines."""

from __future__ import annotations

from portcheck.namedtuple import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.panel import Panel

    from portcheck.cli.pages import Page, Section

WIDEST = 110  # columns: longer lines are hard to read
# As typer prints plain help: columns of a line, and how much of it what is typed may take before its text.
WIDEST_PLAIN, NARROWEST_PLAIN = 78, 50
BESIDE_PLAIN = 30


def panels(page: Page, *, width: int, colour: bool) -> Iterator[str]:
    """The lines of a page, with escape codes only if `colour`."""
    from io import StringIO

    from rich.console import Console

    drawn = StringIO()
    console = Console(
        file=drawn,
        width=min(width, WIDEST),
        height=25,  # without it rich takes 80 columns where TERM is dumb
        color_system="standard" if colour else None,
        force_terminal=colour,
        legacy_windows=False,
        safe_box=True,
        _environ={},
    )
    console.print(f"Usage: {page.usage}", style="bold", markup=False, highlight=False)
    for paragraph in page.paragraphs:
        console.print()
        console.print(paragraph, markup=False, highlight=False)
    console.print()
    for section in page.sections:
        console.print(_panel(section, console.width))
    return iter(drawn.getvalue().splitlines())


def _panel(section: Section, width: int) -> Panel:
    """What is typed beside its text, or above it where that would leave the text too little room."""
    from rich.panel import Panel
    from rich.table import Table
    from rich.text import Text

    beside = max(len(row.typed) for row in section.rows) <= width * 0.45
    table = Table.grid(padding=(0, 2) if beside else 0)
    for row in section.rows:
        cells = Text(row.typed, "bold cyan", overflow="fold"), Text(row.text, overflow="fold")
        if beside:
            table.add_row(*cells)
        else:
            table.add_row(cells[0])
            table.add_row(Text.assemble("  ", cells[1]))
    return Panel(table, title=section.heading, title_align="left", border_style="dim")


def plain(page: Page, width: int) -> Iterator[str]:
    """The lines that typer prints of a page, for where it is not installed."""
    from textwrap import wrap

    room = max(min(width - 2, WIDEST_PLAIN), NARROWEST_PLAIN)
    yield from wrap(f"Usage: {page.usage}", room)
    for paragraph in page.paragraphs:
        yield ""
        yield from wrap(paragraph, room, initial_indent="  ", subsequent_indent="  ")
    for section in page.sections:
        yield from ("", f"{section.heading}:")
        beside = min(max(len(row.typed) for row in section.rows), BESIDE_PLAIN)
        further = " " * (beside + 4)
        for row in section.rows:
            start = f"  {row.typed}"
            if len(row.typed) > beside:
                yield start
                start = ""
            yield from wrap(row.text, room, initial_indent=start.ljust(beside + 4), subsequent_indent=further)
