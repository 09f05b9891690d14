"""`portcheck preflight` as a user runs it: sample projects in a directory and a host of their own."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
import yaml
from junitparser import JUnitXml
from support.namespaces import Host
from support.patience import PATIENCE
from support.portcheck_command import PORTCHECK
from support.processes import HOLDER, SYSTEM_PYTHON
from support.rigs.docker_engine import DockerEngine

ROOT = Path(__file__).parents[2]
COMPOSE = """\
services:
  web:
    image: nginx
    ports:
      - "8000:80"
  db:
    image: postgres
    ports: ["127.0.0.1:5432:5432"]
"""


@pytest.fixture
def host() -> Iterator[Host]:
    with Host(link_local=False) as made:
        yield made


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    folder = tmp_path / "shop"
    folder.mkdir()
    (folder / "compose.yaml").write_text(COMPOSE)
    return folder


def preflight(host: Host, folder: Path, *args: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """Asked in the project's directory; Docker is none of this test's business unless it says so."""
    argv = ["env", "-C", str(folder), str(PORTCHECK), "preflight", "--no-docker", *args]
    return host.run(argv, check=False, **options)


def results(host: Host, folder: Path, *args: str) -> dict[str, dict[str, Any]]:
    document = json.loads(preflight(host, folder, "--json", *args).stdout)
    return {result["service"]: result for result in document["results"]}


def hold_in(host: Host, folder: Path, address: str, port: int) -> subprocess.Popen[bytes]:
    """A process that was started in a directory."""
    return host.start([SYSTEM_PYTHON, "-c", HOLDER, address, str(port)], ready=b"ready", cwd=folder)


def write(folder: Path, name: str, text: str) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(dedent(text))


def test_everything_is_free(host: Host, shop: Path) -> None:
    done = preflight(host, shop)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == (
        "compose.yaml:5  web  8000            free\n"
        "compose.yaml:8  db   127.0.0.1:5432  free\n"
        "\n"
        "2 declared ports: 2 free.\n"
    )  # fmt: skip


def test_a_stranger_holds_one(host: Host, shop: Path, tmp_path: Path) -> None:
    held = hold_in(host, tmp_path, "127.0.0.1", 5432)
    done = preflight(host, shop)
    assert done.returncode == 1
    assert f"compose.yaml:8  db   127.0.0.1:5432  in-use  python3 (PID {held.pid})\n" in done.stdout
    assert "\ncompose.yaml:8 db: Port 5432 is in use: python3" in done.stdout
    assert "      portcheck stop 127.0.0.1:5432\n" in done.stdout
    assert preflight(host, shop, "--quiet").stdout == ""
    assert preflight(host, shop, "--quiet").returncode == 1


@pytest.mark.parametrize("where", [".", "api"])
def test_a_process_of_the_project_runs_already(host: Host, shop: Path, where: str) -> None:
    write(shop, "api/portcheck.toml", "ports.api = 3000")
    write(shop, "portcheck.toml", "ports.api = 3000")
    held = hold_in(host, shop / where, "0.0.0.0", 3000)
    done = preflight(host, shop)
    assert done.returncode == 0
    assert f"portcheck.toml:1  api  3000            already running  python3 (PID {held.pid})\n" in done.stdout
    # a link to the project is the project
    link = shop.with_name("link")
    link.symlink_to(shop)
    assert preflight(host, link).returncode == 0
    # the same, asked from elsewhere by file names
    other = preflight(host, Path("/"), str(shop / "portcheck.toml"), str(shop / "compose.yaml"))
    assert (other.returncode, "already running" in other.stdout) == (0, True)


def test_at_home_a_directory_says_nothing_of_who_somebody_is(host: Host, shop: Path) -> None:
    write(shop, "portcheck.toml", "ports.api = 3000")
    hold_in(host, shop, "0.0.0.0", 3000)
    assert preflight(host, shop, env={"HOME": str(shop)}).returncode == 1


def test_two_services_declare_one_port_though_nothing_runs(host: Host, shop: Path) -> None:
    write(
        shop,
        "compose.override.yaml",
        'services: {api: {ports: ["127.0.0.1:8000:1"]}, other: {ports: ["[::1]:5432:1"]}}',
    )
    done = preflight(host, shop)
    assert done.returncode == 1
    assert "declared twice  also by api (compose.override.yaml:1)\n" in done.stdout
    assert "declared twice  also by web (compose.yaml:5)\n" in done.stdout
    assert "4 declared ports: 2 declared twice, 2 free." in done.stdout
    found = results(host, shop)
    assert (found["web"]["verdict"], found["web"]["rival"]["service"]) == ("free", "api")
    assert (found["db"]["status"], found["other"]["status"]) == ("free", "free")


def test_each_port_is_asked_as_it_is_declared(host: Host, tmp_path: Path) -> None:
    write(
        tmp_path,
        "portcheck.toml",
        """\
        [ports]
        loopback = { port = 8000, host = "127.0.0.1" }
        ethernet = { port = 8000, host = "eth0" }
        default = { port = 8000, profile = "uvicorn" }
        everywhere = 8001
        dns = "8000/udp"
        """,
    )
    host.hold("192.0.2.7", 8000)
    host.hold("127.0.0.1", 8001, "udp")
    found = results(host, tmp_path)
    assert {name: result["verdict"] for name, result in found.items()} == {
        "loopback": "free", "ethernet": "in-use", "default": "free", "everywhere": "free", "dns": "free",
    }  # fmt: skip
    assert [row["address"] for row in found["default"]["binds"]] == ["127.0.0.1"]
    assert found["default"]["message"] == "uvicorn --port 8000 would succeed."
    assert {name: result["target"] for name, result in found.items()} == {
        "loopback": "127.0.0.1:8000", "ethernet": "eth0:8000", "default": "8000", "everywhere": "8001",
        "dns": "8000/udp",
    }  # fmt: skip
    assert {row["method"] for row in results(host, tmp_path, "--no-probe")["loopback"]["binds"]} == {"rules"}


def test_the_first_free_of_a_range_is_told(host: Host, tmp_path: Path) -> None:
    write(tmp_path, "compose.yaml", 'services: {api: {ports: ["9000-9003:80"]}}')
    for port in (9000, 9001):
        held = host.hold("0.0.0.0", port)
    done = preflight(host, tmp_path)
    assert done.returncode == 0
    assert "api  9000-9003  free as 9002  9000 is in-use: python3" in done.stdout
    assert results(host, tmp_path)["api"]["instead"]["port"] == 9002
    for port in (9002, 9003):
        held = host.hold("0.0.0.0", port)
    done = preflight(host, tmp_path)
    assert done.returncode == 1
    assert "None of 9000-9003 is free." in done.stdout
    assert held.poll() is None


def test_a_variable_without_a_value_is_named(host: Host, shop: Path) -> None:
    with (shop / "compose.yaml").open("a") as file:
        file.write('  admin:\n    ports: ["${ADMIN_PORT}:80"]\n')
    done = preflight(host, shop)
    assert done.returncode == 0
    assert "not seen: compose.yaml:10 admin: ADMIN_PORT is not set and has no default\n" in done.stdout
    assert json.loads(preflight(host, shop, "--json").stdout)["complete"] is False
    assert preflight(host, shop, "--strict").returncode == 3
    (shop / ".env").write_text("ADMIN_PORT=8081\n")
    assert "compose.yaml:10  admin  8081            free\n" in preflight(host, shop, "--strict").stdout
    assert preflight(host, shop, "--strict").returncode == 0


def test_nothing_is_certain(host: Host, tmp_path: Path) -> None:
    write(tmp_path, "compose.yaml", "services: {web: {network_mode: host}}")
    done = preflight(host, tmp_path)
    assert done.returncode == 3
    assert done.stdout.startswith("not seen: compose.yaml:1 web: network_mode: host")
    host.hold("0.0.0.0", 3000)
    write(tmp_path, "Procfile", "web: web --port 3000")
    assert preflight(host, tmp_path).returncode == 1


def test_a_number_of_which_nobody_says_whose_it_is_is_told(host: Host, tmp_path: Path) -> None:
    host.hold("0.0.0.0", 3000)
    write(tmp_path, ".env", "PORT=3000\nSMTP_PORT=25\n")
    write(tmp_path, "portcheck.toml", "ports.api = 8000")
    done = preflight(host, tmp_path, "--strict")
    assert done.returncode == 0
    assert "not seen: .env:1: PORT names a port, and no command or Compose file here publishes it: not judged" in (
        done.stdout
    )
    assert done.stdout.endswith("1 declared port: 1 free; 2 not judged.\n")
    write(tmp_path, "Procfile", "web: gunicorn app\n")  # which heeds the PORT that it is given
    assert preflight(host, tmp_path).returncode == 1


def test_a_process_of_the_project_is_in_the_way_of_its_container(host: Host, shop: Path) -> None:
    hold_in(host, shop, "0.0.0.0", 8000)
    done = preflight(host, shop)
    assert done.returncode == 1
    assert "  note: a process of the project has the port, not the service's container, which could not" in done.stdout


def test_a_port_for_each_container(host: Host, shop: Path) -> None:
    scaled = COMPOSE.replace("    image: nginx\n", "    image: nginx\n    deploy: {replicas: 2}\n")
    write(shop, "compose.yaml", scaled.replace("postgres\n", "postgres\n    scale: 0\n"))
    done = preflight(host, shop)
    assert done.returncode == 1
    assert re.search(r"web +8000 +too few +2 containers\n", done.stdout)
    assert "2 containers take a port each, and of 8000 too few will do." in done.stdout
    assert re.search(r"db +127.0.0.1:5432 +not checked +its scale is 0\n", done.stdout)
    write(shop, "compose.yaml", scaled.replace("8000:80", "8000-8001:80"))
    assert preflight(host, shop).returncode == 0
    held = host.hold("0.0.0.0", 8001)
    assert preflight(host, shop).returncode == 1
    assert held.poll() is None


def test_the_servers_of_scripts_and_of_every_procfile(host: Host, tmp_path: Path) -> None:
    write(
        tmp_path,
        "package.json",
        """\
        {
          "scripts": {
            "dev": "vite",
            "start": "next start -p 3100",
            "build": "vite build"
          }
        }
        """,
    )
    write(tmp_path, "vite.config.ts", "export default {\n  server: { port: 3200 },\n}\n")
    write(tmp_path, "Procfile.dev", "web: bin/rails server -p 3300\ndb: ssh -N -L 5433:db:5432 bastion\n")
    write(tmp_path, ".devcontainer/api/devcontainer.json", '{"runArgs": ["-p", "3400:80"]}')
    found = results(host, tmp_path)
    assert {name: (each["kind"], each["target"], each["file"]) for name, each in found.items()} == {
        "dev": ("package", "3200", "vite.config.ts"),
        "start": ("package", "3100", "package.json"),
        "web": ("procfile", "3300", "Procfile.dev"),
        "db": ("procfile", "localhost:5433", "Procfile.dev"),
        None: ("devcontainer", "3400", ".devcontainer/api/devcontainer.json"),
    }
    host.hold("0.0.0.0", 3100)
    assert preflight(host, tmp_path).returncode == 1
    # vite takes another port
    host.hold("0.0.0.0", 3200)
    assert results(host, tmp_path)["dev"]["status"] == "fallback"


def test_a_host_name_that_leads_nowhere_is_unknown(host: Host, tmp_path: Path) -> None:
    write(tmp_path, "portcheck.toml", 'ports.web = { port = 8000, host = "nowhere.invalid" }\nports.api = 8001')
    done = preflight(host, tmp_path)
    assert done.returncode == 3
    assert "web  nowhere.invalid:8000  unknown\n" in done.stdout
    assert "unknown host 'nowhere.invalid'" in done.stdout
    assert "api  8001                  free\n" in done.stdout


@pytest.mark.parametrize(
    ("name", "text", "complaint"),
    [
        ("compose.yaml", "services:\n  web:\n    ports: [\n", "compose.yaml:3: broken YAML"),
        ("portcheck.toml", "\n[ports]\nweb = 70000\n", "portcheck.toml:3: web: port 70000 is out of range"),
        (
            "portcheck.toml",
            "[ports]\nweb = {port = 80, profile = 'ngnix'}\n",
            "portcheck.toml:2: unknown server 'ngnix'",
        ),
        (".devcontainer.json", '{"forwardPorts": [3000,\n', ".devcontainer.json:"),
    ],
)
def test_a_broken_file_is_one_line_with_its_place(
    host: Host, tmp_path: Path, name: str, text: str, complaint: str
) -> None:
    write(tmp_path, name, text)
    done = preflight(host, tmp_path)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (3, "", 1)
    assert done.stderr.startswith(f"portcheck: {complaint}")
    # those who read annotations or a report get it there too
    github = preflight(host, tmp_path, "--format", "github")
    assert (github.returncode, github.stdout.count("\n")) == (3, 1)
    assert github.stdout.startswith(f"::error file={name},line=")
    (suite,) = JUnitXml.fromstring(preflight(host, tmp_path, "--format", "junit").stdout.encode())
    assert (suite.tests, suite.errors) == (1, 1)


def test_nothing_to_check_is_2(host: Host, tmp_path: Path) -> None:
    def complaint(*args: str) -> str:
        done = preflight(host, tmp_path, *args)
        assert (done.returncode, done.stdout) == (2, "")
        return done.stderr

    assert complaint().startswith(f"portcheck: nothing to check: no file in {tmp_path} declares ports\n")
    write(tmp_path, ".env", "DB_PORT=5432\n")
    assert complaint().startswith("portcheck: nothing to check: .env:1: DB_PORT names a port, and no command")
    write(tmp_path, ".env", "DB_HOST=db\n")
    assert complaint().startswith("portcheck: nothing to check: no port is declared in .env\n")
    write(tmp_path, "compose.yaml", 'services: {web: {profiles: [debug], ports: ["80:80"]}}')
    assert "services of Compose profiles that are off" in complaint()
    words = complaint().partition("switch them on: ")[2].strip()
    assert words == "COMPOSE_PROFILES=debug portcheck preflight"
    pasted = host.run(["env", f"PATH={PORTCHECK.parent}:/usr/bin:/bin", "sh", "-c", words], cwd=tmp_path)
    assert "80" in pasted.stdout
    write(tmp_path, "compose.yaml", 'services: {web: {profiles: ["x;touch hacked"], ports: ["80:80"]}}')
    assert "touch hacked" not in complaint() or "COMPOSE_PROFILES='x;touch hacked' " in complaint()
    write(tmp_path, "compose.yaml", 'services: {web: {profiles: [debug], ports: ["80:80"]}}')
    assert complaint("none.yaml") == "portcheck: 'none.yaml': no such file\n"
    assert complaint("-C", "none") == "portcheck: none: no such directory\n"
    assert "unknown format 'xml'; accepted: text, json, github, junit" in complaint("--format", "xml")
    assert "exclude each other" in complaint("--json", "--format", "github")
    assert "exclude each other" in complaint("-C", ".", "compose.yaml")


@pytest.mark.parametrize(
    ("module", "file", "package"),
    [
        ("yaml", "compose.yaml", "PyYAML"),
        ("dotenv", ".env", "python-dotenv"),
        ("pyjson5", ".devcontainer.json", "pyjson5"),
    ],
)
def test_without_the_extra_it_says_what_to_install(
    host: Host, tmp_path: Path, module: str, file: str, package: str
) -> None:
    write(tmp_path, f"hidden/{module}.py", f"raise ModuleNotFoundError(name={module!r})")
    write(tmp_path, f"project/{file}", "{}")
    done = preflight(host, tmp_path / "project", env={"PYTHONPATH": str(tmp_path / "hidden")})
    assert (done.returncode, done.stdout) == (3, "")
    cause, remedy = done.stderr.splitlines()
    assert cause == f"portcheck: {file}: reading it needs {package}"
    assert remedy.endswith(' install "whyport[preflight]"')


def test_hostile_names_stay_harmless(host: Host, tmp_path: Path) -> None:
    name = 'a\n::error::gotcha\x1b[31m##[add-mask]<b>&"%0A,:'
    folder = tmp_path / "::warning::\x1b[2J"
    folder.mkdir()
    (folder / "compose.yaml").write_text(json.dumps({"services": {name: {"ports": ["8000:80"]}}}))
    host.hold("0.0.0.0", 8000)
    for shape in ("text", "json", "github", "junit"):
        done = preflight(host, tmp_path, "-C", folder.name, "--format", shape)
        assert done.returncode == 1
        assert all(line.isprintable() for line in done.stdout.splitlines()), shape
        if shape == "github":
            assert re.findall(r"^\s*::\w+|##\[", done.stdout, re.MULTILINE)[0] == "::error"
            assert len(done.stdout.splitlines()) == 2
            assert not done.stdout.splitlines()[1].lstrip().startswith("::")
        if shape == "junit":
            ((case,),) = JUnitXml.fromstring(done.stdout.encode())
            assert "\\x1b[31m" in case.name
        if shape == "json":
            assert json.loads(done.stdout)["results"][0]["service"] == name


def test_a_whole_project(host: Host, shop: Path) -> None:
    write(shop, ".env", "PORT=3000\nDB_PORT=5432\n")
    write(shop, "Procfile", "web: uvicorn app:app --port $PORT\nworker: celery\n")
    write(shop, ".devcontainer/devcontainer.json", '{"forwardPorts": [8000], // a comment\n}')
    write(shop, "pyproject.toml", "[tool.portcheck.ports]\nmetrics = 9100\n")
    done = preflight(host, shop)
    assert done.returncode == 0
    lines = [line.split() for line in done.stdout.splitlines()]
    assert lines[:-2] == [
        ["compose.yaml:5", "web", "8000", "free"],
        ["compose.yaml:8", "db", "127.0.0.1:5432", "free"],
        ["Procfile:1", "web", "3000", "free"],
        [".devcontainer/devcontainer.json:1", "-", "127.0.0.1:8000", "free"],
        ["pyproject.toml:2", "metrics", "9100", "free"],
    ]
    assert all(len(line) <= 80 for line in done.stdout.splitlines())


def test_looking_leaves_nothing_behind(host: Host, shop: Path) -> None:
    before = sorted(shop.rglob("*"))
    assert preflight(host, shop).returncode == 0
    assert sorted(shop.rglob("*")) == before
    assert host.run(["ss", "-Htan"]).stdout == ""


# Beside a real engine

LABELS = ("--label=com.docker.compose.project=shop", "--label=com.docker.compose.service=web")


@pytest.mark.parametrize("network", ["published", "host"])
def test_a_container_of_the_project_counts_as_running(docker_engine: DockerEngine, shop: Path, network: str) -> None:
    def asked(*files: str) -> tuple[int, dict[str, str]]:
        done = docker_engine.portcheck("preflight", "--json", "--no-docker", *(files or ("-C", str(shop))))
        return done.returncode, {each["service"]: each["status"] for each in json.loads(done.stdout)["results"]}

    how = "--publish=8000:80" if network == "published" else "--network=host"
    write(shop, "compose.yaml", COMPOSE if network == "published" else COMPOSE.replace("8000:80", "80:80"))
    docker_engine.start("web", how, *LABELS)
    assert asked() == (0, {"web": "running", "db": "free"})
    text = docker_engine.portcheck("preflight", "--no-docker", "-C", str(shop)).stdout
    assert re.search(r"web +\d+ +already running +container web\n", text)
    # the same port for another service, and for another project
    (shop / "compose.yaml").write_text((shop / "compose.yaml").read_text().replace("  web:", "  shop:"))
    assert asked() == (1, {"shop": "in-use", "db": "free"})
    write(shop, "compose.yaml", 'name: other\nservices: {web: {ports: ["8000:80", "80:80"]}}')
    assert asked()[0] == 1


# What CI runs


def in_ci(script: str, folder: Path, argv: list[str], **env: str) -> subprocess.CompletedProcess[str]:
    """A step as CI runs it: a script in a file, given to a shell."""
    file = folder / ".step"
    file.write_text(script)
    return subprocess.run(
        [*argv, str(file)], cwd=folder, env={**os.environ, **env}, capture_output=True, text=True,
        timeout=PATIENCE * 10, check=False,
    )  # fmt: skip


def evaluated(value: str, known: dict[str, str]) -> str:
    """`${{ inputs.directory }}` as the runner fills it in; a KeyError is an expression that nobody has defined."""
    return re.sub(r"\$\{\{ *([\w.-]+) *\}\}", lambda found: known[found[1]], value)


def test_the_github_action(host: Host, shop: Path, tmp_path: Path) -> None:
    action = yaml.safe_load((ROOT / "action.yml").read_text())
    known = {f"inputs.{name}": each["default"] for name, each in action["inputs"].items()}
    known |= {"github.action_path": str(ROOT), "inputs.directory": "shop", "inputs.args": "--no-docker --strict"}
    steps = action["runs"]["steps"]
    assert not any("${{" in step["run"] for step in steps)  # an input is never part of a script

    def run(step: dict[str, Any], *prefix: str) -> subprocess.CompletedProcess[str]:
        env = {name: evaluated(value, known) for name, value in step["env"].items()}
        assert step["shell"] == "bash"
        shell = [*prefix, "bash", "--noprofile", "--norc", "-eo", "pipefail"]
        (tmp_path / "outputs").write_text("")
        places = {"RUNNER_TEMP": str(tmp_path / "temp"), "GITHUB_OUTPUT": str(tmp_path / "outputs")}
        return in_ci(step["run"], tmp_path, shell, **places, **env)

    def outputs() -> dict[str, str]:
        """Those of the action: each comes from the step that it names."""
        lines = (tmp_path / "outputs").read_text().splitlines()
        known = {f"steps.{check['id']}.outputs.{line.partition('=')[0]}": line.partition("=")[2] for line in lines}
        return {name: evaluated(each["value"], known) for name, each in action["outputs"].items()}

    install, check = steps
    for module in ("venv", "pip", "ensurepip", "portcheck"):  # the checkout is the current directory
        (tmp_path / f"{module}.py").write_text(f"open({str(tmp_path / 'x')!r}, 'w')\n")
    installed = run(install)  # outside of the host, which has no network
    assert installed.returncode == 0, installed.stderr
    inside = f"--net={host.path}"
    free = run(check, "nsenter", inside)
    assert (free.returncode, free.stdout) == (0, "2 declared ports: 2 free.\n"), free.stderr
    assert (outputs()["verdict"], outputs()["exit-code"]) == ("startable", "0")
    host.hold("0.0.0.0", 8000)
    taken = run(check, "nsenter", inside)
    assert taken.returncode == 1
    assert taken.stdout.startswith(
        "::error file=shop/compose.yaml,line=5,title=portcheck%3A 8000 in-use::Port 8000 is in use"
    )
    assert (outputs()["verdict"], outputs()["exit-code"]) == ("taken", "1")
    statuses = [each["status"] for each in json.loads(Path(outputs()["report"]).read_text())["results"]]
    assert statuses == ["in-use", "free"]
    known["inputs.fail"] = "false"
    assert run(check, "nsenter", inside).returncode == 0
    assert outputs()["verdict"] == "taken"
    known |= {"inputs.fail": "true", "inputs.args": "--no-docker --$(touch x)"}
    assert run(check, "nsenter", inside).returncode == 2
    assert outputs() == {"verdict": "nothing-declared", "exit-code": "2", "report": ""}
    assert not (tmp_path / "x").exists()
