"""What a mistyped line most likely means: the nearest right form, in one line.  Pure, and only read after a mistake."""

from __future__ import annotations

from difflib import get_close_matches
from shlex import join

from portcheck.cli.options import (
    ALIASES,
    CHECK,
    COMMANDS,
    HELP,
    HELP_COMMAND,
    LIST,
    PICK,
    RUN,
    STOP,
    VERSION,
    command_of,
)
from portcheck.errors import UsageError
from portcheck.namedtuple import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from portcheck.cli.table import Command, Given
    from portcheck.errors import NotATarget

NEAR = 0.7  # difflib's ratio: `chek` is check, `vite` is not wait
OTHER_WORDS = {
    STOP.name: ("free", "release", "end", "terminate", "killport", "kill-port", "fuser", "close", "restart"),
    CHECK.name: ("who", "whois", "what", "which", "show", "find", "search", "info", "inspect", "status", "scan", "test",
                 "lsof", "port", "open", "used", "lookup"),
    LIST.name: ("all", "ps", "netstat", "ss", "ports", "listen", "listening", "top"),
    PICK.name: ("next", "random", "available", "get", "choose", "new"),
    RUN.name: ("start", "exec", "serve"),
}  # fmt: skip
MEANT = {word: name for name, words in OTHER_WORDS.items() for word in words}
KILLS_BY_NAME = ("killall", "pkill")
RANGES = ("-", "to", "..", "...", "until", "through")  # as words between two ports
ASKS_FOR_COMPLETION = ("completion", "completions", "install-completion")
KILLS = ("-k", "-9")  # of fuser and kill
# Letters of `ss -tulpn`, `netstat -ano`, `lsof -nP`.
LISTING_LETTERS = frozenset("tulnpaoexHPsw")
EXAMPLE = "8000-8010"


def unknown_command(word: str, before: Sequence[str], after: Sequence[str]) -> UsageError:
    """What a first word that is no command was meant to be."""
    name = _nearest_command(word)
    if before and _is_port(word):  # `help 3000`
        return _did_you_mean(f"no command '{word}'", word)
    meant = f"; did you mean: {_line(*before, name, *after)}" if name else ""
    return UsageError(f"no command '{word}'{meant}", None if name else "portcheck --help lists them")


def unknown_option(spelling: str, word: str, command: Command, argv: Sequence[str]) -> UsageError:
    """What an option that the command does not have was meant to be; `word` is the whole of it, as typed."""
    words = [*command_of(argv)[1]]
    place = words.index(word) if word in words else len(words)
    before, after = words[:place], words[place + 1 :]
    if len(words) == len(argv) and before and _nearest_command(before[0]):  # `sotp 3000 --yes` is no check
        return unknown_command(before[0], (), words[1:])
    if command is RUN and spelling in ("-p", "--port"):
        return UsageError(f"unknown option {spelling}; did you mean: {_run([*before, *after])}")
    if command is RUN and any(not _is_candidate(each) for each in before):
        return UsageError(f"run needs -- before its command; did you mean: {_run(words)}")
    meant = (
        _option_of_another_tool(word, command, before, after)
        or _command_as_option(spelling, before, after)
        or _number(word, command, before, after)
        or _long_option(word, command)
        or _option_of_another_command(spelling, command, argv)
        or _near_option(spelling, command)
    )
    if meant:
        typed = spelling if word.startswith("--") else word
        whole = meant.startswith("portcheck ")
        return UsageError(f"unknown option {typed}; did you mean{f': {meant}' if whole else f' {meant}?'}")
    return UsageError(f"unknown option {spelling}", f"portcheck {command.name} --help shows what is accepted")


def lacking(error: UsageError, command: Command, given: Given) -> UsageError:
    """The same error, or what was meant where `run` was given a command without the `--` before it."""
    if command is not RUN or not any(error.cause == need.cause for need in RUN.needs):
        return error
    words = [*given.get(RUN.operands.field, ()), *given.get("command", ())]
    if all(map(_is_candidate, words)):
        return error
    return UsageError(f"{error.cause}; did you mean: {_run(words)}")


def _run(words: Sequence[str]) -> str:
    """`run 3000 npm start` as it should have been typed."""
    place = next((place for place, word in enumerate(words) if not _is_candidate(word)), len(words))
    if "--" in words or place == len(words):
        return _line(RUN.name, *words)
    return _line(RUN.name, *(words[:place] or [EXAMPLE]), "--", *words[place:])


def no_target(error: NotATarget, argv: Sequence[str]) -> UsageError:
    """What a word was meant to be that stands where a target belongs."""
    command, words = command_of(argv)
    if error.word not in words:
        return error
    place = words.index(error.word)
    before, after = words[:place], words[place + 1 :]
    named = argv[: len(argv) - len(words)]
    return (
        _range(error.word, named, before, after)
        or _host_and_port(error, named, before, after)
        or _protocol(error.word, named, before, after)
        or _option_without_dashes(error.word, command, named, before, after)
        or _command_of_another_name(error.word, named, before, after)
        or _program(error, command)
        or error
    )


def _range(word: str, named: Sequence[str], before: Sequence[str], after: Sequence[str]) -> UsageError | None:
    """`8000 to 8010`, `8000 - 8010`"""
    if word not in RANGES or not (before and after and _is_port(before[-1]) and _is_port(after[0])):
        return None
    return _did_you_mean(f"'{word}' is no port", *named, *before[:-1], "-".join((before[-1], after[0])), *after[1:])


def _option_without_dashes(
    word: str, command: Command, named: Sequence[str], before: Sequence[str], after: Sequence[str]
) -> UsageError | None:
    """`pick any`, `stop 3000 force`; at the beginning of a line it is rather a command."""
    if word == "all" and named and not (before or after):  # `stop --all` wants a target, too
        return _did_you_mean("'all' is no port", LIST.name)
    if not (named or before) or f"--{word}" not in _long_spellings(command):
        return None
    return _did_you_mean(f"'{word}' is no port", *named, *before, f"--{word}", *after)


def _host_and_port(
    error: NotATarget, named: Sequence[str], before: Sequence[str], after: Sequence[str]
) -> UsageError | None:
    """`localhost 3000`."""
    host = error.word
    if not (after and _is_port(after[0]) and (error.host or _is_domain(host))):
        return error if error.host else None
    whole = f"[{host}]:{after[0]}" if ":" in host and not host.startswith("[") else f"{host}:{after[0]}"
    return _did_you_mean(f"'{host}' names no port", *named, *before, whole, *after[1:])


def _protocol(word: str, named: Sequence[str], before: Sequence[str], after: Sequence[str]) -> UsageError | None:
    """`53 udp`, `tcp 80`."""
    port = next(filter(_is_port, (*after[:1], *before[-1:])), None)
    return _did_you_mean(f"'{word}' is no port", *named, f"{port}/{word}") if port and word in ("tcp", "udp") else None


def _command_of_another_name(
    word: str, named: Sequence[str], before: Sequence[str], after: Sequence[str]
) -> UsageError | None:
    """`chek 3000`, `who 3000`, and `3000 stop`."""
    if word == "version":
        return _did_you_mean("no command 'version'", VERSION.name)
    if word in ASKS_FOR_COMPLETION and not named:
        return _did_you_mean(f"no command '{word}'", "--install-completion", *after)
    if not named and not before and _nearest_command(word):
        return _command(word, after)
    if _names_a_command(word):
        return _did_you_mean(f"'{word}' is a command, and comes first", word, *before, *after)
    return None


def _program(error: NotATarget, command: Command) -> UsageError | None:
    """`nginx`: which ports it has, `list` tells."""
    if command is RUN or not _may_be_a_program(error.word):
        return None
    return _did_you_mean(f"'{error.word}' is no port, service or command", LIST.name, error.word)


def _command(word: str, after: Sequence[str]) -> UsageError:
    if word in KILLS_BY_NAME and after and not _is_port(after[-1]):
        return _did_you_mean(f"no command '{word}'", LIST.name, after[-1])
    if MEANT.get(word) == CHECK.name:
        return _did_you_mean(f"no command '{word}'", *(after or (LIST.name,)))
    if word == "free" and after:
        meant = f"{_line(*after)} (is it free?) or {_line(STOP.name, *after)} (free it)"
        return UsageError(f"no command 'free'; did you mean: {meant}")
    return unknown_command(word, (), after)


def _nearest_command(word: str) -> str | None:
    if word in MEANT:
        return MEANT[word]
    near = get_close_matches(word, [*COMMANDS, *ALIASES, HELP_COMMAND], 1, NEAR)
    return near[0] if near else None


def _names_a_command(word: str) -> bool:
    return word in COMMANDS or word in ALIASES or word == HELP_COMMAND


def _option_of_another_tool(word: str, command: Command, before: Sequence[str], after: Sequence[str]) -> str | None:
    """`-i :3000` of lsof, `-tlnp` of ss, `-k` of fuser."""
    if command not in (CHECK, LIST):
        return _line(STOP.name, "--force", *before, *after) if command is STOP and word == "-9" else None
    if word in KILLS:
        return _line(STOP.name, *before, *after)
    if word.startswith("-i"):
        attached = [word[2:]] if word[2:] else []
        ports = [each.rpartition(":")[2] for each in (*attached, *after)]
        return _line(*(filter(_is_port, ports) if any(map(_is_port, ports)) else (LIST.name,)))
    letters = set(word[1:])
    if word.startswith("--") or not letters or not letters <= LISTING_LETTERS:
        return None
    protocols = [f"--{name}" for name in ("tcp", "udp") if name[0] in letters]
    only = protocols if len(protocols) == 1 else []
    return _line(LIST.name, *only, *(["--all"] if "a" in letters else []), *before, *after)


def _command_as_option(spelling: str, before: Sequence[str], after: Sequence[str]) -> str | None:
    """`--kill`, `--stop`, `--list`."""
    name = spelling[2:]
    if not spelling.startswith("--") or not _names_a_command(name):
        return None
    return _line(ALIASES[name].name if name in ALIASES else name, *before, *after)


def _number(word: str, command: Command, before: Sequence[str], after: Sequence[str]) -> str | None:
    """`-5` is no port with a minus before it."""
    return _line(*_named(command), *before, word[1:], *after) if word[1:].isdecimal() else None


def _long_option(word: str, command: Command) -> str | None:
    """`-json`, and `-j` where only one long option begins so."""
    if word.startswith("--") or not word[1:]:
        return None
    spellings = _long_spellings(command)
    begun = [spelling for spelling in spellings if spelling.startswith(f"-{word}")]
    whole = f"-{word}"
    return whole if whole in spellings else begun[0] if len(begun) == 1 else None


def _option_of_another_command(spelling: str, command: Command, argv: Sequence[str]) -> str | None:
    """`3000 -y` is meant for stop."""
    for other in (STOP, *COMMANDS.values()):
        if other is not command and any(spelling in option.spellings for option in other.options):
            return _line(other.name, *command_of(argv)[1])
    return None


def _near_option(spelling: str, command: Command) -> str | None:
    near = get_close_matches(spelling, _long_spellings(command), 1, NEAR) if spelling.startswith("--") else []
    return near[0] if near else None


def _long_spellings(command: Command) -> list[str]:
    every = (spelling for option in (*command.options, HELP) for spelling in option.spellings)
    return [spelling for spelling in every if spelling.startswith("--")]


def _named(command: Command) -> tuple[str, ...]:
    return () if command is CHECK else (command.name,)


def _did_you_mean(cause: str, *words: str) -> UsageError:
    return UsageError(f"{cause}; did you mean: {_line(*words)}")


def _line(*words: str) -> str:
    return join(("portcheck", *words))


def _is_port(word: str) -> bool:
    return word.isascii() and word.isdigit() and len(word) <= 5


def _is_candidate(word: str) -> bool:
    return bool(word) and all(_is_port(each) for part in word.split(",") for each in part.split("-"))


def _is_domain(word: str) -> bool:
    """`example.com`; a program's name may have a dot as well, so what follows decides."""
    return "." in word and word.rpartition(".")[2].isalpha()


def _may_be_a_program(word: str) -> bool:
    return word[:1].isalpha() and word.isascii() and all(each.isalnum() or each in "._-+" for each in word)
