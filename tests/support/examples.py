"""Diagnoses as real machines give them, made by hand."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from portcheck.model import (
    Advice,
    Answer,
    Bind,
    BlindSpot,
    Container,
    Diagnosis,
    Note,
    Owner,
    Process,
    Row,
    Sentence,
    Socket,
)

if TYPE_CHECKING:
    from portcheck.model import Family

STARTED = 1795078800.0  # 2026-11-19T09:00:00Z
HOSTILE = "evil\x1b[2J\n\u202e[bold]:bomb:\udcff"

ANY4 = Bind("0.0.0.0", "ipv4")
ANY6 = Bind("::", "ipv6", True)
DUAL = Bind("::", "ipv6", False)
LOOPBACK4 = Bind("127.0.0.1", "ipv4", None, "lo")
LOOPBACK6 = Bind("::1", "ipv6", True, "lo")
ETHERNET4 = Bind("192.0.2.7", "ipv4", None, "eth0")
LINK_LOCAL = Bind("fe80::1%eth0", "ipv6", True, "eth0")
EVERY_BIND = (ANY4, ANY6, DUAL, LOOPBACK4, LOOPBACK6, ETHERNET4, LINK_LOCAL)


def taken(bind: Bind, *by: int, **more: Any) -> Row:
    return Row(bind, "in-use", "in-use", "in-use", "EADDRINUSE", "probe", by, (), by, **more)


def free(bind: Bind, **more: Any) -> Row:
    return Row(bind, "free", "free", "free", None, "probe", **more)


def listener(address: str, port: int, *pids: int, **more: Any) -> Socket:
    family: Family = "ipv6" if ":" in address else "ipv4"
    return Socket("tcp", family, address, port, state="LISTEN", pids=pids, queue=0, backlog=511, **more)


def diagnosis(port: int = 8000, **fields: Any) -> Diagnosis:
    """A free port, unless told otherwise."""
    usual: dict[str, Any] = {
        "target": str(port),
        "protocol": "tcp",
        "port": port,
        "host": None,
        "verdict": "free",
        "cause": None,
        "message": f"Port {port} is free on every IPv4 and IPv6 address.",
        "complete": True,
        "binds": tuple(map(free, EVERY_BIND)),
        "answers": (Answer("127.0.0.1"), Answer("::1"), Answer("192.0.2.7")),
    }
    known = usual | fields
    return Diagnosis(sentence=said(known.pop("message")), **known)


def said(message: str) -> Sentence:
    """A message in its parts."""
    claim, _, reason = message.removesuffix(".").partition(": ")
    subject, verb, answer = re.split(" (is|cannot|would) ", claim, maxsplit=1)
    return Sentence(subject[:1].lower() + subject[1:], verb, answer, reason)


def httpd_everywhere() -> Diagnosis:
    """apache2: a main process of root, ten workers, one dual-stack socket, a service."""
    main = Process(
        382,
        name="httpd",
        uid=0,
        user="root",
        command=("/usr/sbin/httpd", "-k", "start"),
        cwd="/",
        started_at=STARTED,
        parent_pid=1,
        role="main",
        service="apache2.service",
        service_manager="systemd",
    )
    workers = [
        main._replace(pid=pid, uid=33, user="www-data", parent_pid=382, role="worker") for pid in range(390, 400)
    ]
    everyone = (382, *range(390, 400))
    return diagnosis(
        80,
        verdict="in-use",
        cause="listener",
        message="Port 80 is in use: httpd (PID 382, root, since 09:00) and 10 more processes listen on every"
        " IPv4 and IPv6 address.",
        binds=tuple(taken(bind, 0) for bind in EVERY_BIND),
        sockets=(listener("::", 80, *everyone, v6only=False, user="root", uid=0),),
        connections={"ESTABLISHED": 49990, "TIME-WAIT": 3},
        owners=tuple(Owner(process.pid, process, (0,)) for process in (main, *workers)),
        answers=tuple(Answer(address, (0,), everyone) for address in ("127.0.0.1", "::1", "192.0.2.7", "localhost")),
        advice=(Advice("Stop the service.", ("sudo", "systemctl", "stop", "apache2.service")),),
    )


def node_on_loopback() -> Diagnosis:
    """A developer's server on 127.0.0.1 alone."""
    node = Process(
        812,
        name="node",
        uid=1000,
        user="bo",
        command=("node", "server.js"),
        cwd="/home/bo/shop",
        started_at=STARTED,
        parent_pid=700,
        session="in tmux 0",
        project="shop",
        project_dir="/home/bo/shop",
        script="server.js",
    )
    blocked = (ANY4, DUAL, LOOPBACK4)
    return diagnosis(
        3000,
        verdict="in-use",
        cause="listener",
        message="Port 3000 is in use: node (PID 812, bo, since 09:00) listens on 127.0.0.1; the other"
        " addresses are free, but a server that binds 0.0.0.0 would fail.",
        binds=tuple(taken(bind, 0) if bind in blocked else free(bind) for bind in EVERY_BIND),
        sockets=(listener("127.0.0.1", 3000, 812, user="bo", uid=1000),),
        owners=(Owner(812, node, (0,)),),
        answers=(Answer("127.0.0.1", (0,), (812,)), Answer("::1"), Answer("192.0.2.7")),
        advice=(Advice("Stop it where it runs (tmux 0) with Ctrl-C, or end it.", ("kill", "812")),),
    )


def two_owners() -> Diagnosis:
    """Two programs share a port number: a wildcard on IPv4, a container's proxy on the other addresses."""
    service = Process(5444, name="Service.exe", user="SYSTEM", executable="C:\\S\\Service.exe")
    web = Container("docker", "4c01db0b339c", "web", "nginx:1.25", "shop", "web", "always")
    proxy = Process(6001, name="docker-proxy", uid=0, user="root", role="proxy", container=web, cwd="/")
    return diagnosis(
        20000,
        verdict="in-use",
        cause="listener",
        message="Port 20000 is in use: Service.exe (PID 5444, SYSTEM) listens on 127.0.0.1;"
        " docker-proxy (PID 6001, root) on every IPv6 address.",
        binds=(taken(ANY4, 0), taken(ANY6, 1), taken(DUAL, 0, 1), taken(LOOPBACK4, 0), taken(LOOPBACK6, 1)),
        sockets=(listener("127.0.0.1", 20000, 5444), listener("::", 20000, 6001, v6only=True)),
        owners=(Owner(5444, service, (0,)), Owner(6001, proxy, (1,))),
        answers=(
            Answer("127.0.0.1", (0,), (5444,)),
            Answer("::1", (1,), (6001,)),
            Answer("192.0.2.7"),
            Answer("localhost", (1,), (6001,)),
        ),
    )


def time_wait() -> Diagnosis:
    """Free for a server with SO_REUSEADDR, for another only later."""
    left = Socket("tcp", "ipv4", "127.0.0.1", 5000, "127.0.0.1", 40001, "TIME-WAIT", pids=(), expires_in=42.6)
    rows = tuple(free(bind)._replace(without_reuseaddr="in-use", conflicts=(0, 1)) for bind in (ANY4, DUAL, LOOPBACK4))
    return diagnosis(
        5000,
        cause="time-wait",
        message="Port 5000 is free on every IPv4 and IPv6 address for a server that sets SO_REUSEADDR;"
        " without it TIME_WAIT entries for another 55 s would refuse the bind.",
        binds=(*rows, free(ANY6)),
        sockets=(left, left._replace(remote_port=40002, expires_in=55.1)),
        connections={},
        advice=(Advice("Set SO_REUSEADDR in the server, or wait 55 s."),),
    )


def unknown_owner() -> Diagnosis:
    """Root's server, asked about by an ordinary user."""
    hidden = Process(0, uid=0, user="root", service="nginx.service")
    return diagnosis(
        443,
        host="127.0.0.1",
        target="127.0.0.1:443",
        verdict="in-use",
        cause="listener",
        message="Port 443 is in use: nginx.service (root; its process cannot be seen) listens on every IPv4"
        " address; besides, ports below 1024 need privilege.",
        complete=False,
        blind_spots=(
            BlindSpot(
                "owner-hidden",
                "the process of root that holds 0.0.0.0:443 cannot be seen from here",
                "run portcheck with sudo",
            ),
        ),
        binds=(taken(LOOPBACK4, 0)._replace(error="EACCES"),),
        sockets=(listener("0.0.0.0", 443)._replace(pids=None, user="root", uid=0),),
        owners=(Owner(None, hidden, (0,)),),
        answers=(Answer("127.0.0.1", (0,), None),),
    )


def with_a_udp_note() -> Diagnosis:
    return diagnosis(
        53,
        notes=(Note("udp-holder", "UDP port 53 is held by dnsmasq (PID 77); that is no conflict for TCP"),),
    )


def hostile() -> Diagnosis:
    """Every text that a stranger has a say in is hostile."""
    process = Process(
        666,
        name=HOSTILE,
        user=HOSTILE,
        command=(HOSTILE, HOSTILE),
        cwd=HOSTILE,
        started_at=STARTED,
        role="forwarder",
        service=HOSTILE,
        container=Container("docker", HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE),
        supervisor="pm2",
        started_by=HOSTILE,
        task=HOSTILE,
        session=HOSTILE,
        project=HOSTILE,
        project_dir=HOSTILE,
        forwards=HOSTILE,
        condition=("orphaned",),
    )
    return diagnosis(
        6666,
        target=HOSTILE,
        verdict="in-use",
        cause="listener",
        message=f"Port 6666 is in use: {HOSTILE} (PID 666) listens on 127.0.0.1.",
        complete=False,
        blind_spots=(BlindSpot("owner-hidden", HOSTILE, HOSTILE),),
        binds=(taken(Bind(HOSTILE, "ipv4", None, HOSTILE), 0), free(LOOPBACK6)),
        sockets=(listener("127.0.0.1", 6666, 666, interface=HOSTILE, user=HOSTILE, cgroup=HOSTILE),),
        owners=(Owner(666, process, (0,)),),
        notes=(Note("udp-holder", HOSTILE),),
        answers=(Answer(HOSTILE, (0,), (666,)), Answer("::1", (), (7,))),
        advice=(Advice(HOSTILE, ("kill", HOSTILE)),),
    )


EXAMPLES = {
    example.__name__: example
    for example in (
        diagnosis,
        httpd_everywhere,
        node_on_loopback,
        two_owners,
        time_wait,
        unknown_owner,
        with_a_udp_note,
        hostile,
    )
}
