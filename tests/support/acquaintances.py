"""Processes and facts, made from what a test is about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from portcheck.identify.facts import Facts, ProjectFile
from portcheck.model import Process, Socket

ID = "4f797c539e6c745de61a93ca3ff892358ecbcaccd8414d5db545c38428142970"
OTHER_ID = "ec08435e04266c5ba381fccbb829f626d11d8ddf5f8f547263c7a2d79ab4787a"
POD = "74ba62da-1a3d-11e7-bb11-080027cb0e22"
INIT = Process(1, "systemd", command=("/sbin/init",), executable="/usr/lib/systemd/systemd", cgroup="/init.scope")


def process(command: str | Sequence[str], pid: int = 812, **more: object) -> Process:
    """A process by its command line; blanks separate arguments."""
    argv = tuple(command.split()) if isinstance(command, str) else tuple(command)
    name = argv[0].rpartition("/")[2] if argv else ""
    return Process(pid, name, command=argv)._replace(**more)  # type: ignore[arg-type]


def listener(port: int = 8080, address: str = "0.0.0.0", pids: tuple[int, ...] | None = (812,)) -> Socket:
    return Socket("tcp", "ipv6" if ":" in address else "ipv4", address, port, state="LISTEN", pids=pids)


def facts(
    subject: Process,
    *ancestors: Process,
    environment: Mapping[str, str] | None = None,
    ports: Sequence[int] = (8080,),
    session: int | None = 800,
    parent_session: int | None = 800,
    terminal: str | None = None,
    project: Sequence[ProjectFile] = (),
    leader: Process | None = None,
    leads: bool = False,
    activator: Process | None = None,
) -> Facts:
    """A process in the session of its parent, with a listener on each port."""
    return Facts(
        subject,
        ancestors,
        environment or {},
        session,
        parent_session,
        terminal,
        tuple(listener(port) for port in ports),
        leader,
        leads,
        activator,
        tuple(project),
    )
