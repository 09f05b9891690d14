"""The table of commands: everything that can be typed, what it means, and what --help says of it.

A new option is one entry here, and one field of the request in `requests.py`.
"""

from __future__ import annotations

from portcheck.cli.table import Choice, Command, Example, Need, Operands, Option, Whole, parse_duration, parse_lease
from portcheck.namedtuple import TYPE_CHECKING
from portcheck.requests import (
    CheckRequest,
    ListRequest,
    McpRequest,
    PickRequest,
    PreflightRequest,
    RunRequest,
    StopRequest,
    VerifyRequest,
    WaitRequest,
    WatchRequest,
)
from portcheck.target import ACCEPTED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from portcheck.requests import Color

SUMMARY = "Can my server listen here? If not: who has the port, why, and what to do now."
DETAILS = "`portcheck 80` is `portcheck check 80`. What a command takes: `portcheck check --help` and so on."

# Of every command, and of portcheck itself; typer adds the first to its app by itself.
HELP = Option(("--help", "-h"), "Show this message and exit.", "help")
VERSION = Option(("--version", "-V"), "Print the version.", "version")
SHELLS = Choice("shell", "bash", "zsh", "fish", "powershell")
SHOW_COMPLETION = Option(
    ("--show-completion",), f"Print what makes a shell complete: {', '.join(SHELLS.words)}.", "shell", metavar="[SHELL]"
)
INSTALL_COMPLETION = Option(
    ("--install-completion",), "Put it where the shell looks for it.", "shell", metavar="[SHELL]"
)
COMPLETION = (*SHOW_COMPLETION.spellings, *INSTALL_COMPLETION.spellings)
HELP_COMMAND = "help"  # `help stop` is `stop --help`

# The headings of --help: of commands, and of options.
ASKING, STARTING, ACTING, PROJECTS, AGENTS = "Ask", "Wait and run", "Act", "Projects", "Agents"
WHERE = "What is asked about"
SERVER = "The server that is going to start"
WHICH = "Which sockets"
CANDIDACY = "Which candidates"
WHOM = "Whom to stop"
UNTIL = "Until when"
START = "How it is started"
READY = "When it is ready"
ANSWER = "When a URL is ready"
FILES = "What is read"
OUTPUT = "What is printed"

TARGETS = Operands("TARGET", f"What to ask about: {ACCEPTED}.", "targets", ("ports",))
CANDIDATES = Operands("CANDIDATE", "Ports and ranges, in order of preference.", "candidates")

PORT = Option(
    ("--port", "-p"),
    "The same as TARGET (repeatable).",
    "targets",
    metavar="PORT",
    repeatable=True,
    group=WHERE,
    completes=("ports",),
)
HOSTS = Option(
    ("--host",),
    "Ask about this address, interface or host name only (repeatable).",
    "hosts",
    metavar="HOST",
    repeatable=True,
    group=WHERE,
    completes=("hosts",),
)
TCP = Option(("--tcp",), "Ask about TCP (the default).", "udp", value=False, group=WHERE)
UDP = Option(("--udp",), "Ask about UDP instead of TCP.", "udp", group=WHERE)
IPV4 = Option(("-4",), "IPv4 only.", "family", value="ipv4", group=WHERE)
IPV6 = Option(("-6",), "IPv6 only.", "family", value="ipv6", group=WHERE)
# These two may make a bind of their own that is not harmless (see Question.may_bind_plainly).
NO_REUSEADDR = Option(
    ("--no-reuseaddr",),
    "The server will not set SO_REUSEADDR. Where tables cannot tell, this tries a bind without it, which can make a "
    "server fail that starts on the port just then.",
    "reuseaddr",
    value=False,
    group=SERVER,
)
NO_PROBE = Option(("--no-probe",), "Only read the kernel's tables; try no bind.", "probe", value=False, group=SERVER)
PROFILE = Option(
    ("--as",),
    "Ask as this server binds: node, vite, django, nginx, postgres ... (socketserver: as with --no-reuseaddr).",
    "profile",
    metavar="SERVER",
    group=SERVER,
    completes=("servers",),
)
JSON = Option(("--json",), "One JSON document on stdout.", "json", group=OUTPUT)
JSON_FACE = JSON._replace(field="face", value="json")
PLAIN_FACE = Option(("--plain",), "Plain stable lines, as when piped.", "face", value="plain", group=OUTPUT)
QUIET = Option(("--quiet", "-q"), "Print nothing; the exit code answers.", "quiet", group=OUTPUT)
COLOR_WISHES: tuple[Color, ...] = ("auto", "always", "never")
COLOR = Option(
    ("--color",),
    "When to use colours: auto, always (into a pipe, too) or never; NO_COLOR and FORCE_COLOR are heeded.",
    "color",
    metavar="WHEN",
    read=Choice("time for colours", *COLOR_WISHES),
    default="auto",
    group=OUTPUT,
)
NO_COLOR = Option(("--no-color",), "The same as --color=never.", "color", value="never", group=OUTPUT)
COLORS = (COLOR, NO_COLOR)

CHECK = Command(
    "check",
    CheckRequest,
    "Can a server listen here; if not, who has the port, and why.",
    TARGETS,
    (
        PORT,
        HOSTS,
        TCP,
        UDP,
        IPV4,
        IPV6,
        PROFILE,
        NO_REUSEADDR,
        NO_PROBE,
        JSON_FACE,
        PLAIN_FACE,
        QUIET,
        Option(("--verbose", "-v"), "The whole bind table and what else was seen.", "verbose", group=OUTPUT),
        *COLORS,
    ),
    (
        Example("portcheck 80", "one port, on every address that a server could be given here"),
        Example("portcheck 3000 5432 53/udp", "several, of TCP and UDP"),
        Example("portcheck 127.0.0.1:8000-8010", "a range, on one address"),
        Example("portcheck 8080 --as node", "as Node would bind it"),
    ),
    ASKING,
    details=("The default command: portcheck 80 is portcheck check 80.",),
    needs=(Need(("targets", "--port"), "check needs a target, such as 80, 8000-8010 or 127.0.0.1:80"),),
)

LIST = Command(
    "list",
    ListRequest,
    "Every listening or bound socket with its owners.",
    Operands(
        "TARGET|NAME",
        f"Only these; all unless named: {ACCEPTED}, or a part of a program's name.",
        "ports",
        ("ports", "programs"),
    ),
    (
        PORT._replace(field="ports"),
        Option(("--tcp",), "TCP only.", "tcp", group=WHICH),
        Option(("--udp",), "UDP only.", "udp", group=WHICH),
        IPV4._replace(group=WHICH),
        IPV6._replace(group=WHICH),
        Option(("--all",), "Connections too, not just what listens.", "all", group=WHICH),
        Option(
            ("--user",),
            "Only sockets of this user (name or uid).",
            "user",
            metavar="USER",
            group=WHICH,
            completes=("users",),
        ),
        Option(
            ("--pid",),
            "Only sockets that this process holds.",
            "pid",
            metavar="PID",
            read=Whole(1),
            group=WHICH,
            completes=("pids",),
        ),
        Option(
            ("--name",),
            "Only processes with this in their name.",
            "name",
            metavar="NAME",
            group=WHICH,
            completes=("programs",),
        ),
        Option(("--mine",), "Only sockets of your own.", "mine", group=WHICH),
        Option(("--pids",), "PIDs of the listeners alone, one a line.", "pids", group=OUTPUT),
        Option(
            ("--sort",),
            "By port, pid, program, user or age.",
            "sort",
            metavar="BY",
            read=Choice("order", "port", "pid", "program", "user", "age"),
            default="port",
            group=OUTPUT,
        ),
        JSON_FACE,
        PLAIN_FACE,
        Option(
            ("--verbose", "-v"),
            "Commands too, and of one port how its holder came to run.",
            "verbose",
            group=OUTPUT,
        ),
        *COLORS,
    ),
    (
        Example("portcheck list", "all of them"),
        Example("portcheck list 8000-9000 --user www-data", "some ports of one user"),
        Example("portcheck list node", "those of programs with this in their name"),
        Example("portcheck list 3000 --pids", "the PID alone, for a script"),
    ),
    ASKING,
    ("ls",),
    excludes=(("--pids", "--json"),),
)

WATCH = Command(
    "watch",
    WatchRequest,
    "What opens and closes, live.",
    LIST.operands,
    (
        PORT._replace(field="ports"),
        *(option for option in LIST.options if option.name in ("--tcp", "--udp", "-4", "-6")),
        Option(
            ("--interval",),
            "How often to look: 10ms at least.",
            "interval",
            metavar="TIME",
            read=parse_duration,
            default="1s",
            group=UNTIL,
        ),
        Option(
            ("--for",),
            "How long to watch: 30, 10m, 2h; until Ctrl-C unless named.",
            "seconds",
            metavar="TIME",
            read=parse_duration,
            group=UNTIL,
        ),
        Option(
            ("--exit-on",),
            "Exit 0 with the first of these: opened or closed (124 if --for is over before).",
            "exit_on",
            metavar="EVENT",
            read=Choice("event", "opened", "closed"),
            group=UNTIL,
        ),
        Option(
            ("--no-notices",),
            "Only look, once an interval: do not have the kernel tell of what closes (for which it spends some 2 µs on "
            "every socket of this host).",
            "notices",
            value=False,
            group=WHICH,
        ),
        Option(("--initial",), "Begin with what is there already, as events of their own.", "initial", group=OUTPUT),
        JSON_FACE._replace(help="JSON Lines on stdout: an event a line."),
        PLAIN_FACE,
        *COLORS,
    ),
    (
        Example("portcheck watch", "everything, as a live table"),
        Example("portcheck watch node 5432", "one program and one port"),
        Example("portcheck watch --json --for 10m", "ten minutes of it, for a script"),
        Example("portcheck watch 3000 --exit-on closed", "until nobody listens there any more"),
    ),
    ASKING,
    details=("A table at a terminal where rich is installed, else a line for each event.",),
)

LEASE = Option(
    ("--lease",),
    "No other portcheck hands it out for this long, so that the server has time to start; 0 for none, 1h at most.",
    "lease",
    metavar="TIME",
    read=parse_lease,
    default="30",
    group=CANDIDACY,
)
PICK = Command(
    "pick",
    PickRequest,
    "The next free port of a candidate list, alone on stdout.",
    CANDIDATES,
    (
        Option(
            ("-n",), "K ports, one a line.", "wanted", metavar="K", read=Whole(1, 65535), default="1", group=CANDIDACY
        ),
        Option(("--random",), "Take the candidates in random order.", "random", group=CANDIDACY),
        Option(("--any",), "If none is free, any port of the kernel's choice.", "any", group=CANDIDACY),
        Option(
            ("--exclude",), "Never these (repeatable).", "exclude", metavar="PORTS", repeatable=True, group=CANDIDACY
        ),
        Option(
            ("--stable",),
            "Start at a place derived from NAME; without one, from the git worktree or directory.",
            "stable",
            metavar="NAME",
            bare="",
            group=CANDIDACY,
        ),
        Option(("--block",), "With -n: neighbours, such as 8000 8001 8002.", "block", group=CANDIDACY),
        Option(("--both",), "The same number free on TCP and on UDP.", "both", group=CANDIDACY),
        LEASE,
        HOSTS,
        TCP,
        UDP,
        IPV4,
        IPV6,
        PROFILE,
        NO_REUSEADDR,
        NO_PROBE,
        JSON,
        *COLORS,
    ),
    (
        Example("portcheck pick 8000 8001 9000-9010", "the first of these that is free"),
        Example("portcheck pick --any", "any that is"),
        Example("portcheck pick --stable 8000-8999", "the same for this worktree every time, as long as it is free"),
    ),
    ASKING,
    needs=(Need(("candidates", "--any"), "pick needs candidates, such as 8000 8001 9000-9010, or --any"),),
    excludes=(
        ("--both", "--udp"),
        ("--both", "--tcp"),
        ("--block", "--random"),
        ("--block", "--any"),
        ("--stable", "--random"),
    ),
)

WAIT = Command(
    "wait",
    WaitRequest,
    "Until a server listens or a URL is ready, or until one could start (--free).",
    TARGETS,
    (
        Option(("--free",), "Until a server could be started there.", "free", group=UNTIL),
        Option(("--listening",), "Until a server listens (the default).", "free", value=False, group=UNTIL),
        Option(("--any",), "One of the targets is enough.", "any", group=UNTIL),
        Option(("--all",), "All targets at the same time (the default).", "any", value=False, group=UNTIL),
        Option(
            ("--connect",),
            "Connect to local ports too (those of other machines are always connected to).",
            "connect",
            group=UNTIL,
        ),
        Option(
            ("--timeout",),
            "How long at most: 30, 500ms, 2m; then exit 124.",
            "timeout",
            metavar="TIME",
            read=parse_duration,
            default="30",
            group=UNTIL,
        ),
        Option(
            ("--stable",),
            "It has to last this long without a gap.",
            "stable",
            metavar="TIME",
            read=parse_duration,
            default="0",
            group=UNTIL,
        ),
        Option(("--fail-fast",), "With --free: stop with 1 as soon as waiting cannot help.", "fail_fast", group=UNTIL),
        Option(
            ("--interval",),
            "How long between looks; unless named ever longer, up to 500ms.",
            "interval",
            metavar="TIME",
            read=parse_duration,
            group=UNTIL,
        ),
        Option(
            ("--per-try",),
            "How long one look may take that connects: for a URL 5 s with TLS and the answer, else 2 s an address.",
            "per_try",
            metavar="TIME",
            read=parse_duration,
            group=UNTIL,
        ),
        Option(
            ("--wait-for-dns",),
            "A host's name may not resolve yet, as that of a container does not.",
            "wait_for_dns",
            group=UNTIL,
        ),
        Option(("--run-anyway",), "Run CMD when time is up, too.", "run_anyway", group=UNTIL),
        Option(
            ("--status",),
            "What it has to answer: 200, 2xx, 200,404, 401-403; 2xx or 3xx unless named.",
            "status",
            metavar="STATUS",
            group=ANSWER,
        ),
        Option(
            ("--follow",),
            "Follow its redirects, 5 at most and on the same host alone; then 3xx is not ready.",
            "follow",
            group=ANSWER,
        ),
        Option(("--insecure",), "Take any certificate of https.", "insecure", group=ANSWER),
        PORT,
        HOSTS,
        TCP,
        UDP,
        IPV4,
        IPV6,
        PROFILE,
        NO_REUSEADDR,
        NO_PROBE,
        JSON,
        QUIET,
        *COLORS,
    ),
    (
        Example("portcheck wait 5432 --timeout 60", "until the database listens, a minute at most"),
        Example("portcheck wait http://localhost:3000/health", "until it answers 2xx or 3xx: a 404 is not ready"),
        Example("portcheck wait 5432 6379 -- npm start", "until both listen, then that command"),
        Example("portcheck wait 3000 --free", "until the old server has let go"),
    ),
    STARTING,
    details=(
        "A URL is asked (GET; of the answer the status alone counts), any other target only has to listen.",
        "CMD takes portcheck's place when it is time, and its exit code is the command's.",
        "Exit 124 when time is up.",
    ),
    needs=(Need(("targets", "--port"), "wait needs a target, such as 5432 or http://localhost:3000/"),),
    excludes=(("--json", "command"),),
    trailing="command",
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
            group=START,
            completes=("hosts",),
        ),
        IPV4._replace(group=START),
        IPV6._replace(help="IPv6 only; {host} is ::1 then.", group=START),
        Option(("--env",), "The variable that tells the port.", "env", metavar="NAME", default="PORT", group=START),
        Option(
            ("--listen",),
            "Listen, and hand the socket over as fd 3 (LISTEN_FDS): nobody can slip in.",
            "listen",
            group=START,
        ),
        Option(("--strict",), "Only the first candidate will do.", "strict", group=START),
        LEASE._replace(
            group=START,
            help="No other portcheck hands the port out while this one runs, nor for this long; 0 for none.",
        ),
        Option(
            ("--retries",),
            "If the command failed without listening, and somebody else has the port: again with the next one.",
            "retries",
            metavar="N",
            read=Whole(0),
            default="0",
            group=START,
        ),
        Option(
            ("--wait-ready",),
            "Return 0 as soon as the command is proven to listen, and leave it running. Otherwise it does not run "
            "any more: its own status, 125 if it ended with 0 without listening, 124 if --timeout was over.",
            "wait_ready",
            group=READY,
        ),
        Option(
            ("--timeout",),
            "With --wait-ready: then the command is ended, with everything that it has started.",
            "timeout",
            metavar="TIME",
            read=parse_duration,
            default="60",
            group=READY,
        ),
        Option(
            ("--print-port",),
            "The port alone on stdout before the command starts; with --wait-ready when it is ready, and then the "
            "command's own stdout goes to stderr: port=$(portcheck run ...) works.",
            "print_port",
            group=READY,
        ),
        Option(
            ("--port-file",),
            "The same into a file, which is removed when the command has ended.",
            "port_file",
            metavar="FILE",
            group=READY,
            completes=("files",),
        ),
        PROFILE,
        NO_REUSEADDR,
        NO_PROBE,
        QUIET._replace(help="Say nothing about what is seen."),
        *COLORS,
    ),
    (
        Example("portcheck run 8000-8010 -- npm start", "the port in the variable PORT"),
        Example(_RUN, "and among the arguments: Vite does not heed PORT"),
    ),
    STARTING,
    details=(
        "CMD gets the port as the variable PORT, and as {port} (with {host}) in its arguments.",
        "When CMD has ended by Ctrl-C or a signal, whatever it has started is ended too: SIGTERM, after 10 s SIGKILL.",
        "A daemon of a CMD that ends by itself lives on.",
    ),
    needs=(Need(("candidates",), *_WHAT_RUN_NEEDS), Need(("command",), *_WHAT_RUN_NEEDS)),
    trailing="command",
)

STOP = Command(
    "stop",
    StopRequest,
    "Free the port safely, and say truly whether it is free now.",
    TARGETS,
    (
        PORT,
        HOSTS,
        TCP,
        UDP,
        IPV4,
        IPV6,
        Option(
            ("--pid",),
            "Stop only this holder; without TARGET, whatever ports it holds.",
            "pid",
            metavar="PID",
            read=Whole(1),
            group=WHOM,
            completes=("pids",),
        ),
        Option(("--all",), "Stop every holder, even unrelated ones.", "all", group=WHOM),
        Option(("--dry-run",), "Print the plan only.", "dry_run", group=WHOM),
        Option(("--yes", "-y"), "Do not ask; needed where there is no terminal.", "yes", group=WHOM),
        Option(("--force",), "SIGKILL what has not ended in time.", "force", group=WHOM),
        Option(
            ("--timeout",),
            "How long it may take (10s; a service or container 100s).",
            "timeout",
            metavar="TIME",
            read=parse_duration,
            group=UNTIL,
        ),
        Option(
            ("--settle",),
            "How long to watch whether it comes back.",
            "settle",
            metavar="TIME",
            read=parse_duration,
            default="2s",
            group=UNTIL,
        ),
        JSON,
        *COLORS,
    ),
    (
        Example("portcheck stop 3000 --dry-run", "what would be stopped, and how"),
        Example("portcheck stop 3000", "the same, after a question"),
        Example("portcheck stop 3000 --yes", "without one, for scripts"),
    ),
    ACTING,
    ("kill",),
    needs=(Need(("targets", "--port", "--pid"), "stop needs a target, such as 3000 or 127.0.0.1:3000"),),
)

FORMATS = Choice("format", "text", "json", "github", "junit")
DECLARING = Operands("FILE", "Only these files, or what these directories hold.", "files", ("files",))
DIRECTORY = Option(
    ("--directory", "-C"),
    "The project; the current one unless named.",
    "directory",
    metavar="DIR",
    group=FILES,
    completes=("directories",),
)
NO_DOCKER = Option(
    ("--no-docker",),
    "Do not ask `docker compose config` to resolve Compose files.",
    "docker",
    value=False,
    group=FILES,
)
ALLOW_OUTSIDE = Option(
    ("--allow-outside",), "Follow links and includes that leave the project.", "allow_outside", group=FILES
)
STRICT = Option(
    ("--strict",), "Exit 3 where anything was left open, such as a variable without a value.", "strict", group=FILES
)
FORMAT = Option(
    ("--format",), f"One of {', '.join(FORMATS.words)}.", "format", metavar="FORMAT", read=FORMATS, group=OUTPUT
)
READ = "Compose files, .env, Procfile, package.json, devcontainer.json, portcheck.toml and pyproject.toml."

PREFLIGHT = Command(
    "preflight",
    PreflightRequest,
    "Check every port that a project's files declare, in one go.",
    DECLARING,
    (
        DIRECTORY,
        NO_DOCKER,
        ALLOW_OUTSIDE,
        STRICT,
        Option(
            ("--static",),
            "Only compare the files with one another: neither this machine nor docker is asked.",
            "static",
            group=FILES,
        ),
        NO_PROBE,
        JSON._replace(field="format", value="json"),
        FORMAT,
        QUIET,
        *COLORS,
    ),
    (
        Example("portcheck preflight", "the project in this directory"),
        Example("portcheck preflight compose.yaml --format github", "one file, for GitHub's annotations"),
        Example("portcheck preflight --static", "does any port belong to two services? for every machine the same"),
    ),
    PROJECTS,
    details=(READ,),
    excludes=(("--directory", "files"),),
)

VERIFY = Command(
    "verify",
    VerifyRequest,
    "Hold what a project's files declare against what runs: who listens where, and nobody else.",
    DECLARING,
    (
        DIRECTORY,
        NO_DOCKER,
        ALLOW_OUTSIDE,
        STRICT,
        Option(("--only",), "Fail on whoever else can be reached from outside.", "only", group=WHICH),
        Option(("--write",), "Print a portcheck.toml of what runs now, or write it to FILE.", "write", group=OUTPUT),
        Option(("--force",), "With --write: replace a FILE that is there.", "force", group=OUTPUT),
        JSON._replace(field="format", value="json"),
        FORMAT,
        QUIET,
        *COLORS,
    ),
    (
        Example("portcheck verify", "whether the project in this directory runs as declared"),
        Example("portcheck verify --only /etc/portcheck.toml", "and nothing else can be reached on this host"),
        Example("portcheck verify --write portcheck.toml", "a declaration of what runs now"),
    ),
    PROJECTS,
    details=(READ,),
    excludes=(("--directory", "files"),),
)

MCP = Command(
    "mcp",
    McpRequest,
    "Serve the other commands to agents and editors (Model Context Protocol).",
    Operands("TOOL", "Offer these alone: check, list, pick, wait, preflight, verify, stop.", "tools"),
    (
        Option(
            ("--allow-stop",),
            "Let the tool stop end what has a port, when it is called with yes; else it only tells the plan.",
            "allow_stop",
            group=ACTING,
        ),
        *COLORS,
    ),
    (
        Example("portcheck mcp", "what an agent's settings name as the command of a server"),
        Example("portcheck mcp check list", "only to look"),
    ),
    AGENTS,
    details=(
        "It speaks on stdin and stdout until stdin ends, and needs the MCP SDK: the extra mcp.",
        "run is not offered: an agent starts its server itself, on a port that pick has chosen.",
    ),
)

# By name, in the order of --help.
COMMANDS = {command.name: command for command in (CHECK, LIST, WATCH, PICK, WAIT, RUN, STOP, PREFLIGHT, VERIFY, MCP)}
ALIASES = {alias: command for command in COMMANDS.values() for alias in command.aliases}


def command_of(argv: Sequence[str]) -> tuple[Command, Sequence[str]]:
    """The command of a line, by its name or a habit, and the words after it; `check` where none is named."""
    first = argv[0] if argv else ""
    named = COMMANDS.get(first) or ALIASES.get(first)
    return (named, argv[1:]) if named else (CHECK, argv)
