"""LXC and OpenRC for real, each in a file system of the test's own: what is advised frees the port."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator

import pytest
from support.documents import steps, told
from support.namespaces import Host
from support.needs import need
from support.patience import wait_for
from support.person import advised
from support.portcheck_command import PORTCHECK
from support.processes import SYSTEM_PYTHON

from portcheck.observe.engines import LISTS

PORT = "8000"
Inside = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def inside(host: Host) -> Iterator[Inside]:
    """Runs a command with a /run, an /etc/init.d and a /var/lib/lxc that nobody else sees."""
    need("unshare", "nsenter")
    need("lxc-start", "rc-service", "busybox")
    script = "for place in /run /etc/init.d /var/lib/lxc; do mount -t tmpfs none $place; done; echo ready; sleep 1000"
    files = host.start(["unshare", "--mount", "sh", "-c", script], ready=b"ready").pid

    def run(*argv: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        return host.run(["nsenter", f"--mount=/proc/{files}/ns/mnt", *argv], check=check)

    yield run
    run("lxc-stop", "--kill", "-n", "box", check=False)
    run("rc-service", "web", "stop", check=False)


def listens(host: Host) -> bool:
    return host.run(["ss", "-Hltn", f"sport = :{PORT}"]).stdout != ""


def frees(host: Host, inside: Inside, command: list[str]) -> None:
    """The words that are printed."""
    wait_for(lambda: listens(host), "it listens")
    (words,) = advised(inside(str(PORTCHECK), PORT, check=False).stdout)
    assert words == " ".join(command)
    inside("sh", "-c", words)
    wait_for(lambda: not listens(host), "the port is free")


# Its init is sent SIGKILL to halt: busybox' server heeds nothing less.
BOX = """\
lxc.uts.name = box
lxc.rootfs.path = dir:/var/lib/lxc/box/rootfs
lxc.net.0.type = none
lxc.signal.halt = SIGKILL
lxc.init.cmd = /bin/busybox httpd -f -p {port}
"""


def write(inside: Inside, path: str, text: str) -> None:
    inside("sh", "-c", 'mkdir -p "$(dirname "$1")" && printf %s "$2" >"$1" && chmod 755 "$1"', "sh", path, text)


def test_a_container_of_lxc(host: Host, inside: Inside) -> None:
    """It has the host's network."""
    write(inside, "/var/lib/lxc/box/config", BOX.format(port=PORT))
    inside("sh", "-c", 'mkdir -p "$1/dev" "$1/proc" "$1/bin" && cp "$(command -v busybox)" "$1/bin"',
           "sh", "/var/lib/lxc/box/rootfs")  # fmt: skip
    inside("lxc-start", "-n", "box")
    command = ["lxc-stop", "-n", "box"]
    frees(host, inside, command)
    inside("lxc-start", "-n", "box")
    wait_for(lambda: listens(host), "it listens again")
    assert inside(*LISTS["lxc"].split()).stdout.split() == ["box"]  # which a blind spot advises where it is silent
    found = told(inside(str(PORTCHECK), "stop", PORT, "--yes", "--settle", "0", "--json", check=False), 0)
    assert steps(found) == [{"command": command, "signalled": []}]


SERVICE = """\
#!/sbin/openrc-run
supervisor=supervise-daemon
command={python}
command_args="-m http.server {port} --bind 127.0.0.1"
"""


def test_a_service_that_openrc_supervises(host: Host, inside: Inside) -> None:
    state = "started starting stopping inactive daemons options exclusive failed hotplugged scheduled"
    inside("sh", "-c", f"for each in {state}; do mkdir -p /run/openrc/$each; done; echo default >/run/openrc/softlevel")
    write(inside, "/etc/init.d/web", SERVICE.format(python=SYSTEM_PYTHON, port=PORT))
    inside("rc-service", "web", "start")
    frees(host, inside, ["rc-service", "web", "stop"])
