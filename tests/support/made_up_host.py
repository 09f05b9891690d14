"""The host of the examples in docs/: always the same users, addresses, PIDs and time of day.

    with MadeUpHost() as host:
        host.start(812, ["node", "server.js"], ready=b"ready")  # ann's, in ~/shop
        host.types("portcheck 3000")  # what a terminal of 80 columns shows of it

It has a network, processes, mounts and a name of its own.  portcheck is the one under test, with a clock that says when
the examples were made: nothing that is printed has to be made alike afterwards.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Sequence
from typing import Self

from support.needs import need
from support.patience import PATIENCE
from support.processes import child_of, end

SHOP = "/home/ann/shop"
USERS = {"root": 0, "ann": 1000, "redis": 110}
# What a user may do; ann may read this checkout and its Python, wherever they lie.
READS = "+dac_read_search"
PATH = f"/usr/local/sbin:{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
# On 2026-11-20 at 09:12; everything was started twelve minutes before.
LAUNCHER = f"""#!{sys.executable}
import sys, time
real, clock = time.time, time.clock_gettime
ahead = 1795165920 - %d
time.time = lambda: real() + ahead
time.clock_gettime = lambda which: clock(which) + (ahead - 720 if which == time.CLOCK_REALTIME else 0)
from portcheck.__main__ import main
main()
"""
SERVER = """\
const [port, host] = [process.argv[2] || 3000, process.argv[3] || '127.0.0.1'];
require('http').createServer().listen(+port, host, () => console.log('ready'));
"""
COLOUR = re.compile("\x1b\\[[0-9;]*[mK]")  # jq's; portcheck has none here
# /home gets ann, and keeps whoever is there: a checkout, or a Python.
SET_UP = r"""set -e
mount -t tmpfs -o mode=755 none /mnt
mkdir /mnt/home
mount --rbind /home /mnt/home
mount -t tmpfs -o mode=755 none /home
for each in /mnt/home/*; do
    [ -d "$each" ] || continue
    mkdir "/home/${each##*/}"
    mount --rbind "$each" "/home/${each##*/}"
done
mount -t tmpfs none /sys/fs/cgroup # nor is anything here in a unit or a container
mkdir -p /home/ann/shop
printf '%s' "$PASSWD" >/mnt/passwd
mount --bind /mnt/passwd /etc/passwd
mount -t tmpfs -o mode=755 none /usr/local/sbin
printf '%s' "$LAUNCHER" >/usr/local/sbin/portcheck
chmod 755 /usr/local/sbin/portcheck
printf '%s' "$SERVER" >/home/ann/shop/server.js
echo '{"name": "shop"}' >/home/ann/shop/package.json
chown -R 1000:1000 /home/ann
hostname shop
echo 1 >/proc/sys/net/ipv6/conf/default/addr_gen_mode # no link-local ones, which would be others each time
ip -batch - <<END
link set lo up
link add eth0 type veth peer name peer0
address add 192.0.2.7/24 dev eth0
address add fd00::7/64 dev eth0 nodad
link set eth0 up
link set peer0 up
END
echo ready
exec cat
"""


class MadeUpHost:
    """A machine called `shop`; ends with everything on it."""

    def __init__(self) -> None:
        need("ip", "nsenter", "setpriv", "unshare", "script")
        environment = {
            **os.environ,
            "PASSWD": "".join(f"{name}:x:{uid}:{uid}::/home/{name}:/bin/sh\n" for name, uid in USERS.items()),
            "LAUNCHER": LAUNCHER % _now(),
            "SERVER": SERVER,
        }
        own = ["unshare", "--net", "--uts", "--pid", "--mount", "--cgroup", "--fork", "--kill-child", "--mount-proc"]
        self._first = subprocess.Popen(
            [*own, "sh", "-c", SET_UP], stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True,
            env=environment,
        )  # fmt: skip
        self._programs: list[subprocess.Popen[bytes]] = []
        assert self._first.stdout
        assert self._first.stdout.readline() == b"ready\n"
        self._inside = str(child_of(self._first.pid))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._first.stdin
        self._first.stdin.close()  # its first process ends, and with that every other one
        for program in (*self._programs, self._first):
            end(program)

    def write(self, name: str, text: str) -> None:
        """A file in ann's shop."""
        self._run(["tee", name], "ann", text=text)

    def start(self, pid: int, argv: Sequence[str], *, user: str = "ann", ready: bytes = b"") -> None:
        """A program with this PID; with `ready` it waits for a line with that."""
        self._next_pid(pid)
        program = subprocess.Popen(
            self._argv(argv, user), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            start_new_session=True, env=_environment(user),
        )  # fmt: skip
        self._programs.append(program)
        assert program.stdout
        while ready and ready not in (line := program.stdout.readline()):
            assert line, f"{argv} did not get ready"

    def types(self, line: str) -> list[str]:
        """What ann's terminal shows after this line; `sudo` is believed at once."""
        user, line = ("root", line[5:]) if line.startswith("sudo ") else ("ann", line)
        self._next_pid(2000)
        shown = self._run(["script", "-qec", f"stty cols 80; {line}", "/dev/null"], user, reads=True, check=False)
        return [_remains(each) for each in COLOUR.sub("", shown).split("\n")[:-1]]

    def python(self, code: str) -> str:
        """What a program of ann's prints."""
        return self._run([sys.executable, "-c", code], "ann", reads=True)

    def _run(self, argv: Sequence[str], user: str, *, text: str = "", reads: bool = False, check: bool = True) -> str:
        done = subprocess.run(
            self._argv(argv, user, reads=reads), capture_output=True, timeout=2 * PATIENCE, check=check,
            input=text.encode(), env=_environment(user),
        )  # fmt: skip
        return done.stdout.decode()

    def _next_pid(self, pid: int) -> None:
        self._run(["sh", "-c", f"echo {pid - 1} >/proc/sys/kernel/ns_last_pid"], "root")

    def _argv(self, argv: Sequence[str], user: str, *, reads: bool = False) -> list[str]:
        uid = USERS[user]
        rights = [f"--inh-caps={READS}", f"--ambient-caps={READS}"] if reads else []
        becomes = ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", *rights] if uid else []
        enter = ["nsenter", f"--target={self._inside}", "--net", "--uts", "--pid", "--mount", "--cgroup"]
        return [*enter, f"--wdns={SHOP}", *becomes, *argv]


def _remains(line: str) -> str:
    """Of a line that was written over again and again, as progress is."""
    return line.rstrip("\r").rpartition("\r")[2].rstrip()


def _now() -> int:
    import time

    return int(time.time())


def _environment(user: str) -> dict[str, str]:
    return {
        "PATH": PATH,
        "HOME": f"/home/{user}",
        "TERM": "xterm",
        "TZ": "UTC",
        "LC_ALL": "C.UTF-8",
        "NO_COLOR": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
