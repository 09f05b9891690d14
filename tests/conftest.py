"""Fixtures that every test can use."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from support.namespaces import Host
from support.person import Person, person_at
from support.portcheck_command import package_for_everyone
from support.rigs.docker_engine import docker_engine
from support.rigs.systemd_host import systemd_host, systemd_root
from support.rigs.userland import userland_roots

__all__ = ["docker_engine", "systemd_host", "systemd_root", "userland_roots"]

# What a skip says when this machine lacks something that could be had.
WANTING = ("needs ", "not installed", "no systemd host", "no docker engine", "no sandbox", "no userlands")
# PORTCHECK_HYPOTHESIS chooses one.  None has a deadline, which on a busy machine measures the machine.  CI draws the
# same examples every time, so that a red run is the fault of the change; all other runs look for new ones.
for profile, same_every_time, examples in (("default", False, 100), ("ci", True, 100), ("busy", False, 20)):
    settings.register_profile(
        profile,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
        derandomize=same_every_time,
        max_examples=examples,
    )
settings.load_profile(os.environ.get("PORTCHECK_HYPOTHESIS", "default"))
_REPORT = pytest.StashKey[list[str]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--write", action="store_true", help="write what tests make: tables, the README's outputs")
    parser.addoption("--long", action="store_true", help="compare everything with the kernel, not a seeded part")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_REPORT] = []
    # A run in the background of a script inherits that these are ignored, and so would every program of a test.
    for name in ("SIGINT", "SIGQUIT", "SIGHUP"):
        number = getattr(signal, name, None)  # Windows has only the first
        if number is not None and signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler if name == "SIGINT" else signal.SIG_DFL)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Where everything should be there (CI), a test that skips for want of something has not passed."""
    if session.exitstatus or not os.environ.get("PORTCHECK_NO_SKIPS"):
        return
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    skipped = [] if reporter is None else reporter.stats.get("skipped", [])
    wanting = [report for report in skipped if any(word in str(report.longrepr) for word in WANTING)]
    if wanting:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
        session.config.stash[_REPORT].append(f"FAILED: {len(wanting)} tests skipped that CI must be able to run")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """What was compared with the kernel, in numbers, at the end of every run."""
    lines = config.stash[_REPORT]
    if lines:
        terminalreporter.section("compared")
        for line in lines:
            terminalreporter.write_line(line)


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    """A host of its own, in whose environment nobody has named a port."""
    monkeypatch.delenv("PORT", raising=False)
    with Host() as made:
        yield made


@pytest.fixture(scope="session")
def for_everyone() -> Iterator[list[str]]:
    """portcheck as other users can run it."""
    with tempfile.TemporaryDirectory() as directory, package_for_everyone(Path(directory)) as argv:
        yield argv


@pytest.fixture
def person(host: Host) -> Iterator[Person]:
    """Somebody on that host who pastes what portcheck advises, and may sudo."""
    with person_at(host) as somebody:
        yield somebody


@pytest.fixture
def long(pytestconfig: pytest.Config) -> bool:
    """Whether everything is compared."""
    return bool(pytestconfig.getoption("--long"))


@pytest.fixture
def report(pytestconfig: pytest.Config) -> Callable[[str], None]:
    """Takes a line for the summary of what was compared."""
    return pytestconfig.stash[_REPORT].append
