"""Real servers from Debian, started as their packages do, and asked about through the installed command."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support.namespaces import Host
from support.needs import need
from support.patience import wait_for
from support.processes import NOBODY, SYSTEM_PYTHON


def listening(host: Host, port: int, pids: int = 1) -> dict[str, Any]:
    """The result of a check once so many processes hold the port."""

    def there() -> dict[str, Any] | None:
        result = host.result(str(port))
        return result if len(result["owners"]) >= pids else None

    found: dict[str, Any] = wait_for(there, f"{pids} processes on port {port}")
    return found


APACHE = """
ServerRoot /usr/lib/apache2
ServerName test
PidFile {0}/pid
ErrorLog {0}/error.log
LoadModule mpm_prefork_module /usr/lib/apache2/modules/mod_mpm_prefork.so
LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
StartServers 3
User nobody
Group nogroup
Listen 80
DocumentRoot {0}
"""


def test_apache_main_and_workers(host: Host, tmp_path: Path) -> None:
    need("apache2")
    (tmp_path / "apache.conf").write_text(APACHE.format(tmp_path))
    host.start(["apache2", "-f", str(tmp_path / "apache.conf"), "-DFOREGROUND"])
    result = listening(host, 80, pids=4)
    owners = result["owners"]
    mains = [owner for owner in owners if owner["role"] == "main"]
    assert {owner["name"] for owner in owners} == {"apache2"}
    assert [(owner["user"], owner["role"]) for owner in mains] == [("root", "main")]
    assert {owner["user"] for owner in owners if owner["role"] == "worker"} == {"nobody"}
    assert result["message"].startswith(f"Port 80 is in use: main process apache2 (PID {mains[0]['pid']}, root, ")
    assert result["message"].endswith(" more processes listen on every IPv4 and IPv6 address.")
    # its configuration is not the one that apachectl knows of
    assert result["advice"][0]["command"] == ["portcheck", "stop", "80"]
    assert {answer["address"]: len(answer["pids"]) for answer in result["answers"]}["127.0.0.1"] == len(owners)


NGINX = """
daemon off; pid {0}/pid; error_log {0}/error.log; user nobody nogroup; worker_processes 2;
events {{}}
http {{ access_log off; client_body_temp_path {0}/b; proxy_temp_path {0}/p; fastcgi_temp_path {0}/f;
uwsgi_temp_path {0}/u; scgi_temp_path {0}/s; server {{ listen 8080; listen [::]:8080; }} }}
"""


def test_nginx_master_and_workers_on_both_families(host: Host, tmp_path: Path) -> None:
    need("nginx")
    (tmp_path / "nginx.conf").write_text(NGINX.format(tmp_path))
    host.start(["nginx", "-c", str(tmp_path / "nginx.conf"), "-p", str(tmp_path)])
    result = listening(host, 8080, pids=3)
    assert sorted(owner["role"] for owner in result["owners"]) == ["main", "worker", "worker"]
    assert {socket["local_address"] for socket in result["sockets"]} == {"0.0.0.0", "::"}
    assert result["message"].count("nginx") == 1
    assert "every IPv4 and IPv6 address" in result["message"]
    assert {row["outcome"] for row in result["binds"]} == {"in-use"}


def test_redis_on_loopback(host: Host, tmp_path: Path) -> None:
    need("redis-server")
    server = host.start(["redis-server", "--port", "6379", "--bind", "127.0.0.1", "--dir", str(tmp_path), "--save", ""])
    result = listening(host, 6379)
    assert result["owners"][0]["pid"] == server.pid
    assert "redis-server" in result["message"]
    assert "127.0.0.1" in result["message"]
    assert host.result("192.0.2.7:6379")["verdict"] == "free"


def test_node_listens_dual_stack(host: Host) -> None:
    need("node")
    code = "require('http').createServer().listen(3000, () => console.log('ready'))"
    server = host.start(["node", "-e", code], ready=b"ready")
    result = host.result("3000")
    assert result["owners"][0]["pid"] == server.pid
    assert result["message"].startswith(f"Port 3000 is in use: node (PID {server.pid}, ")
    assert (result["sockets"][0]["local_address"], result["sockets"][0]["v6only"]) == ("::", False)


def test_python_http_server(host: Host, tmp_path: Path) -> None:
    server = host.start([SYSTEM_PYTHON, "-m", "http.server", "8000"], cwd=tmp_path)
    result = listening(host, 8000)
    (owner,) = result["owners"]
    assert (owner["pid"], owner["cwd"], owner["script"]) == (server.pid, str(tmp_path), "-m http.server")
    assert "python3 -m http.server" in result["message"]


@pytest.mark.parametrize(
    ("profile", "address", "fails"),
    [
        ("node", "0.0.0.0", True),
        ("node", "::1", True),
        ("python", "::1", False),
        ("nginx", "::1", False),
        ("java", "127.0.0.1", True),
        ("uvicorn", "192.0.2.7", False),
        ("uvicorn", "127.0.0.1", True),
        ("docker", "::1", True),
    ],
)
def test_will_my_server_bind(host: Host, profile: str, address: str, fails: bool) -> None:
    host.hold(address, 20000)
    done = host.portcheck("--as", profile, "20000")
    assert done.returncode == int(fails)
    assert ("would fail" if fails else "would succeed") in done.stdout.splitlines()[0]


@pytest.mark.parametrize("address", ["0.0.0.0", "127.0.0.1", "::1", "192.0.2.7"])
def test_what_is_said_of_node_is_what_node_does(host: Host, address: str) -> None:
    need("node")
    host.hold(address, 20000)
    said = host.portcheck("--as", "node", "20000")
    code = (
        "const s = require('http').createServer(); s.on('error', e => { console.log(e.code); process.exit(1) });"
        "s.listen(20000, () => process.exit(0))"
    )
    done = host.run(["node", "-e", code], check=False)
    assert done.returncode == said.returncode
    assert said.stdout.startswith("Node's listen(20000) would fail: ")


def test_a_server_of_an_ordinary_user_names_that_user(host: Host) -> None:
    held = host.hold("127.0.0.1", 8000, uid=NOBODY)
    result = host.result("8000")
    assert (result["owners"][0]["pid"], result["owners"][0]["user"]) == (held.pid, "nobody")
