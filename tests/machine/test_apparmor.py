"""What a profile of AppArmor denies is denied by a policy, and never free."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support.namespaces import Host
from support.portcheck_command import PORTCHECK

# AppArmor has no word for a bind alone: what may not bind may make no such socket either, or lacks the capability.
PROFILES = {
    "no-network": "capability,",
    "no-addresses": "capability, network netlink, network unix,",
    "no-ipv4-tcp": "capability, network netlink, network unix, network inet dgram, network inet6,",
    "no-privileged-ports": "capability, network, deny capability net_bind_service,",
}
CONFINED = """import os, sys
with open("/proc/self/attr/exec", "w") as on_exec:
    on_exec.write("exec " + sys.argv[1])
os.execv(sys.argv[2], sys.argv[2:])
"""


@pytest.fixture(params=PROFILES)
def profile(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The name of one that is loaded."""
    name = str(request.param)
    path = tmp_path / name
    path.write_text(f"profile {name} flags=(attach_disconnected) {{ file, signal, ptrace, {PROFILES[name]} }}\n")
    subprocess.run(["apparmor_parser", "--replace", "--skip-cache", path], check=True, timeout=60)
    return name


def asked(host: Host, profile: str, *arguments: str) -> dict[str, Any]:
    done = host.run([sys.executable, "-c", CONFINED, profile, str(PORTCHECK), *arguments, "--json"], check=False)
    result: dict[str, Any] = json.loads(done.stdout)["results"][0]
    return result


def test_a_bind_that_it_denies_is_denied_by_a_policy(host: Host, profile: str) -> None:
    port = "80" if profile == "no-privileged-ports" else "8000"
    result = asked(host, profile, port)
    assert (result["verdict"], result["cause"]) == ("denied", "policy")
    row = result["binds"][0]
    assert (row["address"], row["outcome"], row["error"]) == ("0.0.0.0", "denied", "EACCES")
    if port == "80":
        assert asked(host, profile, "8000")["verdict"] == "free"


def test_what_is_in_the_way_outranks_it(host: Host, profile: str) -> None:
    host.hold("0.0.0.0", 8000)
    assert asked(host, profile, "8000")["verdict"] == "in-use"
