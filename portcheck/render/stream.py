"""Writing lines without ever failing through a fault of our own; colour, width, and whether it is a terminal."""

from __future__ import annotations

import codecs
import errno
import os
import sys
import time
from itertools import islice

from portcheck.errors import SPEAKER, PortcheckError
from portcheck.namedtuple import TYPE_CHECKING
from portcheck.render.escape import visible
from portcheck.traits import HERE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import TextIO

    from portcheck.render.layout import Canvas, Mark
    from portcheck.requests import Color

# Our own signs, where the encoding lacks them; everything else is escaped.
SPELLED_OUT = {"→": "->", "…": "...", "✗": "x", "✓": "ok"}
SIGNS = "".join(SPELLED_OUT)
ERRORS = "portcheck"
USUAL_WIDTH = 80
AT_ONCE = 512  # lines: one by one, 20,000 take three times as long


def write(lines: Iterable[str], end: str = "\n") -> bool:
    """Writes lines to stdout, as `write_to` does."""
    return write_to(sys.stdout, lines, end)


def write_to(stream: TextIO | None, lines: Iterable[str], end: str = "\n") -> bool:
    """Writes lines, each with its `end`, to a stream and flushes it; False when nobody reads it any more.

    That is a closed pipe, or None: a standard stream that was closed before Python started.  Nothing more is written to
    it then, not even at exit.  Raises PortcheckError for a full disk and the like.
    """
    if stream is None or stream.closed:
        return False
    try:
        _tolerate_every_character(stream)
        rest = iter(lines)
        at_once = 1 if is_terminal(stream) else AT_ONCE  # a person reads along
        while some := tuple(islice(rest, at_once)):
            stream.write(end.join((*some, "")))
        stream.flush()
    except OSError as error:
        _silence(stream)
        if _is_closed_pipe(error):
            return False
        raise PortcheckError(f"the answer cannot be written: {error.strerror}") from error
    return True


def _is_closed_pipe(error: OSError) -> bool:
    return isinstance(error, BrokenPipeError) or (HERE.closed_pipe_is_einval and error.errno == errno.EINVAL)


def complain(cause: str, remedy: str | None = None, *, color: Color = "auto", mark: Mark | None = "bad") -> None:
    """One line on stderr, and one with what to do about it."""
    lines = complaint(cause, remedy)

    def drawn(canvas: Canvas) -> Iterable[str]:
        from portcheck.render.voice import voiced

        return voiced(lines, canvas, mark)

    complain_in(lines, color, drawn)


def complaint(cause: str, remedy: str | None) -> list[str]:
    """As scripts read it."""
    return [f"{SPEAKER}{visible(cause)}", *([f"  → {visible(remedy)}"] if remedy else [])]


def complain_in(lines: Iterable[str], color: Color, drawn: Callable[[Canvas], Iterable[str]]) -> None:
    """The lines on stderr; if even that fails, the exit code remains."""
    try:
        say(lines, sys.stderr, color, drawn)
    except PortcheckError:
        return


def say(
    lines: Iterable[str],
    stream: TextIO | None,
    color: Color = "auto",
    drawn: Callable[[Canvas], Iterable[str]] | None = None,
) -> None:
    """Plain lines; for a person what is `drawn` instead, or the same lines with whole words wrapped."""
    if is_drawn(stream, color):
        from portcheck.render.voice import voiced

        where = canvas(stream, os.environ, color)
        lines = drawn(where) if drawn else voiced(lines, where)
    write_to(stream, lines)


def is_drawn(stream: TextIO | None, color: Color) -> bool:
    """Whether the face for people is wanted there; --color=always wants it in a pipe too (`... | less -R`).

    A variable does not: with FORCE_COLOR in its environment, a script reads the same lines as without.
    """
    return is_terminal(stream) or (color == "always" and stream is not None)


def is_abandoned(stream: TextIO | None) -> bool:
    """Whether nobody will ever read what is written there: a pipe whose reader is gone, where poll(2) tells."""
    if stream is None or stream.closed:
        return True
    import select

    try:
        watch = select.poll()
        watch.register(stream.fileno(), 0)
        return any(event & select.POLLERR for _, event in watch.poll(0))
    except (AttributeError, OSError, ValueError):  # no poll(2) here; no file behind the stream
        return False


def is_terminal(stream: TextIO | None) -> bool:
    """Whether a person reads there (None is a closed standard stream)."""
    try:
        return stream is not None and stream.isatty()
    except ValueError:  # it has been closed
        return False


def takes_rich(stream: TextIO | None, color: Color = "auto") -> bool:
    """Whether rich can draw there: for people, where it is installed."""
    if not is_drawn(stream, color):
        return False
    from importlib.util import find_spec

    return find_spec("rich") is not None


def canvas(stream: TextIO | None, environ: Mapping[str, str], color: Color) -> Canvas:
    """What can be drawn on this stream, now."""
    from portcheck.render.layout import Canvas  # a pipe needs none

    return Canvas(width(stream, environ), wants_colour(stream, environ, color), has_signs(stream, environ), time.time())


def has_signs(stream: TextIO | None, environ: Mapping[str, str]) -> bool:
    """Whether our marks can be shown there; the console of Linux has few characters beside ASCII."""
    try:
        SIGNS.encode(getattr(stream, "encoding", None) or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return environ.get("TERM") not in ("linux", "dumb")


def wants_colour(stream: TextIO | None, environ: Mapping[str, str], color: Color) -> bool:
    """--color=always and never, then NO_COLOR, then what forces colour, then whether a terminal would understand it.

    no-color.org, force-color.org and bixense.com/clicolors: a variable counts unless it is empty.
    """
    if color != "auto":
        return color == "always"
    if environ.get("NO_COLOR"):
        return False
    if any(environ.get(name, "0") not in ("", "0") for name in ("CLICOLOR_FORCE", "FORCE_COLOR")):
        return True
    return is_terminal(stream) and environ.get("TERM") != "dumb" and environ.get("CLICOLOR") != "0"


def width(stream: TextIO | None, environ: Mapping[str, str]) -> int:
    """Columns: COLUMNS, else the terminal's own number, else 80 (shutil has this too, but imports slowly)."""
    columns = environ.get("COLUMNS", "")
    if columns.isdecimal() and int(columns):
        return int(columns)
    try:
        return (os.get_terminal_size(stream.fileno()).columns if stream else 0) or USUAL_WIDTH
    except (OSError, ValueError):  # no terminal; no file behind it, or a closed one
        return USUAL_WIDTH


def _tolerate_every_character(stream: TextIO) -> None:
    """What the stream's encoding lacks is spelled out; a StringIO has no encoding and takes everything."""
    reconfigure = getattr(stream, "reconfigure", None)
    if reconfigure is not None and stream.errors != ERRORS:
        codecs.register_error(ERRORS, _spell_out)
        reconfigure(errors=ERRORS)


def _spell_out(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    character = error.object[error.start]
    escaped = character.encode("ascii", "backslashreplace").decode("ascii")
    return SPELLED_OUT.get(character, escaped), error.start + 1


def _silence(stream: TextIO) -> None:
    """Discards what is still buffered: flushing it at exit would fail again, and exit with 120."""
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
    except OSError:  # a sandbox without /dev
        _close(stream)
        return
    try:
        os.dup2(nowhere, stream.fileno())
    finally:
        os.close(nowhere)


def _close(stream: TextIO) -> None:
    """Python flushes no closed stream at exit; that it could not be flushed now is known."""
    try:
        stream.close()
    except OSError:
        return


def occupy_standard_descriptors() -> None:
    """Fills the numbers of standard streams that were closed before Python started.

    Else the next file that is opened gets one of them, and what a library complains about goes into it.  A command that
    `run` starts finds them closed, as we did.
    """
    try:
        while (number := os.open(os.devnull, os.O_RDWR)) <= 2:
            continue
        os.close(number)
    except OSError:
        return
