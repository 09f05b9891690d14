"""A fleet of eleven hosts for the whole run, the collection as it is built and installed, and plays on them.

Without the environment of scripts/test-fleet nothing here is collected.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import pytest

from .fleet import Fleet, Plan, missing

ROOT = Path(__file__).parents[2]
HAS_ANSIBLE = importlib.util.find_spec("ansible.cli") is not None  # ansible/ here is no package
collect_ignore_glob = [] if HAS_ANSIBLE else ["test_*.py"]

BIN = Path(sys.executable).parent
PATIENCE = 120.0
# What a stranger may call a process; the kernel keeps 15 bytes.
HOSTILE = "</b><i>|`\x1b[31m"
SHOP = ("shop", "8080", "127.0.0.1:5432", "3000", "53/udp")
PYTHON_3_8 = next(iter(sorted(Path.home().glob(".pyenv/versions/3.8.*"))), None)
DECLARED = "mkdir /srv/shop; printf '[ports]\\nweb = 8080\\nnew = 8090\\n' >/srv/shop/portcheck.toml"
YAML = 'services: {web: {image: x, ports: ["8080:80"]}}'
COMPOSE = f"mkdir /srv/compose; echo '{YAML}' >/srv/compose/compose.yaml"
FULL = "for place in /root /tmp /var/tmp; do dd if=/dev/zero of=$place/full bs=1k 2>/dev/null || true; done"
BARE = (
    "mkdir -p /run/bare/upper /run/bare/work; rm -f /run/bare/upper/*; "
    "mount -t overlay -o lowerdir=/usr/bin,upperdir=/run/bare/upper,workdir=/run/bare/work overlay /usr/bin; "
    "rm /usr/bin/python3*"
)
PLANS = [
    Plan("web-1", (SHOP,), f"{DECLARED}; {COMPOSE}"),
    Plan("web-2", (SHOP,), DECLARED),
    Plan("web-3", (("nginx", "80"), (HOSTILE, "8081"))),
    Plan("db-1", (("postgres", "5432"),)),
    Plan("spare", (SHOP,), DECLARED),
    Plan("old", python=str(PYTHON_3_8 or "")),
    Plan("bare", then=BARE),
    Plan("gone", reachable=False),
    Plan("slow", (SHOP,), tc="tbf rate 8mbit burst 32kb latency 400ms"),
    Plan("full", then=FULL, size="64k"),
    Plan("readonly", then="mount -o remount,ro /root"),
]
VARIABLES = {"old": {"ansible_python_interpreter": f"{PYTHON_3_8}/bin/python3"}}
FINE = ("web-1", "web-2", "web-3", "db-1", "slow")


class Played(NamedTuple):
    """What became of a play: (host, task) → outcome and result."""

    results: Mapping[tuple[str, str], tuple[str, dict[str, Any]]]
    output: str

    def __call__(self, host: str, task: str = "ask") -> dict[str, Any]:
        """The result of a task that went well."""
        outcome, result = self.results[host, task]
        assert outcome == "ok", (host, task, outcome, result.get("msg"), self.output[-3000:])
        return result

    def failure(self, host: str, task: str = "ask") -> str:
        """The message of a task that failed."""
        outcome, result = self.results[host, task]
        assert outcome == "failed", (host, task, outcome, result.get("msg"))
        return str(result["msg"])


Play = Callable[..., Played]


def output(argv: list[str], **options: Any) -> str:
    """What a command says that goes well."""
    done = subprocess.run(argv, capture_output=True, text=True, timeout=PATIENCE, check=False, **options)
    assert done.returncode == 0, f"{argv}\n{done.stdout}\n{done.stderr}"
    said: str = done.stdout
    return said


@pytest.fixture(scope="session")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The collection as it would be published."""
    folder = tmp_path_factory.mktemp("dist")
    built = output([sys.executable, str(ROOT / "scripts" / "collection.py"), "build", str(folder)])
    return Path(built.splitlines()[-1])


@pytest.fixture(scope="session")
def collections(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where it is installed."""
    place = tmp_path_factory.mktemp("collections")
    home = {**os.environ, "HOME": str(tmp_path_factory.mktemp("home"))}
    install = ["collection", "install", "--offline", "-p", str(place), str(archive)]
    output([str(BIN / "ansible-galaxy"), *install], env=home)
    return place


@pytest.fixture(scope="session")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """The hosts."""
    if os.geteuid() != 0 or missing():
        pytest.skip(f"needs root and {', '.join(missing())}")
    with Fleet(tmp_path_factory.mktemp("fleet") / "state", PLANS) as made:
        made.inventory(VARIABLES)
        yield made


@pytest.fixture(scope="session")
def environment(collections: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Of everything that Ansible runs: nothing of this machine's own settings."""
    home = tmp_path_factory.mktemp("ansible")
    return {
        "PATH": f"{BIN}:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "ANSIBLE_HOME": str(home / ".ansible"),
        "ANSIBLE_COLLECTIONS_PATH": str(collections),
        "ANSIBLE_CALLBACK_PLUGINS": str(Path(__file__).with_name("callbacks")),
        "ANSIBLE_CALLBACKS_ENABLED": "recorder",
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_FORKS": "10",
        "ANSIBLE_PYTHON_INTERPRETER": "/usr/bin/python3",
    }


@pytest.fixture(scope="session")
def play(fleet: Fleet, environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Play:
    """Plays tasks on hosts; their names tell their results apart."""

    def played(
        tasks: list[dict[str, Any]],
        hosts: str = ",".join(FINE),
        *arguments: str,
        pipelining: bool = True,
        **keywords: Any,
    ) -> Played:
        folder = tmp_path_factory.mktemp("play")
        book = [{"hosts": hosts, "gather_facts": False, "tasks": tasks, **keywords}]
        (folder / "play.yml").write_text(json.dumps(book), encoding="utf-8")  # JSON is YAML
        recorded = folder / "recorded"
        recorded.touch()
        inventory = str(fleet.directory / "inventory.ini")
        done = subprocess.run(
            fleet.command([str(BIN / "ansible-playbook"), "-i", inventory, *arguments, str(folder / "play.yml")]),
            env={**environment, "RECORDED": str(recorded), "ANSIBLE_PIPELINING": str(int(pipelining))},
            capture_output=True, text=True, timeout=PATIENCE, check=False, cwd=folder, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        lines = map(json.loads, recorded.read_text(encoding="utf-8").splitlines())
        results = {(line["host"], line["task"]): (line["outcome"], line["result"]) for line in lines}
        assert results, done.stdout + done.stderr
        return Played(results, done.stdout + done.stderr)

    return played


def task(module: str, name: str = "ask", **options: Any) -> dict[str, Any]:
    """A task of the collection that does not end the play."""
    own: dict[str, Any] = {
        key: options.pop(key) for key in ("become", "become_user", "check_mode", "vars") if key in options
    }
    return {"name": name, f"whyport.portcheck.{module}": options, "ignore_errors": True, **own}


T = TypeVar("T")


def wait_for(condition: Callable[[], T], what: str) -> T:
    """The first true value of a condition."""
    deadline = time.monotonic() + PATIENCE
    while not (value := condition()):
        assert time.monotonic() < deadline, f"not within {PATIENCE} s: {what}"
        time.sleep(0.05)
    return value
