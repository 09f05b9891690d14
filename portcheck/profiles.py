"""The server that is going to start: which addresses and options it will ask the kernel for.  Pure data.

What runtimes do was read from strace on Linux (Node 20, CPython 3.11, Go 1.24, OpenJDK 17, nginx 1.22, Apache 2.4 ...)
and, for Windows, from their sources.
"""

from __future__ import annotations

from portcheck.addresses import ANY4, ANY6
from portcheck.errors import UsageError
from portcheck.model import Bind
from portcheck.namedtuple import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from portcheck.model import Family, Protocol
    from portcheck.traits import Traits

V4 = Bind(ANY4, "ipv4")
V6 = Bind(ANY6, "ipv6", v6only=True)
DUAL = Bind(ANY6, "ipv6", v6only=False)
LOOPBACK = Bind("127.0.0.1", "ipv4")
WILDCARDS = (V4, V6, DUAL)


class Server(NamedTuple):
    """How a server binds; it starts when every one of `binds` succeeds."""

    call: str | None = None  # "Node's listen({port})"
    binds: tuple[Bind, ...] | None = None  # None: nothing is known, so every way is asked
    reuseaddr: bool = True  # SO_REUSEADDR for TCP on Unix
    windows_reuseaddr: bool = False
    without_ipv6: tuple[Bind, ...] = (V4,)  # what it falls back to where the kernel has no IPv6


PROFILES = {
    "node": Server("Node's listen({port})", (DUAL,)),
    "python": Server("python -m http.server {port}", (V4,), windows_reuseaddr=True),
    "socketserver": Server("Python's socketserver on port {port}", (V4,), reuseaddr=False),
    "asyncio": Server("asyncio's create_server(port={port})", (V6, V4)),
    "uvicorn": Server("uvicorn --port {port}", (LOOPBACK,), windows_reuseaddr=True),
    "gunicorn": Server("gunicorn on 127.0.0.1:{port}", (LOOPBACK,)),
    "flask": Server("flask run --port {port}", (LOOPBACK,)),
    "go": Server('Go\'s Listen("tcp", ":{port}")', (DUAL,)),
    "java": Server("Java's ServerSocket({port})", (DUAL,)),
    "nginx": Server("nginx's listen {port}", (V4,)),
    "apache": Server("Apache's Listen {port}", (DUAL,)),
    "ruby": Server("Ruby's TCPServer.new({port})", (V4,)),
    "docker": Server("docker run -p {port}:...", (V4, V6)),
    "dotnet": Server("Kestrel on port {port}", (DUAL,)),
}
ANY_SERVER = Server()


class Question(NamedTuple):
    """What is asked of every port: whether this server could be started there, and how far to look for the answer."""

    server: Server = ANY_SERVER
    probe: bool = True  # False asks the kernel for its tables alone, and tries no bind
    verbose: bool = False  # looks into other network namespaces too
    to_take: bool = False  # the first port that is free will be taken

    @property
    def may_bind_plainly(self) -> bool:
        """Whether a bind without SO_REUSEADDR may be tried, which can make a server fail that starts at that moment.

        Only for who asks about such a server in so many words, or is about to take the port all the same.
        """
        return self.to_take or not self.server.reuseaddr


USUAL = Question()
TABLES_ALONE = Question(probe=False)


def server_for(profile: str | None, *, reuseaddr: bool = True) -> Server:
    """The server of `--as PROFILE`, or any server; raises UsageError for an unknown profile."""
    if profile is None:
        server = ANY_SERVER
    elif profile in PROFILES:
        server = PROFILES[profile]
    else:
        raise UsageError(f"unknown server '{profile}' for --as; accepted: {', '.join(PROFILES)}")
    return server if reuseaddr else server._replace(reuseaddr=False, windows_reuseaddr=False)


def question_for(profile: str | None, *, reuseaddr: bool = True, probe: bool = True, verbose: bool = False) -> Question:
    """What the options of a command line ask; raises UsageError for an unknown profile."""
    return Question(server_for(profile, reuseaddr=reuseaddr), probe, verbose)


def sets_reuseaddr(server: Server, protocol: Protocol, traits: Traits) -> bool:
    """Whether this server binds with SO_REUSEADDR: TCP on Unix usually, UDP never unless it is multicast."""
    if protocol == "udp":
        return False
    return server.reuseaddr if traits.reuseaddr_is_usual else server.windows_reuseaddr


def wildcard_binds(server: Server, families: tuple[Family, ...]) -> tuple[Bind, ...] | None:
    """How the server binds where it is given no host; None where that is not known."""
    if server.binds is None:
        return None
    return server.binds if "ipv6" in families else server.without_ipv6
