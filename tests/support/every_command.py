"""A line of each command, on a host where 127.0.0.1:8000 is held, in a project that declares that port."""

from __future__ import annotations

from pathlib import Path

HELD = ("127.0.0.1", "8000")  # arguments of support.processes.HOLDER
# → its exit code, and words of its text.
LINES = {
    "check 8000": (1, "Port 8000 is in use: python3"),
    "check 8001": (0, "Port 8001 is free"),
    "list": (0, "LISTEN"),
    "watch --for 0": (0, "TIMES"),
    "pick --lease=0 8000-8010": (0, "8001"),
    "stop 8000 --dry-run": (0, "plan: SIGTERM to python3"),
    "wait 8000": (0, "listens on 127.0.0.1, port 8000"),
    "wait 8000 --free --timeout 0": (124, "Port 8000 is in use: python3"),
    "run 8000-8010 -- sh -c 'echo got $PORT'": (0, "got 8001"),
    "preflight": (1, "web"),
    "verify": (1, "not as declared"),  # no process of the project's
}
WITH_JSON = [line for line in LINES if not line.startswith(("run ", "watch "))]  # nothing happens: no event


def declare(project: Path) -> Path:
    """A file that needs no library to read."""
    declared = project / "Procfile"
    declared.write_text("web: gunicorn -b 127.0.0.1:8000 app\n", encoding="utf-8")
    return declared
