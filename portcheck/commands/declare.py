"""portcheck verify --write [FILE]: a declaration of what runs now."""

from __future__ import annotations

import os
from pathlib import Path

from portcheck import exit_codes
from portcheck.diagnosis.pipeline import among_all
from portcheck.errors import PortcheckError, UsageError
from portcheck.namedtuple import TYPE_CHECKING
from portcheck.preflight.discover import is_own_file
from portcheck.render import stream
from portcheck.verification.declare import declaration

if TYPE_CHECKING:
    from portcheck.requests import VerifyRequest

NEVER_UNASKED = "--force replaces it"


def declare(request: VerifyRequest) -> int:
    """Prints the declaration, or writes it into the file that is named.  Raises UsageError, PortcheckError."""
    path = _path(request)
    scene, _ = among_all(())
    lines = [*declaration(scene)]
    if path is None:
        stream.write(lines)
        return exit_codes.DONE
    _write(path, "".join(f"{line}\n" for line in lines), over=request.force)
    return exit_codes.DONE


def _path(request: VerifyRequest) -> Path | None:
    if request.only or request.strict or request.format != "text" or request.directory != ".":
        raise UsageError("--write declares what runs: it takes a FILE, --force, and nothing else of verify")
    if not request.files:
        if request.force:
            raise UsageError("--force replaces a FILE, and none is named")
        return None
    if len(request.files) > 1:
        raise UsageError("--write takes one FILE")
    path = Path(request.files[0])
    if not is_own_file(path):
        raise UsageError(
            f"'{path.name}' is no name for it; verify reads portcheck.toml, db.portcheck.toml and the like"
        )
    if os.path.lexists(path) and not request.force:
        raise UsageError(f"{path} is there already", NEVER_UNASKED)
    return path


def _write(path: Path, text: str, *, over: bool) -> None:
    """Whole or not at all; what is there is replaced only if that was asked for, a link by a file."""
    try:
        if not over:
            with path.open("x", encoding="ascii") as new:
                new.write(text)
            return
        unfinished = path.with_name(f".{path.name}.{os.getpid()}")
        with unfinished.open("x", encoding="ascii") as new:
            new.write(text)
        unfinished.replace(path)
    except FileExistsError:
        raise UsageError(f"{path} is there already", NEVER_UNASKED) from None
    except OSError as error:
        raise PortcheckError(f"{path} cannot be written: {error.strerror}") from error
