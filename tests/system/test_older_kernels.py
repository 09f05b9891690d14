"""Where the kernel does not list what is bound without listening (before Linux 6.8): nobody hidden is called free.

Made on this kernel by hiding that list, and for real by any kernel that has none.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from support.namespaces import Host
from support.needs import need
from support.older_kernels import hides_bound_only
from support.portcheck_command import PORTCHECK

RESERVES = "import portcheck, sys; print(portcheck.reserve(sys.argv[1:]).port)"
PLAIN_ON_8000 = r"bind\((\d+), \{sa_family=AF_INET6?, sin6?_port=htons\(8000\)"
REUSES = r"setsockopt\((\d+), SOL_SOCKET, SO_REUSEADDR, \[1\]"


class OlderHost:
    """A host whose portcheck sees no socket that is bound without listening."""

    def __init__(self, host: Host, directory: Path) -> None:
        self.host = host
        self.env = hides_bound_only(directory)

    def code(self, *args: str) -> int:
        return self.host.portcheck(*args, env=self.env).returncode

    def out(self, *args: str) -> str:
        return self.host.portcheck(*args, env=self.env).stdout

    def result(self, *args: str) -> dict[str, Any]:
        (result,) = json.loads(self.out(*args, "--json"))["results"]
        return dict(result)

    def picked(self, *args: str) -> dict[str, Any]:
        return dict(json.loads(self.out("pick", *args, "--json")))

    def plain_binds(self, *args: str) -> int:
        """How often port 8000 is bound by a socket that has not set SO_REUSEADDR."""
        need("strace")
        trace = Path(self.env["PYTHONPATH"], "trace")
        argv = ["strace", "-f", "-qq", "-e", "trace=socket,setsockopt,bind", "-o", str(trace), str(PORTCHECK), *args]
        self.host.run(argv, check=False, env=self.env)
        plain, reusing = 0, set()
        for line in trace.read_text().splitlines():
            if made := re.search(r"socket\(AF_INET.* = (\d+)", line):
                reusing.discard(made[1])
            elif set_on := re.search(REUSES, line):
                reusing.add(set_on[1])
            elif bound := re.search(PLAIN_ON_8000, line):
                plain += bound[1] not in reusing
        return plain


@pytest.fixture
def older(host: Host, tmp_path: Path) -> OlderHost:
    return OlderHost(host, tmp_path)


def codes(result: dict[str, Any]) -> set[str]:
    return {spot["code"] for spot in result["blind_spots"]}


def without(result: dict[str, Any]) -> set[str]:
    return {row["without_reuseaddr"] for row in result["binds"]}


def test_a_free_port_is_free_for_servers_with_the_option(older: OlderHost) -> None:
    found = older.result("8000")
    assert (found["verdict"], found["complete"], older.code("8000")) == ("free", False, 0)
    assert (without(found), codes(found)) == ({"unknown"}, {"bound-not-visible"})
    assert found["message"].endswith("for a server that sets SO_REUSEADDR.")
    settled = older.result("8000", "--no-reuseaddr")
    assert (settled["verdict"], settled["complete"], without(settled)) == ("free", True, {"free"})


@pytest.mark.parametrize(
    "command",
    [
        "8000",
        "8000 --udp",
        "8000 --as node",
        "wait 8000 --free",
        "stop 8000 --yes",
        "8000 --no-reuseaddr --no-probe",
        "pick 8001 8000",
        "pick 8000 --no-probe",
    ],
)
def test_who_makes_no_plain_bind(older: OlderHost, command: str) -> None:
    assert older.plain_binds(*command.split()) == 0


@pytest.mark.parametrize("command", ["8000 --no-reuseaddr", "8000 --as socketserver", "pick 8000", "run 8000 -- true"])
def test_who_has_asked_for_a_plain_bind(older: OlderHost, command: str) -> None:
    assert older.plain_binds(*command.split()) > 0


def test_nobody_hidden_is_handed_out(older: OlderHost) -> None:
    """Bound with SO_REUSEADDR, so that only a bind without it is refused."""
    older.host.hold("127.0.0.1", 8000, "bound", "reuseaddr")
    found = older.result("8000")
    assert (found["verdict"], found["complete"], without(found)) == ("free", False, {"unknown"})
    asked = older.result("8000", "--no-reuseaddr")
    assert (asked["verdict"], asked["cause"], asked["complete"]) == ("in-use", None, False)
    assert "holder-not-seen" in codes(asked)
    picked = older.picked("8000", "8001")
    assert (picked["port"], [one["verdict"] for one in picked["candidates"]]) == (8001, ["in-use", "free"])
    refused, chosen = picked["candidates"]
    assert (refused["cause"], "holder-not-seen" in codes(refused)) == (None, True)
    assert (chosen["complete"], without(chosen)) == (True, {"free"})
    assert older.code("pick", "8000") == 1


@pytest.mark.parametrize("options", [[], ["--listen"]], ids=["", "--listen"])
def test_nothing_is_run_where_somebody_hides(older: OlderHost, options: list[str]) -> None:
    older.host.hold("127.0.0.1", 8000, "bound", "reuseaddr")
    assert older.code("run", "8000", *options, "--", "true") == 125
    assert older.out("run", "8000", "8001", *options, "--", "sh", "-c", "echo $PORT") == "8001\n"


def test_nothing_is_reserved_where_somebody_hides(older: OlderHost) -> None:
    older.host.hold("127.0.0.1", 8000, "bound", "reuseaddr")
    asked = older.host.run([sys.executable, "-c", RESERVES, "8000", "8001"], env=older.env)
    assert asked.stdout == "8001\n"


def test_a_refusal_is_evidence(older: OlderHost) -> None:
    older.host.hold("127.0.0.1", 8000, "bound")
    found = older.result("8000")
    assert (found["verdict"], found["cause"], found["complete"]) == ("in-use", None, False)
    assert {"holder-not-seen", "bound-not-visible"} <= codes(found)
    assert (older.picked("8000", "8001")["port"], older.code("run", "8000", "--", "true")) == (8001, 125)


def test_the_tables_alone_say_what_they_lack(older: OlderHost) -> None:
    assert (older.code("8000", "--no-probe"), codes(older.result("8000", "--no-probe"))) == (
        3,
        {"bound-not-visible", "undecided"},
    )
    older.host.hold("127.0.0.1", 8000)
    found = older.result("8000", "--no-probe")
    assert (found["verdict"], found["complete"]) == ("in-use", False)
    assert "bound-not-visible" in codes(found)
