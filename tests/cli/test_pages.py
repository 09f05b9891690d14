"""The examples of docs/, each page in one go at the terminal of a made-up host: word for word, but for what passes.

Where portcheck says it better now, `scripts/test tests/cli/test_pages.py --write` puts what it says into the pages.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.anns_computer import HOUR, SHOP, Computer, anns_computer
from support.needs import need
from support.rigs.sandbox import skip_if_unavailable

DOCS = Path(__file__).parents[2] / "docs"
CONSOLE = re.compile(r"(?m)^(?P<indent> *)```console\n(?P<lines>(?:.*\n)*?) *```$")
PYTHON = re.compile(r"```python\n(.*?)```", re.DOTALL)
# Seconds, the date, and the PID of what a line that was typed has started.
PASSES = re.compile(r"\b\d+(?= s\b)|\b\d{4}-\d\d-\d\d\b|(?<=PID )9\d{3}\b")
AT_WORK = "/home/ann/shop"
SERVER = "require('http').createServer().listen(+process.argv[2], process.argv[3])\n"

Scene = Callable[[Computer], None]


def node(host: Computer) -> None:
    host.start(812, ["node", "app.js"], "127.0.0.1:3000", age=3 * HOUR, cwd=AT_WORK)


def ending(host: Computer) -> None:
    host.start(812, ["node", "app.js"], "127.0.0.1:3000", age=0, cwd=AT_WORK)


def redis(host: Computer) -> None:
    argv = ["redis-server", "--port", "6379", "--bind", "127.0.0.1", "--save", ""]
    host.start(640, argv, "127.0.0.1:6379", age=3 * HOUR, user="redis", cwd="/")


def web(host: Computer) -> None:
    host.start(901, ["python3", "-m", "http.server", "8000"], "0.0.0.0:8000", age=2 * HOUR, cwd=AT_WORK)


def bound(host: Computer) -> None:
    script(host, 1015, "holder.py", 's = socket.socket(); s.bind(("127.0.0.1", 8300))')


def closed(host: Computer) -> None:
    closing = (
        's = socket.create_server(("127.0.0.1", 8400))',
        'c = socket.create_connection(("127.0.0.1", 8400))',
        "a = s.accept()[0]",
        "for each in (a, c, s): each.close()",
    )
    script(host, 1020, "closed.py", *closing)


def two(host: Computer) -> None:
    argv = ["python3", "-m", "http.server", "8500", "--bind", "127.0.0.1"]
    host.start(1025, argv, "127.0.0.1:8500", age=2 * HOUR, cwd=AT_WORK)
    host.start(1100, ["node", "server.js", "8500", "::1"], "[::1]:8500", age=HOUR, cwd=AT_WORK)


def outgoing(host: Computer) -> None:
    connecting = (
        's = socket.create_server(("127.0.0.1", 5000))',
        'c = socket.create_connection(("127.0.0.1", 5000), source_address=("127.0.0.1", 8600))',
    )
    script(host, 1200, "client.py", *connecting)


def script(host: Computer, pid: int, name: str, *lines: str) -> None:
    """A program of ann's that does this and stays."""
    steps = ("import socket, sys", *lines, 'print("ready", flush=True)', "sys.stdin.read()", "")
    (host.home / "shop" / name).write_text("\n".join(steps))
    host.start(pid, ["python3", name], "ready", age=HOUR, cwd=AT_WORK)


def compose(host: Computer) -> None:
    web = "  web:\n    image: nginx\n    ports:\n      - 127.0.0.1:8080:80\n"
    cache = "  cache:\n    image: redis\n    ports:\n      - 127.0.0.1:6379:6379\n"
    (host.home / "shop" / "compose.yaml").write_text(f"services:\n{web}{cache}")


# What runs on the host of each page.
SCENES: dict[str, Sequence[Scene]] = {
    "as.md": (two, outgoing),
    "containers.md": (redis, compose),
    "index.md": (node,),
    "json.md": (node, web),
    "pick.md": (node, web),
    "run.md": (node,),
    "start.md": (node, redis, web),
    "stop.md": (ending, redis),
    "troubleshooting.md": (redis, closed, two, outgoing),
    "wait.md": (node,),
    "who.md": (node, redis, web, bound),
}
# Their examples are run by tests of their own.
ELSEWHERE = {"fleet.md", "install.md", "releasing.md", "rivals.md", "verify.md"}


@contextmanager
def shop() -> Iterator[Computer]:
    """Ann's computer with her shop, in which nothing runs yet."""
    with skip_if_unavailable("sandbox"), anns_computer() as host:
        for name, text in {**SHOP, "server.js": SERVER}.items():
            (host.home / "shop" / name).write_text(text)
        yield host


@pytest.mark.parametrize("page", SCENES)
def test_the_examples_of_a_page(page: str, pytestconfig: pytest.Config) -> None:
    need("node", "redis-server", "jq")
    text = (DOCS / page).read_text(encoding="utf-8")
    with shop() as host:
        for scene in SCENES[page]:
            scene(host)
        shown = CONSOLE.sub(lambda block: _shown(host, block), text)
    if pytestconfig.getoption("--write"):
        (DOCS / page).write_text(shown, encoding="utf-8")
    assert shown.splitlines() == text.splitlines()


def _shown(host: Computer, block: re.Match[str]) -> str:
    """The block as it is shown now; where seconds or the date alone differ, as it was written."""
    written = [line.removeprefix(block["indent"]) for line in block["lines"].splitlines()]
    commands = [typed for typed in written if typed.startswith("$ ")]
    shown = [line for typed in commands for line in (typed, *host.types(typed[2:]).splitlines())]
    same = [PASSES.sub("N", line) for line in shown] == [PASSES.sub("N", line) for line in written]
    lines = [f"{block['indent']}{line}".rstrip() for line in ("```console", *(written if same else shown), "```")]
    return "\n".join(lines)


def test_every_page_with_examples_is_run() -> None:
    pages = {page.name for page in DOCS.glob("*.md") if CONSOLE.search(page.read_text(encoding="utf-8"))}
    assert pages - ELSEWHERE == {*SCENES}


def test_the_examples_in_python() -> None:
    need("node")
    blocks = [block for page in ("python.md", "json.md") for block in PYTHON.findall((DOCS / page).read_text())]
    with shop() as host:
        node(host)
        printed = [python(host, block) for block in blocks]
    assert printed[:3] == ["in-use listener ['node']\n", "8000\n", "http://127.0.0.1:8001\n"]
    assert printed[3] == "127.0.0.1 3000 (812,)\n"
    assert printed[4].startswith("portcheck's JSON documents")


def python(host: Computer, code: str) -> str:
    """What a program of ann's prints."""
    (host.home / "shop" / "program.py").write_text(code)
    return host.types(f"{sys.executable} program.py")
