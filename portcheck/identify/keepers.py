"""What supervisors with commands of their own are asked, and whether they name a process back.  Pure.

The name comes from the supervisor's list, looked up by PID: what the process itself says (SUPERVISOR_PROCESS_NAME,
pm2's `name`) is only a claim.  Where the supervisor takes commands is taken from itself, or from a process of its user.
"""

from __future__ import annotations

from portcheck.identify.argv import parse
from portcheck.identify.interpreters import arguments
from portcheck.identify.names import title
from portcheck.namedtuple import TYPE_CHECKING, NamedTuple
from portcheck.text import number

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from typing import Any

    from portcheck.model import Process

# Its own tool, which tells about a service directory: `web: up (pid 812) 5 seconds`.
STATUS: Mapping[str, tuple[str, ...]] = {
    "runit": ("sv", "status"),
    "s6": ("s6-svstat",),
    "daemontools": ("svstat",),
}
LISTENING = ("supervisord", "pm2")  # they may do so on behalf of the programs that they run
ASKABLE = (*STATUS, *LISTENING)
NOT_ASKED = ("circus", "dinit", "OpenRC")  # they have commands of their own; portcheck does not know their answers
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


def inquiries(keeper: Process, process: Process) -> tuple[Inquiry, ...]:
    """What to ask the supervisor `keeper` about this process of it, the best first; () where that is not known."""
    word = process.supervisor or process.supervises
    if word == "supervisord":
        question = "pid" if process.pid == keeper.pid else "status"
        file, url = configuration(keeper), server_url(keeper, process)
        best = _supervisorctl(file, url, question)
        # a file without a section for the tool stops it, even where it is told the address
        return (best, _supervisorctl(None, url, question)) if file and url else (best,)
    if word == "pm2":
        home = pm2_home(keeper)
        files = (home,) if home else ()
        return (Inquiry(("pm2", "jlist"), files, (("PM2_HOME", home),), f"{home}/pm2.pid"),) if home else ()
    status = STATUS.get(word or "")
    if status is None or not keeper.cwd:
        return ()
    return (Inquiry((*status, keeper.cwd), (keeper.cwd, f"{keeper.cwd}/supervise")),)


def _supervisorctl(file: str | None, url: str | None, question: str) -> Inquiry:
    options = (f"--configuration={file}" if file else None, f"--serverurl={url}" if url else None)
    argv = ("supervisorctl", *[option for option in options if option], question)
    return Inquiry(argv, (file,) if file else (), configuration=file, server_url=url)


def starting(answer: str) -> tuple[str, ...]:
    """The programs of supervisord that are not called running yet, whose PIDs it leaves out."""
    lines = (line.split() for line in answer.split("\n"))
    return tuple(words[0] for words in lines if words[1:2] == ["STARTING"])


def with_pids(answer: str, names: tuple[str, ...], pids: str) -> str:
    """The answer with what `supervisorctl pid NAME...` says of those programs, a line for each."""
    lines = (f"{name} STARTING pid {pid}," for name, pid in zip(names, pids.split()))
    return "\n".join((answer, *lines))


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


def named_back(process: Process, keeper: Process, answer: str, pids: Collection[int]) -> str | None:
    """What the supervisor's own commands call the program that has one of these PIDs; None where it has none."""
    word = process.supervisor
    if word == "supervisord":
        return next((name for name, pid in _of_supervisord(answer) if pid in pids), None)
    if word == "pm2":
        return next((name for name, pid in _of_pm2(answer) if pid in pids), None)
    about_itself = answer.partition(";")[0]  # sv goes on about its log service
    is_named = any(f"(pid {pid})" in about_itself or f"(pid {pid} " in about_itself for pid in pids)
    return keeper.cwd if is_named else None


def is_itself(process: Process, answer: str) -> bool:
    """Whether the supervisor that has answered is this process, which holds the port itself."""
    return answer.strip() == str(process.pid) if process.supervises == "supervisord" else bool(answer)


def in_cluster(answer: str) -> str | None:
    """For whom pm2 listens itself: the only program that it runs in its cluster mode."""
    names = {app["name"] for app in _apps(answer) if _mode(app) == "cluster_mode"}
    return names.pop() if len(names) == 1 else None


def _of_supervisord(answer: str) -> Iterator[tuple[str, int]]:
    """`shop:web_00      RUNNING   pid 812, uptime 0:00:05`"""
    for line in answer.split("\n"):
        head, _, rest = line.rpartition(" pid ")
        pid, words = number(rest.partition(",")[0]), head.split()
        if pid is not None and len(words) > 1:
            yield words[0], pid


def _of_pm2(answer: str) -> Iterator[tuple[str, int]]:
    return ((app["name"], app["pid"]) for app in _apps(answer) if isinstance(app.get("pid"), int))


def _apps(answer: str) -> Iterator[dict[str, Any]]:
    """pm2's programs.  The last line is a JSON list; greetings and warnings may come before it."""
    import json

    try:
        document = json.loads(answer.strip().rpartition("\n")[2])
    except (ValueError, RecursionError):
        return
    for app in document if isinstance(document, list) else ():
        if isinstance(app, dict) and isinstance(app.get("name"), str):
            yield app


def _mode(app: dict[str, Any]) -> object:
    environment = app.get("pm2_env")
    return environment.get("exec_mode") if isinstance(environment, dict) else None
