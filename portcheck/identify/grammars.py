"""How interpreters read their command lines, by their manual pages."""

from __future__ import annotations

from portcheck.value import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping


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
