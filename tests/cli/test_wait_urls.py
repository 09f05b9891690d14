"""`portcheck wait` for URLs, and what it runs then: servers good and bad, each where nobody else meets them."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from support.namespaces import Host
from support.patience import PATIENCE, wait_for
from support.portcheck_command import PORTCHECK
from support.processes import SYSTEM_PYTHON
from support.web import Asked, Web, certificate, tls

import portcheck

PORT, OTHER = 3000, 3001
NODE = """
require("http").createServer((request, response) => {
  if (request.url === "/early") response.writeEarlyHints({ link: "</style.css>; rel=preload" });
  if (request.url === "/endless") return setInterval(() => response.write("x".repeat(65536)), 1);
  if (request.url === "/missing") response.statusCode = 404;
  setImmediate(() => response.end("hello"));
}).listen(3000, "127.0.0.1", () => console.log("ready"));
"""


@pytest.fixture
def web(host: Host) -> Iterator[Web]:
    """Servers on the host; the test's own thread is there too."""
    with host.entered(), Web() as servers:
        yield servers


def look(*targets: str, **options: Any) -> str:
    """What one look says of all of them, without who listens there."""
    try:
        standings = portcheck.wait(*targets, **{"timeout": 0, "per_try": PATIENCE, **options})
    except portcheck.WaitFailed as failed:
        standings = failed.waited.standings
    return "; ".join(re.sub(r"; [^;]*\(PID .*", "", standing.message) for standing in standings)


def test_a_404_is_not_ready_and_it_is_said_who_answers(host: Host) -> None:
    node = host.start(["node", "-e", NODE], ready=b"ready")
    done = host.portcheck("wait", "http://localhost:3000/missing", "--timeout", "0")
    assert (done.returncode, done.stdout) == (124, "")
    assert done.stderr.startswith(
        f"portcheck: timed out after 0 s: http://localhost:3000/missing answers 404; node (PID {node.pid}, "
    )
    done = host.portcheck("wait", "http://localhost:3000/missing", "--status", "200,404", "--json")
    document = json.loads(done.stdout)
    schema = json.loads(files("portcheck").joinpath("schema.json").read_text(encoding="utf-8"))
    assert not list(Draft202012Validator({**schema, "anyOf": [{"$ref": "#/$defs/wait"}]}).iter_errors(document))
    (target,) = document["targets"]
    assert (done.returncode, target["met"], target["status"]) == (0, True, 404)
    assert target["result"]["owners"][0]["pid"] == node.pid


def test_node_after_early_hints_and_with_a_body_without_end(host: Host) -> None:
    host.start(["node", "-e", NODE], ready=b"ready")
    with host.entered():
        assert look("http://localhost:3000/early") == "http://localhost:3000/early answers 200"
        assert look("http://127.0.0.1:3000/endless") == "http://127.0.0.1:3000/endless answers 200"


def test_what_is_asked_for_is_what_the_user_wrote(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    web.serve(PORT)
    web.serve(PORT, "::1")
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert "answers 200" in look("http://127.0.0.1:3000/a b/%20ü?q=1&r=ä#part")
    assert "answers 200" in look("http://[::1]:3000")
    web.serve(80)
    assert "answers 200" in look("http-get://127.0.0.1")
    assert web.asked == [
        Asked("/a%20b/%20%C3%BC?q=1&r=%C3%A4", "127.0.0.1:3000", None),
        Asked("/", "[::1]:3000", None),
        Asked("/", "127.0.0.1", None),
    ]


def test_redirects_are_ready_or_followed_and_never_to_another_host(web: Web) -> None:
    web.serve(PORT)
    with_elsewhere = {3002: "http://127.0.0.2:3003/", 3004: "http://user:secret@127.0.0.1:3000/", 3005: "/moved"}
    for port, location in with_elsewhere.items():
        web.serve(port, location=location)
    web.serve(3003, "127.0.0.2")
    assert look("http://127.0.0.1:3000/moved") == "http://127.0.0.1:3000/moved answers 302"
    assert [asked.path for asked in web.asked] == ["/moved"]
    assert (
        look("http://127.0.0.1:3000/moved", follow=True) == "http://127.0.0.1:3000/moved answers 200 after 1 redirect"
    )
    web.asked.clear()
    for port in (3002, 3004):
        with pytest.raises(portcheck.WaitFailed, match="answers 302"):
            portcheck.wait(f"http://127.0.0.1:{port}/moved", follow=True, timeout=0)
    assert {asked.path for asked in web.asked} == {"/moved"}
    assert look("http://127.0.0.1:3005/moved", follow=True).endswith("answers 302 after 5 redirects")


@pytest.mark.parametrize(
    ("words", "again", "said"),
    [
        ((), b" ", "no answer within 0.3 s"),
        ((b"HTTP/1.1 200 OK\r\n",), b"X-Slow: loris\r\n", "no answer within 0.3 s"),
        ((b"HTTP/1.1 200 OK\r\nX: ",), b"x", "no answer within 0.3 s"),
        ((b"HTTP/1.1 100 Continue\r\n\r\n",), b"HTTP/1.1 100 Continue\r\n\r\n", "no answer within 0.3 s"),
        ((b"HTTP/1.1 103 Early Hints\r\n\r\n",), b"HTTP/1.1 103 Early Hints\r\n\r\n", "no answer within 0.3 s"),
        ((b"SSH-2.0-OpenSSH_9.2p1\r\n",), b"", "what comes is not HTTP"),
        ((b"HTTP/1.1 " + b"9" * 99_999,), b"", "what comes is not HTTP"),
        ((b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200,), b"", "what comes is not HTTP"),
        ((), b"", "it closes the connection without an answer"),
    ],
)
def test_a_bad_server_gets_no_more_time_than_a_silent_one(
    web: Web, words: tuple[bytes, ...], again: bytes, said: str
) -> None:
    web.say(PORT, *words, again=again)
    start = time.monotonic()
    told = look("http://127.0.0.1:3000/", per_try=0.3)
    assert time.monotonic() - start < PATIENCE / 3
    # a server that closes with our words unread resets the connection
    assert told.removeprefix("http://127.0.0.1:3000/ does not answer ") in (f"({said})", "(ECONNRESET)")
    assert "0.3" not in said or said in told


def test_a_server_that_never_shakes_hands(web: Web) -> None:
    web.listen(PORT)
    web.say(OTHER, again=b"\x16\x03\x03\x40\x00")
    assert "(no answer within 0.3 s)" in look("https://127.0.0.1:3000/", per_try=0.3)
    assert "does not answer (no " in look("https://127.0.0.1:3001/", per_try=0.3)


def test_a_certificate_is_told_from_everything_else(web: Web, tmp_path: Path) -> None:
    web.serve(PORT, tls=tls(certificate(tmp_path)))
    web.serve(OTHER)
    told = look("https://localhost:3000/")
    assert "does not answer (its certificate does not count: " in told
    assert "self" in told
    assert "--insecure takes any" in told
    web.serve(443, tls=tls(certificate(tmp_path)))
    assert look("https://localhost:3000/missing", insecure=True).endswith("/missing answers 404")
    assert look("https://localhost", insecure=True).endswith("https://localhost answers 200")
    assert [asked.host for asked in web.asked] == ["localhost:3000", "localhost"]
    assert look("https://localhost:3001/").endswith("does not answer (no TLS: WRONG_VERSION_NUMBER)")
    assert look("https://localhost:3009/").endswith("does not answer (ECONNREFUSED)")


def test_several_are_asked_at_the_same_time_and_any_of_them_is_enough(web: Web) -> None:
    web.serve(PORT)
    web.listen(OTHER)
    silent = [f"http://127.0.0.1:{OTHER}/{number}" for number in range(40)]
    start = time.monotonic()
    standings = portcheck.wait(*silent, f"http://127.0.0.1:{PORT}/", any=True, timeout=2 * PATIENCE, per_try=PATIENCE)
    assert [standing.met for standing in standings] == [False] * 40 + [True]
    assert time.monotonic() - start < PATIENCE
    # one after the other these would take 12 seconds
    start = time.monotonic()
    with pytest.raises(portcheck.WaitFailed):
        portcheck.wait(*silent, timeout=0, per_try=0.3)
    assert time.monotonic() - start < 8


def test_a_url_a_port_and_another_url(web: Web) -> None:
    web.serve(PORT)
    web.listen(OTHER)  # as a gRPC server: it listens, and says nothing of itself
    standings = portcheck.wait("http://127.0.0.1:3000/", "127.0.0.1:3001", "http://eth0:3000/", timeout=0, any=True)
    assert [(standing.met, standing.status) for standing in standings] == [(True, 200), (True, None), (False, None)]


def test_asking_leaves_nothing_in_the_way_of_the_server(host: Host) -> None:
    node = host.start(["node", "-e", NODE], ready=b"ready")
    for _ in range(3):
        assert host.portcheck("wait", "http://127.0.0.1:3000/").returncode == 0
    node.terminate()
    node.wait(PATIENCE)
    assert host.result("127.0.0.1:3000", "--no-reuseaddr")["verdict"] == "free"


def test_a_name_that_comes_later(host: Host, tmp_path: Path) -> None:
    """As that of a container that has yet to start."""
    hosts = tmp_path / "hosts"
    hosts.write_text("127.0.0.1 localhost\n")
    with host.entered(), Web() as web:
        web.serve(PORT)
        line = f'mount --bind {hosts} /etc/hosts && exec "$@"'
        waits = ["wait", "http://late.example:3000/", "late.example:3000", "--wait-for-dns", "--timeout", "60"]
        program = host.start(["unshare", "-m", "sh", "-c", line, "sh", str(PORTCHECK), *waits])
        with pytest.raises(subprocess.TimeoutExpired):
            program.wait(1)
        assert web.asked == []
        hosts.write_text("127.0.0.1 localhost late.example\n")
        out, _ = program.communicate(timeout=2 * PATIENCE)
    assert (program.returncode, b"http://late.example:3000/ answers 200" in out) == (0, True)
    assert web.asked[0].host == "late.example:3000"


@pytest.mark.parametrize("several", [False, True])
def test_ctrl_c_in_the_midst_of_a_look(host: Host, several: bool) -> None:
    with host.entered(), Web() as web:
        web.listen(OTHER)
        urls = ["http://127.0.0.1:3001/", *(["http://127.0.0.1:3001/other"] if several else [])]
        program = host.start([str(PORTCHECK), "wait", *urls, "--timeout", "600", "--per-try", "600"])
        wait_for(lambda: ":3001" in host.run(["ss", "-Htn", "state", "established"]).stdout, "a connection")
        program.send_signal(signal.SIGINT)
        assert program.wait(PATIENCE) == 130


# The command.


def test_the_command_takes_the_place_of_portcheck(host: Host) -> None:
    host.hold("127.0.0.1", PORT)
    script = 'echo $$ "$@"; trap "" PIPE; cat'
    program = host.start([str(PORTCHECK), "wait", "3000", "-q", "--", "sh", "-c", script, "sh", "--", "-x", "{port}"])
    out, _ = program.communicate(b"what it reads\n", timeout=PATIENCE)
    assert (program.returncode, out.decode()) == (0, f"{program.pid} -- -x {{port}}\nwhat it reads\n")


def test_the_command_ends_as_it_ends(host: Host) -> None:
    host.hold("127.0.0.1", PORT)

    def code(*command: str) -> int:
        return host.portcheck("wait", "3000", "-q", "--", *command).returncode

    assert [code("sh", "-c", "exit 7"), code("nosuchcommand"), code("/etc/passwd")] == [7, 127, 126]
    assert code("sh", "-c", "kill -TERM $$") == -signal.SIGTERM
    # Python ignores SIGPIPE, and a command must not inherit that
    writes = "import os, signal; print(signal.getsignal(signal.SIGPIPE) == signal.SIG_IGN)"
    caught = f"grep SigIgn /proc/self/status; exec {SYSTEM_PYTHON} -S -c '{writes}' >/dev/null"
    done = host.portcheck("wait", "3000", "-q", "--", "sh", "-c", caught)
    assert int(done.stdout.split()[1], 16) & (1 << (signal.SIGPIPE - 1)) == 0


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["3000", "--status", "200"], "--status is about a URL's answer"),
        (["3000", "--insecure"], "--insecure is about a URL's answer"),
        (["http://localhost:3000", "--free", "--follow"], "--follow is about a URL's answer"),
        (["http://localhost:3000", "--status", "20"], "'20' is no HTTP status"),
        (["http://localhost:3000", "--status", "404-200"], "'404-200' is no HTTP status"),
        (["http://localhost:3000", "--per-try", "0"], "--per-try needs some time"),
        (["http://me:secret@localhost:3000"], "has a user name in it"),
        (["http://*:3000/"], "a URL needs one host"),
        (["http://localhost:3000/", "--udp"], "a URL needs one host, and TCP"),
        (["unix:/run/x.sock"], "names a file or a Unix socket"),
        (["3000", "--run-anyway"], "--run-anyway needs a command"),
        (["3000", "--json", "--", "true"], "exclude each other"),
        (["--", "true"], "wait needs a target"),
    ],
)
def test_what_cannot_be_meant_is_one_line_and_exit_2(args: list[str], said: str) -> None:
    done = subprocess.run([PORTCHECK, "wait", *args], capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr.splitlines()[0]
    assert "secret" not in done.stderr


# Beside an event loop.


def test_waiting_beside_an_event_loop(web: Web) -> None:
    web.serve(PORT)
    web.listen(OTHER)

    async def main() -> None:
        (standing,) = await portcheck.wait_async("http://127.0.0.1:3000/", timeout=PATIENCE)
        assert standing.status == 200
        with pytest.raises(portcheck.WaitFailed, match="answers 404"):
            await portcheck.wait_async("http://127.0.0.1:3000/missing", timeout=0)
        with pytest.raises(portcheck.UsageError):
            await portcheck.wait_async("nosuchservice")
        async with portcheck.reserve("20000-20100") as held:
            assert held.socket.fileno() >= 0
        assert held.socket.fileno() == -1

    asyncio.run(main())


def test_whoever_cancels_stops_the_waiting_at_once(web: Web) -> None:
    """Even in the midst of a look that would take long, and the loop goes on meanwhile."""
    web.listen(OTHER)

    async def main() -> None:
        waiting = asyncio.ensure_future(
            portcheck.wait_async("http://127.0.0.1:3001/", timeout=4 * PATIENCE, per_try=4 * PATIENCE)
        )
        await asyncio.sleep(0.2)
        assert not waiting.done()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(portcheck.wait_async("127.0.0.1:3009", timeout=4 * PATIENCE), 0.2)

    start = time.monotonic()
    asyncio.run(main())
    assert time.monotonic() - start < PATIENCE
    wait_for(lambda: threads_of_waits() <= 1, "the thread that only slept has ended")


def threads_of_waits() -> int:
    """By the kernel's own list."""
    tasks = Path(f"/proc/{os.getpid()}/task")
    return sum((task / "comm").read_text() == "portcheck\n" for task in tasks.iterdir())
