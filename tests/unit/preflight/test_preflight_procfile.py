"""`Procfile`: what its processes name for certain."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from portcheck.preflight import Reading
from portcheck.preflight.commandline import Listening, listens
from portcheck.preflight.declarations import LeftUnreadError
from portcheck.preflight.procfile import MAX_LINES, read_procfile

CERTAIN: dict[str, list[tuple[str | None, int]]] = {
    "rails server -p 3000": [(None, 3000)],
    "rails server -p3000 -b 127.0.0.1": [("127.0.0.1", 3000)],
    "uvicorn app:app --host 0.0.0.0 --port 8000": [("0.0.0.0", 8000)],
    "uvicorn app:app --port=8000 --host=::1": [("::1", 8000)],
    "gunicorn --bind 0.0.0.0:8000 app": [("0.0.0.0", 8000)],
    "gunicorn -b :8000 app": [("*", 8000)],
    "gunicorn -b '[::1]:8000' -b 127.0.0.1:8001 app": [("::1", 8000), ("127.0.0.1", 8001)],
    "puma --bind=tcp://0.0.0.0:9292": [("0.0.0.0", 9292)],
    "gunicorn -b unix:/run/app.sock app": [],
    "gunicorn -b fd://3 app": [],
    "web --port $PORT": [(None, 5100)],
    "web --port ${PORT:-3000}": [(None, 5100)],
    "gunicorn -b 0.0.0.0:$PORT app": [("0.0.0.0", 5100)],
    "PORT=3001 npm start": [(None, 3001)],
    "env A=1 PORT=3001 npm start --port 3002": [(None, 3002)],
    "PORT=3001 web -p $PORT": [(None, 3001)],
    "cd app && exec ./web --port 8000 > log 2>&1": [(None, 8000)],
    "a -p 8000 & b -p 8001 | c": [(None, 8000), (None, 8001)],
    "sh -c 'exec web --port 8000'": [(None, 8000)],
    "ssh -p 22 host": [],
    "/usr/bin/psql -p 5432": [],
    "mkdir -p 8000": [],
    "node -p 1": [],
    "worker -p src -b": [],
    # servers that are known by name
    "python manage.py runserver 0.0.0.0:8000": [("0.0.0.0", 8000)],
    "./manage.py runserver 8001 --noreload": [(None, 8001)],
    "python manage.py runserver $PORT": [(None, 5100)],
    "python manage.py migrate": [],
    "python3 -m http.server 9000 --bind 127.0.0.1": [("127.0.0.1", 9000)],
    "php -S localhost:8080 -t public": [("localhost", 8080)],
    "php -S 0.0.0.0:$PORT": [("0.0.0.0", 5100)],
    "php bin/console messenger:consume": [],
    "npx serve -l 3000 dist": [(None, 3000)],
    "serve --listen tcp://0.0.0.0:3001 dist": [("0.0.0.0", 3001)],
    "serve -l=3002": [(None, 3002)],
    "bundle exec rails s -p 3000 -b 0.0.0.0": [("0.0.0.0", 3000)],
    "flask run -p 5001 --host 0.0.0.0": [("0.0.0.0", 5001)],
    "flask run --port=$PORT": [(None, 5100)],
    "mkdocs serve -a 127.0.0.1:8002": [("127.0.0.1", 8002)],
    "streamlit run app.py --server.port 8501": [(None, 8501)],
    "vite build": [],
    "next build -p 1": [(None, 1)],  # whatever it is, it says so
    "gunicorn app": [(None, 5100)],  # which heeds PORT
    "bin/rails server": [(None, 5100)],
    "next start": [(None, 5100)],
    # tunnels
    "ssh -N -L 5433:db:5432 host": [("localhost", 5433)],
    "ssh -L5433:db:5432 -L 127.0.0.2:5434:db:5432 host -p 22": [("localhost", 5433), ("127.0.0.2", 5434)],
    "ssh -L *:5435:[fd00::1]:5432 host": [("*", 5435)],
    "ssh -L [::1]:5436:db:5432 -D 1080 host": [("::1", 5436), ("localhost", 1080)],
    "autossh -M 0 -N -L $PORT:db:5432 host": [("localhost", 5100)],
    "ssh -L /run/db.sock:/run/remote.sock -R 80:localhost:80 host": [],
    # commands in commands
    "concurrently 'next dev -p 3000' \"api --port 3001\" -k": [(None, 3000), (None, 3001)],
    "npx concurrently 'web -p 3000'": [(None, 3000)],
    "nodemon --exec 'python app.py --port 3000'": [(None, 3000)],
    "nodemon server.js -p 3000": [(None, 3000)],
    "cross-env PORT=3000 NODE_ENV=x web": [(None, 3000)],
    "kill-port --port 3000 && web -p 3001": [(None, 3001)],
    "wait-on -p 3000": [],
    "": [],
}


@pytest.mark.parametrize("command", CERTAIN)
def test_what_is_certain_is_found(command: str) -> None:
    assert listens(command, {"PORT": "5100"})[:2] == (tuple(CERTAIN[command]), ())


UNCERTAIN = {
    "web --port $OTHER": "--port: OTHER is not set and has no default",
    "web --port '${OTHER:?set it}'": "--port: OTHER is required: set it",
    "web --port $((PORT + 1))": "--port '$' is not known before it runs",
    "web --port $(cat port)": "--port '$' is not known before it runs",
    "web --port ${PORT%0}": "--port '${PORT%0}' is not known before it runs",
    "docker run -p 8000:80 app": "-p '8000:80' is no port by itself",
    "web --port 70000": "--port '70000' is no port by itself",
    "web --port '8000": "its command cannot be read: No closing quotation",
}


@pytest.mark.parametrize("command", UNCERTAIN)
def test_what_is_not_certain_is_said(command: str) -> None:
    assert listens(command, {"PORT": "5100"}) == Listening((), (UNCERTAIN[command],))


@pytest.mark.parametrize(
    ("command", "program", "subcommand", "host", "port"),
    [
        ("vite", "vite", "", None, 5173),
        ("npx vite preview --host 0.0.0.0", "vite", "preview", "0.0.0.0", 4173),
        ("node_modules/.bin/vite dev", "vite", "dev", None, 5173),
        ("dotenv -e .env.local -- next dev --turbo", "next", "dev", None, 3000),
        ("astro dev", "astro", "dev", None, 4321),
        ("ng serve --open", "ng", "serve", None, 4200),
        ("webpack serve --mode development", "webpack", "serve", None, 8080),
        ("react-scripts start", "react-scripts", "start", None, 3000),
        ("php artisan serve", "artisan", "serve", None, 8000),
        ("concurrently -k -n web vite", "vite", "", None, 5173),
        ("uv run flask run", "flask", "run", None, 5000),
        ("pnpm exec nuxi dev", "nuxt", "dev", None, 3000),
        ("storybook dev", "storybook", "dev", None, 6006),
    ],
)
def test_a_known_server_that_is_told_no_port(
    command: str, program: str, subcommand: str, host: str | None, port: int
) -> None:
    ((server, its_command, its_host),) = listens(command, {}).unsaid
    assert (server.programs[0], its_command, its_host, server.usual(its_command)) == (program, subcommand, host, port)


@pytest.mark.parametrize(
    "command",
    [
        "vite build", "next lint", "ng test", "astro check", "flask db upgrade", "rails db:migrate", "ollama serve",
        "pocketbase serve", "npm run dev", "npm start", "webpack --mode production", "hugo", "php -r 1",
        "gatsby build", "echo next", "parcel build",
    ],
)  # fmt: skip
def test_what_starts_no_server(command: str) -> None:
    assert listens(command, {}).unsaid == ()


SECRETS = {
    "web --port $SECRET": "--port: the value of SECRET is no port",
    "web --host $SECRET --port 8000": "--host: the value of SECRET is no address",
    "web --host fe80::1%$SECRET --port 8000": "--host: the value of SECRET is no address",
    "web --host ${A:-$SECRET}.example --port 8000": "--host: the value of SECRET is no address",
    "web --bind $SECRET": "--bind: the value of SECRET is no HOST:PORT",
    "web --bind $SECRET:$PORT": "--bind: the values of SECRET and PORT are no HOST:PORT",
    "SECRET=1 web -p $SECRET$SECRET$PORT$PORT": "-p: the values of SECRET and PORT are no port",
}


@pytest.mark.parametrize("command", SECRETS)
def test_the_value_of_a_variable_is_an_address_a_port_or_nothing_to_print(command: str) -> None:
    found = listens(command, {"PORT": "5100", "SECRET": "hunter2$5"})
    assert found.problems == (SECRETS[command],)
    assert all(host is None for host, _ in found.ports)


def test_a_port_names_its_variables() -> None:
    found = listens("web --host $HOST --port 8$PORT", {"PORT": "100", "HOST": "localhost"})
    assert found == Listening((("localhost", 8100),), (), ("HOST", "PORT"))


def read(folder: Path, text: str, environment: dict[str, str] | None = None) -> Reading:
    path = folder / "Procfile"
    path.write_text(text)
    return read_procfile(path, environment or {})


def test_port_is_what_foreman_gives(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        "# all\r\nweb: web -p $PORT\r\n\nworker: work\x0b\napi: api --port ${PORT:-1}\nfix: fix -p 8000\n",
    )
    assert [(each.service, each.port, each.line) for each in found.declarations] == [
        ("web", 5000, 2),
        ("api", 5200, 5),
        ("fix", 8000, 6),
    ]
    rule = "PORT=5000, and 100 more for each process before it, as foreman gives it"
    assert [each.note for each in found.declarations] == [rule, rule, None]
    assert {(each.kind, each.file) for each in found.declarations} == {("procfile", str(tmp_path / "Procfile"))}
    assert found.unresolved == ()


def test_the_env_file_beside_it_wins_over_the_environment(tmp_path: Path) -> None:
    pytest.importorskip("dotenv", reason="python-dotenv is not installed (portcheck[preflight])")
    text = "web: web -p $PORT\napi: api -p $API_PORT\n"
    assert [each.port for each in read(tmp_path, text, {"PORT": "4000"}).declarations] == [4000]
    (tmp_path / ".env").write_text("PORT=3000\nAPI_PORT=3900\n")
    assert [each.port for each in read(tmp_path, text, {"PORT": "4000"}).declarations] == [3000, 3900]


def test_a_port_variable_that_is_no_port_stays_open(tmp_path: Path) -> None:
    for base in ("x", "0", "65536"):
        found = read(tmp_path, "web: web -p $PORT\n", {"PORT": base})
        assert [(each.code, each.message) for each in found.unresolved] == [
            ("process", "-p: PORT is not set and has no default")
        ]
    last = read(tmp_path, "a: a\nb: b -p $PORT\n", {"PORT": "65500"})
    assert last.declarations == ()
    assert len(last.unresolved) == 1


def test_a_likely_server_without_a_port_is_said(tmp_path: Path) -> None:
    found = read(tmp_path, "web: puma -C config/puma.rb\nworker: report --all\napi: serve --listen here\nno process\n")
    assert found.declarations == ()
    assert [(each.code, each.line, each.service) for each in found.unresolved] == [
        ("process", 1, "web"),
        ("process", 3, "api"),
        ("syntax", 4, None),
    ]
    assert "foreman sets PORT=5000 for it" in found.unresolved[0].message


def test_what_nobody_writes_is_not_read(tmp_path: Path) -> None:
    with pytest.raises(LeftUnreadError, match="more than 1,000 lines"):
        read(tmp_path, "a: b\n" * (MAX_LINES + 1))
    found = read(tmp_path, f"web: web {'x' * 5_000} -p 8000\napi: api -p 8001\n")
    assert [each.port for each in found.declarations] == [8001]
    assert [(each.code, each.line) for each in found.unresolved] == [("limit", 1)]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(text=st.text("web: -p$PORT{}8000'\"|;&()\n=", max_size=60))
def test_any_text_is_read(text: str, tmp_path: Path) -> None:
    found = read(tmp_path, text)
    assert all(1 <= each.port <= 65535 for each in found.declarations)
