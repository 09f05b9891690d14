"""The table of commands: everything that can be typed, what it means, and what --help says of it.

A new option is one entry here, and one field of the request in `requests.py`.
"""

from __future__ import annotations

from portcheck.cli.table import Choice, Command, Need, Operands, Option, Whole, parse_duration
from portcheck.requests import (
    CheckRequest,
    ListRequest,
    PickRequest,
    PreflightRequest,
    RunRequest,
    StopRequest,
    WaitRequest,
)
from portcheck.target import ACCEPTED

SUMMARY = "Can my server listen here? If not: who has the port, why, and what to do now."
DETAILS = "`portcheck 80` is `portcheck check 80`. What a command takes: `portcheck check --help` and so on."

# Of every command, and of portcheck itself; typer adds them to its app by itself.
HELP = Option(("--help", "-h"), "Show this message and exit.", "help")
VERSION = Option(("--version",), "Print the version.", "version")
COMPLETION = ("--install-completion", "--show-completion")

TARGETS = Operands("TARGET", f"What to ask about: {ACCEPTED}.", "targets")
CANDIDATES = Operands("CANDIDATE", "Ports and ranges, in order of preference.", "candidates")

HOSTS = Option(
    ("--host",),
    "Ask about this address, interface or host name only (repeatable).",
    "hosts",
    metavar="HOST",
    repeatable=True,
)
UDP = Option(("--udp",), "Ask about UDP instead of TCP.", "udp")
NO_REUSEADDR = Option(("--no-reuseaddr",), "The server will not set SO_REUSEADDR.", "reuseaddr", value=False)
NO_PROBE = Option(("--no-probe",), "Only read the kernel's tables; try no bind.", "probe", value=False)
PROFILE = Option(
    ("--as",), "Ask as this server binds: node, vite, django, nginx, postgres ...", "profile", metavar="SERVER"
)
JSON = Option(("--json",), "One JSON document on stdout.", "json")
JSON_FACE = JSON._replace(field="face", value="json")
PLAIN_FACE = Option(("--plain",), "Plain stable lines, as when piped.", "face", value="plain")
QUIET = Option(("--quiet", "-q"), "Print nothing; the exit code answers.", "quiet")
NO_COLOR = Option(("--no-color",), "No colours (NO_COLOR is heeded too).", "color", value=False)

CHECK = Command(
    "check",
    CheckRequest,
    "Can a server listen here; if not, who has the port, and why.",
    TARGETS,
    (
        HOSTS,
        UDP,
        NO_REUSEADDR,
        NO_PROBE,
        PROFILE,
        JSON_FACE,
        PLAIN_FACE,
        QUIET,
        Option(("--verbose", "-v"), "The whole bind table and what else was seen.", "verbose"),
        NO_COLOR,
    ),
    examples=("portcheck 80", "portcheck 3000 5432 53/udp", "portcheck 127.0.0.1:8000-8010"),
    details=("The default command: portcheck 80 is portcheck check 80.",),
    needs=(Need(("targets",), "check needs a target, such as 80, 8000-8010 or 127.0.0.1:80"),),
)

LIST = Command(
    "list",
    ListRequest,
    "Every listening or bound socket with its owners.",
    Operands("PORT|RANGE", "Only these; all unless named.", "ports"),
    (
        Option(("--tcp",), "TCP only.", "tcp"),
        Option(("--udp",), "UDP only.", "udp"),
        Option(("--all",), "Connections too, not just what listens.", "all"),
        Option(("--user",), "Only sockets of this user (name or uid).", "user", metavar="USER"),
        Option(("--pid",), "Only sockets that this process holds.", "pid", metavar="PID", read=Whole(1)),
        Option(("--name",), "Only processes with this in their name.", "name", metavar="NAME"),
        Option(("--pids",), "PIDs of the listeners alone, one a line.", "pids"),
        JSON_FACE,
        PLAIN_FACE,
        NO_COLOR,
    ),
    examples=("portcheck list", "portcheck list 8000-9000 --user www-data"),
    excludes=(("--pids", "--json"),),
)

PICK = Command(
    "pick",
    PickRequest,
    "The next free port of a candidate list, alone on stdout.",
    CANDIDATES,
    (
        HOSTS,
        UDP,
        Option(("-n",), "K ports, one a line.", "wanted", metavar="K", read=Whole(1, 65535), default="1"),
        Option(("--random",), "Take the candidates in random order.", "random"),
        Option(("--any",), "If none is free, any port of the kernel's choice.", "any"),
        Option(("--exclude",), "Never these (repeatable).", "exclude", metavar="PORTS", repeatable=True),
        Option(("--stable",), "Start at a place derived from NAME.", "stable", metavar="NAME"),
        NO_REUSEADDR,
        NO_PROBE,
        PROFILE,
        JSON,
    ),
    examples=("portcheck pick 8000 8001 9000-9010",),
    needs=(Need(("candidates", "--any"), "pick needs candidates, such as 8000 8001 9000-9010, or --any"),),
)

STOP = Command(
    "stop",
    StopRequest,
    "Free the port safely, and say truly whether it is free now.",
    TARGETS,
    (
        HOSTS,
        UDP,
        Option(("--yes", "-y"), "Do not ask; needed where there is no terminal.", "yes"),
        Option(("--dry-run",), "Print the plan only.", "dry_run"),
        Option(("--force",), "SIGKILL what has not ended in time.", "force"),
        Option(("--all",), "Stop every holder, even unrelated ones.", "all"),
        Option(("--pid",), "Stop only this holder.", "pid", metavar="PID", read=Whole(1)),
        Option(
            ("--timeout",),
            "How long it may take (10s; a service or container 100s).",
            "timeout",
            metavar="TIME",
            read=parse_duration,
        ),
        Option(
            ("--settle",),
            "How long to watch whether it comes back.",
            "settle",
            metavar="TIME",
            read=parse_duration,
            default="2s",
        ),
        JSON,
    ),
    examples=("portcheck stop 3000",),
    needs=(Need(("targets",), "stop needs a target, such as 3000 or 127.0.0.1:3000"),),
)

WAIT = Command(
    "wait",
    WaitRequest,
    "Until a server listens, or until one could start (--free).",
    TARGETS,
    (
        Option(("--free",), "Until a server could be started there.", "free"),
        Option(("--listening",), "Until a server listens (the default).", "free", value=False),
        Option(("--any",), "One of the targets is enough.", "any"),
        Option(("--all",), "All targets at the same time (the default).", "any", value=False),
        HOSTS,
        UDP,
        Option(
            ("--connect",),
            "Connect to local ports too (those of other machines are always connected to).",
            "connect",
        ),
        Option(
            ("--timeout",),
            "How long at most: 30, 500ms, 2m; then exit 124.",
            "timeout",
            metavar="TIME",
            read=parse_duration,
            default="30",
        ),
        Option(
            ("--stable",),
            "It has to last this long without a gap.",
            "stable",
            metavar="TIME",
            read=parse_duration,
            default="0",
        ),
        Option(("--fail-fast",), "With --free: stop with 1 as soon as waiting cannot help.", "fail_fast"),
        NO_REUSEADDR,
        NO_PROBE,
        PROFILE,
        JSON,
        QUIET,
    ),
    examples=("portcheck wait 5432 --timeout 60", "portcheck wait 3000 --free"),
    details=("Exit 124 when time is up.",),
    needs=(Need(("targets",), "wait needs a target, such as 5432 or db.example:5432"),),
)

_RUN = "portcheck run 8000-8010 -- npm run dev -- --port {port}"  # vite does not heed PORT
_WHAT_RUN_NEEDS = "run needs candidates, -- and a command", f"example: {_RUN}"
RUN = Command(
    "run",
    RunRequest,
    "Pick a port, start CMD with it, prove that CMD listens.",
    CANDIDATES,
    (
        Option(
            ("--host",),
            "What {host} stands for; 127.0.0.1 unless named.",
            "host",
            metavar="ADDRESS",
            also=(("everywhere", False),),
        ),
        Option(("--env",), "The variable that tells the port.", "env", metavar="NAME", default="PORT"),
        Option(("--listen",), "Listen, and hand the socket over as fd 3 (LISTEN_FDS): nobody can slip in.", "listen"),
        Option(("--strict",), "Only the first candidate will do.", "strict"),
        Option(
            ("--retries",),
            "If the command failed without listening, and somebody else has the port: again with the next one.",
            "retries",
            metavar="N",
            read=Whole(0),
            default="0",
        ),
        Option(
            ("--wait-ready",),
            "Return 0 as soon as the command is proven to listen, and leave it running. Otherwise it does not run "
            "any more: its own status, 125 if it ended with 0 without listening, 124 if --timeout was over.",
            "wait_ready",
        ),
        Option(
            ("--timeout",),
            "With --wait-ready: then the command is ended, with everything that it has started.",
            "timeout",
            metavar="TIME",
            read=parse_duration,
            default="60",
        ),
        Option(
            ("--print-port",),
            "The port alone on stdout before the command starts; with --wait-ready when it is ready, and then the "
            "command's own stdout goes to stderr: port=$(portcheck run ...) works.",
            "print_port",
        ),
        Option(
            ("--port-file",),
            "The same into a file, which is removed when the command has ended.",
            "port_file",
            metavar="FILE",
        ),
        NO_REUSEADDR,
        NO_PROBE,
        PROFILE,
        Option(QUIET.spellings, "Say nothing about what is seen.", "quiet"),
    ),
    examples=(_RUN,),
    details=(
        "CMD gets the port as the variable PORT, and as {port} (with {host}) in its arguments.",
        "When CMD has ended by Ctrl-C or a signal, whatever it has started is ended too: SIGTERM, after 10 s SIGKILL.",
        "A daemon of a CMD that ends by itself lives on.",
    ),
    needs=(Need(("candidates",), *_WHAT_RUN_NEEDS), Need(("command",), *_WHAT_RUN_NEEDS)),
    trailing="command",
)

FORMATS = Choice("format", "text", "json", "github", "junit")
PREFLIGHT = Command(
    "preflight",
    PreflightRequest,
    "Check every port that a project's files declare, in one go.",
    Operands("FILE", "Only these files, or what these directories hold.", "files"),
    (
        Option(("--directory", "-C"), "The project; the current one unless named.", "directory", metavar="DIR"),
        JSON._replace(field="format", value="json"),
        Option(("--format",), f"One of {', '.join(FORMATS.words)}.", "format", metavar="FORMAT", read=FORMATS),
        Option(("--no-docker",), "Do not ask `docker compose config` to resolve Compose files.", "docker", value=False),
        Option(("--allow-outside",), "Follow links and includes that leave the project.", "allow_outside"),
        Option(("--strict",), "Exit 3 where anything was left open, such as a variable without a value.", "strict"),
        NO_PROBE,
        QUIET,
    ),
    examples=("portcheck preflight", "portcheck preflight compose.yaml --format github"),
    details=("Compose files, .env, Procfile, devcontainer.json and [tool.portcheck] in pyproject.toml.",),
    excludes=(("--directory", "files"),),
)

# By name, in the order of --help.
COMMANDS = {command.name: command for command in (CHECK, LIST, PICK, STOP, WAIT, RUN, PREFLIGHT)}
