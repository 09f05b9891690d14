"""The servers that `--as` knows, as people start them: each is a command line for a port, in a directory of its own."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from glob import glob
from pathlib import Path

import pytest

from support.needs import need
from support.processes import NOBODY

PORT = 20000
INSTALLING = 300  # seconds
FROM_PYPI = ("hypercorn", "uvicorn", "gunicorn", "flask", "django")
FROM_NPM = ("vite@8", "next@16", "react@19", "react-dom@19", "deno@2", "bun@1")

ASGI = "async def app(scope, receive, send):\n    pass\n"
WSGI = "def app(environ, start):\n    start('200 OK', [])\n    return [b'']\n"
APACHE = """
ServerName test
PidFile pid
ErrorLog error.log
LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so
LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
Listen 20000
"""
NGINX = """
daemon off; pid pid; error_log error.log; events {}
http { access_log off; client_body_temp_path b; proxy_temp_path p; fastcgi_temp_path f;
uwsgi_temp_path u; scgi_temp_path s;
server { listen 20000; } }
"""
HAPROXY = """
defaults
  mode http
  timeout client 5s
  timeout connect 5s
  timeout server 5s
frontend web
  bind :20000
"""
TOMCAT = """
<Server port="-1"><Service name="Catalina"><Connector port="20000" protocol="HTTP/1.1"/>
<Engine name="Catalina" defaultHost="localhost"><Host name="localhost" appBase="webapps"/></Engine></Service></Server>
"""
CLASS = """
public class Server {
    public static void main(String[] arguments) throws Exception { new java.net.ServerSocket(20000).accept(); }
}
"""
ASYNCIO = """
import asyncio
async def main():
    server = await asyncio.start_server(print, port=20000)
    await server.serve_forever()
asyncio.run(main())
"""


@dataclass(frozen=True)
class Server:
    """How a server is started on PORT.  `files` are written into its working directory first."""

    command: tuple[str, ...]
    needs: tuple[str, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)
    prepare: Callable[[Path], None] | None = None
    uid: int = 0
    env: Mapping[str, str] = field(default_factory=dict)
    listens: int = 1  # on so many sockets once it has started; before, it may end for want of one of them


def _postgres(directory: Path) -> None:
    initdb = [*_as_nobody(), f"{_postgres_bin()}/initdb", "-D", str(directory / "data"), "-A", "trust", "-N"]
    subprocess.run(initdb, check=True, capture_output=True, timeout=INSTALLING)


def _postgres_bin() -> str:
    places = sorted(glob("/usr/lib/postgresql/*/bin"))
    if not places:
        pytest.skip("needs postgresql")
    return places[-1]


def _as_nobody() -> list[str]:
    return ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]


def _mariadb(directory: Path) -> None:
    data = directory / "data"
    data.mkdir()
    os.chown(data, NOBODY, NOBODY)


def _node_modules(node: Path) -> Callable[[Path], None]:
    def link(directory: Path) -> None:
        (directory / "node_modules").symlink_to(node / "node_modules")

    return link


def _django(python: Path) -> Callable[[Path], None]:
    def make(directory: Path) -> None:
        subprocess.run(
            [f"{python}/bin/django-admin", "startproject", "site_", str(directory)], check=True, timeout=INSTALLING
        )

    return make


def _tomcat(directory: Path) -> None:
    (directory / "conf").mkdir()
    (directory / "conf/server.xml").write_text(TOMCAT)
    for name in ("logs", "temp", "webapps", "work"):
        (directory / name).mkdir()


def servers(python: Path, node: Path) -> dict[str, Server]:
    """Every profile with the program that it was read from; `python` and `node` have what PyPI and npm have."""
    bin_ = f"{node}/node_modules/.bin"
    port = str(PORT)
    js = "require('http').createServer().listen(20000)"
    return {
        "node": Server(("node", "-e", js), ("node",)),
        "vite": Server(
            (f"{bin_}/vite", "--port", port), ("node",), {"index.html": "", "package.json": "{}"}, _node_modules(node)
        ),
        "next": Server(
            (f"{bin_}/next", "dev", "-p", port, "--webpack"),
            ("node",),
            {"package.json": "{}", "pages/index.js": "export default () => null"},
            _node_modules(node),
            env={"NEXT_TELEMETRY_DISABLED": "1"},
        ),
        "deno": Server(
            (f"{bin_}/deno", "run", "-A", "a.ts"), (), {"a.ts": "Deno.serve({port: 20000}, () => new Response())"}
        ),
        "bun": Server((f"{bin_}/bun", "a.ts"), (), {"a.ts": "Bun.serve({port: 20000, fetch: () => new Response()})"}),
        "python": Server(("/usr/bin/python3", "-m", "http.server", port)),
        "socketserver": Server(
            (
                "/usr/bin/python3",
                "-c",
                "import socketserver as s; s.TCPServer(('', 20000), s.BaseRequestHandler).serve_forever()",
            )
        ),
        "asyncio": Server(
            (
                "/usr/bin/python3",
                "-c",
                ASYNCIO,
            ),
            listens=2,
        ),
        "uvicorn": Server((f"{python}/bin/uvicorn", "--port", port, "a:app"), (), {"a.py": ASGI}),
        "gunicorn": Server((f"{python}/bin/gunicorn", "-b", f"127.0.0.1:{port}", "a:app"), (), {"a.py": WSGI}),
        "hypercorn": Server((f"{python}/bin/hypercorn", "-b", f"127.0.0.1:{port}", "a:app"), (), {"a.py": ASGI}),
        "flask": Server(
            (f"{python}/bin/flask", "--app", "a", "run", "--port", port),
            (),
            {"a.py": "import flask\napp = flask.Flask('a')\n"},
        ),
        "django": Server(
            (f"{python}/bin/python", "manage.py", "runserver", "--noreload", port), (), {}, _django(python)
        ),
        "java": Server(("java", "Server.java"), ("java",), {"Server.java": CLASS}),
        "tomcat": Server(
            (
                "java",
                "-cp",
                "/usr/share/tomcat10/bin/bootstrap.jar:/usr/share/tomcat10/bin/tomcat-juli.jar",
                "-Dcatalina.home=/usr/share/tomcat10",
                "-Dcatalina.base=.",
                "-Dorg.apache.catalina.startup.EXIT_ON_INIT_FAILURE=true",
                "org.apache.catalina.startup.Bootstrap",
                "start",
            ),
            ("java",),
            {},
            _tomcat,
        ),
        "puma": Server(("puma", "-p", port), ("puma",), {"config.ru": "run lambda { |env| [200, {}, ['']] }"}),
        "rails": Server(
            ("puma", "-b", f"tcp://localhost:{port}"),
            ("puma",),
            {"config.ru": "run lambda { |env| [200, {}, ['']] }"},
            listens=2,
        ),
        "php": Server(("php", "-S", f"localhost:{port}"), ("php",)),
        "ruby": Server(("ruby", "-rsocket", "-e", "TCPServer.new(20000).accept"), ("ruby",)),
        "nginx": Server(("nginx", "-c", "nginx.conf", "-p", "."), ("nginx",), {"nginx.conf": NGINX}),
        "apache": Server(
            ("sh", "-c", 'exec apache2 -d "$PWD" -f a.conf -DFOREGROUND'), ("apache2",), {"a.conf": APACHE}
        ),
        "haproxy": Server(("haproxy", "-db", "-f", "a.cfg"), ("haproxy",), {"a.cfg": HAPROXY}),
        "caddy": Server(
            ("caddy", "run", "--config", "Caddyfile"),
            ("caddy",),
            {"Caddyfile": "{\n admin off\n}\n:20000 {\n respond ok\n}\n"},
            env={"HOME": ".", "XDG_DATA_HOME": "./d", "XDG_CONFIG_HOME": "./c"},
        ),
        "redis": Server(("redis-server", "--port", port, "--save", ""), ("redis-server",), listens=2),
        "memcached": Server(("memcached", "-u", "nobody", "-p", port), ("memcached",)),
        "postgres": Server(
            ("sh", "-c", f'exec {_postgres_bin()}/postgres -D data -p 20000 -k "$PWD"'), (), {}, _postgres, uid=NOBODY
        ),
        "mariadb": Server(
            (
                "sh",
                "-c",
                'exec mariadbd --no-defaults --skip-grant-tables --datadir="$PWD/data" --port=20000 --socket="$PWD/s"',
            ),
            ("mariadbd",),
            {},
            _mariadb,
            uid=NOBODY,
            listens=2,
        ),
    }


def working_in(directory: Path, server: Server) -> tuple[list[str], dict[str, str]]:
    """Makes the directory ready; its command line and environment."""
    need(*server.needs)
    os.chmod(directory, 0o777)
    for name, text in server.files.items():
        file = directory / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
    if server.uid:
        os.chown(directory, server.uid, server.uid)
    if server.prepare:
        server.prepare(directory)
    return list(server.command), {**os.environ, **server.env}
