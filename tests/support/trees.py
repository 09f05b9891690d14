"""A command with every kind of descendant that is hard to end."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

from support.patience import wait_for
from support.processes import SYSTEM_PYTHON

# Starts what its first argument names (words with commas between them) and, once all are there, says "grown".  Then it
# does what its second argument is: Python.
TREE = r"""
import os, signal, subprocess, sys, time

there, is_there = os.pipe()
os.set_inheritable(is_there, True)

def stays():
    os.write(is_there, b".")
    os.closerange(0, 64)
    while True:
        time.sleep(1000)

def forked(then):
    if os.fork() == 0:
        then()
        os._exit(0)

def session():
    os.setsid()
    stays()

def daemon():
    os.setsid()
    forked(stays)

def orphan():
    forked(stays)

def job():
    # a shell that is not interactive has its background jobs ignore SIGINT
    stay = "import os, sys, time; os.write(%d, b'.'); time.sleep(1000)" % is_there
    subprocess.run(["sh", "-c", '"$@" & wait', "sh", sys.executable, "-S", "-E", "-c", stay], close_fds=False)

def deaf():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    stays()

def phoenix():
    signal.signal(signal.SIGTERM, lambda *_: os.fork() and os._exit(0))
    stays()

def stopped():
    os.write(is_there, b".")
    os.kill(os.getpid(), signal.SIGSTOP)
    time.sleep(1000)

def headless():
    # its main thread ends, another one stays: to the kernel the process is a zombie
    import ctypes, threading
    def alone():
        while "State:\tZ" not in open("/proc/self/status").read():
            time.sleep(0.01)
        stays()
    threading.Thread(target=alone).start()
    ctypes.CDLL(None).syscall(ctypes.c_long(EXIT), 0)

def brood():
    for _ in range(49):
        forked(stays)
    stays()

EXIT = {"x86_64": 60}.get(os.uname().machine, 93)
kinds = sys.argv[1].split(",") if sys.argv[1] else []
for kind in kinds:
    forked(globals()[kind])
grown = sum(50 if kind == "brood" else 1 for kind in kinds)
while grown:
    grown -= len(os.read(there, grown))
print("grown", flush=True)
exec(sys.argv[2])
"""
KINDS = ("session", "daemon", "orphan", "job", "deaf", "phoenix", "stopped", "headless", "brood")
ENOUGH = 65536  # bytes of an environment: those of other tests may have no end
STAYS = "time.sleep(1000)"


class Tree:
    """All processes that have come of one command, wherever they went: a variable of their environment tells."""

    def __init__(self, mark: object) -> None:
        self._mark = f"TREE={mark}"
        self.mark = ("env", self._mark)  # before any command line

    def command(self, then: str, *kinds: str) -> list[str]:
        """Which starts these kinds (all, unless any are named), and then does that."""
        return [*self.mark, SYSTEM_PYTHON, "-S", "-E", "-c", TREE, ",".join(kinds or KINDS), then]

    def pids(self, port: int | None = None) -> list[int]:
        """Those that run, of the attempt on that port alone if one is named."""
        return list(self._pids(port))

    def _pids(self, port: int | None) -> Iterator[int]:
        for directory in Path("/proc").glob("[0-9]*"):
            try:
                with (directory / "environ").open("rb") as environ:
                    variables = environ.read(ENOUGH).split(b"\0")
                threads = [task.read_text() for task in directory.glob("task/*/stat")]
            except OSError:
                continue
            is_of_port = port is None or f"PORT={port}".encode() in variables
            if self._mark.encode() in variables and is_of_port and any(") Z " not in stat for stat in threads):
                yield int(directory.name)

    def end(self) -> None:
        """For what a test leaves on purpose, and for one that fails."""

        def none_left() -> bool:
            pids = self.pids()
            for pid in pids:
                os.kill(pid, signal.SIGKILL)
            return not pids

        wait_for(none_left, "the tree has ended")
