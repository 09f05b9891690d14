"""What portcheck sees of one little machine, asked from within containers, sandboxes and other Linuxes.

The machine has a listener of root's (on every IPv4 address), one of another user's (on every IPv6 address), a TCP
socket that is bound without listening, a UDP socket, and, where an engine runs, a container's published port.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import artefacts

from support.portcheck_command import PACKAGE
from support.processes import SYSTEM_PYTHON

ROOT, OTHER, BOUND, UDP, PUBLISHED, NOBODY, PRIVILEGED = 8001, 8002, 8003, 8004, 8006, 8099, 80
TCP = (ROOT, OTHER, BOUND, PUBLISHED, NOBODY, PRIVILEGED)
QUESTION = (",".join(map(str, TCP)), f"{UDP}/udp", "--json")
OTHER_UID = 1000
# Arguments of support.processes.HOLDER, and who holds it.
HELD: Sequence[tuple[int, tuple[str, ...]]] = (
    (0, ("0.0.0.0", str(ROOT), "reuseaddr")),
    (OTHER_UID, ("::", str(OTHER), "v6only", "reuseaddr")),
    (0, ("0.0.0.0", str(BOUND), "bound", "reuseaddr")),
    (0, ("0.0.0.0", str(UDP), "udp")),
)
USERS = {ROOT: 0, OTHER: OTHER_UID, BOUND: 0, UDP: 0}
COLUMNS = {
    "root's listener": ROOT,
    "another user's": OTHER,
    "bound alone": BOUND,
    "UDP": UDP,
    "a container's": PUBLISHED,
    "a free port": NOBODY,
    "port 80, free": PRIVILEGED,
}
KILLED = "no answer: the kernel kills it"
PLATFORMS = Path(__file__).parents[2] / "docs" / "platforms.md"


class Asked(NamedTuple):
    """One way in which portcheck was run somewhere, and the document it printed; None where it was killed."""

    status: int
    document: Mapping[str, Any] | None

    def results(self) -> dict[int, Mapping[str, Any]]:
        assert self.document is not None
        return {result["port"]: result for result in self.document["results"]}


def one_file(directory: Path) -> Path:
    """As scripts/build makes it; beside it, in `source`, the package, with byte code for Debian's Python."""
    source = directory / "source"
    shutil.copytree(PACKAGE, source / "portcheck", ignore=shutil.ignore_patterns("__pycache__"))
    subprocess.run([SYSTEM_PYTHON, "-m", "compileall", "-q", source], check=True)
    return artefacts.one_file(directory)


def read(done: subprocess.CompletedProcess[str]) -> Asked:
    """The document of a run; one that was killed has printed nothing, and systemd-run says 255 of it."""
    assert done.stdout or done.returncode == 255, f"status {done.returncode}: {done.stderr}"
    return Asked(done.returncode, json.loads(done.stdout) if done.stdout else None)


def row(asked: Asked, ports: Sequence[int]) -> tuple[str, ...]:
    """What was said of each port, then every blind spot's code."""
    if asked.document is None:
        return (KILLED, *([""] * len(ports)))
    results = asked.results()
    codes = {spot["code"] for result in results.values() for spot in result["blind_spots"]}
    return (*(_said(results[port]) for port in ports), ", ".join(sorted(codes)) or "none")


def _said(result: Mapping[str, Any]) -> str:
    """`in use: process`, `denied`, `free?` (not complete)"""
    if result["verdict"] != "in-use":
        return f"{result['verdict']}{'' if result['complete'] else '?'}"
    return f"in use: {_who(result['owners'])}"


def _who(owners: Sequence[Mapping[str, Any]]) -> str:
    """The best that is known of them."""
    if any(owner["container"] and owner["container"]["name"] for owner in owners):
        return "container"
    for what, key in (("process", "pid"), ("service", "service"), ("user", "uid")):
        if any(owner[key] is not None for owner in owners):
            return what
    return "?"


def untrue(asked: Asked, *, shares_network: bool) -> list[str]:
    """What no answer may say, wherever it is asked: a false free, a false nobody, another one's name."""
    results = asked.results()
    held = {port: results[port] for port in USERS}
    if not shares_network:
        return [f"{port} is not here" for port, result in held.items() if result["verdict"] == "in-use"]
    wrong = [f"{port} is held" for port, result in held.items() if result["verdict"] == "free" and result["complete"]]
    for port, result in held.items():
        wrong += [f"{port} has a holder" for socket in result["sockets"] if socket["pids"] == []]
        wrong += [
            f"not {owner['user']} has {port}" for owner in result["owners"] if owner["uid"] not in (USERS[port], None)
        ]
    return wrong


def compare(group: str, rows: Mapping[str, Mapping[str, Asked]], *, engine: bool = False, write: bool) -> None:
    """The table of a group in docs/platforms.md is what was seen, or becomes it."""
    current = PLATFORMS.read_text(encoding="utf-8")
    marks = f"<!-- seen: {group} -->\n", f"<!-- end of {group} -->"
    found = re.search(f"(?s){re.escape(marks[0])}(.*?){re.escape(marks[1])}", current)
    assert found, f"docs/platforms.md has no table {group}"
    table = "".join(f"{line}\n" for line in _lines(rows, engine=engine))
    if write:
        PLATFORMS.write_text(current.replace(found[0], f"{marks[0]}{table}{marks[1]}"), encoding="utf-8")
    else:
        assert found[1].splitlines() == table.splitlines(), "docs/platforms.md is not current: pytest --write"


def _lines(rows: Mapping[str, Mapping[str, Asked]], *, engine: bool) -> list[str]:
    """One line for each place; more only where the ways to run it there differ."""
    columns = {title: port for title, port in COLUMNS.items() if engine or port != PUBLISHED}
    lines = ["| where | " + " | ".join(columns) + " | blind spots |", "|---" * (len(columns) + 2) + "|"]
    for where, ways in rows.items():
        seen = {way: row(asked, list(columns.values())) for way, asked in ways.items()}
        alike = len(set(seen.values())) == 1
        for way, cells in list(seen.items())[: 1 if alike else None]:
            lines.append(f"| {' | '.join((where if alike else f'{where}, {way}', *cells))} |")
    return lines
