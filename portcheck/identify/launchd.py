"""What really holds a port on macOS: launchd's jobs, the sockets that launchd holds for them, AirPlay."""

from __future__ import annotations

from portcheck.identify.managers import confirmed
from portcheck.namedtuple import TYPE_CHECKING, NamedTuple
from portcheck.text import number

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from typing import Any

    from portcheck.model import Process, Protocol, ServiceManager, Socket

LAUNCHD: ServiceManager = "launchd"
LAUNCHD_PID = 1
MACOS: ServiceManager = "macOS"  # the manager of what is part of the system and turned off in its settings
AIRPLAY, AIRPLAY_PORTS = "AirPlay Receiver", frozenset((5000, 7000))
AIRPLAY_PROGRAM = "ControlCenter"  # since macOS 12
SYSTEM = "system"
# Labels that launchd makes up for applications and for jobs without a name.
NO_JOB = ("application.", "0x", "[0x")


class Job(NamedTuple):
    """A job of launchd; `target` is its name for launchctl: system/LABEL, gui/501/LABEL."""

    label: str
    target: str


class Known(NamedTuple):
    """What launchctl reports."""

    jobs: Mapping[int, Job] = {}  # by the PID of its process
    listening: Mapping[tuple[Protocol, int], Job] = {}  # whose sockets launchd creates and holds


def read_jobs(text: str, domain: str) -> dict[int, Job]:
    """The running jobs of `launchctl list`, or of `launchctl print DOMAIN`: rows of PID, status and label."""
    rows = (line.split() for line in text.split("\n"))
    return {
        pid: Job(row[2], f"{domain}/{row[2]}")
        for row in rows
        if len(row) == 3 and (pid := number(row[0])) and not row[2].startswith(NO_JOB)
    }


def read_sockets(plist: Mapping[str, Any]) -> tuple[str | None, list[tuple[Protocol, str]]]:
    """The label of a job, and the ports or service names of its Sockets (launchd.plist(5))."""
    label, sockets = plist.get("Label"), plist.get("Sockets")
    if not isinstance(label, str) or not isinstance(sockets, dict):
        return None, []
    entries = [entry for value in sockets.values() for entry in (value if isinstance(value, list) else [value])]
    return label, [
        ("udp" if entry.get("SockType") == "dgram" else "tcp", str(entry["SockServiceName"]))
        for entry in entries
        if isinstance(entry, dict) and entry.get("SockServiceName") and entry.get("SockPassive", True)
    ]


def recognised(
    process: Process, processes: Mapping[int, Process], sockets: Sequence[Socket], launchctl: Known
) -> Process:
    """The process with its job; `processes` are all that hold sockets of the question, `sockets` those of this one.

    launchctl names jobs by their PIDs.  What launchd listens for is read from property lists: it has confirmed none.
    """
    if process.name == AIRPLAY_PROGRAM and _ports(sockets) & AIRPLAY_PORTS:
        return process._replace(service=AIRPLAY, service_manager=MACOS)
    if process.pid == LAUNCHD_PID:
        return _activating(process, sockets, launchctl)
    job = launchctl.jobs.get(process.pid)
    if job is None and process.parent_pid in processes:  # a worker: its parent holds the port too
        job = launchctl.jobs.get(process.parent_pid or 0)
    if job is None:
        return process
    return confirmed(process, service=job.label, service_manager=LAUNCHD, supervised=job.target)


def _activating(launchd: Process, sockets: Sequence[Socket], launchctl: Known) -> Process:
    jobs = dict.fromkeys(
        launchctl.listening[socket.protocol, socket.local_port]
        for socket in sockets
        if (socket.protocol, socket.local_port) in launchctl.listening
    )
    if len(jobs) != 1:
        return launchd
    (job,) = jobs
    return launchd._replace(activation=job.label, service=job.label, service_manager=LAUNCHD, supervised=job.target)


def _ports(sockets: Collection[Socket]) -> set[int]:
    return {socket.local_port for socket in sockets if socket.remote_port is None}
