"""What a shell asks while a command line is typed, and the scripts that make it ask."""

from __future__ import annotations

import os

from portcheck.cli.completion import SCRIPTS, expected, script
from portcheck.cli.options import SHELLS
from portcheck.cli.pages import Row
from portcheck.errors import PortcheckError, UsageError
from portcheck.namedtuple import TYPE_CHECKING
from portcheck.observe.ourselves import program
from portcheck.render import stream
from portcheck.render.completion import candidates

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from portcheck.cli.table import Completes
    from portcheck.model import Socket
    from portcheck.requests import CompletionRequest

WORDS = "_PORTCHECK_WORDS"  # up to the cursor, one a line
IN_PROFILE = "portcheck --show-completion powershell | Out-String | Invoke-Expression"


def complete(environ: Mapping[str, str]) -> int:
    """Prints what could come next, one a line."""
    wanted = expected(environ.get(WORDS, "").split("\n"))
    if kind := wanted.by_the_shell:
        stream.write([kind])
        return 0
    rows = [*wanted.rows, *(row for kind in wanted.kinds for row in LOOKS[kind]())]
    stream.write(["words", *candidates(rows, wanted.typed, wanted.base)])
    return 0


def _held() -> Iterator[tuple[Socket, int | None, str]]:
    """What listens or is bound, with each of its holders and what that is called."""
    from portcheck.identify.names import called
    from portcheck.listing import Filter, list_sockets

    listing = list_sockets(Filter())
    for socket in listing:
        for pid in socket.pids or (None,):
            process = listing.processes.get(pid) if pid else None
            yield socket, pid, (called(process) if process else None) or ""


def _rows(pairs: Iterable[tuple[str, str]]) -> Iterator[Row]:
    """A row for each first word with all that belongs to it; numbers in their order."""
    texts: dict[str, set[str]] = {}
    for typed, text in pairs:
        texts.setdefault(typed, set()).add(text)
    for typed in sorted(texts, key=lambda typed: typed.rjust(8) if typed.isdigit() else typed):
        yield Row(typed, ", ".join(sorted(texts[typed] - {""})))


def _ports() -> Iterator[Row]:
    return _rows((str(socket.local_port), name) for socket, _, name in _held())


def _pids() -> Iterator[Row]:
    return _rows((str(pid), f"{name or '?'} on {socket.local_port}") for socket, pid, name in _held() if pid)


def _users() -> Iterator[Row]:
    return _rows((socket.user, name) for socket, _, name in _held() if socket.user)


def _programs() -> Iterator[Row]:
    return _rows((name, str(socket.local_port)) for socket, _, name in _held() if name)


def _hosts() -> Iterator[Row]:
    """Addresses and interfaces of this host."""
    from portcheck.observe.system import BACK_END

    yield Row("localhost", "")
    interfaces: dict[str, list[str]] = {}
    for local in BACK_END.addresses():
        if local.interface:
            interfaces.setdefault(local.interface, []).append(local.address)
        yield Row(str(local), local.interface or "")
    for interface, addresses in interfaces.items():
        yield Row(interface, ", ".join(addresses))


def _servers() -> Iterator[Row]:
    from portcheck.profiles import PROFILES

    for name, server in PROFILES.items():
        yield Row(name, (server.call or "").format(port="PORT"))


LOOKS: dict[Completes, Callable[[], Iterator[Row]]] = {
    "ports": _ports,
    "pids": _pids,
    "users": _users,
    "programs": _programs,
    "hosts": _hosts,
    "servers": _servers,
}


def set_up(request: CompletionRequest) -> int:
    """Prints the script of a shell, or puts it where the shell looks for it."""
    shell = request.shell or _own_shell(os.environ)
    if not request.install:
        stream.write(script(shell).splitlines())
        return 0
    path, remark = _place(shell, os.environ)
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(script(shell))
    except OSError as error:
        raise PortcheckError(f"{path} cannot be written: {error.strerror}") from error
    stream.write([f"Completion for {shell} is in {path}; {remark}."])
    return 0


def _own_shell(environ: Mapping[str, str]) -> str:
    name = os.path.basename(environ.get("SHELL", ""))
    if name not in SHELLS.words:
        raise UsageError("name the shell", f"portcheck --show-completion {'|'.join(SHELLS.words)}")
    return name


def _place(shell: str, environ: Mapping[str, str]) -> tuple[str, str]:
    """Where this shell looks for completions of one's own, and what has to be true for that."""
    home = os.path.expanduser("~")
    if shell == "bash":
        data = environ.get("XDG_DATA_HOME") or os.path.join(home, ".local", "share")
        folder = environ.get("BASH_COMPLETION_USER_DIR") or os.path.join(data, "bash-completion")
        path = os.path.join(folder, "completions", program())
        return path, f"new shells read it where bash-completion is installed, others by: source {path}"
    if shell == "zsh":
        folder = os.path.join(environ.get("ZDOTDIR") or home, ".zfunc")
        return os.path.join(folder, SCRIPTS[shell]), (
            f"new shells read it if .zshrc has: fpath+=({folder}); autoload -Uz compinit; compinit"
        )
    if shell == "fish":
        config = environ.get("XDG_CONFIG_HOME") or os.path.join(home, ".config")
        return os.path.join(config, "fish", "completions", f"{program()}.fish"), "new shells read it"
    raise UsageError("only PowerShell knows where its profile is", f"add to $PROFILE: {IN_PROFILE}")
