"""portcheck run CANDIDATE... -- CMD"""

from __future__ import annotations

from typing import Annotated

import typer

from portcheck.cli.options import Candidates, NoProbe, NoReuse, Profile
from portcheck.errors import UsageError
from portcheck.requests import RunRequest
from portcheck.waiting.loop import parse_duration


def run(
    context: typer.Context,
    candidates: Candidates = None,
    host: Annotated[
        str | None, typer.Option("--host", metavar="ADDRESS", help="What {host} stands for; 127.0.0.1 unless named.")
    ] = None,
    env: Annotated[str, typer.Option("--env", metavar="NAME", help="The variable that tells the port.")] = "PORT",
    listen: Annotated[
        bool,
        typer.Option("--listen", help="Listen, and hand the socket over as fd 3 (LISTEN_FDS): nobody can slip in."),
    ] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Only the first candidate will do.")] = False,
    retries: Annotated[
        int,
        typer.Option(
            "--retries",
            min=0,
            metavar="N",
            help="If the command failed without listening, and somebody else has the port: again with the next one.",
        ),
    ] = 0,
    wait_ready: Annotated[
        bool,
        typer.Option(
            "--wait-ready",
            help="Return 0 as soon as the command is proven to listen, and leave it running. Otherwise it does not run "
            "any more: its own status, 125 if it ended with 0 without listening, 124 if --timeout was over.",
        ),
    ] = False,
    timeout: Annotated[
        str, typer.Option("--timeout", metavar="TIME", help="With --wait-ready: then the command is ended.")
    ] = "60",
    print_port: Annotated[
        bool,
        typer.Option(
            "--print-port",
            help="The port alone on stdout before the command starts; with --wait-ready when it is ready, and then "
            "the command's own stdout goes to stderr: port=$(portcheck run ...) works.",
        ),
    ] = False,
    port_file: Annotated[
        str | None,
        typer.Option(
            "--port-file",
            metavar="FILE",
            help="The same into a file, which is removed when the command has ended.",
        ),
    ] = None,
    no_reuseaddr: NoReuse = False,
    no_probe: NoProbe = False,
    profile: Profile = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing about what is seen.")] = False,
) -> RunRequest:
    """Pick a port, start CMD with it, prove that CMD listens.

    CMD gets the port as the variable PORT, and as {port} (with {host}) in its arguments.

    Example: portcheck run 8000-8010 -- npm run dev
    """
    command: tuple[str, ...] = context.obj or ()
    if not candidates or not command:
        raise UsageError("run needs candidates, -- and a command", "example: portcheck run 8000-8010 -- npm run dev")
    return RunRequest(
        tuple(candidates),
        command,
        host=host or "127.0.0.1",
        everywhere=host is None,
        env=env,
        listen=listen,
        strict=strict,
        retries=retries,
        wait_ready=wait_ready,
        timeout=parse_duration(timeout),
        print_port=print_port,
        port_file=port_file,
        reuseaddr=not no_reuseaddr,
        probe=not no_probe,
        profile=profile,
        quiet=quiet,
    )
