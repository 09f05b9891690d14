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
    from collections.abc import Callable, Collection, Iterator, Mapping
    from typing import Any

    from portcheck.model import Process

# Its own tool, which tells about a service directory: `web: up (pid 812) 5 seconds`.
STATUS: Mapping[str, tuple[str, ...]] = {
    "runit": ("sv", "status"),
    "s6": ("s6-svstat",),
    "daemontools": ("svstat",),
}
LISTENING = ("supervisord", "pm2", "circus")  # they may do so on behalf of the programs that they run
ASKABLE = (*STATUS, *LISTENING, "dinit")
NOT_ASKED = ("OpenRC",)  # has a command of its own, but no answer that names a process
_SUPERVISORD_VALUES = "cdejlqiumyza"  # its letters that take a value
_SUPERVISORD_WORDS = frozenset((
    "--configuration", "--user", "--umask", "--directory", "--logfile", "--logfile_maxbytes", "--logfile_backups",
    "--loglevel", "--pidfile", "--identifier", "--childlogdir", "--minfds", "--minprocs",
))  # fmt: skip
_CIRCUSD_WORDS = frozenset(("--log-level", "--log-output", "--logger-config", "--pidfile"))
CIRCUS_ENDPOINT = "tcp://127.0.0.1:5555"  # where it takes commands if its file does not say


class Inquiry(NamedTuple):
    """What to ask a supervisor; `files` must be its user's own, or nothing is asked."""

    argv: tuple[str, ...]
    files: tuple[str, ...] = ()
    variables: tuple[tuple[str, str], ...] = ()
    pid_file: str | None = None  # where the supervisor that answers has its PID
    configuration: str | None = None  # of supervisord
    server_url: str | None = None


def no_text(_: str) -> str:
    """Of files that nobody reads."""
    return ""


def inquiries(keeper: Process, process: Process, text_of: Callable[[str], str] = no_text) -> tuple[Inquiry, ...]:
    """What to ask the supervisor `keeper` about this process of it, the best first; () where that is not known.

    `text_of` reads a file that is the supervisor's own.
    """
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
    if word == "circus":
        endpoint = circus_endpoint(text_of(circus_file(keeper) or ""))
        question = "dstats" if process.pid == keeper.pid else "stats"
        return (Inquiry(("circusctl", f"--endpoint={endpoint}", "--json", question), server_url=endpoint),)
    if word == "dinit":
        return (Inquiry(("dinitctl", "list")),)
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
    return _absolute(values[-1], supervisord) if values else None


def server_url(supervisord: Process, process: Process) -> str | None:
    """Where supervisord takes commands, as it has told its program.

    A program of another user could name a server of its own, which would be sent the password from supervisord's file.
    """
    return process.supervisor_url if process.uid is not None and process.uid == supervisord.uid else None


def circus_file(circusd: Process) -> str | None:
    """Its configuration: `circusd --daemon circus.ini`."""
    given = arguments(circusd)
    words = given.rest[1:] if given else (circusd.command or ())[1:]
    operands = parse(words, long=_CIRCUSD_WORDS).rest
    return _absolute(operands[0], circusd) if operands else None


def circus_endpoint(text: str) -> str:
    """Where circus takes commands by its configuration, an INI file."""
    section = ""
    for line in map(str.strip, text.split("\n")):
        section = line if line.startswith("[") else section
        name, _, value = line.partition("=")
        if section == "[circus]" and name.strip() == "endpoint" and value.strip():
            return value.strip()
    return CIRCUS_ENDPOINT


def _absolute(path: str, process: Process) -> str | None:
    """A path as that process reads it."""
    return path if path.startswith("/") else f"{process.cwd}/{path}" if process.cwd else None


def pm2_home(daemon: Process) -> str | None:
    """It has overwritten its arguments: `PM2 v5.4.2: God Daemon (/home/ann/.pm2)`."""
    home = title(daemon).partition("God Daemon (")[2].rpartition(")")[0]
    return home if home.startswith("/") else None


def named_back(process: Process, keeper: Process, answer: str, pids: Collection[int]) -> str | None:
    """What the supervisor's own commands call the program that has one of these PIDs; None where it has none."""
    listed = _LISTS.get(process.supervisor or "")
    if listed is not None:
        return next((name for name, pid in listed(answer) if pid in pids), None)
    about_itself = answer.partition(";")[0]  # sv goes on about its log service
    is_named = any(f"(pid {pid})" in about_itself or f"(pid {pid} " in about_itself for pid in pids)
    return keeper.cwd if is_named else None


def is_itself(process: Process, answer: str) -> bool:
    """Whether the supervisor that has answered is this process, which holds the port itself."""
    if process.supervises == "supervisord":
        return number(answer.partition("\n")[0].strip()) == process.pid
    if process.supervises == "circus":
        return _part(_document(answer), "info").get("pid") == process.pid
    return bool(answer)


def for_whom(process: Process, answer: str, sharing: Collection[int]) -> str | None:
    """What the supervisor that holds a port itself calls the program that it does so for.

    supervisord gives the socket of a [fcgi-program:] to each of its processes, and closes it with the last of them.
    """
    if process.supervises == "pm2":
        return in_cluster(answer)
    names = [name for name, pid in _of_supervisord(answer) if pid in sharing]
    if process.supervises != "supervisord" or len(names) < 2:
        return names[0] if names and process.supervises == "supervisord" else None
    groups = {name.partition(":")[0] for name in names}
    return f"{groups.pop()}:*" if len(groups) == 1 else None


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


def _of_circus(answer: str) -> Iterator[tuple[str, int]]:
    """`{"status": "ok", "infos": {"web": {"812": {...}}}}`"""
    for name, processes in _part(_document(answer), "infos").items():
        pids = map(number, processes) if isinstance(processes, dict) else ()
        yield from ((name, pid) for pid in pids if pid is not None)


def _of_dinit(answer: str) -> Iterator[tuple[str, int]]:
    """`[{+}     ] web (pid: 812)`"""
    for line in answer.split("\n"):
        name, _, rest = line.partition("] ")[2].partition(" (pid: ")
        pid = number(rest.partition(")")[0])
        if pid is not None:
            yield name, pid


_LISTS: Mapping[str, Callable[[str], Iterator[tuple[str, int]]]] = {
    "supervisord": _of_supervisord,
    "pm2": _of_pm2,
    "circus": _of_circus,
    "dinit": _of_dinit,
}


def monit_file(monit: Process) -> str | None:
    """The configuration that it was given."""
    files = parse((monit.command or ())[1:], "cdglps").values("-c")
    return _absolute(files[-1], monit) if files else None


def of_monit(answer: str) -> dict[int, str]:
    """The processes that monit starts again, by PID: `monit status` has a block for each that it checks."""
    names = {}
    for block in answer.split("\nProcess '")[1:]:
        name, _, rest = block.partition("'\n")
        values = {line[:30].strip(): line[30:].strip() for line in rest.partition("\n\n")[0].split("\n")}
        pid = number(values.get("pid", ""))
        if pid and values.get("monitoring status") == "Monitored" and values.get("monitoring mode") == "active":
            names[pid] = name
    return names


def _document(answer: str) -> dict[str, Any]:
    """JSON on the last line."""
    import json

    try:
        document = json.loads(answer.strip().rpartition("\n")[2])
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def _part(of: dict[str, Any], name: str) -> dict[str, Any]:
    part = of.get(name)
    return part if isinstance(part, dict) else {}


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
