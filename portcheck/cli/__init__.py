"""The command line as typer reads it: every command's parameters, turned into a request.  Nothing is done here."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import redirect_stdout
from io import StringIO
from typing import Annotated, Any

import typer

from portcheck.cli.check import check
from portcheck.cli.listing import list_
from portcheck.cli.pick import pick
from portcheck.cli.preflight import preflight
from portcheck.cli.run import run
from portcheck.cli.stop import stop
from portcheck.cli.wait import wait
from portcheck.errors import PortcheckError, UsageError
from portcheck.quick import COMMANDS
from portcheck.render import stream

app = typer.Typer(
    name="portcheck",
    help="Can my server listen here? If not: who has the port, why, and what to do now.\n\n"
    "`portcheck 80` is `portcheck check 80`. What a command takes: `portcheck check --help` and so on.",
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
# In the order in which --help shows them.
for command in (check, list_, pick, stop, wait, run, preflight):
    app.command(command.__name__.rstrip("_"))(command)


def _version(wanted: bool) -> None:
    if wanted:
        from portcheck import __version__

        typer.echo(f"portcheck {__version__}")
        raise typer.Exit


@app.callback()
def portcheck(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """What comes before a command."""


def parse(argv: Sequence[str]) -> Any:
    """The request of a command line, or the exit code of one that typer has answered (help, version, completion).

    Raises UsageError in one line for whatever cannot be understood.
    """
    words, command = split_command(argv)
    said = StringIO()  # what typer prints goes through our own writer: a closed pipe would make it exit 1
    try:
        with redirect_stdout(said):
            return typer.main.get_command(app).main(
                with_command(words), prog_name="portcheck", standalone_mode=False, obj=command
            )
    except PortcheckError:
        raise
    except Exception as error:
        # Some versions of typer bring click along, others import it: their errors are known by this method.
        described = getattr(error, "format_message", None)
        if described is None:
            raise
        cause = " ".join(described().split())
        asked = next((word for word in with_command(words)[:1] if word in COMMANDS), None)
        remedy = f"portcheck {asked} --help shows what is accepted" if asked else "portcheck --help shows the commands"
        raise UsageError(cause or "a command or a target is missing", remedy) from None
    finally:
        stream.write(said.getvalue().splitlines())


def with_command(argv: Sequence[str]) -> list[str]:
    """`portcheck 80` is `portcheck check 80`."""
    own = (*COMMANDS, "--help", "-h", "--version", "--install-completion", "--show-completion")
    return list(argv) if not argv or argv[0] in own else ["check", *argv]


def split_command(argv: Sequence[str]) -> tuple[Sequence[str], tuple[str, ...]]:
    """`run 8000 -- npm run dev` → portcheck's own words, and the command, which typer does not get to see."""
    if not argv or argv[0] != "run" or "--" not in argv:
        return argv, ()
    place = argv.index("--")
    return argv[:place], tuple(argv[place + 1 :])
