"""What several commands take, declared once."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from portcheck.errors import UsageError
from portcheck.target import ACCEPTED

Targets = Annotated[list[str], typer.Argument(metavar="TARGET", help=f"What to ask about: {ACCEPTED}.")]
Candidates = Annotated[
    list[str] | None, typer.Argument(metavar="CANDIDATE", help="Ports and ranges, in order of preference.")
]
Hosts = Annotated[
    list[str] | None,
    typer.Option("--host", metavar="HOST", help="Ask about this address, interface or host name only (repeatable)."),
]
Udp = Annotated[bool, typer.Option("--udp", help="Ask about UDP instead of TCP.")]
NoReuse = Annotated[bool, typer.Option("--no-reuseaddr", help="The server will not set SO_REUSEADDR.")]
NoProbe = Annotated[bool, typer.Option("--no-probe", help="Only read the kernel's tables; try no bind.")]
Profile = Annotated[
    str | None,
    typer.Option("--as", metavar="SERVER", help="Ask as this runtime binds: node, python, go, java, nginx, apache ..."),
]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]
Plain = Annotated[bool, typer.Option("--plain", help="Plain stable lines, as when piped.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing; the exit code answers.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="The whole bind table and what else was seen.")]
NoColor = Annotated[bool, typer.Option("--no-color", help="No colours (NO_COLOR is heeded too).")]


def exclusive(name: str, given: bool, other: str, other_given: bool) -> None:
    """Raises UsageError where both are given."""
    if given and other_given:
        raise UsageError(f"{name} and {other} exclude each other")


def face(*, json: bool, plain: bool) -> Any:
    """How the answer is shown."""
    exclusive("--json", json, "--plain", plain)
    return "json" if json else "plain" if plain else "auto"
