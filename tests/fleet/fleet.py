"""Hosts on one network, each with a real sshd, and a controller that reaches them: what a fleet is to Ansible.

    with Fleet(directory, [Plan("web-1", servers=(("nginx", "8080"),)), Plan("db-1")]) as fleet:
        subprocess.run(fleet.command(["ansible", ...]))  # runs in the namespaces of the controller
        fleet.hosts["web-1"].run("ps")  # inside, and not by way of ssh

A host has its own network, processes, name, home directories and temporary files; programs are this machine's.
Whatever ends the run, nothing is left: all processes are below one that ends with this one.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

PATIENCE = 60.0
PREFIX = "10.77"
HERE = f"{PREFIX}.0.1"
PROGRAMS = ("/usr/sbin/sshd", "/usr/bin/ssh", "/usr/sbin/ip", "/usr/bin/unshare", "/usr/bin/nsenter", "/usr/bin/sudo")
USERS = {"root": 0, "ann": 1000, "bob": 1001}
SYSTEM_PYTHON = "/usr/bin/python3"
WITH_PARENT = ("setpriv", "--pdeathsig=KILL")  # ends when whoever started it does, however that ends

SSHD = """
Port 22
HostKey /run/fleet/host_key
AuthorizedKeysFile /run/fleet/key.pub
StrictModes no
UsePAM no
PermitRootLogin yes
PidFile none
MaxStartups 100
Subsystem sftp internal-sftp
"""

# The first process of a host.  Its own temporary files stand over this machine's, and so do its users.
INIT = r"""
set -eu
mount --make-rprivate /
mount -t tmpfs tmpfs /run
mkdir /run/fleet /run/sshd /run/python
mount --bind "$FLEET" /run/fleet
if [ -n "$PYTHON_PREFIX" ]; then mount --bind "$PYTHON_PREFIX" /run/python; fi
for own in /root /home /srv /tmp /var/tmp; do mount -t tmpfs -o size="$SIZE" tmpfs $own; done
chmod 1777 /tmp /var/tmp
if [ -n "$PYTHON_PREFIX" ]; then mkdir -p "$PYTHON_PREFIX"; mount --move /run/python "$PYTHON_PREFIX"; fi
mkdir /home/ann /home/bob
chown 1000:1000 /home/ann
chown 1001:1001 /home/bob
chmod 700 /root /home/ann /home/bob
for file in passwd group shadow sudoers; do mount --bind /run/fleet/etc/$file /etc/$file; done
hostname "$NAME"
ip link set lo up
eval "$THEN"
while ! ip -oneline address show dev eth0 2>/dev/null | grep -q inet; do sleep 0.02; done
exec /usr/sbin/sshd -D -e -f /run/fleet/sshd_config
"""

# A server of a host: NAME [ADDRESS:]PORT[/udp]...; one process of that name.
SERVER = r"""
import ctypes, socket, sys, time
name, *ports = sys.argv[1:]
ctypes.CDLL(None).prctl(15, name.encode("utf-8", "surrogateescape"), 0, 0, 0)
held = []
for each in ports:
    address, _, port = each.rpartition(":")
    udp = port.endswith("/udp")
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM if udp else socket.SOCK_STREAM)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind((address, int(port.removesuffix("/udp"))))
    if not udp:
        server.listen(16)
    held.append(server)
while True:
    time.sleep(1000)
"""


class Plan(NamedTuple):
    """A host as it is wanted."""

    name: str
    servers: tuple[tuple[str, ...], ...] = ()  # of each: name, [ADDRESS:]PORT[/udp] ...
    then: str = ""  # shell commands of its first process, before it can be reached
    tc: str = ""  # how its wire sends, in tc's words
    python: str = ""  # another Python's prefix, which the host has too
    size: str = "64m"  # of each place for temporary files
    reachable: bool = True


class Host(NamedTuple):
    """A host that runs."""

    plan: Plan
    address: str
    device: str  # its end of the wire at the controller
    init: int  # its first process, seen from here

    def run(self, *argv: str, check: bool = True) -> str:
        """What a command says inside, which is not by way of ssh."""
        return _output(["nsenter", f"--target={self.init}", "--mount", "--pid", "--net", "--uts", *argv], check=check)

    def files(self) -> set[str]:
        """Every file in its own places."""
        return set(
            self.run("find", "/root", "/home", "/srv", "/tmp", "/var/tmp", "-xdev", "-mindepth", "1").splitlines()
        )


def missing() -> list[str]:
    """Programs that this needs, and that are not here."""
    return [program for program in PROGRAMS if not os.access(program, os.X_OK)]


class Fleet:
    """The hosts of some plans, and the controller."""

    def __init__(self, directory: Path, plans: Sequence[Plan]) -> None:
        self.directory = directory
        self._plans = plans
        self._programs: list[subprocess.Popen[bytes]] = []
        self.hosts: dict[str, Host] = {}

    def __enter__(self) -> Self:
        try:
            self._write()
            self._hub = self._start(["unshare", "--net", "--pid", "--fork", "--kill-child", "sleep", "infinity"])
            self._controller = _only_child(self._hub.pid)
            self._ip(f"link add br0 type bridge\nlink set lo up\naddress add {HERE}/16 dev br0\nlink set br0 up")
            starting = [(plan, self._boot(plan)) for plan in self._plans if plan.reachable]
            for number, plan in enumerate(self._plans, 10):
                address = f"{PREFIX}.{number // 200}.{number % 200 + 2}"
                program = next((program for each, program in starting if each is plan), None)
                init = _only_child(program.pid) if program else 0
                self.hosts[plan.name] = Host(plan, address, f"v{number}", init)
            self._wire()
            self._wait()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for program in reversed(self._programs):
            program.kill()
        for program in self._programs:
            program.wait(PATIENCE)

    # What the controller does.

    def command(self, argv: Sequence[str]) -> list[str]:
        """A command line that runs on the controller; what it leaves running ends with it."""
        private = [*WITH_PARENT, "unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]
        return ["nsenter", f"--target={self._controller}", "--net", *private, *argv]

    def ssh(self, name: str, *command: str) -> list[str]:
        """A command line of plain ssh."""
        return ["ssh", *SSH, "-i", str(self.directory / "key"), f"root@{self.hosts[name].address}", *command]

    def inventory(self, variables: Mapping[str, Mapping[str, str]] | None = None) -> Path:
        """An inventory of all hosts in the group `fleet`."""
        lines = ["[fleet]"]
        for name, host in self.hosts.items():
            own = {"ansible_host": host.address, **(variables or {}).get(name, {})}
            lines.append(" ".join([name, *(f"{key}={shlex.quote(value)}" for key, value in own.items())]))
        lines += [
            "[fleet:vars]",
            "ansible_user=root",
            f"ansible_ssh_private_key_file={self.directory / 'key'}",
            f"ansible_ssh_common_args={shlex.quote(' '.join(SSH))}",
        ]
        path = self.directory / "inventory.ini"
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return path

    def sent(self, name: str) -> tuple[int, int]:
        """Bytes to a host, and from it, that went over its wire so far."""
        device = self.hosts[name].device
        text = _output(["nsenter", f"--target={self._controller}", "--net", "ip", "-s", "link", "show", device])
        counts = [int(line.split()[0]) for line in text.splitlines() if line.split()[0].isdigit()]
        received, sent = counts[0], counts[1]
        return sent, received

    # How it is made.

    def _write(self) -> None:
        etc = self.directory / "etc"
        etc.mkdir(parents=True)
        for key in ("key", "host_key"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self.directory / key)], check=True)
        (self.directory / "sshd_config").write_text(SSHD)
        (etc / "passwd").write_text(
            "".join(
                f"{name}:x:{uid}:{uid}::{'/root' if uid == 0 else f'/home/{name}'}:/bin/sh\n"
                for name, uid in {**USERS, "sshd": 105, "nobody": 65534}.items()
            )
        )
        (etc / "group").write_text("".join(f"{name}:x:{uid}:\n" for name, uid in {**USERS, "nogroup": 65534}.items()))
        (etc / "shadow").write_text("".join(f"{name}:*:20000:0:99999:7:::\n" for name in USERS))
        (etc / "sudoers").write_text("root ALL=(ALL:ALL) ALL\nann ALL=(ALL:ALL) NOPASSWD: ALL\n")
        for file in ("passwd", "group"):
            (etc / file).chmod(0o644)
        (etc / "shadow").chmod(0o600)
        (etc / "sudoers").chmod(0o440)
        self.directory.chmod(0o755)

    def _boot(self, plan: Plan) -> subprocess.Popen[bytes]:
        servers = [shlex.join([SYSTEM_PYTHON, "-S", "-c", SERVER, *server]) + " &" for server in plan.servers]
        environment = {
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "FLEET": str(self.directory),
            "NAME": plan.name,
            "SIZE": plan.size,
            "PYTHON_PREFIX": plan.python,
            "THEN": "\n".join([*servers, plan.then]),
        }
        new = ["--net", "--mount", "--uts", "--ipc", "--pid", "--fork", "--kill-child", "--mount-proc"]
        return self._start(["unshare", *new, "sh", "-c", INIT], environment, self.directory / f"{plan.name}.log")

    def _start(
        self, argv: Sequence[str], environment: Mapping[str, str] | None = None, log: Path | None = None
    ) -> subprocess.Popen[bytes]:
        with open(log or os.devnull, "wb") as output:
            program = subprocess.Popen(
                [*WITH_PARENT, *argv], stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                env=environment, start_new_session=True,
            )  # fmt: skip
        self._programs.append(program)
        return program

    def _wire(self) -> None:
        there = [host for host in self.hosts.values() if host.init]
        for host in there:
            self._ip(
                f"link add {host.device} type veth peer name eth0 netns {host.init}\n"
                f"link set {host.device} master br0\nlink set {host.device} up"
            )
            inside = ["nsenter", f"--target={host.init}", "--net", "ip", "-batch", "-"]
            _feed(inside, f"address add {host.address}/16 dev eth0\nlink set eth0 up")
            if host.plan.tc:
                words = ["tc", "qdisc", "add", "dev", host.device, "root", *host.plan.tc.split()]
                _output(["nsenter", f"--target={self._controller}", "--net", *words])

    def _ip(self, commands: str) -> None:
        _feed(["nsenter", f"--target={self._controller}", "--net", "ip", "-batch", "-"], commands)

    def _wait(self) -> None:
        """Until every sshd listens."""
        deadline = time.monotonic() + PATIENCE
        for host in self.hosts.values():
            while host.init and b"Server listening" not in (log := self._log(host.plan.name)):
                assert time.monotonic() < deadline, f"{host.plan.name} does not come up: {log!r}"
                time.sleep(0.02)

    def _log(self, name: str) -> bytes:
        return (self.directory / f"{name}.log").read_bytes()


SSH = (
    *("-F", "/dev/null", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"),
    *("-o", "LogLevel=ERROR", "-o", "ConnectTimeout=5", "-o", "IdentitiesOnly=yes"),
)


def _only_child(pid: int) -> int:
    children = Path(f"/proc/{pid}/task/{pid}/children")
    deadline = time.monotonic() + PATIENCE
    while not (found := children.read_text().split()):
        assert time.monotonic() < deadline, f"PID {pid} starts nothing"
        time.sleep(0.005)
    return int(found[0])


def _feed(argv: Sequence[str], text: str) -> None:
    done = subprocess.run(argv, input=text, text=True, capture_output=True, check=False, timeout=PATIENCE)
    assert done.returncode == 0, f"{argv}: {done.stderr}"


def _output(argv: Sequence[str], *, check: bool = True) -> str:
    done = subprocess.run(argv, capture_output=True, check=False, timeout=PATIENCE, stdin=subprocess.DEVNULL)
    assert not check or done.returncode == 0, f"{argv}: {os.fsdecode(done.stderr)}"
    return os.fsdecode(done.stdout)


if __name__ == "__main__":  # an interactive look: python tests/fleet/fleet.py COMMAND...
    import tempfile

    with tempfile.TemporaryDirectory() as work:
        plans = [
            Plan(f"host-{number}", (("shop", "8080", "127.0.0.1:5432"),))
            for number in range(int(os.environ.get("HOSTS", "3")))
        ]
        with Fleet(Path(work, "fleet"), plans) as fleet:
            fleet.inventory()
            os.environ["FLEET"] = str(fleet.directory)
            sys.exit(subprocess.call(fleet.command(sys.argv[1:])))
