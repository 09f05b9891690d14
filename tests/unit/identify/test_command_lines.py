"""Command lines read by getopt's rules: interpreters, ssh, kubectl, socat."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.acquaintances import facts, process

from portcheck.identify.argv import parse
from portcheck.identify.interpreters import interpreter, is_application, script
from portcheck.identify.tunnels import Forward, LocalForward, forward, local_forwards, read_ssh
from portcheck.model import Process

SCRIPTS = {
    "python3 -m http.server 8000": "-m http.server",
    "/usr/bin/python3.11 -u -Wignore -X dev server.py 8000": "server.py",
    "python3 -um http.server": "-m http.server",
    "python -c print(1) x": "-c",
    "python3 /usr/bin/supervisord -c /etc/s.conf": "supervisord",
    "python3 /srv/venv/bin/uvicorn --host 0.0.0.0 shop.main:app --port 8000": "uvicorn shop.main:app",
    "python3 /srv/venv/bin/gunicorn -b 127.0.0.1:8000 -w 4 shop.wsgi": "gunicorn shop.wsgi",
    "python -m uvicorn shop:app": "-m uvicorn shop:app",
    "python manage.py runserver 0.0.0.0:8000": "manage.py runserver",
    "/opt/pypy/bin/pypy3 app.py": "app.py",
    "node server.js": "server.js",
    "node -r dotenv/config --inspect=9229 --env-file .env ./dist/main.js start": "./dist/main.js",
    "node --watch src/index.js": "src/index.js",
    "node -e require('http')": "-e",
    "node /shop/node_modules/.bin/vite": "vite",
    "node /shop/node_modules/next/dist/bin/next dev -p 3000": "next dev",
    "node /shop/node_modules/@angular/cli/bin/ng.js serve": "@angular/cli",
    "node-MainThread": None,
    "ruby -I lib -rbundler/setup bin/rails server": "rails server",
    "ruby -e 1": "-e",
    "java -Xmx512m -Dspring.profiles.active=dev -jar /opt/shop.jar --server.port=8080": "/opt/shop.jar",
    "java -cp /opt/a.jar:/opt/b.jar org.example.Main arg": "org.example.Main",
    "/usr/bin/java -Djava.util.logging.config.file=/srv/conf/logging.properties -classpath /usr/share/tomcat10/bin/"
    "bootstrap.jar:/usr/share/tomcat10/bin/tomcat-juli.jar -Dcatalina.base=/srv org.apache.catalina.startup.Bootstrap "
    "start": "org.apache.catalina.startup.Bootstrap",
    "java --module-path mods -m org.example/org.example.Main": "-m org.example/org.example.Main",
    "php -S localhost:8000 -t public": "-S localhost:8000",
    "php -S localhost:8000 router.php": "-S localhost:8000 router.php",
    "php8.2 -d memory_limit=1G artisan serve --port=8000": "artisan serve",
    "deno run -A --config deno.json main.ts": "main.ts",
    "deno serve --port 8000 main.ts": "main.ts",
    "bun --hot server.ts": "server.ts",
    "bun run dev": "dev",
    "perl -Mojo app.pl daemon": "app.pl",
    "dotnet run --project src/Shop": "src/Shop",
    "dotnet Shop.dll": "Shop.dll",
    "sh -c node server.js": "-c",
    "/bin/bash -e ./run.sh 80": "./run.sh",
    "bash": None,
    "-zsh": None,
    "nginx: master process /usr/sbin/nginx": None,
    "redis-server *:6379": None,
    "": None,
}


def test_a_title_that_reads_like_a_command_line() -> None:
    assert script(process(("node /srv/my shop/web.js",), executable="/usr/bin/node")) == "/srv/my shop/web.js"
    assert script(process(("gunicorn: master [shop:app]",), executable="/usr/bin/python3.11")) is None


@pytest.mark.parametrize(("command", "expected"), SCRIPTS.items())
def test_what_an_interpreter_runs(command: str, expected: str | None) -> None:
    assert script(process(command)) == expected


def test_an_interpreter_is_told_by_its_program_file_too() -> None:
    disguised = process("shop-server app.py", executable="/usr/bin/python3.12")
    assert interpreter(disguised) == "python"
    assert script(disguised) == "app.py"
    for name in ("node", "sh", "ruby"):  # which it has given itself: node's -c takes a file
        renamed = process(("/usr/bin/python3", "-c", "import shop; shop.run()"), executable="/usr/bin/python3.11")
        assert script(renamed._replace(name=name)) == "-c"


@pytest.mark.parametrize(
    ("argument", "expected"),
    [("shop:app", True), ("shop.main:create_app()", True), ("shop.wsgi", True), ("localhost:8000", False),
     ("0.0.0.0:80", False), ("shop", False), ("--reload", False), (":8000", False)],
)  # fmt: skip
def test_applications(argument: str, expected: bool) -> None:
    assert is_application(argument) is expected


FORWARDS = {
    "ssh -L 5432:db:5432 bastion": [LocalForward(5432, "db:5432")],
    "ssh -NfL5432:db:5432 ann@bastion": [LocalForward(5432, "db:5432")],
    "ssh -N -f -4 -L 127.0.0.1:5432:db.internal:5432 -p 2222 -i /k bastion": [
        LocalForward(5432, "db.internal:5432", "127.0.0.1")
    ],
    "ssh -L [::1]:8080:[2001:db8::1]:80 h": [LocalForward(8080, "[2001:db8::1]:80", "[::1]")],
    "ssh -L *:8080:web:80 h": [LocalForward(8080, "web:80", "*")],
    "ssh -L 8080:/run/app.sock h": [LocalForward(8080, "/run/app.sock")],
    "ssh -L /tmp/s.sock:db:5432 h": [LocalForward(None, "db:5432")],
    "ssh -D 1080 h": [LocalForward(1080, None)],
    "ssh -ND localhost:1080 h": [LocalForward(1080, None, "localhost")],
    "ssh h -L 8080:web:80": [LocalForward(8080, "web:80")],
    "ssh -R 80:localhost:3000 h": [],
    "ssh -W db:5432 h": [],
    "ssh h -- -L 1:a:2": [],
    "ssh -o LocalForward=8080:web:80 -oDynamicForward=1080 h": [
        LocalForward(8080, "web:80"),
        LocalForward(1080, None),
    ],
    "ssh": [],
}


@pytest.mark.parametrize(("command", "expected"), FORWARDS.items())
def test_ssh_forwards(command: str, expected: list[LocalForward]) -> None:
    assert list(local_forwards(read_ssh(command.split()))) == expected


def test_ssh_takes_a_keyword_with_a_blank() -> None:
    command = ("ssh", "-o", "localforward 127.0.0.1:8080 web:80", "h")
    assert list(local_forwards(read_ssh(command))) == [LocalForward(8080, "web:80", "127.0.0.1")]


TUNNELS = {
    "ssh -NL 8080:web:80 -L 9090:other:90 ann@bastion": "web:80 through ann@bastion",
    "ssh -ND 8080 bastion": "any address (SOCKS) through bastion",
    "ssh bastion": "a port through bastion",  # from ssh_config(5)
    "kubectl port-forward svc/web 8080:80": "svc/web:80",
    "kubectl -n shop port-forward --address 0.0.0.0 pod/web-0 9090:90 8080:80": "pod/web-0:80 in namespace shop",
    "kubectl port-forward deploy/web :80 --namespace=shop": "deploy/web:80 in namespace shop",
    "kubectl --context kind port-forward svc/web 8080": "svc/web:8080",
    "oc port-forward web-1 8080:80": "web-1:80",
    "kubectl proxy --port=8080": "the Kubernetes API",
    "socat -d -d TCP-LISTEN:8080,fork,reuseaddr TCP:db:5432": "TCP:db:5432",
    "socat tcp4:db:5432 tcp4-listen:8080": "tcp4:db:5432",
    "socat UDP6-RECVFROM:8080 EXEC:/bin/cat": "EXEC:/bin/cat",
    "/lib/systemd/systemd-socket-proxyd --connections-max 5 10.0.0.1:80": "10.0.0.1:80",
}


@pytest.mark.parametrize(("command", "expected"), TUNNELS.items())
def test_tunnels(command: str, expected: str) -> None:
    assert forward(facts(process(command))) == Forward("forwarder", expected)


@pytest.mark.parametrize("command", ["kubectl get pods", "kubectl port-forward", "socat", "nginx", "httpd -p 80"])
def test_no_tunnels(command: str) -> None:
    assert forward(facts(process(command))) is None


def test_an_ssh_client_that_does_not_listen_forwards_nothing() -> None:
    assert forward(facts(process("ssh bastion"), ports=())) is None


def test_a_shared_ssh_connection_has_overwritten_its_arguments() -> None:
    assert forward(facts(process(("ssh: /home/ann/.ssh/c [mux]",), executable="/usr/bin/ssh"))) == Forward(
        "forwarder", "what shares its connection"
    )


def test_the_server_side_of_ssh_listens_for_its_client() -> None:
    session = process(("sshd: ann@pts/0",), executable="/usr/sbin/sshd")
    assert forward(facts(session)) == Forward("forwarder", "the ssh client of ann@pts/0")
    without_a_shell = process(("sshd: ann",), executable="/usr/sbin/sshd")  # ssh -NR
    assert forward(facts(without_a_shell)) == Forward("forwarder", "the ssh client of ann")
    assert forward(facts(process(("sshd: ann [priv]",)))) is None
    assert forward(facts(process(("sshd: /usr/sbin/sshd -D [listener] 0 of 10-100 startups",)))) is None


def test_an_ide_that_listens() -> None:
    code = process("/usr/share/code/code --type=utility --utility-sub-type=node.mojom.NodeService")
    assert forward(facts(code)) == Forward("ide", "a remote port, or a server of an extension")


WORDS = st.text(alphabet=st.sampled_from("-NfLDo:=48012 []/ab"), max_size=12)


@given(st.lists(WORDS, max_size=8))
def test_no_command_line_is_too_strange(words: list[str]) -> None:
    for program in ("ssh", "kubectl", "socat", "python3", "node", "java", "sh", "docker-proxy"):
        subject = Process(812, program, command=(program, *words))
        forward(facts(subject))
        assert script(subject) is None or interpreter(subject)


@given(st.lists(st.sampled_from("aNfgqt"), unique=True), st.booleans(), st.text(alphabet="abc:8", min_size=1))
def test_options_may_be_combined_and_attached(flags: list[str], attached: bool, value: str) -> None:
    letters = "-" + "".join(flags) + "L"
    argv = [letters + value] if attached else [letters, value]
    found = parse([*argv, "host"], "L")
    assert found.values("-L") == (value,)
    assert found.rest == ("host",)
    assert all(found.has(f"-{flag}") for flag in flags)
