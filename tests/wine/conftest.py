"""Machines for the tests, and what their result means.

These tests drive programs in the prefix that PORTCHECK_WINE_PREFIX names, inside fresh network and PID
namespaces: scripts/test-windows-on-wine makes both.  Without it nothing here is collected.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from .machine import Machine, booted, twin

PREFIX = os.environ.get("PORTCHECK_WINE_PREFIX")
DIFFERENCES = Path(__file__).with_name("differences.txt")

collect_ignore_glob = [] if PREFIX else ["test_*.py"]


@pytest.fixture(scope="session")
def windows() -> Iterator[Machine]:
    assert PREFIX is not None
    with booted(Path(PREFIX)) as machine:
        yield machine


@pytest.fixture(scope="session")
def guarded_windows(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """Windows where binding a port below 1024 fails with 10013, as in an excluded port range."""
    assert PREFIX is not None
    prefix = twin(Path(PREFIX), tmp_path_factory.mktemp("guarded") / "prefix")
    with booted(prefix, ("setpriv", "--bounding-set=-net_bind_service")) as machine:
        yield machine


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if PREFIX is None:
        return
    passed, failed, errors, skipped = (
        len(terminalreporter.getreports(kind)) for kind in ("passed", "failed", "error", "skipped")
    )
    terminalreporter.section("Windows CPython under Wine, not Windows")
    terminalreporter.write(DIFFERENCES.read_text(encoding="utf-8"))
    terminalreporter.write_line(f"wine: {passed} passed, {failed + errors} failed, {skipped} skipped")
