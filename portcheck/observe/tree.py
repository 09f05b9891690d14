"""Who descends from whom, by the parents that the system names."""

from __future__ import annotations

from portcheck.observe.people import process_now


def descends(pid: int, ancestor: int) -> bool:
    """Whether `pid` is a child of `ancestor`, or a child's child, and so on; not of itself."""
    seen = {pid}
    while (process := process_now(pid)) and process.parent_pid and process.parent_pid not in seen:
        pid = process.parent_pid
        if pid == ancestor:
            return True
        seen.add(pid)
    return False
