"""Help as plain text: typer's app, built from the table of commands.

Importing typer takes longer than any answer, so it is done for help alone.  That both readers of a command line mean
the same by every line is for a property test to show; the callbacks return the request for its sake.
"""

from __future__ import annotations

from contextlib import redirect_stdout
from inspect import Parameter, Signature
from io import StringIO

import typer
from typer.core import TyperCommand, TyperGroup

from portcheck.cli.options import COMMANDS, HELP, VERSION
from portcheck.cli.pages import page
from portcheck.cli.parse import request
from portcheck.namedtuple import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import Any

    from portcheck.cli.table import Command, Option
    from portcheck.requests import Request


def answer(argv: Sequence[str]) -> tuple[int, str]:
    """The exit code and the text of a command line that asks for help.

    The text is returned because only our own writer knows what to do about a closed pipe: typer would exit with 1.
    """
    text = StringIO()
    with redirect_stdout(text):
        code = typer.main.get_command(app()).main(list(argv), prog_name="portcheck", standalone_mode=False)
    return int(code or 0), text.getvalue()


def app() -> typer.Typer:
    """The command line as typer knows it."""
    made = typer.Typer(
        name="portcheck",
        cls=_All,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        no_args_is_help=True,
        add_completion=False,  # cli/completion.py knows what is on this host, too
        context_settings={"help_option_names": [*reversed(HELP.spellings)]},
    )

    @made.callback()
    def portcheck(version: bool = typer.Option(False, *VERSION.spellings)) -> None:
        """What comes before a command."""

    for command in COMMANDS.values():
        for name in (command.name, *command.aliases):
            made.command(name, cls=_One)(_callback(command))
    return made


class _All(TyperGroup):
    """portcheck itself, which formats its own page."""

    def format_help(self, _: Any, formatter: Any) -> None:
        """Types and names of typer's own are nothing for people."""
        _write(None, formatter)


class _One(TyperCommand):
    """A command, which formats its own page."""

    def format_help(self, _: Any, formatter: Any) -> None:
        """As that of portcheck."""
        _write(self.name, formatter)


def _write(name: str | None, formatter: Any) -> None:
    told = page(name)
    formatter.write_text(f"Usage: {told.usage}")
    for paragraph in told.paragraphs:
        formatter.write_paragraph()
        with formatter.indentation():
            formatter.write_text(paragraph)
    for section in told.sections:
        with formatter.section(section.heading):
            formatter.write_dl(section.rows)


def _callback(command: Command) -> Callable[..., Request]:
    """A function with the parameters that typer makes a command of."""
    options = {f"option_{number}": option for number, option in enumerate(command.options)}  # "as" could be no name

    def callback(context: typer.Context, **values: Any) -> Request:
        given = {
            options[name].name if name in options else name: value
            for name, value in values.items()
            if value not in (None, []) and value is not False
        }
        if command.trailing and context.obj:
            given[command.trailing] = context.obj
        return request(command, given)

    callback.__signature__ = Signature([*_parameters(command, options)])  # type: ignore[attr-defined]
    callback.__annotations__ = {}
    return callback


def _parameters(command: Command, options: Mapping[str, Option]) -> Iterator[Parameter]:
    """Every value is text to typer: the table has its own way to read it."""
    kind = Parameter.KEYWORD_ONLY
    yield Parameter("context", kind, annotation=typer.Context)
    yield Parameter(command.operands.field, kind, default=typer.Argument(None), annotation=list[str])
    for name, option in options.items():
        annotation = bool if not option.metavar else list[str] if option.repeatable else str
        declared = typer.Option(None if option.metavar else False, *option.spellings)
        yield Parameter(name, kind, default=declared, annotation=annotation)
