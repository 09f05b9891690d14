"""portcheck wait TARGET..."""

from __future__ import annotations

from typing import Annotated

import typer

from portcheck.cli.options import Hosts, Json, NoProbe, NoReuse, Profile, Quiet, Targets, Udp, exclusive
from portcheck.requests import WaitRequest
from portcheck.waiting.loop import parse_duration


def wait(
    targets: Targets,
    free: Annotated[bool, typer.Option("--free", help="Until a server could be started there.")] = False,
    listening: Annotated[bool, typer.Option("--listening", help="Until a server listens (the default).")] = False,
    one: Annotated[bool, typer.Option("--any", help="One of the targets is enough.")] = False,
    every: Annotated[bool, typer.Option("--all", help="All targets at the same time (the default).")] = False,
    hosts: Hosts = None,
    udp: Udp = False,
    connect: Annotated[
        bool,
        typer.Option("--connect", help="Connect to local ports too (those of other machines are always connected to)."),
    ] = False,
    timeout: Annotated[
        str, typer.Option("--timeout", metavar="TIME", help="How long at most: 30, 500ms, 2m; then exit 124.")
    ] = "30",
    stable: Annotated[
        str, typer.Option("--stable", metavar="TIME", help="It has to last this long without a gap.")
    ] = "0",
    fail_fast: Annotated[
        bool, typer.Option("--fail-fast", help="With --free: stop with 1 as soon as waiting cannot help.")
    ] = False,
    no_reuseaddr: NoReuse = False,
    no_probe: NoProbe = False,
    profile: Profile = None,
    json: Json = False,
    quiet: Quiet = False,
) -> WaitRequest:
    """Until a server listens, or until one could start (--free).

    Exit 124 when time is up.

    Examples: portcheck wait 5432 --timeout 60, portcheck wait 3000 --free
    """
    exclusive("--free", free, "--listening", listening)
    exclusive("--any", one, "--all", every)
    return WaitRequest(
        tuple(targets),
        tuple(hosts or ()),
        udp=udp,
        free=free,
        any=one,
        connect=connect,
        timeout=parse_duration(timeout),
        stable=parse_duration(stable),
        fail_fast=fail_fast,
        reuseaddr=not no_reuseaddr,
        probe=not no_probe,
        profile=profile,
        json=json,
        quiet=quiet,
    )
