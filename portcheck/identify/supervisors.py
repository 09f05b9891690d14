"""What restarts a process when it ends, judging by its ancestors; or else the program that started it."""

from __future__ import annotations

from portcheck.identify.interpreters import arguments, interpreter, script
from portcheck.identify.names import base, names, title
from portcheck.identify.roles import is_orphaned
from portcheck.identify.sessions import ide
from portcheck.identify.systemd import MANAGERS
from portcheck.namedtuple import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from portcheck.identify.facts import Facts
    from portcheck.model import Process, Supervisor

# Programs that restart their child on exit or on change: names of programs and of interpreters' scripts.
SUPERVISORS: Mapping[str, Supervisor] = {
    "air": "air", "autossh": "autossh", "cargo-watch": "cargo watch", "circusd": "circus", "dinit": "dinit",
    "entr": "entr", "forever": "forever", "node-dev": "node-dev", "nodemon": "nodemon",
    "pm2": "pm2", "pm2-runtime": "pm2", "reflex": "reflex", "runsv": "runit", "s6-supervise": "s6",
    "supervise": "daemontools", "supervise-daemon": "OpenRC", "supervisord": "supervisord",
    "ts-node-dev": "ts-node-dev",
    "watchexec": "watchexec", "watchmedo": "watchmedo",
}  # fmt: skip
# Those that run in the directory of their service, which is the name that sv(8) and the like take.
IN_SERVICE_DIRECTORY = frozenset(("runsv", "s6-supervise", "supervise"))
# Those whose first argument is their name for the child.
NAMING = IN_SERVICE_DIRECTORY | {"supervise-daemon"}
# Programs that start another and end with it.
LAUNCHERS = frozenset((
    "bunx", "cargo", "chrt", "corepack", "doas", "env", "go", "ionice", "make", "nice", "nohup", "npm",
    "npx", "pnpm", "poetry", "runuser", "script", "setpriv", "setsid", "stdbuf", "strace", "su", "sudo",
    "taskset", "time", "timeout", "turbo", "uv", "xargs", "yarn",
))  # fmt: skip
# Where a chain of launchers ends: hosts of sessions, services and containers start everything and restart nothing.
HOSTS = frozenset((
    "SCREEN", "alacritty", "atd", "catatonit", "conmon", "containerd", "cron", "crond", "docker-init",
    "dockerd", "dumb-init", "explorer", "foot", "ghostty", "gnome-shell", "gnome-terminal-server", "kitty",
    "konsole", "login", "plasmashell", "runsvdir", "s6-svscan", "screen", "services", "sshd",
    "sshd-session", "svchost", "svscan", "terminator", "tilix", "tini", "tmux", "wezterm-gui",
    "xfce4-session", "xfce4-terminal", "xterm", "tmux: server",
))  # fmt: skip
LOOPS = frozenset(("while", "until", "for"))


class Supervision(NamedTuple):
    """`supervisor` restarts it; `started_by` is a program that is not known to."""

    supervisor: Supervisor | None = None
    supervisor_pid: int | None = None  # of whichever of the two it is
    supervised: str | None = None  # the supervisor's name for it
    started_by: str | None = None
    supervisor_url: str | None = None  # where the supervisor takes commands, as it says


def supervision(facts: Facts) -> Supervision:
    """The nearest known supervisor among the ancestors, else the nearest one that is a program of its own."""
    if _is_pm2(facts.process):
        return Supervision("pm2", facts.process.pid)  # in its cluster mode it listens itself
    starter: Process | None = None
    child = facts.process
    for ancestor in facts.ancestors:
        word = supervisor(ancestor)
        if word is None and starter is None and _loops(ancestor, child):
            word = "a shell loop"
        child = ancestor
        if word:
            url = facts.environment.get("SUPERVISOR_SERVER_URL") if word == "supervisord" else None
            return Supervision(word, ancestor.pid, _known_as(word, ancestor, facts.environment), supervisor_url=url)
        if _ends_the_chain(ancestor):
            break
        if starter is None and ancestor != facts.leader and not _is_launcher(ancestor):
            starter = ancestor
    if starter is None or starter.pid == 1 or is_orphaned(facts):
        return Supervision()  # whatever adopts orphans has not started them
    return Supervision(supervisor_pid=starter.pid, started_by=program(starter))


def supervisor(process: Process) -> Supervisor | None:
    """Its usual name, if this process is a supervisor."""
    if _is_pm2(process):
        return "pm2"
    run = script(process)
    first = base((run or "").partition(" ")[0])
    called = next((name for name in (*sorted(names(process)), first) if name in SUPERVISORS), None)
    return SUPERVISORS[called] if called else _watching(process)


def _is_pm2(process: Process) -> bool:
    """It has overwritten its arguments: `PM2 v5.4.2: God Daemon (/home/ann/.pm2)`."""
    return title(process).startswith("PM2 ") and "God Daemon" in title(process)


def _watching(process: Process) -> Supervisor | None:
    """An interpreter that restarts what it runs."""
    given = arguments(process)
    watches = given is not None and interpreter(process) == "node" and given.has("--watch", "--watch-path")
    return "node --watch" if watches else None


def _loops(shell: Process, child: Process) -> bool:
    """`sh -c "while true; do ./serve; done"`: a loop that starts the child.

    A loop before or after it restarts nothing, as in a CI script: `for i in 1 2; do ...; done; ./serve`.
    """
    given = arguments(shell)
    if given is None or interpreter(shell) != "sh" or not given.has("-c") or not given.rest:
        return False
    words = [base(word.strip("()'\"")) for word in given.rest[0].replace(";", " ").split()]
    if not LOOPS & set(words) or "do" not in words or "done" not in words:
        return False
    start, end = words.index("do"), len(words) - words[::-1].index("done")
    called = {base(word) for word in child.command or () if not word.startswith("-")} | names(child)
    return not called.isdisjoint(words[start:end]) or called.isdisjoint(words)  # `do "$@"; done` does not name it


def _known_as(word: Supervisor, ancestor: Process, environment: Mapping[str, str]) -> str | None:
    if word == "supervisord":
        group, name = environment.get("SUPERVISOR_GROUP_NAME"), environment.get("SUPERVISOR_PROCESS_NAME")
        return f"{group}:{name}" if group and name and group != name else name
    if word == "pm2":
        return environment.get("name") if environment.get("PM2_HOME") else None
    if IN_SERVICE_DIRECTORY & names(ancestor) and ancestor.cwd:
        return ancestor.cwd
    command = ancestor.command or ()
    return command[1] if NAMING & names(ancestor) and len(command) > 1 else None


def _ends_the_chain(process: Process) -> bool:
    """A manager, a session's or container's host, an interactive shell."""
    called = names(process)
    if (MANAGERS | HOSTS) & called or any(name.startswith("containerd-shim") for name in called) or ide(process):
        return True
    return interpreter(process) == "sh" and script(process) is None


def _is_launcher(process: Process) -> bool:
    """`npm run dev` writes that over its name; `sh -c` ends with what it runs."""
    called = {name.partition(" ")[0] for name in names(process)}
    run = script(process) or ""
    if LAUNCHERS & called or base(run.partition(" ")[0]).partition(".")[0] in LAUNCHERS:
        return True
    return interpreter(process) == "sh" and (run == "-c" or run.startswith(("/dev/fd/", "/proc/")))


def program(process: Process) -> str:
    """What a person would call it: its script, else its name."""
    run = script(process)
    if run is None or run.startswith("-"):
        return " ".join(filter(None, (process.name or base((process.command or ("?",))[0]), run)))
    return base(run.partition(" ")[0])
