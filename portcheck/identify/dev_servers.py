"""How development servers take their port: what gives them one, and which they take if nothing does.  Pure data.

Each was read in the help and the documentation of the program itself; names and options have stayed the same over
their versions.
"""

from __future__ import annotations

from portcheck.identify.names import base
from portcheck.namedtuple import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator


class DevServer(NamedTuple):
    """A server by the names of its programs, and the words that give it a port."""

    programs: tuple[str, ...]
    words: tuple[str, ...]
    port: int | None = None  # without these words; None: that is not known, or it takes none
    commands: tuple[str, ...] = ()  # those with which it serves, "" for none at all; (): whatever it is told
    heeds: str | None = None  # the variable that gives it a port
    reads_env: bool = False  # it looks for that in the `.env` beside it too
    moves_on: bool = False  # takes the next port where its own is taken, unless that was named
    profile: str | None = None  # what `--as` calls it
    config: str | None = None  # the key of its configuration that holds the port: `server` of Vite's server.port
    files: tuple[str, ...] = ()  # that configuration's, without the ending
    ports: tuple[tuple[str, int], ...] = ()  # of commands that take another port

    @property
    def takes_operand(self) -> bool:
        """Whether its port stands among the words by itself."""
        return self.words == ("{port}",)

    def usual(self, command: str) -> int | None:
        """The port that it takes if it is told none."""
        return dict(self.ports).get(command, self.port)


DEV_SERVERS = (
    DevServer(("vite", "svelte-kit"), ("--port", "{port}"), 5173, ("", "dev", "serve", "preview"),
              config="server", files=("vite.config",), moves_on=True, profile="vite", ports=(("preview", 4173),)),
    DevServer(("vinxi",), ("--port", "{port}"), 3000, ("dev", "start"), heeds="PORT"),
    DevServer(("next", "next-server"), ("-p", "{port}"), 3000, ("", "dev", "start"), heeds="PORT", moves_on=True,
              profile="next"),
    DevServer(("astro",), ("--port", "{port}"), 4321, ("", "dev", "start", "preview"), config="server",
              files=("astro.config",), moves_on=True),
    DevServer(("ng",), ("--port", "{port}"), 4200, ("serve", "s", "dev"), files=("angular.json",)),
    DevServer(("nuxt", "nuxi"), ("--port", "{port}"), 3000, ("dev", "preview", "start"), heeds="PORT", reads_env=True,
              config="devServer", files=("nuxt.config",), moves_on=True),
    DevServer(("webpack", "webpack-dev-server"), ("--port", "{port}"), 8080, ("serve", "server", "s"),
              config="devServer", files=("webpack.config",), moves_on=True),
    DevServer(("vue-cli-service",), ("--port", "{port}"), 8080, ("serve",), heeds="PORT", reads_env=True,
              config="devServer", files=("vue.config",), moves_on=True),
    DevServer(("gatsby",), ("-p", "{port}"), 8000, ("develop", "serve"), ports=(("serve", 9000),)),
    DevServer(("parcel",), ("-p", "{port}"), 1234, ("", "serve", "watch"), heeds="PORT", moves_on=True),
    DevServer(("storybook", "start-storybook"), ("-p", "{port}"), 6006, ("dev",)),
    DevServer(("http-server",), ("-p", "{port}"), 8080, heeds="PORT", moves_on=True),
    DevServer(("manage.py", "manage"), ("{port}",), 8000, ("runserver",), profile="django"),
    DevServer(("http.server",), ("{port}",), 8000, profile="python"),  # python -m
    DevServer(("flask",), ("--port", "{port}"), 5000, ("run",), heeds="FLASK_RUN_PORT", reads_env=True,
              profile="flask"),
    DevServer(("uvicorn",), ("--port", "{port}"), 8000, heeds="UVICORN_PORT", profile="uvicorn"),
    DevServer(("hypercorn",), ("--bind", "{host}:{port}"), 8000, profile="hypercorn"),
    DevServer(("gunicorn",), ("--bind", "{host}:{port}"), 8000, heeds="PORT", profile="gunicorn"),
    DevServer(("streamlit",), ("--server.port", "{port}"), 8501, ("run",), heeds="STREAMLIT_SERVER_PORT",
              moves_on=True),
    DevServer(("mkdocs",), ("--dev-addr", "{host}:{port}"), 8000, ("serve",)),
    DevServer(("rails",), ("-p", "{port}"), 3000, ("server", "s"), heeds="PORT", profile="rails"),
    DevServer(("puma",), ("-p", "{port}")),  # config/puma.rb says, which is Ruby
    DevServer(("jekyll",), ("--port", "{port}"), 4000, ("serve", "server", "s")),
    DevServer(("artisan",), ("--port", "{port}"), 8000, ("serve",), heeds="SERVER_PORT", moves_on=True),
    # after artisan, Laravel's, which it runs
    DevServer(("php",), ("-S", "{host}:{port}"), commands=("-S",), profile="php"),
    DevServer(("hugo",), ("--port", "{port}"), 1313, ("server", "serve"), moves_on=True),
    # it has no option for it
    DevServer(("react-scripts", "craco"), (), 3000, ("start",), heeds="PORT", reads_env=True),
    DevServer(("serve",), ("-l", "{port}"), 3000, heeds="PORT", moves_on=True),  # last: others' subcommand
)  # fmt: skip
ENDINGS = (".js", ".mjs", ".cjs", ".cmd", ".bat", ".rb")
LOOKED_AT = 6  # words of a command line: `node --inspect node_modules/.bin/vite dev`


def server_of(programs: Collection[str]) -> DevServer | None:
    """The first server that has one of these names; it can be told a port."""
    return next(
        (server for server in DEV_SERVERS if server.words and not set(server.programs).isdisjoint(programs)), None
    )


def programs_in(words: Iterable[str]) -> Iterator[str]:
    """`vite` of `node_modules/.bin/vite` and of `node_modules/vite/bin/vite.js`, `next-server` of a title."""
    for word in list(words)[:LOOKED_AT]:
        yield program_name(word.partition(" ")[0])


def program_name(word: str) -> str:
    """The name of a program by its path, without the ending of a script."""
    name = base(word)
    return next((name[: -len(ending)] for ending in ENDINGS if name.endswith(ending)), name)
