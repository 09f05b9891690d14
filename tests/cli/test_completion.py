"""Completion in the shells themselves: each is asked, in a namespace with a server, what it would offer."""

from __future__ import annotations

import os
import pty
import re
import select
import shlex
import subprocess
import sys
import time
from collections.abc import Collection, Sequence
from pathlib import Path

import pytest
from support.namespaces import Host
from support.needs import need
from support.patience import PATIENCE
from support.portcheck_command import PORTCHECK
from support.processes import end

from portcheck.cli.completion import SCRIPTS, expected, script

ENVIRON = {"PATH": f"{PORTCHECK.parent}:/usr/bin:/bin", "TERM": "dumb", "HOME": "/nonexistent", "LC_ALL": "C.UTF-8"}
# What is typed → some of what is offered.
LINES = {
    "portcheck ": {"check", "stop", "8000"},
    "portcheck st": {"stop"},
    "portcheck 80": {"8000"},
    "portcheck stop ": {"8000"},
    "portcheck stop 127.0.0.1:8": {"127.0.0.1:8000"},
    "portcheck check --as n": {"node", "nginx"},
    "portcheck 80 --as=ng": {"--as=nginx"},
    "portcheck preflight --format g": {"github"},
    "portcheck 80 --host e": {"eth0"},
    "portcheck 80 --host 192": {"192.0.2.7"},
    "portcheck list --user r": {"root"},
    "portcheck 80 --no-p": {"--no-probe"},
    "portcheck help w": {"wait"},
    "portcheck --show-completion z": {"zsh"},
}


def offered_by_bash(host: Host, line: str, directory: Path) -> set[str]:
    """As readline calls the function: with the line taken apart at COMP_WORDBREAKS."""
    words = [word for word in re.split(r"\s+|([:=])", line) if word] + ([""] if line.endswith(" ") else [])
    asked = f"""
source {directory}/portcheck.bash
COMP_LINE={shlex.quote(line)} COMP_POINT=${{#COMP_LINE}} COMP_TYPE=9
COMP_WORDS=({shlex.join(words)}) COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
_portcheck portcheck
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
    done = host.run(["env", "-i", *(f"{k}={v}" for k, v in ENVIRON.items()), "bash", "--norc", "-c", asked])
    # what stands before the last : or = is on the line already
    before = re.search(r"\S*[:=](?=[^:=\s]*$)", line)
    return {(before[0] if before else "") + each for each in done.stdout.split("\n") if each}


def offered_by_fish(host: Host, line: str, directory: Path) -> set[str]:
    asked = f"source {directory}/portcheck.fish; complete --do-complete {shlex.quote(line)}"
    done = host.run(
        ["env", "-i", *(f"{k}={v}" for k, v in {**ENVIRON, "HOME": str(directory)}.items()), "fish", "--private",
         "--no-config", "-c", asked]
    )  # fmt: skip
    return {each.partition("\t")[0] for each in done.stdout.splitlines()}


def shown_by_zsh(host: Host, line: str, directory: Path, awaited: Collection[str]) -> str:
    """What a zsh at a terminal shows when TAB is pressed after the line, until it has shown what is awaited."""
    (directory / ".zshrc").write_text(
        f"PS1='ready> '; fpath=({directory} $fpath); autoload -Uz compinit; compinit -u -d {directory}/dump\n"
        "zstyle ':completion:*' menu no; setopt list_ambiguous no_list_beep; LISTMAX=1000; unsetopt auto_menu\n"
    )
    environ = {**ENVIRON, "HOME": str(directory), "ZDOTDIR": str(directory), "TERM": "vt100", "COLUMNS": "200"}
    argv = host.argv(["setsid", "--ctty", "env", "-i", *(f"{k}={v}" for k, v in environ.items()), "zsh", "-i"])
    # Where nothing is typed yet TAB would be one itself; ^D lists what there is.
    keys = f"{line}\x04" if line.endswith(" ") else f"{line}\t"
    return typed_at(argv, [("ready> ", keys)], awaited)


def typed_at(argv: Sequence[str], exchange: Sequence[tuple[str, str]], awaited: Collection[str]) -> str:
    """Types each text when what comes before it is shown; then all that is shown until it has what is awaited."""
    keyboard, inside = pty.openpty()
    program = subprocess.Popen(argv, stdin=inside, stdout=inside, stderr=inside)
    os.close(inside)
    shown = ""
    try:
        for prompt, keys in exchange:
            shown += shown_until(keyboard, {prompt})
            os.write(keyboard, keys.encode())
        return shown + shown_until(keyboard, awaited)
    finally:
        end(program)
        os.close(keyboard)


def shown_until(keyboard: int, awaited: Collection[str]) -> str:
    shown, over = "", time.monotonic() + PATIENCE
    while not all(each in shown for each in awaited):
        readable = select.select([keyboard], [], [], max(over - time.monotonic(), 0))[0]
        assert readable, f"{awaited} is not in {shown!r}"
        shown += os.read(keyboard, 4096).decode(errors="replace")
    return shown


@pytest.fixture
def scripts(tmp_path: Path) -> Path:
    for shell, name in SCRIPTS.items():
        (tmp_path / name).write_text(script(shell))
    return tmp_path


@pytest.mark.parametrize("line", LINES)
def test_bash(host: Host, scripts: Path, line: str) -> None:
    need("bash")
    host.hold("0.0.0.0", 8000)
    assert offered_by_bash(host, line, scripts) >= LINES[line]


@pytest.mark.parametrize("line", LINES)
def test_fish(host: Host, scripts: Path, line: str) -> None:
    need("fish")
    host.hold("0.0.0.0", 8000)
    assert offered_by_fish(host, line, scripts) >= LINES[line]


@pytest.mark.parametrize("line", ["portcheck ", "portcheck stop 127.0.0.1:8", "portcheck check --as n"])
def test_zsh(host: Host, scripts: Path, line: str) -> None:
    need("zsh")
    host.hold("0.0.0.0", 8000)
    shown_by_zsh(host, line, scripts, LINES[line])


HOSTILE = "$(touch x);`touch y`'\"\n\t%F{red}\x1b[31m\\*"


def test_a_stranger_s_name_runs_nothing(host: Host, scripts: Path, tmp_path: Path) -> None:
    """A program's name is shown beside its port, and each shell that shows it shows it as text."""
    need("bash", "zsh", "fish")
    held = host.hold("127.0.0.1", 8000, "name", HOSTILE[:15])
    host.hold("127.0.0.1", 8001, "name", HOSTILE[15:30])
    for line, awaited in {
        "portcheck ": "8001",
        "portcheck list --pid ": str(held.pid),
        "portcheck kill ": "8000",
    }.items():
        offered = offered_by_bash(host, line, scripts), offered_by_fish(host, line, scripts)
        assert all(re.fullmatch(r"[\w._:%+-]*", each) for some in offered for each in some), offered
        shown = shown_by_zsh(host, line, scripts, {awaited})
        assert "\x1b[31m" not in shown
    assert not [name for folder in (tmp_path, Path.cwd()) for name in ("x", "y") if (folder / name).exists()]
    assert "8000" in offered_by_bash(host, "portcheck 80", scripts)


def test_a_hostile_interface_is_not_offered(scripts: Path) -> None:
    with Host(devices=("$(id)", "peer0")) as host:
        assert not any("(" in each for each in offered_by_bash(host, "portcheck 80 --host ", scripts))


def test_descriptions_are_listed_by_bash_but_never_typed(host: Host, scripts: Path) -> None:
    host.hold("0.0.0.0", 8000)
    host.hold("0.0.0.0", 8001)
    for kind, described in ((9, False), (63, True)):
        asked = (
            f"source {scripts}/portcheck.bash; COMP_LINE='portcheck 80' COMP_POINT=12 COMP_TYPE={kind} "
            "COMP_WORDS=(portcheck 80) COMP_CWORD=1; _portcheck portcheck; printf '%s\\n' \"${COMPREPLY[@]}\""
        )
        done = host.run(["bash", "--norc", "-c", asked], env=ENVIRON)
        assert ("8000  (python" in done.stdout) is described


def test_a_real_bash_completes_a_port_at_its_terminal(host: Host, scripts: Path) -> None:
    host.hold("0.0.0.0", 8000)
    environ = [f"{name}={value}" for name, value in ENVIRON.items()]
    argv = host.argv(["setsid", "--ctty", "env", "-i", *environ, "bash", "--norc", "-i"])
    source = f"PS1='ready> '; source {scripts}/portcheck.bash\r"
    exchange = [("bash-", source), ("\nready> ", "portcheck stop 127.0.0.1:8\t")]
    typed_at(argv, exchange, {"portcheck stop 127.0.0.1:8000"})


def asked_of_portcheck(words: Sequence[str], **environ: str) -> subprocess.CompletedProcess[str]:
    asking = {**os.environ, "_PORTCHECK_COMPLETE": "1", "_PORTCHECK_WORDS": "\n".join(words), **environ}
    return subprocess.run([PORTCHECK], env=asking, capture_output=True, text=True, timeout=PATIENCE, check=False)


def test_completion_imports_no_more_than_a_list() -> None:
    """So it takes no longer: it is a list whose lines are made in another way."""
    code = (
        "import sys\nfrom portcheck.__main__ import run\nsys.stdout = open('/dev/null', 'w')\nrun(sys.argv[1:])\n"
        "sys.stdout = sys.__stdout__\nprint('\\n'.join(sys.modules))"
    )

    def imported(*argv: str, **environ: str) -> set[str]:
        done = subprocess.run(
            [sys.executable, "-c", code, *argv],
            env={**os.environ, **environ},
            capture_output=True,
            text=True,
            check=True,
        )
        return set(done.stdout.split())

    listing = imported("list")
    completing = imported(_PORTCHECK_COMPLETE="1", _PORTCHECK_WORDS="stop\n")
    ours = {name for name in completing - listing if name.startswith("portcheck.")}
    assert ours <= {"portcheck.cli.completion", "portcheck.cli.pages", "portcheck.commands.completion",
                    "portcheck.render.completion", "portcheck.identify", "portcheck.identify.names"}  # fmt: skip
    assert not (completing - listing) & {"typer", "rich", "typing", "subprocess", "re", "importlib.resources"}


def test_nothing_is_complained_about_while_somebody_types() -> None:
    done = asked_of_portcheck(["3000:", "--bad", "x"], _PORTCHECK_COMPLETE="complete_bash")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        (["preflight", ""], "files"),
        (["preflight", "-C", ""], "directories"),
        (["run", "80", "--port-file", ""], "files"),
        (["run", "80", "--port-file="], "files"),
        (["run", "80", "--", ""], "commands"),
        (["run", "80", "--", "npm", ""], "files"),
        (["pick", ""], None),
        (["stop", "-p", ""], None),
    ],
)
def test_what_a_shell_completes_by_itself(words: list[str], kind: str | None) -> None:
    assert expected(words).by_the_shell == kind


@pytest.mark.parametrize(
    ("shell", "place"),
    [
        ("bash", ".local/share/bash-completion/completions/portcheck"),
        ("zsh", ".zfunc/_portcheck"),
        ("fish", ".config/fish/completions/portcheck.fish"),
    ],
)
def test_it_is_put_where_the_shell_looks(shell: str, place: str, tmp_path: Path) -> None:
    environ = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "SHELL": f"/bin/{shell}"}
    done = subprocess.run([PORTCHECK, "--install-completion"], env=environ, capture_output=True, text=True, check=True)
    assert (tmp_path / place).read_text() == script(shell)
    assert str(tmp_path / place) in done.stdout
    printed = subprocess.run([PORTCHECK, "--show-completion", shell], capture_output=True, text=True, check=True)
    assert printed.stdout == script(shell)


@pytest.mark.parametrize(("line", "said"), [("powershell", "$PROFILE"), ("", "bash|zsh|fish|powershell")])
def test_where_it_cannot_be_put_it_says_what_to_do(line: str, said: str, tmp_path: Path) -> None:
    environ = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "SHELL": "/bin/csh"}
    argv = [str(PORTCHECK), "--install-completion", *line.split()]
    done = subprocess.run(argv, env=environ, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, said in done.stderr) == (2, "", True)
    assert [*tmp_path.iterdir()] == []


def test_powershell_s_script_asks_as_the_others_do() -> None:
    """PowerShell cannot be had from Debian, PyPI or npm: its script has been read, not run (docs/platforms.md)."""
    text = script("powershell")
    assert all(name in text for name in ("_PORTCHECK_COMPLETE", "_PORTCHECK_WORDS", "CompletionResult]::new("))
    assert not re.search(r"Invoke-Expression|\biex\b", text)
    assert text.count("{") == text.count("}")
    assert text.count("(") == text.count(")")
