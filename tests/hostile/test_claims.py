"""What a process says of itself is no more than its own word: root's `stop` never does a stranger's bidding.

Each attack is made for real by an ordinary user, beside an innocent that must survive; and the honest are served.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.documents import commands, steps, told
from support.namespaces import Host
from support.needs import need
from support.patience import wait_for
from support.person import Person, advised
from support.processes import NOBODY, SYSTEM_PYTHON, is_gone
from support.rigs.debian_root import cache

AT_ONCE = ("--yes", "--settle", "0")
SERVER = """\
import os, socket, sys, time
held = socket.create_server(("127.0.0.1", int(sys.argv[1])))
print("ready", flush=True)
while True:
    time.sleep(1000)
"""
# Starts itself again under another name, or with other variables: NAME=VALUE ... -- ARGV...
DISGUISED = """\
import os, sys
cut = sys.argv.index("--")
os.environ.update(word.split("=", 1) for word in sys.argv[1:cut])
os.execve(sys.executable, sys.argv[cut + 1:], os.environ)
"""


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that everybody can enter."""
    need("setpriv")
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    (folder / "server.py").write_text(SERVER)
    (folder / "disguised.py").write_text(DISGUISED)
    yield folder
    shutil.rmtree(folder)


def stopped(host: Host, port: int, *options: str, code: int = 0, **how: Any) -> dict[str, Any]:
    """Root's `stop`."""
    return told(host.portcheck("stop", str(port), *options, *AT_ONCE, "--json", **how), code)


def listens(host: Host, port: int) -> bool:
    return host.run(["ss", "-Hltn", f"sport = :{port}"]).stdout != ""


def holder(found: dict[str, Any]) -> dict[str, Any]:
    (owner,) = found["before"]["owners"]
    told_of: dict[str, Any] = owner
    return told_of


# supervisord


def supervisord(host: Host, folder: Path, programs: dict[str, str], *, uid: int = 0) -> subprocess.Popen[bytes]:
    """Root's, or a user's own, with a password that is nobody else's business."""
    need("supervisord", "supervisorctl")
    text = (
        f"[supervisord]\nnodaemon=true\nlogfile=/dev/null\nlogfile_maxbytes=0\npidfile={folder}/pid\n"
        f"childlogdir={folder}\n[unix_http_server]\nfile={folder}/socket\nusername=boss\npassword=secret\n"
        "[rpcinterface:supervisor]\n"
        "supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface\n"
        f"[supervisorctl]\nserverurl=unix://{folder}/socket\nusername=boss\npassword=secret\n"
    )
    text += "".join(f"[program:{name}]\n{lines}\n" for name, lines in programs.items())
    text += "[group:victim]\nprograms=payments\n" if "payments" in programs else ""
    file = folder / "supervisord.conf"
    file.write_text(text)
    file.chmod(0o600)
    if uid:
        for path in (folder, file):
            os.chown(path, uid, uid)
    return host.start(["supervisord", "-c", str(file)], uid=uid, env={**os.environ, "HOME": "/"})


def by(command: str, user: str = "root") -> str:
    return f"command={command}\nuser={user}"


def below(place: Path, name: str = "shop") -> Path:
    folder = place / name
    folder.mkdir(mode=0o755)
    return folder


LISTENER = """\
import socket, sys
server = socket.create_server(("127.0.0.1", 9999))
print("ready", flush=True)
while True:
    client = server.accept()[0]
    open(sys.argv[1], "ab").write(client.recv(65536))
    client.close()
"""


def test_a_program_of_roots_supervisord_that_says_it_is_another(host: Host, place: Path) -> None:
    """It is stopped by its own name; the password that root's tool knows goes nowhere."""
    heard = place / "heard"
    heard.touch()
    heard.chmod(0o666)
    host.start([SYSTEM_PYTHON, "-c", LISTENER, str(heard)], uid=NOBODY, ready=b"ready")
    lie = "SUPERVISOR_GROUP_NAME=victim SUPERVISOR_PROCESS_NAME=payments SUPERVISOR_SERVER_URL=http://127.0.0.1:9999"
    attack = f"{SYSTEM_PYTHON} {place}/disguised.py {lie} -- {SYSTEM_PYTHON} {place}/server.py 8001"
    folder = below(place)
    supervisord(
        host, folder, {"payments": by(f"{SYSTEM_PYTHON} {place}/server.py 8000"), "annweb": by(attack, "nobody")}
    )
    wait_for(lambda: listens(host, 8000) and listens(host, 8001), "both programs listen")
    found = stopped(host, 8001)
    command = ["supervisorctl", f"--configuration={folder}/supervisord.conf", "stop", "annweb"]
    assert steps(found) == [{"command": command, "signalled": []}]
    assert (holder(found)["supervised"], holder(found)["confirmed"]) == ("annweb", True)
    assert listens(host, 8000)
    assert heard.read_bytes() == b""


def test_a_strangers_supervisord_that_is_none(host: Host, place: Path) -> None:
    """With root's configuration on its command line: it is asked as the stranger, who may not read that."""
    folder = below(place)
    supervisord(host, folder, {"payments": by(f"{SYSTEM_PYTHON} {place}/server.py 8000")})
    wait_for(lambda: listens(host, 8000), "the innocent listens")
    child = f"import subprocess; subprocess.run([{SYSTEM_PYTHON!r}, '{place}/server.py', '8001'])"
    fake = place / "supervisord"
    fake.write_text(child)
    variables = {"SUPERVISOR_GROUP_NAME": "victim", "SUPERVISOR_PROCESS_NAME": "payments"}
    host.start(
        [SYSTEM_PYTHON, str(fake), "-c", f"{folder}/supervisord.conf"],
        uid=NOBODY, ready=b"ready", env={**os.environ, **variables},
    )  # fmt: skip
    refused = stopped(host, 8001, code=1)
    assert refused["refusal"].startswith("supervisorctl gave no answer")
    assert (holder(refused)["confirmed"], holder(refused)["claim"]) == (False, "supervisord's victim:payments")
    assert "says it is supervisord's victim:payments" in refused["before"]["message"]
    assert not commands(refused)
    found = stopped(host, 8001, "--pid", str(holder(refused)["pid"]))
    assert steps(found) == [{"command": None, "signalled": [holder(refused)["pid"]]}]
    assert listens(host, 8000)


def test_roots_supervisord_with_roots_program_and_anothers(
    host: Host, place: Path, for_everyone: list[str], person: Person
) -> None:
    """The manager is root's, so that it takes root, whosever the program is."""
    folder = below(place)
    programs = {"web": by(f"{SYSTEM_PYTHON} {place}/server.py 8000"),
                "annweb": by(f"{SYSTEM_PYTHON} {place}/server.py 8001", "nobody")}  # fmt: skip
    supervisord(host, folder, programs)
    wait_for(lambda: listens(host, 8000) and listens(host, 8001), "both programs listen")
    seen = json.loads(host.run([*for_everyone, "8001", "--json"], uid=NOBODY, check=False).stdout)["results"][0]
    assert [advice["command"] for advice in seen["advice"]] == [["sudo", "portcheck", "stop", "8001"]]
    refused = told(host.run([*for_everyone, "stop", "8001", *AT_ONCE, "--json"], uid=NOBODY, check=False), 1)
    assert refused["refusal"] == (
        "supervisorctl answers root and root alone: ask as root whether it is supervisord's annweb"
    )
    (words,) = person.asks("8001")
    assert (person.pastes(words), listens(host, 8001)) == (0, False)
    host.run(["supervisorctl", f"--configuration={folder}/supervisord.conf", "start", "annweb"])
    wait_for(lambda: listens(host, 8001), "it listens again")
    for port, name in ((8001, "annweb"), (8000, "web")):
        command = stopped(host, port)["plan"][0]["command"]
        assert command[:2] == ["supervisorctl", f"--configuration={folder}/supervisord.conf"]
        assert command[-2:] == ["stop", name]
        assert not listens(host, port)


def test_a_users_own_supervisord(host: Host, place: Path, for_everyone: list[str]) -> None:
    """Takes its user's hands, and no sudo of that user's; root lends its own none."""
    folder = below(place)
    programs = {"web": f"command={SYSTEM_PYTHON} {place}/server.py 8000"}
    supervisord(host, folder, programs, uid=NOBODY)
    wait_for(lambda: listens(host, 8000), "it listens")
    options = [f"--configuration={folder}/supervisord.conf", f"--serverurl=unix://{folder}/socket"]
    (command,) = [advice["command"] for advice in host.result("8000")["advice"]]
    assert command == ["sudo", "-u", "nobody", "supervisorctl", *options, "stop", "web"]
    found = told(host.run([*for_everyone, "stop", "8000", *AT_ONCE, "--json"], uid=NOBODY, check=False), 0)
    assert found["plan"][0]["command"] == ["supervisorctl", *options, "stop", "web"]
    host.run(["supervisorctl", *options, "start", "web"], uid=NOBODY)
    wait_for(lambda: listens(host, 8000), "it listens again")
    (words,) = advised(host.portcheck("8000").stdout)
    host.run(["sh", "-c", words])
    assert not listens(host, 8000)
    host.run(["supervisorctl", *options, "start", "web"], uid=NOBODY)
    wait_for(lambda: listens(host, 8000), "it listens once more")
    assert stopped(host, 8000)["plan"][0]["command"] == command
    assert not listens(host, 8000)


# runit


def service(folder: Path, port: int, *before: str) -> Path:
    """A service directory of root's."""
    folder.mkdir(mode=0o755)
    (folder / "run").write_text(
        f"#!/bin/sh\nexec {' '.join(before)} {SYSTEM_PYTHON} {folder.parent}/server.py {port}\n"
    )
    (folder / "run").chmod(0o755)
    return folder


def test_a_parent_that_calls_itself_runsv_in_a_victims_directory(host: Host, place: Path) -> None:
    need("runsv", "sv")
    victim = service(place / "payments", 8000)
    host.start(["runsv", str(victim)])
    wait_for(lambda: listens(host, 8000), "the innocent listens")
    fake = f"import subprocess; subprocess.run([{SYSTEM_PYTHON!r}, '{place}/server.py', '8001'])"
    argv = [SYSTEM_PYTHON, str(place / "disguised.py"), "--", "runsv", "-c", fake]
    host.start(argv, uid=NOBODY, ready=b"ready", cwd=victim)
    found = stopped(host, 8001)
    assert (holder(found)["confirmed"], holder(found)["claim"]) == (False, f"runit's {victim}")
    assert steps(found) == [{"command": None, "signalled": [holder(found)["pid"]]}]
    assert listens(host, 8000)


@pytest.mark.parametrize(
    ("start", "stop"),
    [(["runsv"], ["sv", "down"]), (["s6-supervise"], ["s6-svc", "-d"]), (["supervise"], ["svc", "-d"])],
    ids=["runit", "s6", "daemontools"],
)
def test_a_service_directory_of_root_with_a_program_that_becomes_a_user(
    host: Host, place: Path, for_everyone: list[str], start: list[str], stop: list[str]
) -> None:
    need(start[0], stop[0])
    directory = service(place / "web", 8000, "setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")
    host.start([*start, str(directory)])
    wait_for(lambda: listens(host, 8000), "it listens")
    seen = json.loads(host.run([*for_everyone, "8000", "--json"], uid=NOBODY, check=False).stdout)["results"][0]
    assert [advice["command"] for advice in seen["advice"]] == [["sudo", "portcheck", "stop", "8000"]]
    found = stopped(host, 8000)
    assert steps(found) == [{"command": [*stop, str(directory)], "signalled": []}]
    assert (holder(found)["user"], holder(found)["confirmed"]) == ("nobody", True)


def test_a_service_directory_that_leads_to_a_victims_is_not_written_to(host: Host, place: Path) -> None:
    """Root's supervisor in a directory of a user, who has put a victim's status and control files there."""
    need("runsv", "sv")
    victim, mine = service(place / "payments", 8000), place / "mine"
    host.start(["runsv", str(victim)])
    wait_for(lambda: listens(host, 8000), "the innocent listens")
    mine.mkdir()
    (mine / "supervise").symlink_to(victim / "supervise")
    os.chown(mine, NOBODY, NOBODY)
    fake = f"import subprocess; subprocess.run([{SYSTEM_PYTHON!r}, '{place}/server.py', '8001'])"
    argv = [SYSTEM_PYTHON, str(place / "disguised.py"), "--", "runsv", "-c", fake]
    host.start(argv, ready=b"ready", cwd=mine)
    refused = stopped(host, 8001, code=1)
    assert refused["refusal"].startswith("sv is not asked about files of others")
    assert listens(host, 8000)


# pm2


@pytest.fixture(scope="session")
def pm2_modules() -> Path:
    """npm's pm2, as it is installed into a project."""
    need("npm", "node", "bash")
    folder = cache() / "pm2-5"
    if not (folder / "node_modules/.bin/pm2").exists():
        done = subprocess.run(
            ["npm", "install", "--silent", "--no-audit", "--no-fund", f"--prefix={folder}", "pm2@5"], check=False
        )
        if done.returncode:
            pytest.skip("needs pm2, which npm does not install here")
    return folder / "node_modules"


class Pm2:
    """Daemons of an ordinary user, each with a PM2_HOME, and off the PATH."""

    def __init__(self, host: Host, modules: Path, folder: Path) -> None:
        self._host, self.folder = host, folder
        shutil.copytree(modules, folder / "node_modules", symlinks=True)
        (folder / "s.js").write_text('require("http").createServer().listen(+process.env.PORT, "127.0.0.1")\n')
        subprocess.run(["chown", "-R", f"{NOBODY}:{NOBODY}", str(folder)], check=True)
        self.tool = folder / "node_modules/.bin/pm2"
        self._homes: list[Path] = []

    def run(self, home: Path, *arguments: str, port: int = 0) -> None:
        """As a shell starts it, which tells the daemon by $_ what it has run."""
        variables = {"PM2_HOME": str(home), "HOME": str(self.folder), "PORT": str(port)}
        self._host.run(
            ["bash", "-c", 'cd "$1"; shift; node_modules/.bin/pm2 "$@"', "bash", str(self.folder), *arguments],
            uid=NOBODY, env=variables,
        )  # fmt: skip

    def start(self, home: str, name: str, port: int, *options: str) -> Path:
        self._homes.append(self.folder / home)
        self.run(self._homes[-1], "start", "s.js", f"--name={name}", *options, port=port)
        wait_for(lambda: listens(self._host, port), f"{name} listens")
        return self._homes[-1]

    def end(self) -> None:
        for home in dict.fromkeys(self._homes):
            self.run(home, "kill")


@pytest.fixture
def pm2(host: Host, place: Path, pm2_modules: Path) -> Iterator[Pm2]:
    made = Pm2(host, pm2_modules, below(place))
    yield made
    made.end()


def test_pm2_is_told_in_its_own_home_as_its_own_user(host: Host, pm2: Pm2) -> None:
    """Another daemon of the same user has a program of that name, and root none at all."""
    first, _ = pm2.start("first", "web", 8000), pm2.start("second", "web", 8001)
    found = stopped(host, 8000)
    assert (holder(found)["supervised"], holder(found)["confirmed"]) == ("web", True)
    command = ["sudo", "-u", "nobody", "env", f"PM2_HOME={first}", str(pm2.tool), "stop", "web"]
    assert steps(found) == [{"command": command, "signalled": []}]
    assert listens(host, 8001)


def test_pm2_that_listens_itself_for_its_cluster(host: Host, pm2: Pm2) -> None:
    pm2.start("first", "other", 8001)
    pm2.start("first", "shop", 8000, "-i2")
    assert stopped(host, 8000)["plan"][0]["command"][-2:] == ["stop", "shop"]
    assert listens(host, 8001)


# Titles


RECORDS = '#!/bin/sh\necho "$(id -u) $0 $*" >>{}\n'


@pytest.fixture
def asked(place: Path) -> Path:
    """What the tools of a folder were asked, and by whom."""
    file = place / "asked"
    file.touch()
    file.chmod(0o666)
    folder = below(place, "tools")
    for tool in ("docker", "podman", "systemctl", "pm2", "supervisorctl", "sv"):
        (folder / tool).write_text(RECORDS.format(file))
        (folder / tool).chmod(0o755)
    return file


@pytest.mark.parametrize(
    "title",
    ["PM2 v5.4.2: God Daemon (/root/.pm2)", "ssh -NL 8001:victim:22 bastion", "sshd: root@pts/0",
     "nginx: master process /usr/sbin/nginx"],
)  # fmt: skip
def test_a_title_runs_no_command_of_root(host: Host, place: Path, asked: Path, title: str) -> None:
    attacker = host.start(
        [SYSTEM_PYTHON, str(place / "disguised.py"), "--", title, str(place / "server.py"), "8001"],
        uid=NOBODY, ready=b"ready",
    )  # fmt: skip
    found = stopped(host, 8001, env={"PATH": f"{asked.parent}/tools:{os.environ['PATH']}"})
    assert steps(found) == [{"command": None, "signalled": [attacker.pid]}]
    assert asked.read_text() == ""


def test_no_tool_is_run_from_a_relative_entry_of_the_path_or_from_here(host: Host, place: Path, asked: Path) -> None:
    """A process that looks like docker's own, root's even: docker is asked for its container."""
    argv = [SYSTEM_PYTHON, str(place / "disguised.py"), "--", "docker-proxy", str(place / "server.py"), "8001"]
    host.start(argv, ready=b"ready")
    where = {"PATH": f".:tools::{os.environ['PATH']}"}
    for folder in (place, place / "tools"):
        host.portcheck("8001", env=where, cwd=folder)
        host.portcheck("stop", "8001", *AT_ONCE, env=where, cwd=folder)
    assert asked.read_text() == ""


@pytest.mark.parametrize("name", ["docker-proxy", "rootlessport", "dockerd", "systemd"])
def test_a_name_runs_no_command_as_root(host: Host, place: Path, asked: Path, name: str) -> None:
    """Whoever is asked about a stranger's engine is asked as that stranger."""
    argv = [SYSTEM_PYTHON, str(place / "disguised.py"), "--", name, str(place / "server.py"), "8001", "--user"]
    attacker = host.start(argv, uid=NOBODY, ready=b"ready")
    path = {"PATH": f"{asked.parent}/tools:{os.environ['PATH']}"}
    found = told(host.portcheck("stop", "8001", "--pid", str(attacker.pid), *AT_ONCE, "--json", env=path), 0)
    assert steps(found) == [{"command": None, "signalled": [attacker.pid]}]
    by_root = [line for line in asked.read_text().splitlines() if line.startswith("0 ")]
    assert not [line for line in by_root if "show" not in line], by_root  # systemd's own units may be looked at
    assert is_gone(attacker.pid)
