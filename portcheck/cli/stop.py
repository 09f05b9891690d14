"""portcheck stop TARGET..."""

from __future__ import annotations

from typing import Annotated

import typer

from portcheck.cli.options import Hosts, Json, Targets, Udp
from portcheck.requests import StopRequest
from portcheck.waiting.loop import parse_duration


def stop(
    targets: Targets,
    hosts: Hosts = None,
    udp: Udp = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask; needed where there is no terminal.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan only.")] = False,
    force: Annotated[bool, typer.Option("--force", help="SIGKILL what has not ended in time.")] = False,
    everything: Annotated[bool, typer.Option("--all", help="Stop every holder, even unrelated ones.")] = False,
    pid: Annotated[int | None, typer.Option("--pid", min=1, help="Stop only this holder.")] = None,
    timeout: Annotated[
        str | None,
        typer.Option("--timeout", metavar="TIME", help="How long it may take (10s; a service or container 100s)."),
    ] = None,
    settle: Annotated[
        str, typer.Option("--settle", metavar="TIME", help="How long to watch whether it comes back.")
    ] = "2s",
    json: Json = False,
) -> StopRequest:
    """Free the port safely, and say truly whether it is free now.

    Example: portcheck stop 3000
    """
    return StopRequest(
        tuple(targets),
        tuple(hosts or ()),
        udp=udp,
        yes=yes,
        dry_run=dry_run,
        force=force,
        all=everything,
        pid=pid,
        timeout=None if timeout is None else parse_duration(timeout),
        settle=parse_duration(settle),
        json=json,
    )
