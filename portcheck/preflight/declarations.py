"""The values of preflight: a port that a file declares, and what could not be resolved.  No I/O."""

from __future__ import annotations

from portcheck.errors import PortcheckError
from portcheck.namedtuple import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Literal

    from portcheck.model import Protocol

    Kind = Literal["compose", "env", "procfile", "package", "devcontainer", "portcheck"]
    # Why something could not be resolved.  "include" and "extends" are settled where Compose itself resolves them;
    # "outside" leads out of the project, "limit" is more than anybody writes by hand, "not-judged" is a number of
    # which no file says whose port it is: it may as well be another host's.
    Code = Literal[
        "variable",
        "include",
        "extends",
        "host-network",
        "protocol",
        "compose",
        "syntax",
        "process",
        "forwarded",
        "not-judged",
        "outside",
        "limit",
    ]


class Expected(NamedTuple):
    """By whom a port is to be listened on, as far as the file says; None is anybody.

    `process` is the name of a program, or the absolute path of its file; `user` a name or a number.
    """

    process: str | None = None
    user: str | None = None
    service: str | None = None  # the unit of a service manager
    container: str | None = None  # its name
    optional: bool = False  # it need not run

    def by_whom(self) -> dict[str, str]:
        """All that the file says about who it is to be."""
        said = {"process": self.process, "user": self.user, "service": self.service, "container": self.container}
        return {key: value for key, value in said.items() if value}


ANYBODY = Expected()


class Declaration(NamedTuple):
    """One port that a file says a server is going to listen on, on this host.

    `host` is as written (`127.0.0.1`, `::1`, `*`, a name), None where the file names none: every address.
    `fallback` are the ports that will do, in order, if `port` is taken.
    `compose_profiles` switch the service on (none: always on); `enabled` says whether it is on.
    `profile` is the kind of server, as in `portcheck check --as PROFILE`.
    `compose_project` is the name of the Compose project, which its containers have as a label.
    `variables` are those of the environment that the port or the address comes from.
    `containers` is how many there are to be of the service, each of which takes a port.

    All of it may be printed, but for a `compose_project` that is `private`: that holds the value of a variable.
    """

    port: int
    protocol: Protocol
    host: str | None
    file: str
    line: int  # 1-based
    kind: Kind
    service: str | None = None  # Compose service, Procfile process, label or name
    fallback: tuple[int, ...] = ()
    compose_profiles: tuple[str, ...] = ()
    enabled: bool = True
    profile: str | None = None
    note: str | None = None  # useful to a reader of this line, such as the rule that chose the port
    compose_project: str | None = None
    private: bool = False
    variables: tuple[str, ...] = ()
    expected: Expected = ANYBODY
    containers: int = 1

    def target(self, ports: object) -> str:
        """The TARGET of the command line that asks about `ports` (one of its own) as this declaration does."""
        host = self.host and (f"[{self.host}]" if ":" in self.host else self.host)
        return (f"{host}:" if host else "") + str(ports) + ("/udp" if self.protocol == "udp" else "")


class Unresolved(NamedTuple):
    """What may declare a port and could not be established: a blind spot with its place."""

    code: Code
    message: str
    file: str
    line: int  # 1-based
    service: str | None = None


def left_open(remarks: Iterable[Unresolved]) -> bool:
    """Whether these leave the answer open; what is not judged may as well have nothing to do with this host."""
    return any(remark.code != "not-judged" for remark in remarks)


class Reading(NamedTuple):
    """All that was read: `files` holds every file looked at, in order.

    `allowed` are ports on which somebody may listen and nobody has to.
    """

    files: tuple[str, ...] = ()
    declarations: tuple[Declaration, ...] = ()
    unresolved: tuple[Unresolved, ...] = ()
    allowed: tuple[Declaration, ...] = ()


class PreflightError(PortcheckError):
    """A file that cannot be read as what it should be; the cause is `why` after `file:line:`, or `file:`."""

    def __init__(self, file: str, line: int | None, why: str, remedy: str | None = None) -> None:
        super().__init__(f"{file}:{line}: {why}" if line else f"{file}: {why}", remedy)
        self.file = file
        self.line = line
        self.why = why


class LeftUnreadError(PreflightError):
    """A file that is left alone, or given up: a blind spot, and no reason to leave the others unanswered."""

    def __init__(self, code: Code, file: str, line: int | None, why: str) -> None:
        super().__init__(file, line, why)
        self.code = code

    @property
    def remark(self) -> Unresolved:
        """What is said of it among the answers about the others."""
        return Unresolved(self.code, self.why, self.file, self.line or 1)


def together(readings: Iterable[Reading]) -> Reading:
    """Several readings as one, in order; files and remarks once each."""
    parts = list(readings)
    return Reading(
        tuple(dict.fromkeys(file for part in parts for file in part.files)),
        tuple(declaration for part in parts for declaration in part.declarations),
        tuple(dict.fromkeys(remark for part in parts for remark in part.unresolved)),
        tuple(declaration for part in parts for declaration in part.allowed),
    )


def shown(text: str, limit: int = 60) -> str:
    """Text from a file, quoted on one line and cut to a length fit for a message."""
    return repr(text if len(text) <= limit else text[: limit - 1] + "…")
