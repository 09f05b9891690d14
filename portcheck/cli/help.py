"""Help and completion: typer's app, built from the table of commands.

Importing typer takes longer than any answer, so it is done for these alone.  That both readers of a command line mean
the same by every line is for a property test to show; the callbacks return the request for its sake.
"""

from __future__ import annotations

from contextlib import redirect_stdout
from inspect import Parameter, Signature
from io import StringIO

import typer

from portcheck.cli.options import COMMANDS, DETAILS, HELP, SUMMARY, VERSION
from portcheck.cli.parse import request
from portcheck.cli.table import Whole
from portcheck.namedtuple import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import Any

    from portcheck.cli.table import Command, Option
    from portcheck.requests import Request


def answer(argv: Sequence[str]) -> tuple[int, str]:
    """The exit code and the text of a command line that asks for help or for completion.

    The text is returned because only our own writer knows what to do about a closed pipe: typer would exit with 1.
    """
    text = StringIO()
    with redirect_stdout(text):
        try:
            code = typer.main.get_command(app()).main(list(argv), prog_name="portcheck", standalone_mode=False)
        except SystemExit as end:  # completion ends by itself
            code = end.code
    return int(code or 0), text.getvalue()


def app() -> typer.Typer:
    """The command line as typer knows it."""
    made = typer.Typer(
        name="portcheck",
        help=f"{SUMMARY}\n\n{DETAILS}",
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        no_args_is_help=True,
        context_settings={"help_option_names": [*reversed(HELP.spellings)]},
    )

    @made.callback()
    def portcheck(version: bool = typer.Option(False, *VERSION.spellings, help=VERSION.help)) -> None:
        """What comes before a command."""

    for command in COMMANDS.values():
        made.command(command.name, help=_help(command))(_callback(command))
    return made


def _help(command: Command) -> str:
    examples = f"Example{'s' * (len(command.examples) > 1)}: {', '.join(command.examples)}"
    return "\n\n".join((command.summary, *command.details, examples))


def _callback(command: Command) -> Callable[..., Request]:
    """A function with the parameters that typer makes a command of."""
    options = {f"option_{number}": option for number, option in enumerate(command.options)}  # "as" could be no name

    def callback(context: typer.Context, **values: Any) -> Request:
        given = {
            options[name].name if name in options else name: _as_text(value)
            for name, value in values.items()
            if value not in (None, []) and value is not False
        }
        if command.trailing and context.obj:
            given[command.trailing] = context.obj
        return request(command, given)

    callback.__signature__ = Signature([*_parameters(command, options)])  # type: ignore[attr-defined]
    callback.__annotations__ = {}
    return callback


def _as_text(value: Any) -> Any:
    """A number is text again: the table has its own way to read it."""
    return str(value) if isinstance(value, int) and value is not True else value


def _parameters(command: Command, options: Mapping[str, Option]) -> Iterator[Parameter]:
    kind = Parameter.KEYWORD_ONLY
    yield Parameter("context", kind, annotation=typer.Context)
    operands = typer.Argument(
        ... if command.requires_operands else None, metavar=command.operands.metavar, help=command.operands.help
    )
    yield Parameter(command.operands.field, kind, default=operands, annotation=list[str])
    for name, option in options.items():
        default, annotation = _typed(option)
        least, most = (option.read.least, option.read.most) if isinstance(option.read, Whole) else (None, None)
        declared = typer.Option(
            default,
            *option.spellings,
            metavar=option.metavar,
            help=option.help,
            min=least,
            max=most,
        )
        yield Parameter(name, kind, default=declared, annotation=annotation)


def _typed(option: Option) -> tuple[Any, Any]:
    """The default, and the type that typer converts to: numbers, for their bounds in --help; other values stay text."""
    if not option.metavar:
        return False, bool
    if isinstance(option.read, Whole):
        return option.default and int(option.default), int
    return option.default, list[str] if option.repeatable else str
