"""portcheck pick CANDIDATE..."""

from __future__ import annotations

from typing import Annotated

import typer

from portcheck.cli.options import Candidates, Hosts, Json, NoProbe, NoReuse, Profile, Udp
from portcheck.errors import UsageError
from portcheck.requests import PickRequest


def pick(
    candidates: Candidates = None,
    hosts: Hosts = None,
    udp: Udp = False,
    count: Annotated[int, typer.Option("-n", min=1, max=65535, metavar="K", help="K ports, one a line.")] = 1,
    random: Annotated[bool, typer.Option("--random", help="Take the candidates in random order.")] = False,
    any_port: Annotated[bool, typer.Option("--any", help="If none is free, any port of the kernel's choice.")] = False,
    exclude: Annotated[list[str] | None, typer.Option("--exclude", metavar="PORTS", help="Never these.")] = None,
    stable: Annotated[
        str | None, typer.Option("--stable", metavar="NAME", help="Start at a place derived from NAME.")
    ] = None,
    no_reuseaddr: NoReuse = False,
    no_probe: NoProbe = False,
    profile: Profile = None,
    json: Json = False,
) -> PickRequest:
    """The next free port of a candidate list, alone on stdout.

    Example: portcheck pick 8000 8001 9000-9010
    """
    if not candidates and not any_port:
        raise UsageError("pick needs candidates, such as 8000 8001 9000-9010, or --any")
    return PickRequest(
        tuple(candidates or ()),
        tuple(hosts or ()),
        udp,
        count,
        random,
        any_port,
        tuple(exclude or ()),
        stable,
        not no_reuseaddr,
        not no_probe,
        profile,
        json,
    )
