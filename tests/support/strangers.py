"""An ordinary user against root: his programs, and what it costs root's portcheck that they are there.

his = Stranger(host)
his.start(OVER_A_HUGE_MAPPING, "8001")  # listens on 8001
cost = asked(host, "8000")  # root asks about somebody else's port
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from subprocess import DEVNULL, CompletedProcess, Popen, run
from typing import Any, NamedTuple

from support.namespaces import Host
from support.patience import PATIENCE
from support.processes import SYSTEM_PYTHON

UID = 4001
# A listener on the port of its first argument, which then says `ready` and stays.
LISTENER = """
import socket, sys
held = socket.create_server(("127.0.0.1", int(sys.argv[1])))
"""
READY = """
print("ready", flush=True)
sys.stdin.read()
"""
# portcheck, and after it on stderr what it took: the most memory at once, and processor time.
METER = """
import resource, sys
from portcheck import __main__ as portcheck
portcheck.fork.OWN_PROCESS = True
code = portcheck.run(sys.argv[1:])
sys.stdout.flush()
with open("/proc/self/status") as status:
    peak = next(line.split()[1] for line in status if line.startswith("VmHWM:"))
used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
print(peak, sum(one.ru_utime + one.ru_stime for one in used), file=sys.stderr)
sys.exit(code)
"""


class Asked(NamedTuple):
    code: int
    out: str
    err: str
    mebibytes: float
    seconds: float  # of processors, not of the clock: other tests may run too


class Stranger:
    """Starts programs as an ordinary user; they end with the host."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def start(self, program: str, *args: str, **options: Any) -> Popen[bytes]:
        """Runs Python that listens (see LISTENER) and does harm; returns once it is ready."""
        argv = [SYSTEM_PYTHON, "-S", "-E", "-c", LISTENER + program + READY, *args]
        return self._host.start(argv, uid=UID, ready=b"ready", **options)


def asked(host: Host, *args: str, cwd: Path | None = None) -> Asked:
    """Root's portcheck, with what it took."""
    done: CompletedProcess[bytes] = run(
        host.argv([sys.executable, "-c", METER, *args]),
        stdin=DEVNULL, capture_output=True, timeout=PATIENCE * 4, check=False, cwd=cwd,
    )  # fmt: skip
    err, _, took = os.fsdecode(done.stderr).rstrip("\n").rpartition("\n")
    peak, seconds = took.split()
    return Asked(done.returncode, os.fsdecode(done.stdout), err, int(peak) / 1024, float(seconds))


def cheap(costs: Sequence[Asked], alone: Sequence[Asked]) -> bool:
    """Whether hostile neighbours cost no more than they may: 20 MiB, and 0.1 s (twice that on a busy machine)."""
    memory = max(each.mebibytes for each in costs) - max(each.mebibytes for each in alone)
    time = min(each.seconds for each in costs) - min(each.seconds for each in alone)
    return memory < 20 and time < 0.2
