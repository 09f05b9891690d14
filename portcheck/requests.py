"""What a command line asks for, as values."""

from __future__ import annotations

from portcheck.namedtuple import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from typing import Literal

    from portcheck.model import Family

    Color = Literal["auto", "always", "never"]
    Face = Literal["auto", "plain", "json"]
    SortKey = Literal["port", "pid", "program", "user", "age"]
    Format = Literal["text", "json", "github", "junit"]


class CheckRequest(NamedTuple):
    """portcheck TARGET..."""

    targets: tuple[str, ...]
    hosts: tuple[str, ...] = ()
    udp: bool = False
    family: Family | None = None
    reuseaddr: bool = True
    probe: bool = True
    profile: str | None = None  # --as
    face: Face = "auto"
    quiet: bool = False
    verbose: bool = False
    color: Color = "auto"


class PickRequest(NamedTuple):
    """portcheck pick CANDIDATE..."""

    candidates: tuple[str, ...]
    hosts: tuple[str, ...] = ()
    udp: bool = False
    family: Family | None = None
    wanted: int = 1
    random: bool = False
    any: bool = False
    exclude: tuple[str, ...] = ()
    stable: str | None = None  # "": by the directory
    block: bool = False
    both: bool = False
    lease: float = 30.0  # seconds; 0 for none
    reuseaddr: bool = True
    probe: bool = True
    profile: str | None = None
    json: bool = False
    color: Color = "auto"


class ListRequest(NamedTuple):
    """portcheck list [TARGET|NAME]..."""

    ports: tuple[str, ...] = ()  # every form of a target, or parts of programs' names
    tcp: bool = False
    udp: bool = False
    all: bool = False
    user: str | None = None
    pid: int | None = None
    name: str | None = None
    family: Family | None = None
    pids: bool = False
    mine: bool = False
    sort: SortKey = "port"
    face: Face = "auto"
    verbose: bool = False
    color: Color = "auto"


class StopRequest(NamedTuple):
    """portcheck stop TARGET..."""

    targets: tuple[str, ...]  # none: all that `pid` holds
    hosts: tuple[str, ...] = ()
    udp: bool = False
    family: Family | None = None
    yes: bool = False
    dry_run: bool = False
    force: bool = False
    all: bool = False
    pid: int | None = None
    timeout: float | None = None  # seconds; None: as long as processes and managers usually need
    settle: float = 2.0
    json: bool = False
    color: Color = "auto"


class WaitRequest(NamedTuple):
    """portcheck wait TARGET..."""

    targets: tuple[str, ...]
    command: tuple[str, ...] = ()  # what is run when it is time
    hosts: tuple[str, ...] = ()
    udp: bool = False
    family: Family | None = None
    free: bool = False
    any: bool = False
    connect: bool = False
    timeout: float = 30.0
    stable: float = 0.0
    fail_fast: bool = False
    interval: float | None = None  # seconds between looks; None: ever longer ones
    status: str | None = None  # of URLs
    follow: bool = False
    insecure: bool = False
    per_try: float | None = None  # seconds
    run_anyway: bool = False  # the command, when time is up too
    wait_for_dns: bool = False  # a host's name may not resolve yet
    reuseaddr: bool = True
    probe: bool = True
    profile: str | None = None
    json: bool = False
    quiet: bool = False
    color: Color = "auto"


class WatchRequest(NamedTuple):
    """portcheck watch [TARGET|NAME]..."""

    ports: tuple[str, ...] = ()  # every form of a target, or parts of programs' names
    tcp: bool = False
    udp: bool = False
    family: Family | None = None
    interval: float = 1.0
    seconds: float | None = None  # --for; None: until it is interrupted
    exit_on: Literal["opened", "closed"] | None = None
    initial: bool = False
    notices: bool = True
    face: Face = "auto"
    color: Color = "auto"


class RunRequest(NamedTuple):
    """portcheck run CANDIDATE... -- CMD"""

    candidates: tuple[str, ...]
    command: tuple[str, ...]
    host: str = "127.0.0.1"
    everywhere: bool = True  # no host was named: the port has to be free on every address
    family: Family | None = None
    env: str = "PORT"
    listen: bool = False
    lease: float = 30.0  # seconds; 0 for none
    strict: bool = False
    retries: int = 0
    wait_ready: bool = False
    timeout: float = 60.0
    print_port: bool = False
    port_file: str | None = None
    reuseaddr: bool = True
    probe: bool = True
    profile: str | None = None
    quiet: bool = False
    color: Color = "auto"


class PreflightRequest(NamedTuple):
    """portcheck preflight [FILE...]"""

    files: tuple[str, ...] = ()
    directory: str = "."
    format: Format = "text"
    docker: bool = True  # let `docker compose config` resolve Compose files
    allow_outside: bool = False  # follow links and includes that leave the project
    strict: bool = False  # what is left open counts as unknown
    static: bool = False  # only the files, not this machine
    probe: bool = True
    quiet: bool = False
    color: Color = "auto"


class VerifyRequest(NamedTuple):
    """portcheck verify [FILE...]"""

    files: tuple[str, ...] = ()
    directory: str = "."
    format: Format = "text"
    only: bool = False  # nobody else may be reached
    docker: bool = True
    allow_outside: bool = False
    strict: bool = False
    write: bool = False  # a declaration of what runs
    force: bool = False  # over a file that is there
    quiet: bool = False
    color: Color = "auto"


class HelpRequest(NamedTuple):
    """Help, of portcheck itself or of a command: made from the table of commands."""

    argv: tuple[str, ...] = ("--help",)


class CompletionRequest(NamedTuple):
    """portcheck --show-completion [SHELL], or --install-completion [SHELL]"""

    shell: str | None = None  # None: the one that asks
    install: bool = False


class VersionRequest(NamedTuple):
    """portcheck --version"""


if TYPE_CHECKING:
    # Those that are answered by a command.
    Request = (
        CheckRequest
        | ListRequest
        | PickRequest
        | PreflightRequest
        | RunRequest
        | StopRequest
        | VerifyRequest
        | WaitRequest
        | WatchRequest
    )
