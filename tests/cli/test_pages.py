"""The examples of docs/, each page in one go at the terminal of a made-up host: word for word, but for passing seconds.

Where portcheck says it better now, `scripts/test tests/cli/test_pages.py --write` puts what it says into the pages.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from support.made_up_host import MadeUpHost
from support.needs import need

DOCS = Path(__file__).parents[2] / "docs"
CONSOLE = re.compile(r"(?m)^(?P<indent> *)```console\n(?P<lines>(?:.*\n)*?) *```$")
PYTHON = re.compile(r"```python\n(.*?)```", re.DOTALL)
SECONDS = re.compile(r"\b\d+(?= s\b)")

Scene = Callable[[MadeUpHost], None]


def node(host: MadeUpHost) -> None:
    host.start(812, ["node", "server.js"], ready=b"ready")


def redis(host: MadeUpHost) -> None:
    host.start(
        640, ["redis-server", "--port", "6379", "--bind", "127.0.0.1", "--save", ""], user="redis", ready=b"Ready"
    )


def web(host: MadeUpHost) -> None:
    host.start(901, ["python3", "-u", "-m", "http.server", "8000"], ready=b"Serving")


def bound(host: MadeUpHost) -> None:
    script(host, 1015, "holder.py", 's = socket.socket(); s.bind(("127.0.0.1", 8300))')


def closed(host: MadeUpHost) -> None:
    closing = (
        's = socket.create_server(("127.0.0.1", 8400))',
        'c = socket.create_connection(("127.0.0.1", 8400))',
        "a = s.accept()[0]",
        "for each in (a, c, s): each.close()",
    )
    script(host, 1020, "closed.py", *closing)


def two(host: MadeUpHost) -> None:
    host.start(1025, ["python3", "-u", "-m", "http.server", "8500", "--bind", "127.0.0.1"], ready=b"Serving")
    host.start(1100, ["node", "server.js", "8500", "::1"], ready=b"ready")


def outgoing(host: MadeUpHost) -> None:
    connecting = (
        's = socket.create_server(("127.0.0.1", 5000))',
        'c = socket.create_connection(("127.0.0.1", 5000), source_address=("127.0.0.1", 8600))',
    )
    script(host, 1200, "client.py", *connecting)


def script(host: MadeUpHost, pid: int, name: str, *lines: str) -> None:
    """A program of ann's that does this and stays."""
    host.write(name, "\n".join(("import socket, sys", *lines, 'print("ready", flush=True)', "sys.stdin.read()", "")))
    host.start(pid, ["python3", name], ready=b"ready")


def compose(host: MadeUpHost) -> None:
    web = "  web:\n    image: nginx\n    ports:\n      - 127.0.0.1:8080:80\n"
    cache = "  cache:\n    image: redis\n    ports:\n      - 127.0.0.1:6379:6379\n"
    host.write("compose.yaml", f"services:\n{web}{cache}")


# What runs on the host of each page.
SCENES: dict[str, Sequence[Scene]] = {
    "as.md": (two, outgoing),
    "containers.md": (redis, compose),
    "index.md": (node,),
    "json.md": (node, web),
    "pick.md": (node, web),
    "run.md": (node,),
    "start.md": (node, redis, web),
    "stop.md": (node, redis),
    "troubleshooting.md": (redis, closed, two, outgoing),
    "wait.md": (node,),
    "who.md": (node, redis, web, bound),
}
# Their examples are run by tests of their own.
ELSEWHERE = {"fleet.md", "install.md", "releasing.md", "verify.md"}


@pytest.mark.parametrize("page", SCENES)
def test_the_examples_of_a_page(page: str, pytestconfig: pytest.Config) -> None:
    need("node", "redis-server", "jq")
    text = (DOCS / page).read_text(encoding="utf-8")
    with MadeUpHost() as host:
        for scene in SCENES[page]:
            scene(host)
        shown = CONSOLE.sub(lambda block: _shown(host, block), text)
    if pytestconfig.getoption("--write"):
        (DOCS / page).write_text(shown, encoding="utf-8")
    assert shown.splitlines() == text.splitlines()


def _shown(host: MadeUpHost, block: re.Match[str]) -> str:
    """The block as it is shown now; where seconds alone differ, as it was written."""
    written = [line.removeprefix(block["indent"]) for line in block["lines"].splitlines()]
    shown = [line for typed in written if typed.startswith("$ ") for line in (typed, *host.types(typed[2:]))]
    same = [SECONDS.sub("N", line) for line in shown] == [SECONDS.sub("N", line) for line in written]
    lines = [f"{block['indent']}{line}".rstrip() for line in ("```console", *(written if same else shown), "```")]
    return "\n".join(lines)


def test_every_page_with_examples_is_run() -> None:
    pages = {page.name for page in DOCS.glob("*.md") if CONSOLE.search(page.read_text(encoding="utf-8"))}
    assert pages - ELSEWHERE == {*SCENES}


def test_the_examples_in_python() -> None:
    need("node")
    blocks = [block for page in ("python.md", "json.md") for block in PYTHON.findall((DOCS / page).read_text())]
    with MadeUpHost() as host:
        node(host)
        printed = [host.python(block) for block in blocks]
    assert printed[:3] == ["in-use listener ['node']\n", "8000\n", "http://127.0.0.1:8001\n"]
    assert printed[3] == "127.0.0.1 3000 (812,)\n"
    assert printed[4].startswith("portcheck's JSON documents")
