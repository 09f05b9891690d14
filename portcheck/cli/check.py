"""portcheck TARGET..."""

from __future__ import annotations

from portcheck.cli.options import (
    Hosts,
    Json,
    NoColor,
    NoProbe,
    NoReuse,
    Plain,
    Profile,
    Quiet,
    Targets,
    Udp,
    Verbose,
    face,
)
from portcheck.requests import CheckRequest


def check(
    targets: Targets,
    hosts: Hosts = None,
    udp: Udp = False,
    no_reuseaddr: NoReuse = False,
    no_probe: NoProbe = False,
    profile: Profile = None,
    json: Json = False,
    plain: Plain = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    no_color: NoColor = False,
) -> CheckRequest:
    """Can a server listen here; if not, who has the port, and why.

    The default command: portcheck 80 is portcheck check 80.

    Examples: portcheck 80, portcheck 3000 5432 53/udp, portcheck 127.0.0.1:8000-8010
    """
    return CheckRequest(
        tuple(targets),
        tuple(hosts or ()),
        udp=udp,
        reuseaddr=not no_reuseaddr,
        probe=not no_probe,
        profile=profile,
        face=face(json=json, plain=plain),
        quiet=quiet,
        verbose=verbose,
        color=not no_color,
    )
