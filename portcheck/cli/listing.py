"""portcheck list [PORT|RANGE]..."""

from __future__ import annotations

from typing import Annotated

import typer

from portcheck.cli.options import Json, NoColor, Plain, exclusive, face
from portcheck.requests import ListRequest


def list_(
    ports: Annotated[
        list[str] | None, typer.Argument(metavar="PORT|RANGE", help="Only these; all unless named.")
    ] = None,
    tcp: Annotated[bool, typer.Option("--tcp", help="TCP only.")] = False,
    udp: Annotated[bool, typer.Option("--udp", help="UDP only.")] = False,
    everything: Annotated[bool, typer.Option("--all", help="Connections too, not just what listens.")] = False,
    user: Annotated[str | None, typer.Option("--user", help="Only sockets of this user (name or uid).")] = None,
    pid: Annotated[int | None, typer.Option("--pid", min=1, help="Only sockets that this process holds.")] = None,
    name: Annotated[str | None, typer.Option("--name", help="Only processes with this in their name.")] = None,
    pids: Annotated[bool, typer.Option("--pids", help="PIDs of the listeners alone, one a line.")] = False,
    json: Json = False,
    plain: Plain = False,
    no_color: NoColor = False,
) -> ListRequest:
    """Every listening or bound socket with its owners.

    Examples: portcheck list, portcheck list 8000-9000 --user www-data
    """
    exclusive("--pids", pids, "--json", json)
    return ListRequest(
        tuple(ports or ()), tcp, udp, everything, user, pid, name, pids, face(json=json, plain=plain), not no_color
    )
