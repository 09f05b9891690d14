"""The terminal, multiplexer, ssh or IDE session that a process belongs to: where to find its user."""

from __future__ import annotations

from portcheck.identify.names import names, title
from portcheck.namedtuple import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from portcheck.identify.facts import Facts
    from portcheck.model import Process

IDES = {
    "code": "VS Code", "code-insiders": "VS Code", "code-server": "VS Code", "Code Helper": "VS Code",
    "codium": "VSCodium", "cursor": "Cursor", "windsurf": "Windsurf", "zed": "Zed", "zed-editor": "Zed",
    "emacs": "Emacs", "idea": "IntelliJ IDEA", "pycharm": "PyCharm", "webstorm": "WebStorm",
    "goland": "GoLand", "phpstorm": "PhpStorm", "rubymine": "RubyMine", "clion": "CLion", "rider": "Rider",
    "studio": "Android Studio",
}  # fmt: skip
# Names that other programs may well have: they count only in a folder of that name (/usr/share/code/code).
COMMON_WORDS = frozenset(("code", "cursor", "idea", "rider", "studio", "zed"))
# IDEs whose process is a plain node or java: recognised by a folder in its command line.
IDE_FOLDERS = {".vscode-server/": "VS Code", ".cursor-server/": "Cursor", "/JetBrains/": "a JetBrains IDE"}
# Variables that they set for the programs in their terminals.
MARKS = {
    "VSCODE_PID": "VS Code",
    "VSCODE_IPC_HOOK_CLI": "VS Code",
    "ZED_TERM": "Zed",
    "INSIDE_EMACS": "Emacs",
    "NVIM": "Neovim",
    "VIM_TERMINAL": "Vim",
}


def ide(process: Process) -> str | None:
    """The IDE that this process is, or is a part of."""
    folder = (process.executable or (process.command or ("",))[0]).lower().rpartition("/")[0]
    for name in sorted(names(process)):
        plain = name.removesuffix("64").partition(" (")[0]
        if plain in IDES and (plain not in COMMON_WORDS or plain in folder):
            return IDES[plain]
    text = title(process)
    return next((label for folder, label in IDE_FOLDERS.items() if folder in text), None)


def session(facts: Facts) -> str | None:
    """`tmux pane %3`, `VS Code (pts/3)`, `ssh (pts/0)`, `terminal pts/1`; None for a daemon.

    A session that only the environment mentions is where it was started, and may be over: `detached from ssh`.
    """
    by_ancestry = _by_ancestry(facts)
    if facts.terminal is None and by_ancestry is None and facts.session_id == facts.process.pid:
        return None  # in a session of its own, without a terminal: a deliberate daemon
    place = by_ancestry or _by_environment(facts.environment)
    if facts.terminal is not None:
        return _with_terminal(_by_environment(facts.environment) or place, facts.terminal)
    if place is None:
        return None
    return place if by_ancestry else f"detached from {place}"


def _with_terminal(place: str | None, terminal: str) -> str:
    if place is None:
        return f"terminal {terminal}"
    return place if place.startswith(("tmux", "screen")) else f"{place} ({terminal})"


def _by_environment(environment: Mapping[str, str]) -> str | None:
    """The innermost first: a multiplexer's panes have inherited the variables from outside it."""
    if environment.get("TMUX"):
        pane = environment.get("TMUX_PANE")
        return f"tmux pane {pane}" if pane else "tmux"
    if environment.get("STY"):
        return f"screen {environment['STY']}"
    if environment.get("TERM_PROGRAM") == "vscode":
        return "VS Code"
    if environment.get("TERMINAL_EMULATOR", "").startswith("JetBrains"):
        return "a JetBrains IDE"
    for name, label in MARKS.items():
        if environment.get(name):
            return label
    return "ssh" if environment.get("SSH_CONNECTION") or environment.get("SSH_TTY") else None


def _by_ancestry(facts: Facts) -> str | None:
    """The nearest ancestor that is a session's host."""
    for ancestor in facts.ancestors:
        host = ide(ancestor)
        if host:
            return host
        called = names(ancestor)
        if "tmux: server" in called or "tmux" in called:
            pane = facts.environment.get("TMUX_PANE")
            return f"tmux pane {pane}" if pane else "tmux"
        if {"screen", "SCREEN"} & called:
            return "screen"
        if {"sshd", "sshd-session"} & called:
            return "ssh"
    return None
