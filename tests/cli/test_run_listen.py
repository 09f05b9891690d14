"""`portcheck run --listen`: real servers are handed the socket, and no client is refused meanwhile."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.namespaces import Host
from support.needs import need
from support.patience import PATIENCE
from support.portcheck_command import PORTCHECK
from support.processes import child_of, python
from support.running import SERVER, Running, done

CANDIDATES = "8000-8009"
BESIDE_PYTHON = Path(sys.executable).parent
PROXY = Path("/usr/lib/systemd/systemd-socket-proxyd")

APP = """
async def asgi(scope, receive, send):
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]})
        await send({"type": "http.response.body", "body": b"hello"})
def wsgi(environ, start_response):
    start_response("200 OK", [("Content-Length", "5")])
    return [b"hello"]
"""
NODE = "require('http').createServer((_, answer) => answer.end('hello')).listen(%s, '127.0.0.1')"

# Waits for the port file, then connects again and again until it has had ten answers.
CLIENT = """
import os, socket, sys, time
while not os.path.exists(sys.argv[1]):
    time.sleep(0.0005)
with open(sys.argv[1]) as file:
    port = int(file.read())
refused = answered = 0
print("begins", flush=True)
while answered < 10:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
            connection.sendall(b"GET / HTTP/1.0\\r\\nHost: x\\r\\n\\r\\n")
            answer = b""
            while more := connection.recv(4096):
                answer += more
            answered += answer.endswith(b"hello")
            assert answer.endswith(b"hello"), answer
    except ConnectionError:
        refused += 1
        assert refused < 100_000
print(refused, "refused", answered, "answered", flush=True)
"""


def answers(host: Host, directory: Path, *args: str) -> tuple[Running, str]:
    """A run, and what a client found that connects from the moment on in which it knows the port."""
    file = directory / "port"
    client = host.start(["/usr/bin/python3", "-S", "-E", "-c", CLIENT, str(file)])
    (directory / "app.py").write_text(APP)
    run = Running(host, CANDIDATES, "--port-file", str(file), *args, env={"HOME": str(directory)})
    out, _ = client.communicate(timeout=PATIENCE)
    return run, out.decode().splitlines()[-1]


def stop(run: Running) -> None:
    run.program.terminate()
    run.program.wait(PATIENCE)


@pytest.mark.parametrize(
    "server",
    [
        [str(BESIDE_PYTHON / "uvicorn"), "--fd", "3", "--app-dir", "{directory}", "app:asgi"],
        [str(BESIDE_PYTHON / "gunicorn"), "--no-control-socket", "--chdir", "{directory}", "app:wsgi"],
        ["node", "-e", NODE % "{fd: 3}"],
    ],
    ids=["uvicorn", "gunicorn", "node"],
)
def test_no_client_is_refused_while_a_server_starts(host: Host, tmp_path: Path, server: list[str]) -> None:
    need(server[0])
    command = [word.replace("{directory}", str(tmp_path)) for word in server]
    run, answered = answers(host, tmp_path, "--listen", "--", *command)
    assert answered == "0 refused 10 answered"
    said = run.hears("ready: http://127.0.0.1:8000, ", "which was handed the listening socket as fd 3")
    assert f" PID {child_of(run.program.pid)}, " in said
    stop(run)


def test_the_same_client_is_refused_where_the_server_binds_itself(host: Host, tmp_path: Path) -> None:
    need("node")
    run, answered = answers(host, tmp_path, "--", "node", "-e", NODE % "process.env.PORT")
    assert answered.endswith("10 answered")
    assert not answered.startswith("0 refused")
    stop(run)


def test_a_server_of_systemd_takes_the_socket(host: Host, tmp_path: Path) -> None:
    """systemd-socket-proxyd asks sd_listen_fds(), which wants LISTEN_PID to be its own PID."""
    need(str(PROXY))
    host.start(["node", "-e", NODE % 9000])
    host.portcheck("wait", "9000")
    run, answered = answers(host, tmp_path, "--listen", "--", str(PROXY), "127.0.0.1:9000")
    assert answered == "0 refused 10 answered"
    stop(run)
    # the control: without the protocol it does not even start
    assert host.run([str(PROXY), "127.0.0.1:9000"], check=False).returncode == 1


TELLS = """
import os, socket, sys
held = socket.socket(fileno=3)
print(os.environ["LISTEN_FDS"], os.environ["LISTEN_PID"] == str(os.getpid()), os.environ["LISTEN_FDNAMES"],
      held.getsockname(), held.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR), os.environ["PORT"],
      held.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN), held.getblocking())
"""


def test_the_protocol(host: Host) -> None:
    code, out, _ = done(host, CANDIDATES, "--listen", "--", *python(TELLS))
    assert (code, out) == (0, "1 True portcheck ('127.0.0.1', 8000) 1 8000 1 True\n")
    code, out, _ = done(host, CANDIDATES, "--listen", "--host", "::1", "--", *python(TELLS))
    assert (code, out) == (0, "1 True portcheck ('::1', 8000, 0, 0) 1 8000 1 True\n")


def test_open_files_of_the_caller_do_not_get_in_the_way(host: Host, tmp_path: Path) -> None:
    """Shells open files as fd 3 and 4: the command still gets the socket as 3, and its file as 4."""
    script = '"$@" 3>"$0" 4>"$0"'
    command = [str(PORTCHECK), "run", CANDIDATES, "--listen", "--", *python(TELLS + "os.write(4, b'four')")]
    assert "('127.0.0.1', 8000)" in host.run(["sh", "-c", script, str(tmp_path / "file"), *command]).stdout
    assert (tmp_path / "file").read_text() == "four"


@pytest.mark.parametrize("starter", ["sh", "npm"])
def test_a_starter_is_told_that_listen_pid_cannot_match(host: Host, tmp_path: Path, starter: str) -> None:
    need(starter)
    (tmp_path / "package.json").write_text('{"scripts": {"start": "true"}}')
    command = {"sh": ["sh", "-c", "true"], "npm": ["npm", "--prefix", str(tmp_path), "start"]}[starter]
    _, _, err = done(host, CANDIDATES, "--listen", "--", *command)
    assert f"portcheck: {starter} may start the server as another process, where LISTEN_PID cannot match" in err
    assert "LISTEN_PID" not in done(host, CANDIDATES, "--", *command)[2]


def test_a_server_that_binds_itself_is_told_why_it_cannot(host: Host) -> None:
    code, _, err = done(host, CANDIDATES, "--listen", "--", *python(SERVER, "127.0.0.1"))
    assert code == 1
    assert os.strerror(errno.EADDRINUSE) in err
    assert err.endswith("portcheck: with --listen, fd 3 is already the listening socket:"
                        " a server that binds the port itself is refused\n")  # fmt: skip


def test_leftovers_of_the_last_start_do_not_cost_the_port(host: Host) -> None:
    """A restart gets the same port, although TIME_WAIT would refuse a bind without SO_REUSEADDR."""
    serves_one = """
import os, socket, sys
held = socket.socket(fileno=3)
client = socket.create_connection(held.getsockname())
held.accept()[0].close()
client.recv(1)
print(os.environ["PORT"])
"""
    for _ in range(3):
        assert done(host, CANDIDATES, "--listen", "--", *python(serves_one))[1] == "8000\n"
    assert host.result("8000", "--no-reuseaddr")["cause"] == "time-wait"


def test_a_port_that_somebody_is_about_to_listen_on_is_left_alone(host: Host) -> None:
    host.hold("127.0.0.1", 8000, "bound", "reuseaddr")
    code, out, err = done(host, CANDIDATES, "--listen", "--", "echo", "{port}")
    assert (code, out) == (0, "8001\n")
    assert err.startswith("8000: in use by python3 (PID ")


def test_wait_ready_hands_over_and_returns(host: Host, tmp_path: Path) -> None:
    end = tmp_path / "end"
    program = "import os, time\nwhile not os.path.exists(os.environ['END']): time.sleep(0.01)"
    options = ["--listen", "--wait-ready", "--print-port", "--quiet"]
    argv = ["env", f"END={end}", str(PORTCHECK), "run", CANDIDATES, *options, "--", *python(program)]
    try:
        port = subprocess.run(host.argv(argv), stdout=subprocess.PIPE, timeout=PATIENCE, check=True).stdout
        assert port == b"8000\n"
        assert host.portcheck("wait", "8000", "--timeout", "0").returncode == 0
    finally:
        end.touch()
