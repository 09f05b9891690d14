"""What supervisors with commands of their own are asked, and whether they name a process back.  Pure.

The name comes from the supervisor's list, looked up by PID: what the process itself says (SUPERVISOR_PROCESS_NAME,
pm2's `name`) is only a claim.  Where the supervisor takes commands is taken from itself, or from a process of its user.
"""

from __future__ import annotations

from portcheck.identify.argv import parse
from portcheck.identify.interpreters import arguments
from portcheck.identify.names import title
from portcheck.namedtuple import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from portcheck.model import Process, Supervisor

# Its own tool, which tells about a service directory: `web: up (pid 812) 5 seconds`.
STATUS: Mapping[str, tuple[str, ...]] = {
    "runit": ("sv", "status"),
    "s6": ("s6-svstat",),
    "daemontools": ("svstat",),
}
ASKABLE = frozenset((*STATUS, "supervisord", "pm2"))
_SUPERVISORD_VALUES = "cdejlqiumyza"  # its letters that take a value
_SUPERVISORD_WORDS = frozenset((
    "--configuration", "--user", "--umask", "--directory", "--logfile", "--logfile_maxbytes", "--logfile_backups",
    "--loglevel", "--pidfile", "--identifier", "--childlogdir", "--minfds", "--minprocs",
))  # fmt: skip


class Inquiry(NamedTuple):
    """What to ask a supervisor; `files` must be its user's own, or nothing is asked."""

    argv: tuple[str, ...]
    files: tuple[str, ...] = ()
    variables: tuple[tuple[str, str], ...] = ()
    pid_file: str | None = None  # where the supervisor that answers has its PID
    configuration: str | None = None  # of supervisord
    server_url: str | None = None


def inquiry(word: Supervisor, keeper: Process, process: Process) -> Inquiry | None:
    """What to ask the supervisor `keeper` about this process of it; None where that is not known."""
    if word == "supervisord":
        file, url = configuration(keeper), server_url(keeper, process)
        options = (f"--configuration={file}" if file else None, f"--serverurl={url}" if url else None)
        argv = ("supervisorctl", *[option for option in options if option], "status")
        return Inquiry(argv, (file,) if file else (), configuration=file, server_url=url)
    if word == "pm2":
        home = pm2_home(keeper)
        files = (home,) if home else ()
        return Inquiry(("pm2", "jlist"), files, (("PM2_HOME", home),), f"{home}/pm2.pid") if home else None
    if word in STATUS and keeper.cwd:
        return Inquiry((*STATUS[word], keeper.cwd), (keeper.cwd, f"{keeper.cwd}/supervise"))
    return None


def configuration(supervisord: Process) -> str | None:
    """The file that it was given, in which its tool finds its address and password too."""
    given = arguments(supervisord)
    words = given.rest[1:] if given else (supervisord.command or ())[1:]
    values = parse(words, _SUPERVISORD_VALUES, _SUPERVISORD_WORDS).values("-c", "--configuration")
    if not values or not (values[-1].startswith("/") or supervisord.cwd):
        return None
    return values[-1] if values[-1].startswith("/") else f"{supervisord.cwd}/{values[-1]}"


def server_url(supervisord: Process, process: Process) -> str | None:
    """Where supervisord takes commands, as it has told its program.

    A program of another user could name a server of its own, which would be sent the password from supervisord's file.
    """
    return process.supervisor_url if process.uid is not None and process.uid == supervisord.uid else None


def pm2_home(daemon: Process) -> str | None:
    """It has overwritten its arguments: `PM2 v5.4.2: God Daemon (/home/ann/.pm2)`."""
    home = title(daemon).partition("God Daemon (")[2].rpartition(")")[0]
    return home if home.startswith("/") else None


def named_back(word: Supervisor, keeper: Process, answer: str, pids: Collection[int]) -> str | None:
    """What the supervisor's own commands call the program that has one of these PIDs; None where it has none."""
    if word == "supervisord":
        return next((name for name, pid in _of_supervisord(answer) if pid in pids), None)
    if word == "pm2":
        return next((name for name, pid in _of_pm2(answer) if pid in pids), None)
    about_itself = answer.partition(";")[0]  # sv goes on about its log service
    is_named = any(f"(pid {pid})" in about_itself or f"(pid {pid} " in about_itself for pid in pids)
    return keeper.cwd if is_named else None


def _of_supervisord(answer: str) -> Iterator[tuple[str, int]]:
    """`shop:web_00      RUNNING   pid 812, uptime 0:00:05`"""
    for line in answer.split("\n"):
        head, _, rest = line.rpartition(" pid ")
        pid, words = rest.partition(",")[0], head.split()
        if pid.isdecimal() and len(words) > 1:
            yield words[0], int(pid)


def _of_pm2(answer: str) -> Iterator[tuple[str, int]]:
    """The last line is a JSON list; greetings and warnings may come before it."""
    import json

    try:
        document = json.loads(answer.strip().rpartition("\n")[2])
    except (ValueError, RecursionError):
        return
    for app in document if isinstance(document, list) else ():
        name, pid = (app.get("name"), app.get("pid")) if isinstance(app, dict) else (None, None)
        if isinstance(name, str) and isinstance(pid, int):
            yield name, pid
