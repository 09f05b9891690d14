"""What each command does with its request: look, decide, render, and return the exit code."""

from __future__ import annotations

from portcheck.namedtuple import TYPE_CHECKING
from portcheck.requests import (
    CheckRequest,
    ListRequest,
    PickRequest,
    PreflightRequest,
    RunRequest,
    StopRequest,
    VerifyRequest,
    WatchRequest,
)

if TYPE_CHECKING:
    from portcheck.requests import Request


def execute(request: Request) -> int:  # noqa: PLR0911 - one for each command
    """Runs the command that a request is for; its exit code.  Each is imported only when it is asked for."""
    if isinstance(request, CheckRequest):
        from portcheck.commands import check

        return check.run(request)
    if isinstance(request, ListRequest):
        from portcheck.commands import listing

        return listing.run(request)
    if isinstance(request, PickRequest):
        from portcheck.commands import pick

        return pick.run(request)
    if isinstance(request, PreflightRequest):
        from portcheck.commands import preflight

        return preflight.run(request)
    if isinstance(request, RunRequest):
        from portcheck.commands import run

        return run.run(request)
    if isinstance(request, StopRequest):
        from portcheck.commands import stop

        return stop.run(request)
    if isinstance(request, VerifyRequest):
        from portcheck.commands import verify

        return verify.run(request)
    if isinstance(request, WatchRequest):
        from portcheck.commands import watch

        return watch.run(request)
    from portcheck.commands import wait

    return wait.run(request)
