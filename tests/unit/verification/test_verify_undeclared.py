"""Who listens beside all that is declared: what is a concern, what is none, and what cannot be told."""

from __future__ import annotations

from typing import Any

import pytest
from support.declared import composed, container
from support.scenes import listener, process, scene
from support.verified import beside, expecting, udp

from portcheck.model import Container, Process, Socket

DYNAMIC = 40000


def held_by(socket: Socket, **fields: Any) -> Any:
    who = process(382, **{"name": "server", **fields})
    return scene(socket, processes=(who,))


@pytest.mark.parametrize(
    ("socket", "fields", "kind"),
    [
        (listener(), {}, "open"),
        (listener("192.0.2.7"), {}, "open"),
        (listener("fe80::1", interface="eth0"), {}, "open"),
        (listener("127.0.0.1"), {}, "loopback"),
        (listener("127.9.9.9"), {}, "loopback"),
        (listener("::1"), {}, "loopback"),
        (listener("::ffff:127.0.0.1"), {}, "loopback"),
        (listener("0.0.0.0", interface="lo"), {}, "loopback"),
        (listener(state="BOUND"), {}, None),
        (listener(state="ESTABLISHED", remote_address="192.0.2.9", remote_port=5), {}, None),
        (udp(port=53), {}, "open"),
        (udp(port=DYNAMIC), {}, "udp-client"),
        (udp(port=DYNAMIC, pids=None), {}, "udp-client"),
        (udp(port=DYNAMIC)._replace(remote_address="192.0.2.9", remote_port=53), {}, None),
        # nobody has a TCP listener there by accident
        (listener(port=DYNAMIC), {}, "open"),
        (listener(port=DYNAMIC), {"name": "rpc.mountd"}, "rpc"),
        (listener(port=DYNAMIC), {"name": "rpc.statd", "user": "statd", "uid": 107}, "rpc"),
        (listener(port=DYNAMIC), {"name": "rpc.mountd", "user": "ann", "uid": 1000}, "open"),
        (udp(port=700), {"name": "rpcbind", "user": "_rpc"}, "rpc"),
        (udp(port=700), {"name": "server"}, "open"),
        (listener(port=111), {"name": "rpcbind"}, "open"),
        (listener(port=2049), {"name": "rpc.nfsd"}, "open"),
        # the kernel's callbacks for NFS, or somebody who hides
        (listener(port=DYNAMIC, pids=(), uid=0), {}, "doubtful"),
        (listener(port=DYNAMIC, pids=None, uid=0), {}, "doubtful"),
        (listener(port=DYNAMIC, pids=None, uid=1000), {}, "open"),
        (listener(port=8080, pids=None, uid=0), {}, "open"),
    ],
)
def test_who_is_a_concern(socket: Socket, fields: dict[str, Any], kind: str | None) -> None:
    rest = beside(held_by(socket, **fields))
    told = ["open"] * len(rest.open) + ["doubtful"] * len(rest.doubtful) + [each.reason for each in rest.apart]
    assert told == ([kind] if kind else [])


def test_the_kernels_own_udp_port_is_a_concern_in_the_dynamic_range_too() -> None:
    wireguard = scene(udp(port=51820, pids=()), kernel_owned={("udp", 51820): "WireGuard interface wg0"})
    assert [socket.local_port for socket in beside(wireguard).open] == [51820]


def test_what_is_declared_is_none() -> None:
    seen = scene(listener(port=80), listener("127.0.0.1", 81), udp(port=80))
    rest = beside(seen, expecting(80), expecting(8000, fallback=(81,)))
    assert ([socket.protocol for socket in rest.open], rest.apart) == (["udp"], ())


@pytest.mark.parametrize(
    ("entry", "kind"),
    [
        (expecting(80), "allowed"),
        (expecting(80, host="127.0.0.1"), "open"),
        (expecting(80, host="192.0.2.7"), "allowed"),
        (expecting(80, process="httpd"), "allowed"),
        (expecting(80, process="nginx"), "open"),
        (expecting(80, protocol="udp"), "open"),
    ],
)
def test_what_is_allowed(entry: Any, kind: str) -> None:
    rest = beside(scene(listener("192.0.2.7")), allowed=(entry,))
    assert ("open" if rest.open else rest.apart[0].reason) == kind


def test_who_may_be_allowed_cannot_be_told_where_nobody_is_seen() -> None:
    seen = scene(listener(pids=None), hidden={7: Process(0, user="root", uid=0)})
    assert len(beside(seen, allowed=(expecting(80, process="nginx"),)).doubtful) == 1


def test_a_service_that_is_switched_off_may_run() -> None:
    off = composed(80, enabled=False, compose_profiles=("debug",))
    own = scene(listener(pids=(99,)), processes=(container(),))
    assert beside(own, optional=(off,)) == ((), (), ())
    other = process(99, container=Container("docker", "4c", "other"), confirmed=True)
    assert len(beside(scene(listener(pids=(99,)), processes=(other,)), optional=(off,)).open) == 1
