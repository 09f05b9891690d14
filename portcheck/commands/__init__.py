"""What each command does with its request: look, decide, print, and return the exit code."""

from __future__ import annotations

from portcheck.request import (
    CheckRequest,
    ListRequest,
    PickRequest,
    PreflightRequest,
    RunRequest,
    StopRequest,
    WaitRequest,
)
from portcheck.value import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any


def execute(request: Any) -> int:  # noqa: PLR0911 - one for each command
    """Runs the command that a request is for."""
    if isinstance(request, CheckRequest):
        from portcheck.commands import check

        return check.run(request)
    if isinstance(request, PickRequest):
        from portcheck.commands import pick

        return pick.run(request)
    if isinstance(request, ListRequest):
        from portcheck.commands import listing

        return listing.run(request)
    if isinstance(request, StopRequest):
        from portcheck.commands import stop

        return stop.run(request)
    if isinstance(request, WaitRequest):
        from portcheck.commands import wait

        return wait.run(request)
    if isinstance(request, RunRequest):
        from portcheck.commands import run

        return run.run(request)
    if isinstance(request, PreflightRequest):
        from portcheck.commands import preflight

        return preflight.run(request)
    raise TypeError(f"no command for {request!r}")
