"""Windows CPython under Wine as the tests drive it: programs on pipes, a holder of a port, a service."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

DEADLINE = 120  # seconds; far beyond what any program here needs

# Whole paths: without one Wine starts programs through start.exe, which now and then fails
PYTHON = r"C:\Python311\python.exe"
PORTCHECK = r"C:\Python311\Scripts\portcheck.exe"
SYSTEM32 = "C:\\windows\\system32\\"
HOLDERS = "C:\\holders\\"


class Result(NamedTuple):
    """What a Windows program left: its exit code and the bytes it wrote."""

    code: int
    stdout: bytes
    stderr: bytes

    def lines(self) -> list[str]:
        """The lines on standard output, in the code page that piped programs write there."""
        return self.stdout.decode("cp1252").splitlines()

    def complaints(self) -> list[str]:
        """The same of standard error."""
        return self.stderr.decode("cp1252").splitlines()


class Holder(NamedTuple):
    """A program that holds a port."""

    port: int
    pid: int  # the Windows one


class Machine:
    """One Wine prefix whose server runs."""

    def __init__(self, prefix: Path) -> None:
        self.prefix = prefix
        self.environment = {**os.environ, "WINEPREFIX": str(prefix), "PORTCHECK_TRACEBACK": "1"}
        self.home = prefix / "drive_c"  # not this checkout, from which Python would import portcheck

    def run(self, *argv: str, env: Mapping[str, str] | None = None) -> Result:
        """Run a Windows program to its end.

        Its standard streams are pipes: Python there refuses files and /dev/null (WinError 6).
        """
        done = subprocess.run(
            ["wine", *argv],
            env={**self.environment, **(env or {})},
            cwd=self.home,
            input=b"",
            capture_output=True,
            timeout=DEADLINE,
            check=False,
        )
        return Result(done.returncode, done.stdout, done.stderr)

    def python(self, code: str) -> Result:
        """Run lines of Python there."""
        return self.run(PYTHON, "-c", code)

    def portcheck(self, *argv: str, env: Mapping[str, str] | None = None) -> Result:
        """Run the launcher that pip made."""
        return self.run(PORTCHECK, *argv, env=env)

    def system(self, program: str, *argv: str, env: Mapping[str, str] | None = None) -> Result:
        r"""Run a program of C:\windows\system32."""
        return self.run(f"{SYSTEM32}{program}.exe", *argv, env=env)

    @contextmanager
    def holding(
        self, address: str, port: int = 0, option: str = "seen", program: str = "Service.exe"
    ) -> Iterator[Holder]:
        """A process of this program listens there; for the options see rig/service.c."""
        process, told = self._holder(["wine", HOLDERS + program, address, str(port), option])
        with process:  # which at its end closes that stdin, and so ends the holder
            yield Holder(*map(int, told.split()))

    def _holder(self, command: list[str]) -> tuple[subprocess.Popen[bytes], bytes]:
        """Wine may let go of a port only after the program before has ended: until then this one is refused."""
        deadline = time.monotonic() + DEADLINE
        while True:
            process = subprocess.Popen(
                command, env=self.environment, cwd=self.home, stdin=subprocess.PIPE, stdout=subprocess.PIPE
            )
            assert process.stdout is not None
            told = process.stdout.readline()
            if told or time.monotonic() > deadline:
                return process, told
            process.communicate()

    @contextmanager
    def serving(self, name: str, port: int) -> Iterator[None]:
        """The Windows service NAME listens on 0.0.0.0, in a process called svchost.exe."""
        command = f"{HOLDERS}svchost.exe --service {port} {name}"
        # psutil crashes on a service that Wine knows without a display name
        named = ("DisplayName=", f"The {name} service")
        created = self.system("sc", "create", name, "start=", "demand", *named, "binPath=", command)
        assert created.code == 0, created
        try:
            started = self.system("sc", "start", name)
            assert started.code == 0, started
            yield
        finally:
            self.system("sc", "stop", name)
            self.system("sc", "delete", name)

    def wines_own(self, program: str) -> dict[str, str]:
        """The environment in which Wine's own stub of a program runs instead of the rig's."""
        overrides = self.environment["WINEDLLOVERRIDES"]
        return {"WINEDLLOVERRIDES": overrides.replace(f"{program}=n", f"{program}=b")}

    def path(self, path: Path) -> str:
        r"""A file of this machine as Windows programs name it: Z:\..."""
        return "Z:" + str(path).replace("/", "\\")


@contextmanager
def booted(prefix: Path, wrapper: Sequence[str] = ()) -> Iterator[Machine]:
    """A machine whose Wine server lives until the context ends.

    The server owns every socket there, so a `wrapper` around it, such as setpriv, decides what may be bound.
    """
    machine = Machine(prefix)

    def quietly(*command: str) -> None:
        # What Wine starts in the background keeps these streams open: no pipe whose end somebody waits for
        subprocess.run(command, env=machine.environment, **silent, timeout=DEADLINE, check=True)

    silent: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL)
    quietly(*wrapper, "wineserver", "--persistent")
    try:
        quietly("wine", f"{SYSTEM32}cmd.exe", "/c", "exit")
        yield machine
    finally:
        quietly("wineserver", "--kill")


def twin(prefix: Path, folder: Path) -> Path:
    """A second machine on the same drive C:, with a registry and so a Wine server of its own."""
    folder.mkdir()
    for name in ("system.reg", "user.reg", "userdef.reg", ".update-timestamp"):
        shutil.copy2(prefix / name, folder)
    shutil.copytree(prefix / "dosdevices", folder / "dosdevices", symlinks=True)
    (folder / "drive_c").symlink_to(prefix / "drive_c")
    return folder
