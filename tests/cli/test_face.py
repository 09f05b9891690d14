"""What a person sees at a terminal, for real: in a pseudo-terminal of several widths."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from support.namespaces import Host
from support.needs import need
from support.person import Person
from support.portcheck_command import PORTCHECK
from support.processes import NOBODY, SYSTEM_PYTHON
from support.terminal import Terminal

BARE = "/usr/sbin:/usr/bin:/sbin:/bin"  # where no portcheck is
COLOUR = re.compile("\x1b\\[[0-9;]*m")


def seen(host: Host, line: str, width: int = 80, *, uid: int = 0, env: dict[str, str] | None = None) -> list[str]:
    """The lines that a terminal of this width shows, stdout and stderr together."""
    need("script")
    typed = f"stty cols {width}; {shlex.quote(str(PORTCHECK))} {line}"
    environment = {
        "PATH": BARE,
        "TERM": "xterm",
        "COLUMNS": "",
        "LC_ALL": "C.UTF-8",
        "PYTHONDONTWRITEBYTECODE": "1",
        **(env or {}),
    }
    done = host.run(["script", "-qec", typed, "/dev/null"], check=False, uid=uid, env=environment)
    return done.stdout.replace("\r", "").splitlines()


@pytest.mark.parametrize("width", [40, 80, 120])
def test_one_port_at_a_glance(host: Host, width: int) -> None:
    server = host.hold("127.0.0.1", 3000)
    lines = seen(host, "3000 --color=never", width)
    assert lines[0].startswith("✗ 3000 is in use by python3 (PID")
    assert str(server.pid) in " ".join(lines[:2])
    assert lines[-1] == f"  {PORTCHECK} stop 3000"
    assert width < 80 or len(lines) <= 8
    assert max(map(len, lines[:-1])) <= width


def test_the_advice_of_two_holders_works(host: Host) -> None:
    """Each command names one of them, and as it is printed it stops that one."""
    first, second = host.hold("127.0.0.1", 3000), host.hold("::1", 3000, "v6only")
    lines = seen(host, "3000 --color=never", 120)
    commands = [line.strip() for line in lines if line.strip().startswith(str(PORTCHECK))]
    assert [command.split()[-2:] for command in commands] == [["--pid", str(each.pid)] for each in (first, second)]
    host.run([*shlex.split(commands[1]), "--yes"], check=False)
    assert second.wait(30) is not None
    assert first.poll() is None


def test_several_ports_have_a_line_each(host: Host) -> None:
    host.hold("127.0.0.1", 3000)
    lines = seen(host, "3000 8000-8010 --color=never")
    assert [line.split()[:2] for line in lines] == [["✗", "3000"], ["✓", "8000-8010"]]


def test_denied_ports_share_a_line(host: Host, for_everyone: list[str]) -> None:
    typed = shlex.join([*for_everyone, "20-23", "8000", "--color=never"])
    done = host.run(["script", "-qec", f"stty cols 80; {typed}", "/dev/null"], uid=NOBODY, check=False,
                    env={"TERM": "xterm", "COLUMNS": "", "LC_ALL": "C.UTF-8"})  # fmt: skip
    assert [line.split()[1] for line in done.stdout.splitlines() if line[:1] in "✗✓"] == ["20-23", "8000"]


def test_a_holder_that_only_root_sees_is_asked_for_with_sudo(host: Host, for_everyone: list[str]) -> None:
    host.hold("127.0.0.1", 3000)
    typed = shlex.join([*for_everyone, "3000", "--color=never"])
    done = host.run(["script", "-qec", typed, "/dev/null"], uid=NOBODY, check=False,
                    env={"TERM": "xterm", "COLUMNS": "80", "LC_ALL": "C.UTF-8"})  # fmt: skip
    (command,) = [line.strip() for line in done.stdout.splitlines() if line.strip().startswith("sudo ")]
    words = shlex.split(command)[1:]
    assert words[0].startswith("/")
    assert host.run([*words, "--dry-run"] if "stop" in words else words, check=False).returncode in (0, 1)


def test_hidden_holders_of_several_ports_are_asked_for_once(host: Host, person: Person) -> None:
    """And what is printed for that shows them."""
    held = [host.hold("127.0.0.1", port) for port in (3000, 3002)]
    lines = person.shows(f"stty cols 80; {person.portcheck} 3000-3002 --color=never").splitlines()
    assert (len(lines), lines[0]) == (6, "✗ 3000       a process of root (hidden from here)")
    shown = person.shows(lines[-1].strip())
    assert all(f"PID {each.pid}" in shown for each in held)


LINK_LOCAL = """
import socket, sys
made = socket.socket(socket.AF_INET6)
made.bind((sys.argv[1], 3000, 0, socket.if_nametoindex("eth0")))
made.listen()
print("ready", flush=True)
sys.stdin.read()
"""


def test_a_link_local_address_has_its_interface(host: Host) -> None:
    (address,) = re.findall(r"fe80::\S+(?=/)", host.run(["ip", "-6", "address", "show", "dev", "eth0"]).stdout)
    host.start([SYSTEM_PYTHON, "-c", LINK_LOCAL, address], ready=b"ready")
    assert f"listens on {address}%eth0; " in " ".join(seen(host, "3000 --color=never", 200))


@pytest.mark.parametrize(
    ("options", "env", "coloured"),
    [
        ("", {}, True),
        ("--color=never", {"FORCE_COLOR": "1"}, False),
        ("", {"NO_COLOR": "1"}, False),
        ("--color=always", {"NO_COLOR": "1"}, True),
    ],
)
def test_colours(host: Host, options: str, env: dict[str, str], *, coloured: bool) -> None:
    assert bool(COLOUR.search("\n".join(seen(host, f"8000 {options}", env=env)))) is coloured


def test_ascii_where_the_terminal_has_no_more(host: Host) -> None:
    (line,) = seen(host, "8000 --color=never", env={"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii"})
    assert line == "ok 8000 is free on every IPv4 and IPv6 address"


def test_list_shows_the_port_first_and_nothing_as_nothing(host: Host) -> None:
    server = host.hold("127.0.0.1", 3000)
    heading, line = seen(host, "list --color=never")
    assert heading.split()[:4] == ["PORT", "ADDRESS", "PROGRAM", "PID"]
    assert line.split()[:4] == ["3000", "127.0.0.1", "python3", str(server.pid)]
    for words in ("python", ":3000", "localhost:3000", "--mine", "3000-3010"):
        assert seen(host, f"list {words} --color=never")[1].split()[0] == "3000"
    assert seen(host, "list 99") == ["nothing listens on 99"]
    assert seen(host, "list redis-server") == ["no program called redis-server listens here"]


def test_an_unknown_user_is_a_mistake(host: Host) -> None:
    done = host.portcheck("list", "--user", "no-such-user")
    assert (done.returncode, done.stderr) == (2, "portcheck: unknown user 'no-such-user'\n")
    assert host.portcheck("list", "--user", "nobody").returncode == 0


def test_list_tells_how_a_holder_came_to_run(host: Host) -> None:
    server = host.hold("127.0.0.1", 3000)
    shown = " ".join(" ".join(seen(host, "list -v 3000 --color=never")).split())
    assert f"→ python3 -c (PID {server.pid}," in shown or f"→ python3 (PID {server.pid}," in shown


def test_wait_says_at_once_what_it_waits_for(host: Host) -> None:
    with Terminal(host, ["env", "TERM=xterm", "COLUMNS=80", "NO_COLOR=1", str(PORTCHECK), "wait", "8000"]) as terminal:
        said = terminal.shows("at most)")
        assert said == "waiting for port 8000: nothing listens there yet (for 30 s at most)\r\n"


def test_a_complaint_is_wrapped_at_words(host: Host) -> None:
    lines = seen(host, "no-such-service-at-all --color=never", 40)
    assert max(map(len, lines)) <= 40
    assert "did you mean: portcheck list no-such-service-at-all" in " ".join(" ".join(lines).split())


def test_scripts_portcheck_is_named_as_it_was_called(host: Host) -> None:
    host.hold("127.0.0.1", 3000)
    done = host.run([str(PORTCHECK), "3000"], check=False, env={"PORTCHECK_CALLED_AS": "scripts/portcheck"},
                    cwd=Path(__file__).parents[2])  # fmt: skip
    assert "      scripts/portcheck stop 3000" in done.stdout.splitlines()
