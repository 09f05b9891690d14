"""What an interpreter runs: `python3` or `node` alone says nothing."""

from __future__ import annotations

from portcheck.identify.argv import Arguments, parse
from portcheck.identify.names import base, by_trust
from portcheck.namedtuple import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from portcheck.model import Process


# Programs that are recognised by their first argument (`next dev`) or their application (`uvicorn shop:app`).
TOOLS = frozenset((
    "artisan", "daphne", "flask", "granian", "gunicorn", "hypercorn", "manage", "next", "ng", "nuxt",
    "rails", "streamlit", "uvicorn", "vite", "waitress-serve", "webpack", "wrangler",
))  # fmt: skip
PROGRAM_FOLDERS = frozenset(("bin", "sbin", ".bin", "Scripts", "shims"))


def interpreter(process: Process) -> str | None:
    """python, node, sh ... without a version (`python3.11`); None for any other program.

    By its program file before its arguments, and by the kernel's name last: a process can call itself anything.
    """
    return next((kind for name in by_trust(process) if (kind := _kind(name))), None)


def _kind(name: str) -> str | None:
    plain = name.rstrip("0123456789.-")
    kind = ALIASES.get(plain, plain)
    return kind if kind in GRAMMARS else None


def arguments(process: Process) -> Arguments | None:
    """The command line as its interpreter reads it; None where it has no interpreter, or overwrote its arguments."""
    kind, command = interpreter(process), _command(process)
    if kind is None or len(command) < 2:
        return None
    grammar = GRAMMARS[kind]
    before = parse(command[1:], grammar.short, grammar.long, grammar.end)
    if before.rest and before.rest[0] in grammar.subcommands:
        after = parse(before.rest[1:], grammar.short, grammar.long, grammar.end)
        return Arguments(before.options + after.options, after.rest)
    return before


def _command(process: Process) -> Sequence[str]:
    """Its arguments; pm2 has its programs overwrite them by a title that reads like them: `node /srv/web.js`."""
    command = process.command or ()
    program, _, rest = command[0].partition(" ") if len(command) == 1 else ("", "", "")
    return (program, rest) if rest and _kind(base(program)) else command


def script(process: Process) -> str | None:
    """`-m http.server`, `server.js`, `shop.jar`, `vite dev`, `-c` for inline text; None: no interpreter."""
    given = arguments(process)
    if given is None:
        return None
    grammar = GRAMMARS[interpreter(process) or "sh"]
    for option in grammar.inline:
        if given.has(option):
            return option
    for option in grammar.named:
        for value in given.values(option):
            return _named(option, value, given.rest)
    return _told(given.rest[0], given.rest[1:]) if given.rest else None


def _named(option: str, value: str, rest: Sequence[str]) -> str:
    """`-m uvicorn shop:app`, `-S localhost:8000 router.php`, `shop.jar`."""
    if option == "-jar" or option.startswith("--"):
        return value
    if option == "-S":
        return " ".join((option, value, *rest[:1]))
    return f"{option} {_told(value, rest)}"


def _told(path: str, rest: Sequence[str]) -> str:
    """A script's path as it was given; a well-known program's name, with what it serves."""
    name = _short(path)
    subject = _subject(rest) if base(name).rpartition(".")[0] in TOOLS or base(name) in TOOLS else None
    return f"{name} {subject}" if subject else name


def _short(path: str) -> str:
    """/shop/node_modules/vite/bin/vite.js → vite, /venv/bin/uvicorn → uvicorn; other paths stay."""
    parts = path.replace("\\", "/").split("/")
    if "node_modules" in parts:
        below = parts[len(parts) - parts[::-1].index("node_modules") :]
        if below[:1] == [".bin"]:
            return below[-1]
        return "/".join(below[: 2 if below and below[0].startswith("@") else 1])
    if len(parts) > 1 and parts[-2] in PROGRAM_FOLDERS and "." not in parts[-1]:
        return parts[-1]
    return path


def _subject(rest: Sequence[str]) -> str | None:
    """The application (`shop:app`, `shop.wsgi`) among a server's arguments, or its subcommand."""
    for argument in rest:
        if is_application(argument):
            return argument
    first = rest[0] if rest else ""
    return first if first[:1].isalpha() and first.replace("-", "").replace(":", "").isalnum() else None


def is_application(argument: str) -> bool:
    """`package.module:variable` or `package.wsgi`; `localhost:8000` is none."""
    module, colon, variable = argument.partition(":")
    if not all(part.isidentifier() for part in module.split(".")):
        return False
    return variable[:1].isidentifier() if colon else module.endswith((".wsgi", ".asgi"))


class Grammar(NamedTuple):
    """Which options there are before the script."""

    short: str = ""  # letters that take a value
    long: frozenset[str] = frozenset()  # words that take one as an argument of its own
    end: str = ""  # letters after whose value the program's own arguments begin
    named: tuple[str, ...] = ()  # options whose value is what runs
    inline: tuple[str, ...] = ()  # options that bring the program's text with them
    subcommands: frozenset[str] = frozenset()  # words that may come before the script


PYTHON = Grammar(short="cmWX", long=frozenset(("--check-hash-based-pycs",)), end="cm", named=("-m",), inline=("-c",))
NODE = Grammar(
    short="rC",
    long=frozenset((
        "--conditions", "--diagnostic-dir", "--dns-result-order", "--env-file", "--env-file-if-exists",
        "--eval", "--experimental-loader", "--icu-data-dir", "--import", "--input-type", "--loader",
        "--openssl-config", "--print", "--redirect-warnings", "--require", "--title", "--watch-path",
    )),
    inline=("-e", "--eval", "-p", "--print"),
)  # fmt: skip
PHP = Grammar(short="BcdEfFrRStz", named=("-S", "-f"), inline=("-r", "-B", "-R"))
JAVA = Grammar(
    long=frozenset((
        "-cp", "-classpath", "--class-path", "-p", "--module-path", "--add-modules", "--add-opens",
        "--add-exports", "-jar", "-m", "--module",
    )),
    named=("-jar", "-m", "--module"),
)  # fmt: skip
DENO = Grammar(
    short="c",
    long=frozenset(("--config", "--import-map", "--port", "--host")),
    subcommands=frozenset(("run", "serve", "task")),
)
BUN = Grammar(
    short="ecrp",
    long=frozenset(("--config", "--cwd", "--port", "--preload")),
    inline=("-e",),
    subcommands=frozenset(("run",)),
)
DOTNET = Grammar(
    long=frozenset(("--project", "--runtimeconfig", "--depsfile")),
    named=("--project",),
    subcommands=frozenset(("exec", "run", "watch")),
)
SHELL = Grammar(short="oO", long=frozenset(("--rcfile", "--init-file")), inline=("-c",))

GRAMMARS: Mapping[str, Grammar] = {
    "python": PYTHON,
    "node": NODE,
    "ruby": Grammar(short="CEIer", inline=("-e",)),
    "perl": Grammar(short="eEIMm", inline=("-e", "-E")),
    "php": PHP,
    "java": JAVA,
    "deno": DENO,
    "bun": BUN,
    "dotnet": DOTNET,
    "sh": SHELL,
}
# Other names of the same, without a version.
ALIASES: Mapping[str, str] = {
    "pypy": "python",
    "Python": "python",  # macOS' framework builds
    "nodejs": "node",
    "node-MainThread": "node",
    "jruby": "ruby",
    "php-cgi": "php",
    **dict.fromkeys(("ash", "bash", "dash", "ksh", "mksh", "zsh"), "sh"),
}
