"""What `pick` says of a port that it chose although another one would be better: text, JSON and Python agree."""

from __future__ import annotations

import json
import sys

import pytest
from support.namespaces import Host

import portcheck

NOTES = {
    "40000": ("ephemeral-range", "40000 lies in the ephemeral range (32768-60999): an outgoing connection may take it"),
    "6000": ("unsafe-in-browsers", "browsers refuse to connect to 6000 (it is one of the Fetch standard's bad ports)"),
    "50000": ("reserved-from-ephemeral", "50000 is reserved on this host (ip_local_reserved_ports)"),
}
FROM_PYTHON = "import portcheck, sys; print(*[tuple(note) for note in portcheck.choose([sys.argv[1]], lease=0).notes])"


@pytest.fixture
def ports(host: Host) -> None:
    host.run(["sysctl", "-q", "-w", "net.ipv4.ip_local_port_range=32768 60999"])
    host.run(["sysctl", "-q", "-w", "net.ipv4.ip_local_reserved_ports=50000"])


@pytest.mark.usefixtures("ports")
@pytest.mark.parametrize("port", NOTES)
def test_everybody_hears_of_it(host: Host, port: str) -> None:
    code, message = NOTES[port]
    text = host.portcheck("pick", port)
    assert (text.returncode, text.stdout, text.stderr) == (0, f"{port}\n", f"note: {message}\n")
    document = host.portcheck("pick", "--json", "--lease=0", port)
    assert json.loads(document.stdout)["notes"] == [{"code": code, "message": message, "port": int(port)}]
    assert document.stderr == text.stderr
    python = host.run([sys.executable, "-c", FROM_PYTHON, port])
    assert python.stdout == f"{(code, message, int(port))}\n"


def test_notes_are_on_chosen_ports_alone(host: Host) -> None:
    host.hold("0.0.0.0", 6000)
    document = json.loads(host.portcheck("pick", "--json", "6000", "8000").stdout)
    assert (document["port"], document["notes"]) == (8000, [])


def test_choose_picks_several() -> None:
    choice = portcheck.choose(["20000-20999"], count=3)
    assert len(set(choice.ports)) == 3
    assert choice.ports == tuple(one.port for one in choice.diagnoses if one.verdict == "free")
