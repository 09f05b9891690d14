from __future__ import annotations

import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portcheck.identify.describe import CONDITIONS
from portcheck.model import Container, Process, Socket
from portcheck.render.owners import unowned
from portcheck.render.words import identity, listed, quoted, shortened, user


@pytest.mark.parametrize(
    ("items", "shown", "said"),
    [
        ([], 2, ""),
        (["a"], 2, "a"),
        (["a", "b", "c"], 2, "a, b, c"),  # "and 1 more" is no shorter than the one
        (["a", "b", "c", "d"], 2, "a, b and 2 more"),
        (["a", "b", "c", "d"], None, "a, b, c, d"),
    ],
)
def test_listed(items: list[str], shown: int | None, said: str) -> None:
    assert listed(items, shown) == said


def test_shortened() -> None:
    assert shortened("abcdef", 6) == "abcdef"
    assert shortened("abcdefg", 6) == "abcde…"
    assert shortened("a\nb" + "x" * 9, 3) == r"a\n…"
    assert shortened("x" * 999, None) == "x" * 999


@pytest.mark.parametrize(
    ("process", "said"),
    [
        (Process(1, uid=0, user="root"), "root"),
        (Process(1, uid=4321), "uid 4321"),
        (Process(1), None),
    ],
)
def test_user(process: Process, said: str | None) -> None:
    assert user(process) == said


@pytest.mark.parametrize(
    ("process", "said"),
    [
        (Process(1), ""),
        (Process(1, cwd="/"), ""),
        (Process(1, cwd="/srv/shop"), "in /srv/shop"),
        (Process(1, project="shop"), "project shop"),
        (
            Process(1, cwd="/srv/shop/api", project="shop", project_dir="/srv/shop"),
            "project shop; in /srv/shop",
        ),
        (Process(1, container=Container("docker", name="web")), "docker container web"),
        (Process(1, task="npm run dev", session="in tmux 0"), "started by npm run dev; in tmux 0"),
        (Process(1, started_by="make"), "child of make"),
        (Process(1, service="x.service", activation="x.socket"), "service x.service; activated by x.socket"),
        (Process(1, supervisor="pm2", condition=("stopped",)), "kept running by pm2; stopped"),
        (Process(1, role="forwarder", forwards="db:5432"), "forwarder; forwards to db:5432"),
        (
            Process(1, condition=("orphaned", "deleted-executable")),
            f"{CONDITIONS['orphaned']}; {CONDITIONS['deleted-executable']}",
        ),
    ],
)
def test_identity(process: Process, said: str) -> None:
    assert identity(process) == said


def test_sockets_of_nobody() -> None:
    left = Socket("tcp", "ipv4", "127.0.0.1", 80, state="TIME-WAIT", pids=(), expires_in=12.4)
    kernels = Socket("udp", "ipv4", "0.0.0.0", 4789, pids=())
    assert unowned([left]) == "1 TIME-WAIT socket (12 s left)"
    assert unowned([left, kernels, left._replace(expires_in=59.9)]) == "2 TIME-WAIT sockets (60 s left), 1 UDP socket"
    assert unowned([]) == ""


@given(st.lists(st.text(st.characters(min_codepoint=32, max_codepoint=126)), min_size=1))
def test_a_posix_shell_reads_the_same_words(command: list[str]) -> None:
    assert shlex.split(quoted(command, windows=False)) == command


def test_words_that_need_no_quotes_get_none() -> None:
    assert quoted(("sudo", "systemctl", "stop", "getty@tty1.service")) == "sudo systemctl stop getty@tty1.service"


def test_on_windows() -> None:
    command = ("sc.exe", "stop", "Print Spooler", "")
    assert quoted(command, windows=True) == 'sc.exe stop "Print Spooler" ""'
