"""What a test needs from this machine; where that is missing the test is skipped, and says why."""

from __future__ import annotations

import os
import shutil
import sys

import pytest


def missing(*programs: str, path: str | None = None) -> str | None:
    """What is missing of root on Linux and these programs, or None."""
    if not sys.platform.startswith("linux"):
        return "needs Linux"
    if os.geteuid() != 0:
        return "needs root"
    absent = [program for program in programs if shutil.which(program, path=path) is None]
    return f"needs {', '.join(absent)}" if absent else None


def need(*programs: str) -> None:
    """Skips the test without root on Linux and these programs."""
    if reason := missing(*programs):
        pytest.skip(reason)
