"""The command line as typer reads it: every command's parameters, turned into a request.  Nothing is done here."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import redirect_stdout
from io import StringIO
from typing import Annotated, Any

import typer

from portcheck.errors import PortcheckError, UsageError
from portcheck.quick import COMMANDS
from portcheck.render import stream
from portcheck.request import (
    CheckRequest,
    ListRequest,
    PickRequest,
    PreflightRequest,
    RunRequest,
    StopRequest,
    WaitRequest,
)
from portcheck.target import ACCEPTED
from portcheck.waiting import parse_duration

FORMATS = ("text", "json", "github", "junit")

app = typer.Typer(
    name="portcheck",
    help="Can my server listen here? If not: who has the port, why, and what to do now.\n\n"
    "`portcheck 80` is `portcheck check 80`.",
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Targets = Annotated[list[str], typer.Argument(metavar="TARGET...", help=f"What to ask about: {ACCEPTED}.")]
Candidates = Annotated[
    list[str] | None, typer.Argument(metavar="CANDIDATE...", help="Ports and ranges, in order of preference.")
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


def _version(wanted: bool) -> None:
    if wanted:
        from portcheck import __version__

        typer.echo(f"portcheck {__version__}")
        raise typer.Exit


@app.callback()
def portcheck(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """What comes before a command."""


@app.command()
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
    """Can a server listen here; if not, who has the port, why, and what now (the default command)."""
    return CheckRequest(
        tuple(targets),
        tuple(hosts or ()),
        udp=udp,
        reuseaddr=not no_reuseaddr,
        probe=not no_probe,
        profile=profile,
        face=_face(json=json, plain=plain),
        quiet=quiet,
        verbose=verbose,
        color=not no_color,
    )


@app.command("list")
def list_(
    ports: Annotated[list[str] | None, typer.Argument(metavar="[PORT|RANGE]...")] = None,
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
    """Every listening or bound socket with its owners."""
    return ListRequest(
        tuple(ports or ()), tcp, udp, everything, user, pid, name, pids, _face(json=json, plain=plain), not no_color
    )


@app.command()
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
    """The next free port of a candidate list, alone on stdout."""
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


@app.command()
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
    """Free the port safely, and say truly whether it is free now."""
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


@app.command()
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
    """Until a server listens there, or until it is free (exit 124 when time is up)."""
    _exclusive("--free", free, "--listening", listening)
    _exclusive("--any", one, "--all", every)
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


@app.command()
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
    """Pick a port, start CMD with it (PORT, {port}, {host}), and prove that CMD is the one that listens there."""
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


@app.command()
def preflight(
    files: Annotated[
        list[str] | None, typer.Argument(metavar="FILE", help="Only these files, or what these directories hold.")
    ] = None,
    directory: Annotated[
        str | None, typer.Option("--directory", "-C", metavar="DIR", help="The project; the current one unless named.")
    ] = None,
    format_: Annotated[
        str | None, typer.Option("--format", metavar="FORMAT", help=f"One of {', '.join(FORMATS)}.")
    ] = None,
    json: Json = False,
    no_docker: Annotated[
        bool, typer.Option("--no-docker", help="Do not ask `docker compose config` to resolve Compose files.")
    ] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit 3 where anything was left open, such as a variable without a value.")
    ] = False,
    no_probe: NoProbe = False,
    quiet: Quiet = False,
) -> PreflightRequest:
    """Check every port that a project's files declare, in one go (Compose, .env, Procfile, devcontainer, pyproject)."""
    _exclusive("--json", json, f"--format {format_}", format_ not in (None, "json"))
    _exclusive("--directory", directory is not None, "files", bool(files))
    return PreflightRequest(
        tuple(files or ()),
        directory or ".",
        "json" if json else _format(format_ or "text"),
        docker=not no_docker,
        strict=strict,
        probe=not no_probe,
        quiet=quiet,
    )


def _format(name: str) -> Any:
    if name not in FORMATS:
        raise UsageError(f"unknown format '{name}'; accepted: {', '.join(FORMATS)}")
    return name


def _exclusive(name: str, given: bool, other: str, other_given: bool) -> None:
    if given and other_given:
        raise UsageError(f"{name} and {other} exclude each other")


def _face(*, json: bool, plain: bool) -> Any:
    _exclusive("--json", json, "--plain", plain)
    return "json" if json else "plain" if plain else "auto"


def parse(argv: Sequence[str]) -> Any:
    """The request of a command line, or the exit code of one that typer has answered (help, version, completion).

    Raises UsageError in one line for whatever cannot be understood.
    """
    words, command = split_command(argv)
    said = StringIO()  # what typer prints goes through our own writer: a closed pipe would make it exit 1
    try:
        with redirect_stdout(said):
            return typer.main.get_command(app).main(
                with_command(words), prog_name="portcheck", standalone_mode=False, obj=command
            )
    except PortcheckError:
        raise
    except Exception as error:
        # Some versions of typer bring click along, others import it: their errors are known by this method.
        described = getattr(error, "format_message", None)
        if described is None:
            raise
        cause = " ".join(described().split())
        raise UsageError(
            cause or "a command or a target is missing", "portcheck --help shows what is accepted"
        ) from None
    finally:
        stream.write(said.getvalue().splitlines())


def with_command(argv: Sequence[str]) -> list[str]:
    """`portcheck 80` is `portcheck check 80`."""
    own = (*COMMANDS, "--help", "-h", "--version", "--install-completion", "--show-completion")
    return list(argv) if not argv or argv[0] in own else ["check", *argv]


def split_command(argv: Sequence[str]) -> tuple[Sequence[str], tuple[str, ...]]:
    """`run 8000 -- npm run dev` → portcheck's own words, and the command, which typer does not get to see."""
    if not argv or argv[0] != "run" or "--" not in argv:
        return argv, ()
    place = argv.index("--")
    return argv[:place], tuple(argv[place + 1 :])
