"""What a word was meant to be that is no target: by the command line, and by the processes that there are."""

from __future__ import annotations

from portcheck.errors import UsageError
from portcheck.namedtuple import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from portcheck.errors import NotATarget

MOST_DIGITS = 7  # of a PID: Linux's limit is 2**22


def explained(error: NotATarget, argv: Sequence[str]) -> UsageError:
    """The error with the nearest right form, where there is one."""
    if name := program(error.word):
        return UsageError(
            f"{error.word} is no port but the PID of {name}; did you mean: portcheck list --pid {error.word}"
        )
    from portcheck.cli.mistakes import no_target

    return no_target(error, argv)


def program(text: str) -> str | None:
    """The name of the process whose PID this is, if it is one: one process is looked at, and nothing else."""
    if not (text.isascii() and text.isdigit() and len(text) <= MOST_DIGITS):
        return None
    from portcheck.identify.names import called
    from portcheck.observe.system import BACK_END

    process = BACK_END.process(int(text))
    # A kernel thread has no command line, and no port
    return called(process) if process and process.command else None


def pid_hint(texts: Sequence[str], command: str) -> str | None:
    """For whoever asked for one port, on which there is nobody, and may have meant a process that holds another one."""
    if len(texts) != 1 or not (name := program(texts[0])):
        return None
    from portcheck.listing import Filter, list_sockets

    if not len(list_sockets(Filter(pid=int(texts[0])))):
        return None
    return f"{texts[0]} is also the PID of {name}; did you mean: portcheck {command} --pid {texts[0]}"
