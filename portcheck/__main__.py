"""The way in, and the one error boundary: cause, then what to do.  A crash is never a verdict."""

from __future__ import annotations

import gc
import sys

from portcheck import exit_codes
from portcheck.namedtuple import TYPE_CHECKING
from portcheck.observe.linux import fork

if TYPE_CHECKING:
    from typing import NoReturn

    from portcheck.errors import PortcheckError


def main() -> NoReturn:
    """Runs the command line of this process and exits with the code of the contract."""
    # One look at a host leaves no garbage worth collecting; collecting while importing takes a tenth of a whole run.
    gc.disable()
    fork.OWN_PROCESS = True
    code = run(sys.argv[1:])
    gc.freeze()  # nor at exit, where the interpreter collects twice by itself
    sys.exit(code)


def run(argv: list[str]) -> int:
    """Runs one command line and returns its exit code."""
    from portcheck.errors import PortcheckError

    try:
        return _execute(argv)
    except PortcheckError as error:
        _say(error)
        return exit_codes.before_start(error.exit_code) if argv[:1] == ["run"] else error.exit_code
    except KeyboardInterrupt:
        return exit_codes.INTERRUPTED
    except Exception as error:
        return _crashed(error)


def _execute(argv: list[str]) -> int:
    from portcheck import quick

    request = quick.parse(argv)
    if request is None:
        gc.enable()  # some of these commands live long
        from portcheck import cli

        request = cli.parse(argv or ["--help"])
        if not isinstance(request, tuple):
            # `portcheck $PORT` with an empty variable has asked nothing: that is no "free"
            return int(request or 0) if argv else exit_codes.USAGE
    from portcheck.commands import execute

    return execute(request)


def _say(error: PortcheckError) -> None:
    from portcheck.render.stream import complain

    complain(error.cause, error.remedy)


def _crashed(error: Exception) -> int:
    import os

    from portcheck.render.stream import complain

    if os.environ.get("PORTCHECK_TRACEBACK"):
        import traceback

        traceback.print_exc()
    complain(
        f"internal error: {type(error).__name__}: {error}",
        "this is a bug in portcheck, not an answer; PORTCHECK_TRACEBACK=1 shows where",
    )
    return exit_codes.INTERNAL_ERROR


if __name__ == "__main__":
    main()
