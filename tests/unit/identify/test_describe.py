"""The line for people."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from support.acquaintances import ID, process

from portcheck.identify.describe import briefly, since, who
from portcheck.model import Container, Process

NINE = 1_763_715_600.0  # 2025-11-21 09:00 UTC
NOW = NINE + 7200


@pytest.fixture(autouse=True)
def _utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


WEB = Container("docker", ID, "web", "nginx:1.27", "shop", "web")
LINES = [
    (
        process("node", user="ann", claim="docker container victim", confirmed=False, started_at=NINE),
        "node (PID 812, ann, says it is docker container victim, since 09:00)",
    ),
    (
        process("httpd -k start", 66226, user="root", started_at=NINE, cwd="/"),
        "httpd (PID 66226, root, since 09:00)",
    ),
    (
        process(
            "/usr/bin/python3 -m http.server",
            user="ann",
            cwd="/home/ann/shop",
            script="-m http.server",
            started_at=NINE,
        ),
        "python3 -m http.server (PID 812, ann, in ~/shop, since 09:00)",
    ),
    (
        process("apache2", 382, user="root", role="main", service="apache2.service", started_at=NINE, cwd="/srv"),
        "apache2.service, main process apache2 (PID 382, root, since 09:00)",
    ),
    (
        process("docker-proxy", 99, user="root", role="proxy", container=WEB),
        "docker container web (shop/web, nginx:1.27) through docker-proxy (PID 99, root)",
    ),
    (
        process("docker-proxy", 99, role="proxy", container=Container("docker")),
        "docker container through docker-proxy (PID 99)",
    ),
    (process("nginx", container=Container("unknown", ID)), f"container {ID[:12]}, nginx (PID 812)"),
    (
        process("nginx", container=Container("containerd", ID, pod="74ba")),
        f"containerd container {ID[:12]} (pod 74ba), nginx (PID 812)",
    ),
    (
        process("nginx", service="nginx.service", container=Container("lxc", name="web"), role="worker"),
        "lxc container web, nginx.service, worker nginx (PID 812)",
    ),
    (
        process("systemd", 1, user="root", role="service manager", activation="a.socket", service="a.service"),
        "a.socket, held by systemd (PID 1, root)",
    ),
    (
        process("ssh -L x", user="ann", forwards="db:5432 through bastion"),
        "ssh to db:5432 through bastion (PID 812, ann)",
    ),
    (
        process("node s.js", script="s.js", task="npm run dev", session="tmux pane %3", cwd="/srv/s", user="root"),
        "node s.js (PID 812, root, in /srv/s, by npm run dev, tmux pane %3)",
    ),
    (process("app", supervisor="runit", started_by=None), "app (PID 812, kept running by runit)"),
    (process("app", started_by="keeper.py", uid=7), "app (PID 812, uid 7, child of keeper.py)"),
    (
        process("app", condition=("orphaned", "stopped", "deleted-executable")),
        "app (PID 812, its parent is gone, stopped, its program file was replaced or deleted)",
    ),
    # a server that is started by its own name has given that to its process, as far as the kernel keeps it
    (
        process(("python3", "/srv/bin/gunicorn", "app:app"), name="gunicorn", script="gunicorn app:app"),
        "gunicorn app:app (PID 812)",
    ),
    (
        process(("python3", "./my-long-server.py"), name="my-long-server.", script="./my-long-server.py"),
        "my-long-server.py (PID 812)",
    ),
    # titles that the kernel has cut
    (
        process(("node /tmp/web.js --prod",), name="node /tmp/web.j", script="/tmp/web.js --prod"),
        "node /tmp/web.js --prod (PID 812)",
    ),
    (process(("PM2 v7.0.4: God Daemon (/srv)",), name="PM2 v7.0.4: God"), "PM2 (PID 812)"),
    (process(("nginx: master process nginx",), name="nginx", role="main"), "main process nginx (PID 812)"),
    (Process(812), "a process (PID 812)"),
    # unseen ones
    (Process(0, user="root", service="apache2.service"), "apache2.service (root)"),
    (Process(0, user="root", activation="a.socket"), "a.socket (root)"),
    (Process(0, user="root", activation="a.socket", role="service manager"), "a.socket (root)"),
    (
        Process(0, user="root", role="proxy", container=WEB),
        "docker container web (shop/web, nginx:1.27) (root)",
    ),
    (Process(0, user="ann", uid=1000), "a process of ann"),
    (Process(0, uid=1000), "a process of uid 1000"),
    (Process(0), "an unknown process"),
]


@pytest.mark.parametrize(("subject", "expected"), LINES, ids=[line for _, line in LINES])
def test_who(subject: Process, expected: str) -> None:
    assert who(subject, NOW) == expected


def test_it_is_called_by_the_name_that_one_would_stop_it_by() -> None:
    web = process("node", service="pm2-ann.service", supervisor="pm2", supervised="web", confirmed=True)
    assert briefly(web) == "pm2's web"
    assert briefly(web._replace(confirmed=False)) == "pm2-ann.service"
    assert briefly(web._replace(service=None, supervised=None)) == "node (PID 812)"


def test_times_are_local_and_have_a_date_only_if_they_need_one(monkeypatch: pytest.MonkeyPatch) -> None:
    assert since(NINE, NOW) == "09:00"
    assert since(NINE - 86400, NOW) == "2025-11-20"
    monkeypatch.setenv("TZ", "Pacific/Auckland")
    time.tzset()
    assert since(NINE, NINE + 60) == "22:00"


def test_a_home_is_its_owners() -> None:
    subject = process("app", user="bob", cwd="/home/ann/shop")
    assert who(subject, NOW) == "app (PID 812, bob, in /home/ann/shop)"
    assert who(subject._replace(user="ann", cwd="/home/ann"), NOW) == "app (PID 812, ann, in ~)"
    assert who(subject._replace(user="root", cwd="/root/x"), NOW) == "app (PID 812, root, in ~/x)"
