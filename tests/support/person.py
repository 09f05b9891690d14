"""An ordinary user at a terminal who does what portcheck advises: pastes its words into a shell, sudo and all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from support.namespaces import Host
from support.needs import need
from support.portcheck_command import package_for_everyone
from support.processes import NOBODY, SYSTEM_PYTHON
from support.terminal import Terminal

COMMAND = " " * 6  # what plain text indents a command by
AGREES = "Stop it? [y/N] "
# As Debian ships it, but that nobody is asked for a password.
SUDOERS = """\
Defaults env_reset
Defaults secure_path="/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
ALL ALL=(ALL:ALL) NOPASSWD: ALL
"""
MACHINE = "mount --bind {place}/sudoers /etc/sudoers && echo ready && exec sleep 1000"
INSTALLED = """\
#!{python}
import sys
sys.dont_write_bytecode = True
sys.path.insert(0, {place!r})
from portcheck.__main__ import main
sys.exit(main())
"""


class Person:
    """Somebody with a portcheck of their own, off the PATH of sudo."""

    def __init__(self, host: Host, place: Path, files: int) -> None:
        self._host, self._place, self._files = host, place, files

    @property
    def portcheck(self) -> str:
        return f"{self._place}/bin/portcheck"

    def runs(self, *argv: str, uid: int = NOBODY) -> list[str]:
        """The commands that the output of this command advises, as they are printed."""
        done = self._host.run(self._as(argv, uid), check=False, env=self._environment())
        return advised(done.stdout)

    def asks(self, *args: str, uid: int = NOBODY) -> list[str]:
        """The commands that `portcheck ARGS` advises."""
        return self.runs(self.portcheck, *args, uid=uid)

    def pastes(self, words: str, *, uid: int = NOBODY) -> int:
        """The exit code of a shell with these words, at a terminal where everything is agreed to."""
        with Terminal(self._host, self._as(["sh", "-c", words], uid), env=self._environment()) as terminal:
            return terminal.ends({AGREES: b"y\n"})

    def shows(self, words: str, *, uid: int = NOBODY) -> str:
        """What a terminal shows of a shell with these words."""
        with Terminal(self._host, self._as(["sh", "-c", words], uid), env=self._environment()) as terminal:
            terminal.ends()
            return terminal.shown.replace("\r", "")

    def _as(self, argv: list[str] | tuple[str, ...], uid: int) -> list[str]:
        user = ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups"] if uid else []
        return ["nsenter", f"--mount=/proc/{self._files}/ns/mnt", *user, *argv]

    def _environment(self) -> dict[str, str]:
        return {
            "PATH": f"{self._place}/bin:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
            "LC_ALL": "C.UTF-8",
            "COLUMNS": "",
            "TERM": "xterm",
        }


def advised(shown: str) -> list[str]:
    """The commands of plain text."""
    return [line.strip() for line in shown.splitlines() if line.startswith(COMMAND)]


@contextmanager
def person_at(host: Host) -> Iterator[Person]:
    """On this host; everybody there may sudo, and this machine's own sudoers stay as they are."""
    need("sudo", "script", "unshare")
    with ExitStack() as stack:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        stack.enter_context(package_for_everyone(place))
        (place / "sudoers").write_text(SUDOERS)
        os.chmod(place / "sudoers", 0o440)
        command = place / "bin" / "portcheck"
        command.parent.mkdir()
        command.write_text(INSTALLED.format(python=SYSTEM_PYTHON, place=str(place)))
        for path in (command.parent, command):
            path.chmod(0o755)
        argv = ["unshare", "--mount", "sh", "-c", MACHINE.format(place=place)]
        yield Person(host, place, host.start(argv, ready=b"ready").pid)
