"""Waiting for what is certain to happen, on a machine that is busy with something else."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

PATIENCE = 30.0  # seconds


def wait_for(condition: Callable[[], T | None], what: str, timeout: float = 2 * PATIENCE) -> T:
    """The first true value of `condition`, asked again and again; fails, naming `what`, after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while not (value := condition()):
        assert time.monotonic() < deadline, f"not within {timeout} s: {what}"
        time.sleep(0.005)
    return value
