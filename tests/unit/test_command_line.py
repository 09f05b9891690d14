"""Both readers, ours and typer's, made from one table: they take the same lines, and mean the same."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterable, Sequence
from contextlib import redirect_stdout
from io import StringIO
from itertools import chain
from random import Random
from typing import Any

import pytest
import typer
from hypothesis import find, given, settings
from hypothesis import strategies as st

from portcheck.cli import help as help_
from portcheck.cli import options as table
from portcheck.cli import parse as reader
from portcheck.cli.options import ALIASES, COMMANDS
from portcheck.cli.pages import page
from portcheck.cli.parse import parse
from portcheck.cli.table import Choice, Command, Option, Whole, parse_duration, parse_lease
from portcheck.errors import UsageError
from portcheck.render.help import panels
from portcheck.requests import (
    CheckRequest,
    CompletionRequest,
    HelpRequest,
    ListRequest,
    McpRequest,
    PickRequest,
    PreflightRequest,
    RunRequest,
    StopRequest,
    VerifyRequest,
    VersionRequest,
    WaitRequest,
    WatchRequest,
)

APP = typer.main.get_command(help_.app())
REFUSED, HELP = "refused", "help"


def by_us(argv: Sequence[str]) -> object:
    try:
        request = parse(argv)
    except UsageError:
        return REFUSED
    return HELP if isinstance(request, HelpRequest) else (type(request), request)


def by_typer(argv: Sequence[str]) -> object:
    words, command = [*argv], tuple[str, ...]()
    named = COMMANDS.get(words[0]) if words else None
    if named and named.trailing and "--" in words:
        place = words.index("--")
        words, command = words[:place], tuple(words[place + 1 :])
    if words[0] not in (*COMMANDS, *ALIASES, "--help", "-h"):
        words = ["check", *words]
    try:
        with redirect_stdout(StringIO()):
            request = APP.main(words, prog_name="portcheck", standalone_mode=False, obj=command)
    except Exception as error:
        # Some versions of typer bring click along, others import it: their errors are known by this method.
        if isinstance(error, UsageError) or hasattr(error, "format_message"):
            return REFUSED
        raise
    return HELP if request == 0 else (type(request), request)


# Lines, made from the table.

OPERANDS = ("80", "8000-8010", "127.0.0.1:80", "[::1]:80", "http", "list", "check", "", "-", "\x1b[31m", "\udcff")
TEXTS = ("web", "::1", "", "-", "-x", "--json", "a=b", "\udcff")
DURATIONS = ("5", "0", "2s", "500ms", "", "3d", "-1", "x")
NUMBERS = ("1", "2", "65535", "0", "-1", "65536", "", "x", "1.5", "0x10")


def values(option: Option) -> tuple[str, ...]:
    """Good ones first, bad ones last."""
    if option.read in (parse_duration, parse_lease):
        return DURATIONS
    if isinstance(option.read, Whole):
        return NUMBERS
    return (*option.read.words, "", "xml") if isinstance(option.read, Choice) else TEXTS


def written(option: Option, spelling: str, value: str) -> list[list[str]]:
    """Every way to write an option."""
    if not option.metavar:
        return [[spelling]]
    attached = f"{spelling}={value}" if spelling.startswith("--") else f"{spelling}{value}"
    return [[spelling, value], [attached]]


def right_or_wrong(option: Option) -> st.SearchStrategy[list[str]]:
    spellings = st.sampled_from(option.spellings)
    right = st.tuples(spellings, st.sampled_from(values(option))).flatmap(
        lambda pair: st.sampled_from(written(option, *pair))
    )
    lacking_or_too_much = spellings.flatmap(
        lambda spelling: st.sampled_from([[spelling], [f"{spelling}="], [f"{spelling}=1"], [spelling[:-1]]])
    )
    return st.one_of(right, right, right, lacking_or_too_much)


def chunks(command: Command) -> st.SearchStrategy[list[str]]:
    letters = [spelling[1] for option in command.options for spelling in option.spellings if len(spelling) == 2]
    bundle = st.text(st.sampled_from([*letters, "h", "2", "z", "="]), min_size=1, max_size=4)
    # Typer has another idea of what a value is that may be left out.
    options = [option for option in command.options if option.bare is None]
    return st.one_of(
        st.sampled_from(OPERANDS).map(lambda word: [word]),
        st.sampled_from(options).flatmap(right_or_wrong),
        st.sampled_from(options).flatmap(right_or_wrong),
        bundle.map(lambda some: [f"-{some}"]),
        st.sampled_from([["--"], ["--bad"], ["--help"], ["-5"], ["---"], ["--=1"], ["--", "true", "--udp"]]),
    )


def joined(parts: Iterable[list[str]]) -> list[str]:
    return [*chain.from_iterable(parts)]


def lines(command: Command) -> st.SearchStrategy[list[str]]:
    """The words of a command line, by name or habit; the name of `check` may be left out."""
    named = [[name, *some] for name in (command.name, *command.aliases) for some in ([], ["80"])]
    start = st.sampled_from([*named, *([["80"]] if command is table.CHECK else [])])
    some = st.lists(chunks(command), max_size=5).map(joined)
    end = st.just(["--", "true"]) if command.trailing else st.just([])
    return st.tuples(start, some, st.one_of(st.just([]), end)).map(joined)


LINES = st.sampled_from([*COMMANDS.values()]).flatmap(lines)


@settings(max_examples=3000, deadline=None)
@given(LINES)
def test_both_readers_mean_the_same_by_every_line(argv: list[str]) -> None:
    assert by_us(argv) == by_typer(argv)


def every_option() -> list[list[str]]:
    """Each option of each command, alone, in every way of writing it."""
    lines = []
    for command in COMMANDS.values():
        for option in command.options:
            alone = (option.name, command.operands.field) in command.excludes
            for spelling in option.spellings:
                for words in written(option, spelling, values(option)[0]):
                    takes_one = command.trailing and (option.name, command.trailing) not in command.excludes
                    end = ["--", "true"] if takes_one else []
                    lines.append([command.name, *([] if alone else ["80"]), *words, *end])
    return lines


@pytest.mark.parametrize("argv", every_option(), ids=" ".join)
def test_every_option_alone_is_taken_by_both(argv: list[str]) -> None:
    assert by_us(argv) == by_typer(argv)
    assert by_us(argv) != REFUSED


# That a difference would be found.


def without(option: Option, **changes: Any) -> Callable[[Command], Command]:
    """A change of one option in a command's table."""
    return lambda command: command._replace(
        options=tuple(each._replace(**changes) if each is option else each for each in command.options)
    )


(EXCLUDE,) = [option for option in table.PICK.options if option.name == "--exclude"]
(COUNT,) = [option for option in table.PICK.options if option.name == "-n"]
(LISTENING,) = [option for option in table.WAIT.options if option.name == "--listening"]
(RUN_HOST,) = [option for option in table.RUN.options if option.name == "--host"]
DEVIATIONS: dict[str, tuple[Command, Callable[[Command], Command]]] = {
    "not repeatable": (table.PICK, without(EXCLUDE, repeatable=False)),
    "another bound": (table.PICK, without(COUNT, read=Whole(1, 65536))),
    "another field": (table.PICK, without(COUNT, field="stable")),
    "a spelling less": (table.CHECK, without(table.QUIET, spellings=("--quiet",))),
    "no value": (table.CHECK, without(table.PROFILE, metavar=None)),
    "another value": (table.LIST, without(table.NO_COLOR, value="always")),
    "nothing that follows": (table.RUN, without(RUN_HOST, also=())),
    "other opposites": (table.WAIT, without(LISTENING, value=True)),
    "no opposites": (table.LIST, lambda command: command._replace(excludes=())),
    "no needs": (table.STOP, lambda command: command._replace(needs=())),
    "a need less": (table.RUN, lambda command: command._replace(needs=command.needs[:1])),
}


@pytest.mark.parametrize("deviation", DEVIATIONS)
def test_a_difference_in_the_table_would_be_found(deviation: str, monkeypatch: pytest.MonkeyPatch) -> None:
    command, change = DEVIATIONS[deviation]
    monkeypatch.setitem(COMMANDS, command.name, change(command))
    both = [[command.name, *pair] for pair in command.excludes]  # too rare a pair to wait for
    difference_is_found(st.sampled_from(both) if deviation == "no opposites" else lines(command))


def options_in_a_word(monkeypatch: pytest.MonkeyPatch, change: Callable[[str], str]) -> None:
    real = reader._Reader._options_in
    monkeypatch.setattr(reader._Reader, "_options_in", lambda self, word: real(self, change(word)))


@pytest.mark.parametrize(
    "change",
    [
        lambda word: word.partition("=")[0],  # `=` and what follows is dropped
        lambda word: word if word.startswith("--") else word[:2],  # of a bundle only the first is read
        lambda word: "--no-probe" if word == "--no-prob" else word,  # an abbreviation is taken
    ],
    ids=["attached values", "bundles", "abbreviations"],
)
def test_a_difference_in_reading_would_be_found(change: Callable[[str], str], monkeypatch: pytest.MonkeyPatch) -> None:
    options_in_a_word(monkeypatch, change)
    difference_is_found(lines(table.PICK))


def test_the_first_of_two_values_would_be_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def take(self: Any, option: Option, spelling: str, attached: str | None, rest: Any) -> None:
        if option.repeatable or option.name not in self._given:
            real(self, option, spelling, attached, rest)
        elif option.metavar and attached is None:
            del rest[-1:]

    real = reader._Reader._take
    monkeypatch.setattr(reader._Reader, "_take", take)
    difference_is_found(lines(table.PICK))


def difference_is_found(where: st.SearchStrategy[list[str]]) -> None:
    """Always by the same lines: whether a rare one comes up is no matter of luck."""
    same = settings(max_examples=20_000, database=None)
    find(where, lambda argv: by_us(argv) != by_typer(argv), settings=same, random=Random(0))


# By hand.


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("80", CheckRequest(("80",))),
        ("-- 80", CheckRequest(("80",))),
        ("check 80 443 --json", CheckRequest(("80", "443"), face="json")),
        ("80 -qv --host=::1 --host lo", CheckRequest(("80",), ("::1", "lo"), quiet=True, verbose=True)),
        ("--udp 53 --as node --no-color", CheckRequest(("53",), udp=True, profile="node", color="never")),
        ("check list", CheckRequest(("list",))),
        ("check -- -5 --json", CheckRequest(("-5", "--json"))),
        ("check - --host --udp", CheckRequest(("-",), ("--udp",))),
        ("''", CheckRequest(("",))),
        ("list", ListRequest()),
        ("list --tcp 80 --pids --pid=7", ListRequest(("80",), tcp=True, pids=True, pid=7)),
        ("list --plain --user ann --name= --all", ListRequest(face="plain", user="ann", name="", all=True)),
        ("pick 1 2-3 -n2", PickRequest(("1", "2-3"), wanted=2)),
        ("pick -n 2 -n 3 --any", PickRequest((), wanted=3, any=True)),
        ("pick 80 --exclude 1 --exclude=2 --json", PickRequest(("80",), exclude=("1", "2"), json=True)),
        ("stop 80 -y --settle 0 --pid 9", StopRequest(("80",), yes=True, settle=0, pid=9)),
        ("stop 80 --timeout=1.5m --dry-run", StopRequest(("80",), timeout=90, dry_run=True)),
        ("wait 80 --free --timeout 500ms", WaitRequest(("80",), free=True, timeout=0.5)),
        ("watch", WatchRequest()),
        ("watch --no-notices --initial", WatchRequest(notices=False, initial=True)),
        ("watch 80 node --udp --for 10m", WatchRequest(("80", "node"), udp=True, seconds=600)),
        ("watch --json --exit-on closed --interval 500ms", WatchRequest(face="json", exit_on="closed", interval=0.5)),
        ("wait 80 443 --any --listening", WaitRequest(("80", "443"), any=True)),
        ("run 80 -- npm run -- --help", RunRequest(("80",), ("npm", "run", "--", "--help"))),
        ("run 80 -q --host lo -- a", RunRequest(("80",), ("a",), host="lo", everywhere=False, quiet=True)),
        ("run --retries=2 80 --wait-ready -- a", RunRequest(("80",), ("a",), retries=2, wait_ready=True)),
        ("preflight", PreflightRequest()),
        ("preflight -C dir --no-docker", PreflightRequest(directory="dir", docker=False)),
        ("preflight -Cdir --format github -q", PreflightRequest(directory="dir", format="github", quiet=True)),
        ("preflight a b --json --format json", PreflightRequest(("a", "b"), format="json")),
        ("verify", VerifyRequest()),
        ("verify -C dir --only --strict", VerifyRequest(directory="dir", only=True, strict=True)),
        ("verify --write a.toml --force", VerifyRequest(("a.toml",), write=True, force=True)),
        ("verify --format junit -q", VerifyRequest(format="junit", quiet=True)),
        ("mcp", McpRequest()),
        ("mcp check list --allow-stop", McpRequest(("check", "list"), allow_stop=True)),
        ("", HelpRequest(("--help",))),
        ("-h", HelpRequest(("-h",))),
        ("--help list", HelpRequest(("--help",))),
        ("80 -h", HelpRequest(("check", "--help"))),
        ("pick --help", HelpRequest(("pick", "--help"))),
        ("run -qh -- npm --help", HelpRequest(("run", "--help"))),
        ("help", HelpRequest(("--help",))),
        ("help stop", HelpRequest(("stop", "--help"))),
        ("help kill", HelpRequest(("stop", "--help"))),
        ("--show-completion", CompletionRequest()),
        ("--show-completion zsh", CompletionRequest("zsh")),
        ("--install-completion=fish", CompletionRequest("fish", install=True)),
        ("--version", VersionRequest()),
        ("-V", VersionRequest()),
        ("kill 80 -y", StopRequest(("80",), yes=True)),
        ("ls", ListRequest()),
        ("ls node", ListRequest(("node",))),
        ("-p 3000 --port=4000 5000", CheckRequest(("5000", "3000", "4000"))),
        ("list -p 80", ListRequest(("80",))),
        ("80 --tcp", CheckRequest(("80",))),
        ("80 -4", CheckRequest(("80",), family="ipv4")),
        ("stop -6 80", StopRequest(("80",), family="ipv6")),
        ("list -4", ListRequest(family="ipv4")),
        ("stop --pid 9", StopRequest((), pid=9)),
        ("run 80 --color=always -- a", RunRequest(("80",), ("a",), color="always")),
        ("preflight --color never", PreflightRequest(color="never")),
        ("80 --color=auto", CheckRequest(("80",))),
    ],
)
def test_what_a_line_means(line: str, expected: object) -> None:
    request = parse(shlex.split(line))
    assert (type(request), request) == (type(expected), expected)


@pytest.mark.parametrize(
    ("line", "cause", "remedy"),
    [
        ("80 --jsn", "unknown option --jsn; did you mean --json?", None),
        ("80 --tcp --udp", "--tcp and --udp exclude each other", None),
        ("80 -4 -6", "-4 and -6 exclude each other", None),
        ("80 --color=red", "unknown time for colours 'red'; accepted: auto, always, never", None),
        ("80 --color=always --no-color", "--color always and --no-color exclude each other", None),
        ("--show-completion csh", "unknown shell 'csh'; accepted: bash, zsh, fish, powershell", None),
        ("--show-completion bash zsh", "--show-completion takes the name of one shell", None),
        ("stop 80 --bad", "unknown option --bad", "portcheck stop --help shows what is accepted"),
        ("80 -qz", "unknown option -z", "portcheck check --help shows what is accepted"),
        ("-5", "unknown option -5; did you mean: portcheck 5", None),
        ("80 --udp=1", "option --udp takes no value", None),
        ("pick -n", "option -n needs a value: -n K", None),
        ("run 80 --host -- a", "option --host needs a value: --host ADDRESS", None),
        ("pick 80 -n x", "'x' is no number from 1 to 65535", None),
        ("wait 80 --timeout 3d", "'3d' is no duration; accepted: 30, 2s, 500ms, 1.5m, 1h", None),
        ("preflight --format x", "unknown format 'x'; accepted: text, json, github, junit", None),
        ("80 --plain --json", "--json and --plain exclude each other", None),
        ("wait 80 --free --listening", "--free and --listening exclude each other", None),
        ("wait 80 --all --any", "--any and --all exclude each other", None),
        ("list --json --pids", "--pids and --json exclude each other", None),
        ("preflight --json --format github", "--json and --format github exclude each other", None),
        ("preflight -C . a", "--directory and files exclude each other", None),
        ("check", "check needs a target, such as 80", None),
        ("stop --yes", "stop needs a target, such as 3000", None),
        ("wait --free", "wait needs a target, such as 5432", None),
        ("pick --json", "pick needs candidates, such as 8000 8001 9000-9010, or --any", None),
        ("run 80", "run needs candidates, -- and a command", "example: portcheck run 8000-8010 -- npm run dev"),
        ("run -- a", "run needs candidates, -- and a command; did you mean: portcheck run 8000-8010 -- a", None),
    ],
)
def test_what_is_wrong_is_named(line: str, cause: str, remedy: str | None) -> None:
    with pytest.raises(UsageError) as raised:
        parse(shlex.split(line))
    assert raised.value.cause.startswith(cause)
    assert (raised.value.remedy or "").startswith(remedy or "")
    assert (raised.value.remedy is None) is (remedy is None)


# The table itself.


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_every_field_of_a_request_can_be_filled(command: Command) -> None:
    filled = {option.field for option in command.options} | {command.operands.field, command.trailing}
    filled |= {field for option in command.options for field, _ in option.also}
    assert filled - {None} == {*command.request._fields}  # type: ignore[attr-defined]


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_help_tells_the_request_s_own_defaults(command: Command) -> None:
    defaults = command.request._field_defaults  # type: ignore[attr-defined]
    for option in command.options:
        if option.default is not None:
            assert option.read(option.default) == defaults[option.field]
        elif isinstance(option.read, Whole) or option.read is parse_duration:
            assert defaults[option.field] is None


def everything_of(command: Command) -> list[str]:
    """What help has to tell of a command."""
    texts = [command.summary, *command.details, *command.aliases, command.operands.help]
    texts += [part for example in command.examples for part in example]
    for option in (*command.options, table.HELP):
        value = option.metavar if option.bare is None else f"[{option.metavar}]"
        texts += [f"{', '.join(sorted(option.spellings, key=len))} {value or ''}".strip(), option.help]
        texts += [] if option.default is None else [f"[default: {option.default}]"]
    return texts


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
@pytest.mark.parametrize("width", [0, 40, 80, 200])
def test_help_tells_everything(command: Command, width: int) -> None:
    """As plain text by typer, and in panels of every width."""
    if width:
        shown = unframed(panels(page(command.name), width=width, colour=False))
    else:
        code, shown = help_.answer((command.name, "--help"))
        assert code == 0
    assert [text for text in everything_of(command) if squeezed(text) not in squeezed(shown)] == []
    assert not re.search(r"<\w+|\[x[<>]", shown)  # typer's own types, and click's bounds


def unframed(lines: Iterable[str]) -> str:
    return " ".join(line.strip("│ ") for line in lines)


def squeezed(text: str) -> str:
    return "".join(text.split())


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_options_stand_under_headings(command: Command) -> None:
    _, text = help_.answer((command.name, "--help"))
    headings = [line.removesuffix(":") for line in text.splitlines() if line.endswith(":") and line[0] != " "]
    groups = dict.fromkeys(option.group for option in command.options)
    servers = ["SERVER is one of"] if table.PROFILE in command.options else []
    assert headings == ["Arguments", *groups, "Help", *servers, "Examples"]


def test_help_lists_every_command_in_its_group() -> None:
    code, text = help_.answer(("--help",))
    assert code == 0
    groups: dict[str, str] = {}
    heading = ""
    for line in text.splitlines():
        if line.endswith(":") and line[0] != " ":
            heading = line.removesuffix(":")
        elif words := line.split():
            groups[words[0]] = heading
    assert groups.items() >= {command.name: command.group for command in COMMANDS.values()}.items()
    assert all(squeezed(command.summary) in squeezed(text) for command in COMMANDS.values())
    assert table.SUMMARY in " ".join(text.split())
    assert all(spelling in text for spelling in ("--version", "-h, --help", *table.COMPLETION))


def test_a_habit_has_the_help_of_its_command() -> None:
    assert help_.answer(("kill", "--help")) == help_.answer(("stop", "--help"))


def test_panels_have_colour_only_where_it_is_wanted() -> None:
    assert "\x1b[" not in "".join(panels(page("stop"), width=80, colour=False))
    assert "\x1b[" in "".join(panels(page("stop"), width=80, colour=True))


@pytest.mark.parametrize("example", [example.line for command in COMMANDS.values() for example in command.examples])
def test_every_example_can_be_typed(example: str) -> None:
    program, *argv = shlex.split(example)
    assert program == "portcheck"
    assert not isinstance(parse(argv), HelpRequest)
