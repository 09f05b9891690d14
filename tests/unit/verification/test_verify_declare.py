"""What listens now as a portcheck.toml: valid whatever names strangers have, and true of what was seen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.scenes import listener, process, scene
from support.verified import beside, findings, udp

from portcheck import toml
from portcheck.model import Container, Process, Scene
from portcheck.preflight.portcheck_toml import read_own
from portcheck.text import utf8
from portcheck.verification.declare import declaration, quoted

anything = st.text(st.characters(codec=None), max_size=40)


def written(seen: Scene) -> dict[str, Any]:
    ports: dict[str, Any] = toml.loads("\n".join(declaration(seen)))["ports"]
    return ports


def holds(seen: Scene, folder: Path) -> None:
    """All is as declared, and nobody else listens."""
    file = folder / "portcheck.toml"
    file.write_text("\n".join(declaration(seen)), encoding="ascii")
    declared = read_own(file).declarations
    assert [finding.faults for finding in findings(seen, *declared)] == [()] * len(declared)
    assert beside(seen, *declared).open == ()
    assert beside(seen, *declared).doubtful == ()


@given(anything)
def test_a_string_is_what_it_was(text: str) -> None:
    read_back = toml.loads(f"key = {quoted(text)}")["key"]
    assert read_back == utf8(text)
    assert quoted(text).isascii()
    assert quoted(text).isprintable()


@pytest.mark.parametrize(
    "name", ["a", "a b", 'a"b\\', "[x]\n[y]", "\x1b[2J", "\udcff\udc00", "💥", "a.b", "", "=1", "é" * 20]
)
def test_a_strangers_name_stays_a_name(name: str, tmp_path: Path) -> None:
    stranger = process(7, name, user=name, command=(name,), executable=f"/bin/{name}")
    unit = process(8, name, service=name, confirmed=True, user=name)
    contained = process(9, "docker-proxy", container=Container("docker", "4c", name), confirmed=True, role="proxy")
    seen = scene(
        listener(port=80, pids=(7,)), listener(port=81, pids=(8,)), listener(port=82, pids=(9,)),
        processes=(stranger, unit, contained),
    )  # fmt: skip
    holds(seen, tmp_path)


def test_each_is_known_by_the_best_that_was_confirmed(tmp_path: Path) -> None:
    seen = scene(
        listener(port=22, pids=(1,)), listener("::", 22, v6only=True, pids=(1,), inode=8),
        listener(port=80, pids=(2,)), listener("::", 80, pids=(2,), inode=9),
        listener("127.0.0.1", 5432, pids=(3, 4)),
        listener(port=9000, pids=None, inode=10),
        listener(port=8000, pids=(5,)),
        udp(port=53, pids=(1,)), udp(port=51820, pids=()),
        processes=(
            process(1, "sshd", service="ssh.service", confirmed=True),
            process(2, "docker-proxy", role="proxy", container=Container("docker", "4c", "shop-web-1"), confirmed=True),
            process(3, "postgres", user="postgres"), process(4, "postgres", user="postgres", parent_pid=3),
            process(5, "java", service="app.service", confirmed=False, unanswered="it takes too long"),
        ),
        hidden={10: Process(0, user="ann", uid=1000)},
        kernel_owned={("udp", 51820): "WireGuard interface wg0"},
    )  # fmt: skip
    assert written(seen) == {
        "ssh": [
            {"port": 22, "host": ["0.0.0.0", "::"], "user": "root", "service": "ssh.service"},
            {"port": 53, "protocol": "udp", "host": "0.0.0.0", "user": "root", "service": "ssh.service"},
        ],
        "shop-web-1": {"port": 80, "host": ["0.0.0.0", "::"], "container": "shop-web-1"},
        "postgres": {"port": 5432, "host": "127.0.0.1", "process": "postgres", "user": "postgres"},
        "app": {"port": 8000, "host": "0.0.0.0", "user": "root"},  # its manager has not said that it is
        "port-9000": {"port": 9000, "host": "0.0.0.0", "user": "ann"},
        "WireGuard interface wg0": {"port": 51820, "protocol": "udp", "host": "0.0.0.0"},
    }
    holds(seen, tmp_path)


def test_strangers_that_share_an_address_are_one_entry(tmp_path: Path) -> None:
    """With nothing that is not true of both."""
    seen = scene(
        listener(pids=(1,)), listener(pids=(2,), inode=8), listener("127.0.0.1", pids=(3,), inode=9),
        listener("0.0.0.0", pids=(3,), inode=10, interface="eth0"),
        processes=(process(1, "node"), process(2, "ruby"), process(3, "java", user="ann")),
    )  # fmt: skip
    assert written(seen) == {"node": {"port": 80, "host": ["0.0.0.0", "127.0.0.1"]}}
    holds(seen, tmp_path)


def test_a_port_that_nobody_has_chosen_is_left_out(tmp_path: Path) -> None:
    seen = scene(
        udp(port=40000), listener("127.0.0.1", 40001), listener(port=40002), listener("127.0.0.1", 631),
        listener("fe80::1", 80, interface="eth0"),
    )  # fmt: skip
    ports = [each["port"] for each in written(seen)["httpd"]]
    assert ports == [80, 631, 40002]
    assert "# Left out: 2 " in "\n".join(declaration(seen))
    holds(seen, tmp_path)


def test_an_empty_host_is_an_empty_declaration() -> None:
    assert written(scene()) == {}
