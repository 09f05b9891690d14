"""A little host of its own on this machine: private processes, mounts and network, gone without a trace."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

from support.needs import missing
from support.rigs import keeper

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class RigUnavailableError(Exception):
    """The rig cannot be had on this machine; the text is the reason."""


@contextmanager
def skip_if_unavailable(rig: str) -> Iterator[None]:
    """Skip the test, visibly and with the reason, where the rig cannot be had."""
    try:
        yield
    except RigUnavailableError as reason:
        pytest.skip(f"no {rig}: {reason}")


def need_root_and(programs: Sequence[str]) -> None:
    """Raises RigUnavailableError unless we are root on Linux and every program is there."""
    if reason := missing("ip", "nsenter", "setpriv", "unshare", *programs, path=PATH):
        raise RigUnavailableError(reason)


def run(
    argv: Sequence[str],
    environment: Mapping[str, str],
    *,
    check: bool = True,
    timeout: float = 60,
    stdin: str | bytes = b"",
) -> subprocess.CompletedProcess[str]:
    """Run a command with both outputs captured as text; its failure, if `check`, shows them."""
    data = stdin.encode() if isinstance(stdin, str) else stdin
    done = subprocess.run(argv, input=data, capture_output=True, timeout=timeout, env=environment, check=False)
    out, err = os.fsdecode(done.stdout), os.fsdecode(done.stderr)
    if check and done.returncode:
        error = subprocess.CalledProcessError(done.returncode, argv, out, err)
        error.add_note(f"stdout: {out}\nstderr: {err}")
        raise error
    return subprocess.CompletedProcess(argv, done.returncode, out, err)


class Sandbox:
    """Runs `argv` as a sandbox's first process; leaving the context ends it and everything in it.

    Inside, /run is an empty tmpfs; every other file is this machine's own. The first process is in the cgroup
    `unit` of the sandbox's own cgroup.
    """

    def __init__(self, argv: Sequence[str], environment: Mapping[str, str], unit: str = "") -> None:
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - open as long as the sandbox
        self._keeper = subprocess.Popen(
            [sys.executable, "-I", keeper.__file__, unit, *argv],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            start_new_session=True,  # Ctrl-C is for the test run; the keeper hears of its end by the pipe
            env=environment,
        )
        assert self._keeper.stdout is not None
        self.init = int(self._keeper.stdout.readline() or 0)
        if not self.init:
            raise RigUnavailableError(self._end())

    def check(self) -> None:
        """Raises RigUnavailableError with the first process's last words if it has ended."""
        if self._keeper.poll() is not None:
            raise RigUnavailableError(self._last_words())

    def cgroups(self) -> list[Path]:
        """The sandbox's own cgroups, one per hierarchy in which systemd keeps units."""
        return [folder / keeper.group_name(self._keeper.pid) for folder in keeper.unit_hierarchies()]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Returns when the last process, mount, namespace and cgroup of the sandbox is gone."""
        last_words = self._end()
        if self._keeper.returncode:
            raise RuntimeError(f"the sandbox did not end cleanly: {last_words}")

    def _end(self) -> str:
        """End the keeper and return the last words."""
        with self._log:
            self._keeper.communicate(timeout=60)  # closes its standard input: the sign to end
            return self._last_words()

    def _last_words(self) -> str:
        self._log.seek(0)
        return " / ".join(os.fsdecode(self._log.read()).splitlines()[-3:])


def enter(pid: int, argv: Sequence[str]) -> list[str]:
    """The command that runs `argv` where process `pid` lives; it is killed when the command is."""
    return ["nsenter", "--all", f"--target={pid}", "--root", "--wd", "setpriv", "--pdeathsig=KILL", *argv]
