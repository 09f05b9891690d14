"""The server that is going to start: which addresses and options it will ask the kernel for.  Pure data.

What they do was read from strace on Linux, and `tests/cli/test_known_servers.py` starts the real programs beside
holders of every kind and compares (Node 20, Vite 8, Next.js 16, Deno 2, Bun 1, CPython 3.11, OpenJDK 17, Tomcat 10,
Puma 5, PHP 8.2, nginx 1.22, Apache 2.4, HAProxy 2.6, Caddy 2.6, PostgreSQL 15, MariaDB 10.11, Redis 7, memcached 1.6
and others); Go, docker and Kestrel by strace alone.  What they do on Windows was read in their sources.
"""

from __future__ import annotations

from portcheck.addresses import ANY4, ANY6
from portcheck.errors import UsageError
from portcheck.model import Bind
from portcheck.namedtuple import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from typing import Literal

    from portcheck.model import Family, Protocol
    from portcheck.traits import Traits

V4 = Bind(ANY4, "ipv4")
V6 = Bind(ANY6, "ipv6", v6only=True)
DUAL = Bind(ANY6, "ipv6", v6only=False)
LOOPBACK = Bind("127.0.0.1", "ipv4")
LOOPBACK6 = Bind("::1", "ipv6", v6only=True)
WILDCARDS = (V4, V6, DUAL)


class Server(NamedTuple):
    """How a server binds where it is given no host; it starts when every one of `binds` succeeds."""

    call: str | None = None  # "Node's listen({port})"
    binds: tuple[Bind, ...] | None = None  # None: nothing is known, so every way is asked
    reuseaddr: bool = True  # SO_REUSEADDR for TCP on Unix
    windows_reuseaddr: bool = False
    without_ipv6: tuple[Bind, ...] = (V4,)  # what it falls back to where the kernel has no IPv6
    group: str = ""  # under which heading `--as` lists it
    # With what it starts where it does not get its `binds`, best first; some clients do not reach it then.
    fallbacks: tuple[tuple[Bind, ...], ...] = ()
    # It binds what the resolver says of `localhost`: the first address, or as many as it can get.
    localhost: Literal["", "first", "any"] = ""
    refused: str = "fail"  # what it would do where the port is taken


MOVES_ON = "take another port"
JAVASCRIPT, PYTHON, JVM = "JavaScript", "Python", "Java, .NET, Go"
SCRIPTING, WEB, DATA = "Ruby, PHP", "web, proxies, containers", "databases, caches"

PROFILES = {
    "node": Server("Node's listen({port})", (DUAL,), group=JAVASCRIPT),
    # It looks whether it could listen on each wildcard, and then listens on localhost alone.
    "vite": Server("vite --port {port}", (V4, DUAL), group=JAVASCRIPT, refused=MOVES_ON),
    "next": Server("next dev -p {port}", (DUAL,), group=JAVASCRIPT),
    "deno": Server("Deno.serve on port {port}", (V4,), group=JAVASCRIPT),
    "bun": Server("Bun.serve on port {port}", (DUAL,), group=JAVASCRIPT, fallbacks=((V4,),)),
    "python": Server("python -m http.server {port}", (V4,), windows_reuseaddr=True, group=PYTHON),
    "socketserver": Server("Python's socketserver on port {port}", (V4,), reuseaddr=False, group=PYTHON),
    "asyncio": Server("asyncio's create_server(port={port})", (V6, V4), group=PYTHON),
    "uvicorn": Server("uvicorn --port {port}", (LOOPBACK,), windows_reuseaddr=True, group=PYTHON),
    "gunicorn": Server("gunicorn on 127.0.0.1:{port}", (LOOPBACK,), group=PYTHON),
    "hypercorn": Server("hypercorn on 127.0.0.1:{port}", (LOOPBACK,), group=PYTHON),
    "flask": Server("flask run --port {port}", (LOOPBACK,), group=PYTHON),
    "django": Server("manage.py runserver {port}", (LOOPBACK,), group=PYTHON),
    "go": Server('Go\'s Listen("tcp", ":{port}")', (DUAL,), group=JVM),
    "java": Server("Java's ServerSocket({port})", (DUAL,), group=JVM),
    "tomcat": Server("Tomcat's connector on {port}", (DUAL,), group=JVM),
    "dotnet": Server("Kestrel on port {port}", (DUAL,), group=JVM),
    "ruby": Server("Ruby's TCPServer.new({port})", (V4,), group=SCRIPTING),
    "puma": Server("puma -p {port}", (V4,), group=SCRIPTING),
    # Puma, told `-b tcp://localhost`, binds the loopback addresses of the interfaces, whatever the resolver says.
    "rails": Server("rails server -p {port}", (LOOPBACK, LOOPBACK6), without_ipv6=(LOOPBACK,), group=SCRIPTING),
    "php": Server("php -S localhost:{port}", (), localhost="first", group=SCRIPTING),
    "nginx": Server("nginx's listen {port}", (V4,), group=WEB),
    # open_listeners(): no fatal error for `::` where 0.0.0.0 comes next.
    "apache": Server("Apache's Listen {port}", (DUAL,), group=WEB, fallbacks=((V4,),)),
    "haproxy": Server("HAProxy's bind :{port}", (V4,), group=WEB),
    "caddy": Server("Caddy on :{port}", (DUAL,), group=WEB),
    "docker": Server("docker run -p {port}:...", (V4, V6), group=WEB),
    "postgres": Server("postgres -p {port}", (), localhost="any", group=DATA),
    "mariadb": Server("mariadbd --port={port}", (V4, V6), group=DATA),
    "redis": Server("redis-server --port {port}", (V4, V6), group=DATA),
    "memcached": Server("memcached -p {port}", (V4, V6), group=DATA, fallbacks=((V4,), (V6,))),
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


def wildcard_binds(
    server: Server, families: tuple[Family, ...], localhost: tuple[str, ...] = ()
) -> tuple[Bind, ...] | None:
    """Every bind that the server may try where it is given no host; None where that is not known."""
    tries = attempts(server, families, localhost)
    return None if server.binds is None else tuple(dict.fromkeys(bind for binds in tries for bind in binds))


def attempts(
    server: Server, families: tuple[Family, ...], localhost: tuple[str, ...] = ()
) -> tuple[tuple[Bind, ...], ...]:
    """The sets of binds with which the server would start, the one that it prefers first.

    `localhost`: the addresses of that name, in the resolver's order.
    """
    if server.localhost:
        binds = tuple(_loopback(address) for address in localhost) or (LOOPBACK,)
        binds = tuple(bind for bind in binds if bind.family in families) or binds
        return (binds[:1],) if server.localhost == "first" else (binds, *((bind,) for bind in binds))
    if server.binds is None:
        return ()
    return (server.binds, *server.fallbacks) if "ipv6" in families else (server.without_ipv6,)


def _loopback(address: str) -> Bind:
    return Bind(address, "ipv6", v6only=True) if ":" in address else Bind(address, "ipv4")
