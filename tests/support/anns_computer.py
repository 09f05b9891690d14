"""Ann's computer: a host on which everything that an answer shows is fixed, so that whole outputs can be compared.

    with anns_computer() as host:
        host.start(1204, ["python3", "-m", "http.server"], "0.0.0.0:8000", age=2 * HOUR)
        host.types("portcheck 8000")  # what her terminal shows

It is a sandbox (rigs/sandbox.py): its own processes, mounts, network, cgroups and name.  Programs, sockets and answers
are real; made up are the numbers of processes (ns_last_pid), for how long they have been running (a stat file of theirs
that is mounted over the real one), the time of day (a time zone), the users, and the home.  Ann runs the installed
command, as herself.
"""

from __future__ import annotations

import os
import shlex
import stat
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from support.namespaces import ADDRESSES
from support.patience import PATIENCE, wait_for
from support.portcheck_command import PACKAGE, PORTCHECK
from support.rigs.keeper import joining
from support.rigs.sandbox import RigUnavailableError, Sandbox, enter, need_root_and, run

HOUR, DAY = 3600, 86400
NOON = 12 * HOUR
HOME = "/home/ann"
UIDS = {"root": 0, "redis": 110, "ann": 1000}
USERS = "".join(f"{name}:x:{uid}:{uid}::/home/{name}:/bin/bash\n" for name, uid in UIDS.items())
ENVIRONMENT = {
    "HOME": HOME,
    "LC_ALL": "C.UTF-8",
    "LOGNAME": "ann",
    "PATH": f"{HOME}/.local/bin:/usr/local/bin:/usr/bin:/bin",
    "PYTHONDONTWRITEBYTECODE": "1",
    "SHELL": "/bin/bash",
    "TERM": "xterm-256color",
    "TMUX_TMPDIR": HOME,
    "USER": "ann",
}
HIGHEST = 300  # lines of a screen
TYPED_FROM = 9000  # the numbers of what ann types
LAST_PID = "/proc/sys/kernel/ns_last_pid"
START_TIME = 19  # of /proc/PID/stat, counted from the field after the name
# The first process does nothing: a shell that waits for ever for its first line.
INIT = """
set -e
{reveal}
mount -t tmpfs -o mode=755 tmpfs /home
mount -t tmpfs tmpfs /sys/fs/cgroup # nor is anything here in a unit or a container
hostname laptop
printf %s {users} >/run/passwd
mount --bind /run/passwd /etc/passwd
mkdir -p {home}/.local/bin {home}/shop
ln -s {portcheck} {home}/.local/bin/portcheck
chown -R {ann}:{ann} {home}
mkdir -p /run/user/{ann}
chown {ann}:{ann} /run/user/{ann}
chmod 700 /run/user/{ann}
ip -batch - <<end
link add eth0 type veth peer name peer0
link set eth0 addrgenmode none
link set peer0 addrgenmode none
{addresses}
link set eth0 up
link set peer0 up
end
ln -s /bin/sh /run/init
mkfifo /run/never
exec 3<>/run/never unshare --cgroup /run/init <&3
"""
# What ann is working on.
SHOP = {
    "app.js": """
require('http').createServer((_, answer) => answer.end()).listen(process.env.PORT || 3000, '127.0.0.1')
""",
    "api.js": "require('http').createServer().listen(8080, '::1')\n",
    "test.js": "fetch(process.argv[3]).then(answer => console.log(answer.status))\n",
    "package.json": '{"name": "shop", "scripts": {"start": "node app.js", "test": "node test.js"}}\n',
    "Makefile": "dev:\n\tnode app.js\n",
}


class Computer:
    """Has lo and eth0 (192.0.2.7, fd00::7), and the users root, redis and ann."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._root = Path(f"/proc/{sandbox.init}/root")
        self._terminals = count()
        self._set_up = time.time()
        self._environment = {**ENVIRONMENT, "TZ": _zone(self._set_up)}
        wait_for(self._is_set_up, "the made-up host is set up")
        self.home = self._root / HOME[1:]
        self.ages(3 * DAY, 1)

    def _is_set_up(self) -> bool:
        self._sandbox.check()
        return (self._root / "proc/1/comm").read_text() == "init\n"

    def run(self, script: str, *, check: bool = True) -> str:
        """What a script prints that root runs inside."""
        argv = joining(self._sandbox.cgroups(), enter(self._sandbox.init, ["sh", "-euc", script]))
        return run(argv, {"PATH": os.environ["PATH"]}, check=check, timeout=2 * PATIENCE).stdout

    def start(self, pid: int, argv: Sequence[str], ready: str, *, age: int, user: str = "ann", cwd: str = HOME) -> None:
        """Starts a program as this process; returns when it listens on the address and port, or says the word."""
        started = f"{self._as_user(user, argv, cwd)} >/run/{pid}.log 2>&1 </run/never & test $! = {pid}"
        self._next_is(pid, started)
        if ":" in ready:
            self.awaits(ready)
        else:
            wait_for(lambda: ready in (self._root / f"run/{pid}.log").read_text(), f"{argv} says {ready}", PATIENCE)
        if age:  # what is mounted over a process's own file stays when it ends
            self.ages(age, pid)

    def start_in_tmux(self, pids: Sequence[int], line: str, listens: str, *, age: int, cwd: str = HOME) -> None:
        """Types a line in ann's tmux; `pids` are those of tmux, its shell, and what the line starts, in order."""
        server, _, *started = pids
        (self.home / ".bash_profile").write_text(f"read -r </run/go\n{line}\n")  # the shell's parent is tmux's server
        self.run("mkfifo -m 666 /run/go")
        self._next_is(server - 2, self._as_user("ann", ["tmux", "new-session", "-d"], cwd))
        # From the moment on at which the shell waits for a line, nothing else takes a number.
        there = "".join(f"until test -d /proc/{pid}; do :; done; " for pid in started)
        self.run(f"exec 3>/run/go; echo {started[0] - 1} >{LAST_PID}; echo >&3; {there}")
        self.awaits(listens)
        self.ages(age, *pids)

    def _next_is(self, pid: int, script: str) -> str:
        """Runs a script of root's in which the first process that it starts is this one."""
        return self.run(f"echo {pid - 1} >{LAST_PID}; {script}")

    def awaits(self, listens: str) -> None:
        """Returns when somebody listens there."""
        address, _, port = listens.rpartition(":")
        wait_for(lambda: self.run(f"ss -Hltn src {address} sport = :{port}"), f"a listener on {listens}", PATIENCE)

    def ages(self, seconds: int, *pids: int) -> None:
        """Lets processes have been running for so long; half a minute more, so that no minute ends meanwhile."""
        started_at = self._set_up - seconds - 30
        since_boot = started_at - (time.time() - time.clock_gettime(time.CLOCK_BOOTTIME))
        for pid in pids:
            name, _, rest = (self._root / f"proc/{pid}/stat").read_text().rpartition(") ")
            fields = rest.split()
            fields[START_TIME] = str(int(since_boot * os.sysconf("SC_CLK_TCK")))
            (self._root / f"run/{pid}.stat").write_text(f"{name}) {' '.join(fields)}\n")
            self.run(f"mount --bind /run/{pid}.stat /proc/{pid}/stat")

    def types(self, line: str, *, width: int = 80, cwd: str = f"{HOME}/shop", colour: bool = False) -> str:
        """What ann's terminal (a tmux of its own) shows after this line; lines of a shell where there are several.

        sudo asks for no password here.
        """
        user, line = ("root", line[5:]) if line.startswith("sudo ") else ("ann", line)
        tmux = f"tmux -L {next(self._terminals)}"  # a name of its own: the last one may still be ending
        new = f"{tmux} new-session -d -x {width} -y {HIGHEST}".split()
        begun = self._as_user(user, [*new, f"{line}\n{tmux} wait-for -S shown; read -r for_ever"], cwd)
        after = (f"{tmux} wait-for shown", f"{tmux} capture-pane -p {'-e' if colour else '-J'}", f"{tmux} kill-server")
        seen = (self._as_user(user, words.split(), cwd) for words in after)
        screen = self._next_is(TYPED_FROM, "; ".join((begun, *seen)))
        lines = [line.rstrip() for line in screen.rstrip().splitlines()]
        return "".join(f"{line}\n" for line in lines)

    def _as_user(self, user: str, argv: Sequence[str], cwd: str) -> str:
        """A shell's command that runs this as that user, with an environment of its own."""
        identity = ["setpriv", f"--reuid={UIDS[user]}", f"--regid={UIDS[user]}", "--clear-groups"]
        environment = [f"{name}={value}" for name, value in self._environment.items()]
        return shlex.join(["env", f"--chdir={cwd}", "-i", *environment, *identity, *argv])


@contextmanager
def anns_computer() -> Iterator[Computer]:
    """A fresh one; it is gone with the context.  Raises RigUnavailableError."""
    need_root_and(["bash", "ss", "tmux"])
    if not Path(LAST_PID).exists():
        raise RigUnavailableError("this kernel has no ns_last_pid")
    script = INIT.format(
        reveal=_reveal([PACKAGE.parent, Path(sys.prefix), Path(sys.base_prefix)]),
        users=shlex.quote(USERS),
        home=HOME,
        ann=UIDS["ann"],
        portcheck=shlex.quote(str(PORTCHECK)),
        addresses="\n".join(f"address add {each} dev eth0 {'nodad' * (':' in each)}" for each in ADDRESSES),
    )
    with Sandbox(["sh", "-c", script], os.environ) as sandbox:
        yield Computer(sandbox)


@contextmanager
def at_work() -> Iterator[Computer]:
    """Ann is working on her shop: what the README and its pictures show."""
    need_root_and(["make", "node", "npm", "python3", "redis-server"])
    with anns_computer() as host:
        for name, text in SHOP.items():
            (host.home / "shop" / name).write_text(text)
        (host.home / "docs").mkdir()
        host.start(611, ["redis-server", "--bind", "127.0.0.1"], "127.0.0.1:6379", age=3 * DAY, user="redis", cwd="/")
        host.start_in_tmux((640, 641, 811, 812), "make dev", "127.0.0.1:3000", age=3 * HOUR, cwd=f"{HOME}/shop")
        docs = ["python3", "-m", "http.server", "--bind", "127.0.0.1", "8080"]
        host.start(1204, docs, "127.0.0.1:8080", age=2 * HOUR, cwd=f"{HOME}/docs")
        host.start(1377, ["node", "api.js"], "[::1]:8080", age=HOUR, cwd=f"{HOME}/shop")
        yield host


def _zone(now: float) -> str:
    """The time zone in which it is half a minute past noon."""
    to_noon = int(NOON + 31 - now % DAY)
    return f"ANN{'-' if to_noon >= 0 else '+'}{time.strftime('%H:%M:%S', time.gmtime(abs(to_noon)))}"


def _reveal(needed: Iterable[Path]) -> str:
    """A script that lets every user reach these folders, also where one above them is root's alone: that is covered."""
    closed = {folder: above for folder in needed if (above := _closed_above(folder))}
    kept = {folder: f"/run/kept/{number}" for number, folder in enumerate(closed)}
    return "\n".join(
        (
            *(f"mkdir -p {place}; mount --bind {shlex.quote(str(folder))} {place}" for folder, place in kept.items()),
            *(f"mount -t tmpfs -o mode=755 tmpfs {shlex.quote(str(above))}" for above in set(closed.values())),
            *(f"mkdir -p {shlex.quote(str(folder))}" for folder in closed),
            *(f"mount --bind {place} {shlex.quote(str(folder))}" for folder, place in kept.items()),
        )
    )


def _closed_above(folder: Path) -> Path | None:
    """The first folder on the way to it that others may not enter."""
    return next((above for above in reversed(folder.parents) if not above.stat().st_mode & stat.S_IXOTH), None)
