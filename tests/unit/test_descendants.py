"""Who descends from a process, from a list of parents that may be out of date."""

from __future__ import annotations

import pytest

from portcheck.model import Process
from portcheck.observe import system


class Processes:
    """A back end that knows these processes."""

    def __init__(self, *processes: Process) -> None:
        self._processes = {process.pid: process for process in processes}

    def parents(self) -> dict[int, int]:
        return {pid: process.parent_pid or 0 for pid, process in self._processes.items()}

    def process(self, pid: int) -> Process | None:
        return self._processes.get(pid)


def named(monkeypatch: pytest.MonkeyPatch, *others: Process) -> list[int | None]:
    root = Process(pid=10, parent_pid=1, started_at=100.0)
    monkeypatch.setattr(system, "BACK_END", Processes(root, *others))
    return [process.pid for process in system.descendants([root])]


def test_parents_come_before_their_children(monkeypatch: pytest.MonkeyPatch) -> None:
    child, grandchild = (
        Process(pid=30, parent_pid=10, started_at=101.0),
        Process(pid=20, parent_pid=30, started_at=101.0),
    )
    neighbour = Process(pid=40, parent_pid=1, started_at=102.0)
    assert named(monkeypatch, grandchild, child, neighbour) == [30, 20]


def test_who_is_older_than_its_parent_is_somebody_elses_child(monkeypatch: pytest.MonkeyPatch) -> None:
    """On Windows the PID of a parent that has ended can have been given away."""
    assert named(monkeypatch, Process(pid=20, parent_pid=10, started_at=99.0)) == []
    assert named(monkeypatch, Process(pid=20, parent_pid=10, started_at=None)) == []


def test_clock_ticks_tell_better_than_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which is computed anew at each look."""
    root = Process(pid=10, parent_pid=1, started_at=100.0, start_ticks=7)
    child = Process(pid=20, parent_pid=10, started_at=99.9, start_ticks=7)
    monkeypatch.setattr(system, "BACK_END", Processes(root, child))
    assert system.descendants([root]) == (child,)


def test_a_zombie_has_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    assert named(monkeypatch, Process(pid=20, parent_pid=10, started_at=101.0, state="Z")) == []


def test_a_circle_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    child, grandchild = (
        Process(pid=30, parent_pid=10, started_at=101.0),
        Process(pid=20, parent_pid=30, started_at=101.0),
    )
    assert named(monkeypatch, child, grandchild, Process(pid=10, parent_pid=20, started_at=101.0)) == [30, 20]
