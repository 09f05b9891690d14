"""What is known about a process before deciding what it is."""

from __future__ import annotations

from portcheck.namedtuple import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from portcheck.identify.cgroup import Authorship
    from portcheck.model import Container, Process, Socket

# The only variables that are ever read from a process's environment.  They are used to decide and are never shown.
ENVIRONMENT = frozenset((
    "HOME", "INSIDE_EMACS", "NVIM", "SSH_CONNECTION", "SSH_TTY", "STY", "TERMINAL_EMULATOR", "TERM_PROGRAM",
    "TMUX", "TMUX_PANE", "VIM_TERMINAL", "VSCODE_IPC_HOOK_CLI", "VSCODE_PID", "ZED_TERM", "_",
    "PM2_HOME", "SUPERVISOR_GROUP_NAME", "SUPERVISOR_PROCESS_NAME", "SUPERVISOR_SERVER_URL",
    "name", "npm_config_user_agent", "npm_lifecycle_event",
))  # fmt: skip


class ProjectFile(NamedTuple):
    """A file that marks a project's directory; `text` is None where only its existence matters (.git)."""

    directory: str
    name: str
    text: bytes | None = None


class Session(NamedTuple):
    """A process's session (getsid(2); 0: from outside of this PID namespace) and its controlling terminal."""

    id: int | None = None
    terminal: str | None = None


class Facts(NamedTuple):
    """One process and what was seen around it."""

    process: Process
    ancestors: tuple[Process, ...] = ()  # its parent first
    environment: Mapping[str, str] = {}  # of the names in ENVIRONMENT
    session_id: int | None = None  # as getsid(2)
    parent_session_id: int | None = None
    terminal: str | None = None  # its controlling terminal: pts/3
    sockets: tuple[Socket, ...] = ()  # those of the question that it holds
    leader: Process | None = None  # the nearest ancestor that holds one of them too
    leads: bool = False  # whether it is the leader of another process
    activator: Process | None = None  # the service manager that holds one of them too
    project: tuple[ProjectFile, ...] = ()  # of the nearest directory that has any
    own_container: Container | None = None  # the one that portcheck itself runs in
    own_service: str | None = None  # and the unit
    authorship: Authorship | None = None  # whose word the names in its cgroup's path are
