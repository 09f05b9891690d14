"""The way in, and the one error boundary: cause, then what to do.  A crash is never a verdict."""

# Without `from __future__`, which would have to stand before what heeds an interrupt.
import sys

try:
    import errno
    import gc
    import os

    from portcheck import exit_codes
    from portcheck.errors import NotATarget, PortcheckError
    from portcheck.namedtuple import TYPE_CHECKING
    from portcheck.observe.linux import fork
except KeyboardInterrupt:
    sys.exit(130)  # whoever asked has changed his mind while this was loading

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import NoReturn

    from portcheck.requests import Color

ALLOCATIONS = 50_000  # before garbage is collected: more than all imports together
# What the host lacks, whatever portcheck does: descriptors, memory, processes.
LACKING = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN, errno.ENOBUFS, errno.ENOSPC)
COMPLETION = "_PORTCHECK_COMPLETE"  # how a shell asks for what could come next


def main() -> "NoReturn":
    """Runs the command line of this process and exits with the code of the contract."""
    # One look at a host leaves no garbage worth collecting; collecting while importing takes a tenth of a whole run.
    gc.disable()
    fork.OWN_PROCESS = True
    try:
        if None in (sys.stdin, sys.stdout, sys.stderr):
            from portcheck.render.stream import occupy_standard_descriptors

            occupy_standard_descriptors()
        code = run(sys.argv[1:])
        gc.freeze()  # nor at exit, where the interpreter collects twice by itself
    except KeyboardInterrupt:  # on the way in or out
        code = exit_codes.INTERRUPTED
    sys.exit(code)


def run(argv: list[str]) -> int:
    """Runs one command line and returns its exit code."""
    try:
        return _execute(argv)
    except PortcheckError as error:
        return _failed(error, argv)
    except KeyboardInterrupt:
        return exit_codes.INTERRUPTED
    except MemoryError:
        return _failed(PortcheckError("there is not enough memory to look"), argv)
    except Exception as error:
        if isinstance(error, OSError) and error.errno in LACKING:
            return _failed(PortcheckError(f"this host does not let portcheck look: {error.strerror}"), argv)
        return _crashed(error)


def _execute(argv: list[str]) -> int:
    from portcheck.cli.parse import parse, wish_for_colour
    from portcheck.requests import (
        CompletionRequest,
        HelpRequest,
        RunRequest,
        StopRequest,
        VersionRequest,
        WaitRequest,
        WatchRequest,
    )

    if os.environ.get(COMPLETION):
        return _complete()
    request = parse(argv)
    if isinstance(request, CompletionRequest):
        from portcheck.commands.completion import set_up

        return set_up(request)
    if isinstance(request, HelpRequest):
        code = _help(request.argv, wish_for_colour(argv))
        # `portcheck $PORT` with an empty variable has asked nothing: that is no "free"
        return code if argv else exit_codes.USAGE
    if isinstance(request, VersionRequest):
        return _version()
    if isinstance(request, (RunRequest, StopRequest, WaitRequest, WatchRequest)):
        gc.set_threshold(ALLOCATIONS)
        gc.enable()  # they live long
    from portcheck.commands import execute

    try:
        return execute(request)
    except NotATarget as error:
        from portcheck.commands.mistakes import explained

        raise explained(error, argv) from None


def _complete() -> int:
    """Whatever goes wrong while somebody types is no reason to write into the line."""
    from portcheck.commands.completion import complete

    try:
        return complete(os.environ)
    except PortcheckError as error:
        return error.exit_code


def _help(argv: "Sequence[str]", color: "Color") -> int:
    """Help, in panels at a terminal where rich is installed."""
    from portcheck.render.stream import takes_rich, write

    code, lines = (takes_rich(sys.stdout, color) and _panels(argv, color)) or _by_typer(argv) or _plain(argv)
    write(lines)
    return code


# Each returns an exit code and lines, or None: what is needed is not here, or older than what we are made for.
OTHER_VERSION = (ImportError, AttributeError, TypeError)


def _panels(argv: "Sequence[str]", color: "Color") -> "tuple[int, Iterable[str]] | None":
    from portcheck.cli.pages import page_for
    from portcheck.observe.ourselves import program
    from portcheck.render.stream import wants_colour, width

    colour = wants_colour(sys.stdout, os.environ, color)
    try:
        from portcheck.render.help import panels

        return 0, panels(page_for(argv, program()), width=width(sys.stdout, os.environ), colour=colour)
    except OTHER_VERSION:
        return None


def _by_typer(argv: "Sequence[str]") -> "tuple[int, Iterable[str]] | None":
    try:
        from portcheck.cli.help import answer
        from portcheck.observe.ourselves import in_our_name

        code, text = answer(argv)
    except OTHER_VERSION:
        return None
    return code, in_our_name(text).splitlines()


def _plain(argv: "Sequence[str]") -> "tuple[int, Iterable[str]]":
    """The same lines, without typer."""
    from portcheck.cli.pages import page_for
    from portcheck.observe.ourselves import program
    from portcheck.render.help import plain
    from portcheck.render.stream import width

    return 0, plain(page_for(argv, program()), width(sys.stdout, os.environ))


def _version() -> int:
    from portcheck import __version__
    from portcheck.render.stream import write

    write([f"portcheck {__version__}"])
    return 0


def _failed(error: PortcheckError, argv: "Sequence[str]") -> int:
    from portcheck.cli.parse import wish_for_colour
    from portcheck.observe.ourselves import in_our_name
    from portcheck.render.stream import complain

    cause, did_you_mean, lines = error.cause.partition("did you mean: ")
    remedy = error.remedy and in_our_name(error.remedy)
    complain(cause + did_you_mean + in_our_name(lines), remedy, color=wish_for_colour(argv))
    return exit_codes.before_start(error.exit_code) if argv[:1] == ["run"] else error.exit_code


def _crashed(error: Exception) -> int:
    from portcheck.render.stream import complain

    if os.environ.get("PORTCHECK_TRACEBACK") and sys.stderr:
        import traceback

        traceback.print_exc()
    complain(
        f"internal error: {type(error).__name__}: {error}",
        "this is a bug in portcheck, not an answer; PORTCHECK_TRACEBACK=1 shows where",
    )
    return exit_codes.INTERNAL_ERROR


if __name__ == "__main__":
    main()
