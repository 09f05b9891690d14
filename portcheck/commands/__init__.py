"""What each command does with its request: look, decide, print, and return the exit code."""

from __future__ import annotations

from importlib import import_module

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
    from portcheck.request import Request

# Each is imported only when it is asked for.
MODULES: dict[type[Request], str] = {
    CheckRequest: "check",
    ListRequest: "listing",
    PickRequest: "pick",
    PreflightRequest: "preflight",
    RunRequest: "run",
    StopRequest: "stop",
    WaitRequest: "wait",
}


def execute(request: Request) -> int:
    """Runs the command that a request is for; its exit code."""
    command = import_module(f"portcheck.commands.{MODULES[type(request)]}")
    return int(command.run(request))
