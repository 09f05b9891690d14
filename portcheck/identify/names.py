"""What a process may be called: by its arguments, by its program file, by the kernel."""

from __future__ import annotations

from portcheck.namedtuple import TYPE_CHECKING

if TYPE_CHECKING:
    from portcheck.model import Process

DELETED = " (deleted)"  # what the kernel appends to the path of a removed file
KERNELS_LENGTH = 15  # bytes that the kernel keeps of a name

# What Node calls its main thread since version 20, and the kernel therefore the process.
THREAD_NAMES = frozenset(("MainThread", "node-MainThread"))


def base(path: str) -> str:
    """The last part of a path of either kind, without `.exe`."""
    return path.replace("\\", "/").rstrip("/").rpartition("/")[2].removesuffix(".exe")


def names(process: Process) -> frozenset[str]:
    """Every name that it goes by; a login shell's without its dash."""
    return frozenset(by_trust(process))


def by_trust(process: Process) -> tuple[str, ...]:
    """Its names: that of its program file, by which it was started, and that which the kernel has, which it can set."""
    command = process.command or ("",)
    executable = (process.executable or "").removesuffix(DELETED)
    first = command[0].partition(": ")[0]  # `nginx: master process /usr/sbin/nginx` is a title, no path
    every = (base(executable), base(first).removeprefix("-"), base(process.name or ""))
    return tuple(filter(None, every))


def title(process: Process) -> str:
    """Its command line as one text, where servers such as nginx or pm2 say what they are."""
    return " ".join(process.command or ()) or process.name or ""


def called(process: Process) -> str | None:
    """Its name as lsof and netstat print it: the kernel's, unless that is only its main thread's."""
    if _is_cut_title(process):
        return base(title(process).partition(" ")[0])
    first = base(process.command[0]).removeprefix("-") if process.command else ""
    named_its_thread = process.name is None or process.name in THREAD_NAMES
    return first if named_its_thread and first and " " not in first and ":" not in first else process.name


def _is_cut_title(process: Process) -> bool:
    """Node gives the kernel its whole title, which keeps the beginning: `node /srv/web.j`."""
    name = process.name or ""
    return (
        " " in name
        and len(name.encode("utf-8", "surrogateescape")) == KERNELS_LENGTH
        and title(process).startswith(name)
    )
